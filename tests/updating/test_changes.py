"""Changes of data: each city's day, who registers, what brings them, and what is overdue."""

import csv
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.clocks.calendar import DayInput, open_year, set_day
from shuqiao.control.clocks.models import Clock
from shuqiao.control.clocks.reminders import remind
from shuqiao.control.operations.waiting import waiting_for_viewer
from shuqiao.control.updating.changes import ChangeGiven, register_change, state_update
from shuqiao.control.updating.exceptions import ask_slower, decide_slower
from shuqiao.control.updating.models import DataChange
from shuqiao.control.updating.pages import change_list
from shuqiao.control.updating.report import updates_report
from shuqiao.control.updating.watching import follow_updates
from tests.control.conftest import BIRTH, NOW, audit_entries

from .conftest import DATA, HEALTH, HOUSING, merged

MONDAY = date(2026, 11, 9)
LATER = datetime(2026, 12, 21, 1, 0, tzinfo=UTC)


def plain(resource: str = BIRTH) -> str:
    """Let an entry be other than base information."""
    Resource.objects.filter(pk=resource).update(library_kind="business", library="department")
    return resource


def register(office, who: str = "chen", **changes) -> str:
    """Register a change of the birth list that happened on Monday."""
    given = {"resource": BIRTH, "happened_on": MONDAY, "description": "医院代码表已调整"} | changes
    return register_change(office.viewer(who), ChangeGiven(**given))


def row_of(office, number: str, who: str = "zheng"):
    """The change as the lists show it."""
    return next(one for one in change_list(office.viewer(who), 1).rows if one.number == number)


@pytest.mark.requirement("UPD-01", "UPD-02")
@pytest.mark.parametrize(
    ("city", "is_base", "due", "article"),
    [
        ("guangzhou-2019", True, MONDAY, "19(2)"),
        ("guangzhou-2019", False, date(2026, 11, 16), "19(3)"),
        ("shenyang-2016", False, date(2026, 11, 11), "22"),
        ("xiamen-2015", False, MONDAY, "11"),
        ("guangzhou-2016", True, date(2026, 11, 10), "30(1)"),
    ],
)
def test_each_citys_day_runs_and_a_late_update_is_counted_for_its_department(
    under, city, is_base, due, article
):
    office = under(city)
    if not is_base:
        plain()
    Resource.objects.filter(pk=BIRTH).update(update_cycle="daily")
    number = register(office)
    shown = row_of(office, number)
    assert shown.due_on == due and shown.article is not None and shown.article.article == article
    assert (shown.clock is not None) == (article in ("19(3)", "22"))
    with clock.fixed(LATER):
        assert row_of(office, number).is_over
        follow_updates()
        remind()
        told = Notification.objects.filter(code__in=["data_change_over", "clock_over"], reference=number)
        assert {HEALTH, DATA} <= set(told.values_list("department_id", flat=True))
        assert follow_updates() == 0, "told once"
        [line] = [one for one in updates_report(office.viewer("zheng")) if one.department.code == HEALTH]
        assert (line.changes, line.open, line.overdue, line.late) == (1, 1, 1, 0)
        merged(1, at=LATER)
        assert follow_updates() == 1
        [line] = [one for one in updates_report(office.viewer("zheng")) if one.department.code == HEALTH]
        assert (line.open, line.overdue, line.late) == (0, 0, 1)


@pytest.mark.requirement("UPD-01")
def test_a_department_whose_updates_are_in_time_is_not_counted_as_overdue(under):
    office = under("guangzhou-2019")
    plain()
    number = register(office)
    merged(1)
    assert follow_updates() == 1
    change = DataChange.objects.get(number=number)
    assert (change.by_batch, change.done_on) == (1, NOW.date())
    assert Clock.objects.get(kind="data", number=number).state == "met"
    [line] = [one for one in updates_report(office.viewer("zheng")) if one.department.code == HEALTH]
    assert (line.changes, line.open, line.overdue, line.late) == (1, 0, 0, 0)
    assert sorted(row[6] for row in audit_entries("data_change")) == [
        "data_change_registered",
        "data_updated",
    ]


@pytest.mark.requirement("UPD-02")
def test_a_batch_that_changes_nothing_or_came_before_brings_no_change(under):
    office = under("shenyang-2016")
    plain()
    merged(1, at=datetime(2026, 11, 8, 1, tzinfo=UTC))
    number = register(office)
    merged(2, changed=0)
    assert follow_updates() == 0
    assert DataChange.objects.get(number=number).done_on is None
    merged(3)
    assert follow_updates() == 1
    assert DataChange.objects.get(number=number).by_batch == 3


@pytest.mark.requirement("UPD-02")
def test_what_came_since_the_day_counts_for_the_provider_but_not_against_who_misses_something(under):
    office = under("shenyang-2016")
    plain()
    merged(1, at=datetime(2026, 11, 10, 1, tzinfo=UTC))
    own, noticed = register(office), register(office, "ma")
    assert DataChange.objects.get(number=own).by_batch == 1
    assert DataChange.objects.get(number=noticed).done_on is None
    assert Notification.objects.filter(
        code="data_change_registered", department_id=HEALTH, reference=noticed
    ).exists()
    merged(2)
    follow_updates()
    assert DataChange.objects.get(number=noticed).by_batch == 2
    assert Notification.objects.filter(code="data_updated_as_noticed").exists()


