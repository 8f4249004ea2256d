"""When data must be renewed: the rule of an entry, its days and its periods, in each city's own data."""

from datetime import date

import pytest

from shuqiao.control.regulations import files
from shuqiao.rules.regulation import UpdateRule
from shuqiao.rules.updating import (
    EntryClass,
    Period,
    cycle_period,
    due_of,
    exception_of,
    periods,
    rule_for,
    term_of,
)
from shuqiao.rules.workdays import Calendar

PLAIN = EntryClass("business", "department", "database")
BASE = EntryClass("base", "population", "database")
LICENCE = EntryClass("base", "licence", "database", ("licence",))
DOCUMENT = EntryClass("business", "department", "document")
WEEKENDS = Calendar(frozenset({2026, 2027}))
MONDAY = date(2026, 11, 9)
CITIES = ("guangzhou-2016", "guangzhou-2019", "shenyang-2016", "xiamen-2015")


def rules_of(city: str):
    """A city's rules, what is unknown taken from the first."""
    return files.load_regulation(city, fallback=None if city == "guangzhou-2016" else "guangzhou-2016")


def applied(city: str, entry: EntryClass, *, slow: bool = False) -> UpdateRule:
    """The rule of an entry in a city."""
    found = rule_for(rules_of(city).updates, entry, is_exceptional=slow)
    assert found is not None
    return found


@pytest.mark.requirement("UPD-01")
@pytest.mark.parametrize(
    ("city", "entry", "kind", "article"),
    [
        pytest.param("guangzhou-2019", BASE, "realtime", "19(2)", id="GZ165:19¶2 base"),
        pytest.param("guangzhou-2019", LICENCE, "realtime", "19(2)", id="GZ165:19¶2 licence"),
        pytest.param("guangzhou-2019", PLAIN, "within", "19(3)", id="GZ165:19¶3"),
        pytest.param("shenyang-2016", LICENCE, "realtime", "18", id="SY:18 licence"),
        pytest.param("shenyang-2016", DOCUMENT, "realtime", "18", id="SY:18 document"),
        pytest.param("shenyang-2016", BASE, "within", "22", id="SY:22 base"),
        pytest.param("shenyang-2016", PLAIN, "within", "22", id="SY:22"),
        pytest.param("xiamen-2015", PLAIN, "realtime", "11", id="XM:11"),
        pytest.param("xiamen-2015", BASE, "realtime", "11", id="XM:11 base"),
        pytest.param("guangzhou-2016", BASE, "by_catalogue", "30(1)", id="GZ16:30¶1"),
    ],
)
def test_each_city_says_by_class_how_soon_an_entry_is_renewed(city, entry, kind, article):
    rule = applied(city, entry)
    assert (rule.kind, rule.article) == (kind, article)


@pytest.mark.requirement("UPD-01", "UPD-02")
@pytest.mark.parametrize(
    ("city", "entry", "cycle", "due"),
    [
        ("guangzhou-2019", BASE, "daily", MONDAY),
        ("guangzhou-2019", PLAIN, "daily", date(2026, 11, 16)),
        ("shenyang-2016", LICENCE, "daily", MONDAY),
        ("shenyang-2016", PLAIN, "daily", date(2026, 11, 11)),
        ("xiamen-2015", PLAIN, "yearly", MONDAY),
        ("guangzhou-2016", PLAIN, "realtime", MONDAY),
        ("guangzhou-2016", PLAIN, "daily", date(2026, 11, 10)),
        ("guangzhou-2016", PLAIN, "weekly", date(2026, 11, 16)),
        ("guangzhou-2016", PLAIN, "monthly", date(2026, 12, 9)),
        ("guangzhou-2016", PLAIN, "yearly", date(2027, 11, 9)),
        ("guangzhou-2016", PLAIN, "other", None),
    ],
)
def test_the_day_of_a_change_is_counted_by_the_citys_rule(city, entry, cycle, due):
    rules = rules_of(city)
    found = due_of(
        applied(city, entry), MONDAY, WEEKENDS, cycle=cycle, start_day_counts=rules.start_day_counts
    )
    assert (found.day if found else None) == due


