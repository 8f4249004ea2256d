"""Other exchange systems: which may be new, by each city's file, and how one moves."""

from datetime import date

import pytest

from shuqiao.control.regulations import files
from shuqiao.rules.exchange_systems import KINDS, NEXT, STATES, decide_registration, is_late, may_report

TODAY = date(2026, 11, 11)
OLD = date(2010, 1, 1)


def decided(name: str, kind: str, since: date | None) -> tuple[bool, bool, str]:
    """Whether it is registered, counts as new, and the article."""
    rules = files.load_regulation(name, fallback="guangzhou-2016" if name == "guangzhou-2019" else None)
    found = decide_registration(kind, since, rules.exchange, rules.validity.valid_from, TODAY)
    return found.allowed, found.is_new, found.article


@pytest.mark.parametrize("kind", ["platform", "interface", "system"])
@pytest.mark.parametrize(
    ("name", "article"),
    [
        pytest.param("guangzhou-2016", "8¶4", marks=pytest.mark.requirement("MOD-12", source="GZ16:8¶4")),
        pytest.param("guangzhou-2019", "16¶3", marks=pytest.mark.requirement("MOD-12", source="GZ165:16¶3")),
    ],
)
def test_guangzhou_lets_no_new_one_be_built_and_registers_old_ones(
    name: str, article: str, kind: str
) -> None:
    assert decided(name, kind, None) == (False, True, article)
    assert decided(name, kind, date(2026, 12, 1)) == (False, True, article)
    assert decided(name, kind, OLD) == (True, False, article)


@pytest.mark.requirement("MOD-12", source="SY:9")
def test_shenyang_bans_a_second_catalogue_or_sharing_system() -> None:
    assert decided("shenyang-2016", "catalogue", None) == (False, True, "9")
    assert decided("shenyang-2016", "system", date(2020, 1, 1)) == (False, True, "9")
    assert decided("shenyang-2016", "interface", None) == (True, True, "9")


@pytest.mark.requirement("MOD-12", source="SY:6¶1-2")
def test_shenyang_connects_what_there_is() -> None:
    assert decided("shenyang-2016", "platform", OLD) == (True, False, "6¶2")


@pytest.mark.requirement("MOD-12", source="XM:5(4)")
@pytest.mark.parametrize("kind", KINDS)
def test_xiamen_registers_every_one(kind: str) -> None:
    assert decided("xiamen-2015", kind, None) == (True, True, "5(4)")


def test_the_day_on_which_the_rules_came_into_force_counts_as_new() -> None:
    start = date(2016, 6, 8)
    assert decided("shenyang-2016", "system", start)[0] is False
    assert decided("shenyang-2016", "system", date(2016, 6, 7))[0] is True


def test_what_has_moved_stays_moved() -> None:
    assert set(NEXT) == set(STATES)
    assert may_report("registered", "moving") and may_report("moving", "moved")
    assert not may_report("moved", "moving") and not may_report("connected", "registered")
    assert not may_report("no_such", "moved")


def test_a_plan_is_late_the_day_after_its_last() -> None:
    assert not is_late("moving", TODAY, TODAY)
    assert is_late("moving", date(2026, 11, 10), TODAY)
    assert not is_late("moved", date(2026, 11, 10), TODAY)
