"""Terms of a grant and channels of an entry: what may be asked for, how, and what needs a reviewer."""

import pytest

from shuqiao.control.regulations import files
from shuqiao.rules.channels import CHANNELS, OF_MODE, channels_for, channels_of, usual
from shuqiao.rules.rows import Row
from shuqiao.rules.terms import Offer, Terms, covers, is_masked, needs_review, term_faults

OFFER = Offer(
    modes=frozenset({"verify", "query", "bulk"}),
    channels=("interface", "download"),
    types={"district": "code", "born_on": "date", "note": "text"},
    masked=frozenset({"health"}),
    codes={"district": frozenset({"440105", "440106"})},
)
FIELDS = ("name", "health", "district")
MANNERS = {
    "platform_database": ("interface", "download", "browse"),
    "platform_service": ("interface",),
    "disc": ("offline",),
}


def codes(terms: Terms, offer: Offer = OFFER) -> set[tuple[str, str]]:
    """(field, code) of every fault."""
    return {(one.field, one.code) for one in term_faults(terms, offer, FIELDS)}


def test_what_is_offered_is_taken() -> None:
    rows = (Row("district", "in", ("440105", "440106")), Row("born_on", "range", ("2020-01-01", "")))
    assert codes(Terms("bulk", ("interface", "download"), rows, frozenset({"health"}))) == set()
    assert codes(Terms("verify", ("interface",))) == set()


@pytest.mark.parametrize(
    ("terms", "fault"),
    [
        (Terms("query"), ("channels", "field_required")),
        (Terms("query", ("browse",)), ("channels", "channel_unknown")),
        (Terms("query", ("download",)), ("channels", "channel_mode")),
        (Terms("bulk", ("download",), (Row("name", "eq", ("甲",)),)), ("rows.0", "row_field_unknown")),
        (Terms("bulk", ("download",), (Row("note", "like", ("甲",)),)), ("rows.0", "row_operator_unknown")),
        (Terms("bulk", ("download",), (Row("note", "eq", ()),)), ("rows.0", "row_values_wrong")),
        (
            Terms("bulk", ("download",), (Row("note", "range", ("a", "b")),)),
            ("rows.0", "row_range_impossible"),
        ),
        (Terms("bulk", ("download",), (Row("district", "eq", ("1",)),)), ("rows.0", "row_value_unknown")),
        (Terms("bulk", ("download",), (Row("born_on", "eq", ("去年",)),)), ("rows.0", "row_value_unknown")),
        (Terms("bulk", ("download",), (Row("note", "null"),) * 17), ("rows", "too_many")),
        (Terms("query", ("interface",), (), frozenset({"name"})), ("unmasked", "unmasked_unknown")),
        (
            Terms("verify", ("interface",), (), frozenset({"health"})),
            ("unmasked", "unmasked_in_verification"),
        ),
    ],
)
def test_each_thing_that_is_not_offered_is_named(terms: Terms, fault: tuple[str, str]) -> None:
    assert fault in codes(terms)


def test_an_item_that_is_not_chosen_is_not_given_in_the_clear() -> None:
    found = term_faults(Terms("query", ("interface",), (), frozenset({"health"})), OFFER, ("name",))
    assert [one.code for one in found] == ["unmasked_unknown"]


@pytest.mark.requirement("SEC-18")
def test_what_is_sensitive_or_a_business_secret_is_masked() -> None:
    assert [is_masked(level, 2, business_secret=False) for level in range(5)] == [
        False, False, True, True, True,
    ]  # fmt: skip
    assert is_masked(0, 2, business_secret=True)


@pytest.mark.requirement("SEC-18")
def test_nothing_is_given_in_the_clear_or_told_by_a_condition_without_a_reviewer() -> None:
    asked = ("name", "health", "district")
    assert not needs_review(Terms("bulk", ("download",)), OFFER, asked)
    assert not needs_review(Terms("bulk", ("download",), (Row("district", "null"),)), OFFER, asked)
    assert needs_review(Terms("bulk", ("download",), (), frozenset({"health"})), OFFER, asked)
    # A condition on an item that is not asked for, or is masked, tells its value all the same.
    assert needs_review(Terms("bulk", ("download",), (Row("note", "null"),)), OFFER, asked)
    assert needs_review(Terms("bulk", ("download",), (Row("health", "null"),)), OFFER, asked)


def test_a_grant_covers_only_what_is_no_wider_than_it() -> None:
    row, other = Row("district", "eq", ("440105",)), Row("note", "null")
    held = Terms("bulk", ("interface", "download"), (row,), frozenset({"health"}))
    assert covers(held, Terms("bulk", ("download",), (row, other)))
    assert not covers(held, Terms("bulk", ("browse",), (row,)))
    assert not covers(held, Terms("bulk", ("download",)))
    assert not covers(held, Terms("query", ("interface",), (row,)))
    assert not covers(Terms("bulk", ("download",)), Terms("bulk", ("download",), (), frozenset({"health"})))


@pytest.mark.requirement("MOD-06", source="SY:21")
def test_an_entry_has_the_channels_of_its_manner() -> None:
    assert CHANNELS == ("interface", "download", "browse", "offline")
    assert channels_of(["platform_database"], MANNERS) == ("interface", "download", "browse")
    assert channels_of(["disc", "platform_service"], MANNERS) == ("interface", "offline")
    # Online is the main way: where nothing is said it is the interface.
    assert channels_of([], MANNERS) == ("interface",)
    assert channels_of(["platform_database", "disc"], MANNERS, confined=True) == ("interface",)


def test_each_mode_has_channels_it_can_use() -> None:
    assert set(OF_MODE) == {"verify", "query", "bulk"}
    assert channels_for("verify", CHANNELS) == ("interface", "offline")
    assert channels_for("bulk", ("browse", "offline")) == ("browse", "offline")
    assert channels_for("else", CHANNELS) == ()
    assert usual("bulk", CHANNELS) == ("interface",)
    assert usual("bulk", ("download",)) == ("download",)


@pytest.mark.requirement("MOD-08", source="SY:21")
def test_shenyang_confines_what_changes_fast_or_serves_several_departments_at_once() -> None:
    exchange = files.load_regulation("shenyang-2016").exchange
    assert exchange.interface_only is not None and exchange.interface_only.article == "21"
    assert exchange.confines(["parallel_approval"], "yearly")
    assert exchange.confines(["office_work"], "")
    assert exchange.confines([], "realtime")
    assert not exchange.confines(["integrated_management"], "daily")


@pytest.mark.parametrize("name", ["guangzhou-2016", "xiamen-2015"])
def test_the_other_cities_confine_nothing(name: str) -> None:
    assert not files.load_regulation(name).exchange.confines(["parallel_approval"], "realtime")