@pytest.mark.parametrize(
    ("city", "deadline"), [("guangzhou-2019", "data_update"), ("shenyang-2016", "data_update")]
)
def test_working_days_are_those_of_the_citys_own_deadline(city, deadline):
    rule = applied(city, PLAIN)
    assert term_of(rule, rules_of(city)) == deadline
    assert rules_of(city).deadline(deadline).working_days == rule.working_days


@pytest.mark.parametrize("city", CITIES)
def test_no_other_rule_runs_a_term(city):
    rules = rules_of(city)
    assert [term_of(one, rules) for one in rules.updates if one.kind != "within"] == [
        "" for one in rules.updates if one.kind != "within"
    ]


@pytest.mark.requirement("UPD-03")
@pytest.mark.parametrize(
    ("city", "changed", "window"),
    [
        # The first ten working days of the quarter; without an announced holiday that is the 14th of January.
        ("guangzhou-2019", MONDAY, Period(date(2027, 1, 1), date(2027, 1, 14))),
        ("guangzhou-2019", date(2027, 1, 14), Period(date(2027, 1, 1), date(2027, 1, 14))),
        ("guangzhou-2019", date(2027, 1, 15), Period(date(2027, 4, 1), date(2027, 4, 14))),
        # 每季度首月上旬.
        ("shenyang-2016", MONDAY, Period(date(2027, 1, 1), date(2027, 1, 10))),
        ("shenyang-2016", date(2026, 10, 10), Period(date(2026, 10, 1), date(2026, 10, 10))),
        ("shenyang-2016", date(2026, 10, 11), Period(date(2027, 1, 1), date(2027, 1, 10))),
    ],
)
def test_an_approved_exception_is_due_in_the_next_window(city, changed, window):
    rule = applied(city, PLAIN, slow=True)
    found = due_of(rule, changed, WEEKENDS, cycle="daily", start_day_counts=False)
    assert rule.kind == "window" and found is not None and found.day == window.last
    expected = periods("daily", rule, changed, WEEKENDS)
    assert expected is not None and expected.running == window


@pytest.mark.requirement("UPD-03")
@pytest.mark.parametrize(("city", "known"), [(one, one[:2] in ("sh",) or "2019" in one) for one in CITIES])
def test_where_the_text_knows_no_exception_none_is_approved(city, known):
    assert (exception_of(rules_of(city).updates) is not None) == known
    if not known:
        assert applied(city, PLAIN, slow=True) == applied(city, PLAIN)


def test_a_window_that_reaches_into_an_unknown_year_is_provisional():
    rule = applied("guangzhou-2019", PLAIN, slow=True)
    found = due_of(rule, date(2027, 12, 1), WEEKENDS, cycle="", start_day_counts=False)
    assert found is not None and found.provisional


@pytest.mark.requirement("UPD-07")
@pytest.mark.parametrize(
    ("cycle", "first", "last"),
    [
        ("realtime", MONDAY, MONDAY),
        ("daily", MONDAY, MONDAY),
        ("weekly", MONDAY, date(2026, 11, 15)),
        ("monthly", date(2026, 11, 1), date(2026, 11, 30)),
        ("quarterly", date(2026, 10, 1), date(2026, 12, 31)),
        ("half_yearly", date(2026, 7, 1), date(2026, 12, 31)),
        ("yearly", date(2026, 1, 1), date(2026, 12, 31)),
    ],
)
def test_a_cycle_is_divided_into_periods_that_follow_each_other(cycle, first, last):
    assert cycle_period(cycle, MONDAY) == Period(first, last)
    found = periods(cycle, None, MONDAY, WEEKENDS)
    assert found is not None and found.running == Period(first, last)
    assert (found.running.first - found.ended.last).days == 1


@pytest.mark.parametrize("cycle", ["other", ""])
def test_a_cycle_that_says_no_time_has_no_periods(cycle):
    assert periods(cycle, None, MONDAY, WEEKENDS) is None