@pytest.mark.requirement("UPD-02")
def test_without_a_table_the_provider_states_how_it_was_updated(under):
    office = under("guangzhou-2019")
    plain()
    number = register(office)
    with pytest.raises(NotFound):
        state_update(office.viewer("ma"), number, "已更新")
    with pytest.raises(FormRefused):
        state_update(office.viewer("chen"), number, " ")
    state_update(office.viewer("chen"), number, "接口已返回新代码")
    row = row_of(office, number)
    assert (row.done_on, row.statement) == (NOW.date(), "接口已返回新代码")
    with pytest.raises(NotFound):
        state_update(office.viewer("chen"), number, "再次")


def test_a_window_follows_a_changed_calendar(under):
    office = under("guangzhou-2019")
    plain()
    key = ask_slower(office.viewer("chen"), BIRTH, "数据按季度形成")
    decide_slower(office.viewer("zheng"), key, approved=True, note="")
    number = register(office, happened_on=NOW.date())
    before = row_of(office, number).due_on
    assert before is not None and before.year == 2027
    open_year(office.viewer("zheng"), 2027, "尚未公布")
    set_day(office.viewer("zheng"), DayInput(before, "off", "台风停工（示例）"))
    assert follow_updates() == 1
    assert row_of(office, number).due_on == before + timedelta(days=1)


@pytest.mark.parametrize(("is_base", "due"), [(True, MONDAY), (False, date(2026, 11, 16))])
def test_an_open_change_waits_on_the_workbench_of_who_answers_for_the_data(under, client, is_base, due):
    office = under("guangzhou-2019")
    if not is_base:
        plain()
    number = register(office)
    [waiting] = [one for one in waiting_for_viewer(office.viewer("chen")) if one.task.kind == "data"]
    assert (waiting.task.reference, waiting.due_on) == (number, due)
    # Where a term runs, the clock beside it says the day.
    assert (f"应于 {due} 前更新" in waiting.task.detail.zh) == is_base
    client.force_login(Account.objects.get(username="chen"))
    assert number in client.get("/").content.decode()
    assert not [one for one in waiting_for_viewer(office.viewer("wu")) if one.task.kind == "data"]
    merged(1)
    follow_updates()
    assert not [one for one in waiting_for_viewer(office.viewer("chen")) if one.task.kind == "data"]


@pytest.mark.parametrize("who", ["lin", "zhao", "wu"])
def test_who_neither_provides_nor_uses_nor_watches_registers_nothing(under, who):
    office = under("guangzhou-2019")
    with pytest.raises(NotFound):
        register(office, who)
    assert not DataChange.objects.exists()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"happened_on": None}, "happened_on"),
        ({"happened_on": date(2026, 11, 12)}, "happened_on"),
        ({"happened_on": date(1999, 1, 1)}, "happened_on"),
        ({"description": " "}, "description"),
        ({"description": "<b>x</b>"}, "description"),
    ],
)
def test_a_faulty_change_is_refused_whole(under, changed, field):
    office = under("guangzhou-2019")
    with pytest.raises(FormRefused) as refused:
        register(office, **changed)
    assert {one.field for one in refused.value.faults} == {field}
    assert not DataChange.objects.exists() and not audit_entries("data_change")


def test_the_pages_register_show_and_close_a_change(under, client):
    office = under("guangzhou-2019")
    client.force_login(Account.objects.get(username="chen"))
    address = f"/updates/entries/{BIRTH}/"
    assert "19(2)" in client.get(address).content.decode()
    assert client.post(address, {"form": "change"}).status_code == 422
    given = {"form": "change", "happened_on": "2026-11-10", "description": "接生机构名称已变"}
    assert client.post(address, given).status_code == 302
    number = DataChange.objects.get().number
    shown = client.get(address).content.decode()
    assert number in shown and "已逾期" in shown
    assert client.get(f"/updates/changes/{number}/")["Location"] == f"{address}#{number}"
    assert "接生机构" in client.get("/updates/").content.decode()
    state = f"/updates/changes/{number}/state"
    assert client.post(state, {"statement": ""}).status_code == 422
    assert client.post(state, {"statement": "已重新报送"}).status_code == 302
    assert "已重新报送" in client.get(address).content.decode()
    client.force_login(Account.objects.get(username="zheng"))
    table = list(
        csv.DictReader(StringIO(client.get("/updates/report/?form=csv").content.decode("utf-8-sig")))
    )
    own = next(line for line in table if line["部门代码"] == HEALTH)
    assert (own["登记变化数"], own["逾期后更新"]) == ("1", "1")
    for place in ("", "told/", "schedule/", "exceptions/", "report/"):
        assert client.get(f"/updates/{place}").status_code == 200
    client.force_login(Account.objects.get(username="zhao"))
    assert client.get(address).status_code == 404
    assert office.rules and HOUSING not in {line["部门代码"] for line in table}
