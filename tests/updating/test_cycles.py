"""Deliveries by cycle, exceptions by quarter, and force majeure."""

from datetime import UTC, date, datetime, time, timedelta

import msgspec
import pytest

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.catalogue.models import Resource, Service
from shuqiao.control.updating.exceptions import ask_slower, decide_slower, end_slower
from shuqiao.control.updating.hindrances import HindranceGiven, end_hindrance, record_hindrance
from shuqiao.control.updating.ledger import real_day
from shuqiao.control.updating.models import Hindrance, MissedCycle, SlowUpdate, Supply
from shuqiao.control.updating.pages import change_list, schedule_list
from shuqiao.control.updating.report import updates_report
from shuqiao.control.updating.schedule import schedule_rows, watch_cycles
from tests.control.conftest import BIRTH, NOW, audit_entries
from tests.control.test_exchange import hear, state

from .conftest import DATA, HEALTH, HOUSING, PLATFORM, merged
from .test_changes import plain, register
from .test_told import granted


def day(ahead: int) -> date:
    """A day so many days after the database's today."""
    return real_day() + timedelta(days=ahead)


def at(when: date) -> datetime:
    """Noon of a legal day."""
    return datetime.combine(when, time(12), clock.LEGAL_ZONE).astimezone(UTC)


def only_birth(cycle: str) -> None:
    """Let the birth list alone be delivered, in this cycle."""
    Service.objects.exclude(resource_id=BIRTH).update(ended_at=NOW)
    Resource.objects.filter(pk=BIRTH).update(update_cycle=cycle)


@pytest.mark.requirement("UPD-07")
def test_a_cycle_without_a_delivery_is_flagged_once_to_provider_and_competent_department(under):
    office = under("guangzhou-2016")
    only_birth("daily")
    merged(1, at=at(day(0)))
    assert [watch_cycles(day(n)) for n in (0, 1)] == [0, 0], "today's came"
    assert (watch_cycles(day(2)), watch_cycles(day(2))) == (1, 0)
    missed = MissedCycle.objects.get()
    assert (missed.starts_on, missed.due_on, missed.department_id) == (day(1), day(1), HEALTH)
    told = set(Notification.objects.filter(code="cycle_missed").values_list("department_id", flat=True))
    assert told == {HEALTH, DATA}
    assert [one[-1] for one in audit_entries("cycle_missed")] == ["cycle_missed"]
    [row] = schedule_rows()
    assert row.is_late and row.duty is not None and row.duty.article.article == "30(1)"
    [line] = [one for one in updates_report(office.viewer("zheng")) if one.department.code == HEALTH]
    assert (line.missed, line.hindered) == (1, 0)
    merged(2, at=at(day(2)))
    assert watch_cycles(day(2)) == 0
    assert not schedule_rows()[0].is_late, "it has caught up"


@pytest.mark.requirement("UPD-07")
@pytest.mark.parametrize(("cycle", "length"), [("weekly", 7), ("monthly", 31)])
def test_a_longer_cycle_is_judged_when_it_is_over_and_was_watched_whole(under, cycle, length):
    under("guangzhou-2016")
    only_birth(cycle)
    found = [watch_cycles(day(n)) for n in range(3 * length)]
    assert sum(found) >= 1 and found[:length].count(1) == 0
    first = MissedCycle.objects.earliest("starts_on")
    assert first.starts_on >= day(0) and (first.due_on - first.starts_on).days >= 6


@pytest.mark.requirement("UPD-07")
def test_a_node_that_is_heard_with_nothing_waiting_is_up_to_date_and_one_that_waits_is_not(under):
    under("guangzhou-2016")
    only_birth("realtime")
    watch_cycles(day(0))
    told = state()
    line = msgspec.structs.replace(told.lines[0], waiting_rows=0)
    hear(msgspec.structs.replace(told, lines=(line,)))
    assert [watch_cycles(day(n)) for n in (1, 2, 3)] == [0, 0, 0]
    assert Supply.objects.get(pk=BIRTH).current_on == day(3)
    hear(told)
    assert [watch_cycles(day(n)) for n in (4, 5)] == [0, 1]
    assert MissedCycle.objects.get().starts_on == day(4)


def test_a_time_in_which_the_worker_did_not_run_is_not_judged(under):
    under("guangzhou-2016")
    only_birth("daily")
    watch_cycles(day(0))
    assert watch_cycles(day(9)) == 0
    assert watch_cycles(day(10)) == 1


@pytest.mark.requirement("UPD-07")
def test_the_exchange_monitor_shows_the_cycle_with_its_article(under, client):
    under("guangzhou-2016")
    only_birth("daily")
    hear(state())
    watch_cycles(day(0))
    watch_cycles(day(1))
    watch_cycles(day(2))
    client.force_login(Account.objects.get(username="ma"))
    shown = client.get("/exchange/").content.decode()
    assert "更新时限" in shown and "约定每日，已迟" in shown and "第三十条" in shown


@pytest.mark.requirement("UPD-03")
@pytest.mark.parametrize(
    ("city", "last"), [("guangzhou-2019", date(2027, 1, 14)), ("shenyang-2016", date(2027, 1, 10))]
)
def test_an_exception_is_asked_for_decided_and_then_rules_schedule_and_days(under, client, city, last):
    office = under(city)
    plain()
    client.force_login(Account.objects.get(username="chen"))
    address = f"/updates/entries/{BIRTH}/"
    assert client.post(address, {"form": "slower", "reason": ""}).status_code == 422
    assert client.post(address, {"form": "slower", "reason": "数据按季度形成"}).status_code == 302
    key = SlowUpdate.objects.get().pk
    before = register(office)
    assert Notification.objects.filter(code="slow_update_asked", department_id=DATA).exists()
    for stranger in ("chen", "ma", "lin"):
        with pytest.raises(NotFound):
            decide_slower(office.viewer(stranger), key, approved=True, note="")
    client.force_login(Account.objects.get(username="zheng"))
    assert "批准" in client.get(address).content.decode()
    assert client.post(f"{address}slower/{key}/refuse", {"note": ""}).status_code == 422
    assert client.post(f"{address}slower/{key}/approve", {"note": "同意"}).status_code == 302
    assert last.isoformat() in client.get(address).content.decode()
    with clock.fixed(NOW + timedelta(days=1)):
        number = register(office, happened_on=NOW.date())
        days = {one.number: one.due_on for one in change_list(office.viewer("zheng"), 1).rows}
    assert days[number] == last
    assert days[before] is not None and days[before] < last, "what happened before is due as it was"
    end_slower(office.viewer("zheng"), key)
    written = {one[-1] for one in audit_entries("slow_update")}
    assert written == {"slow_update_asked", "slow_update_approved", "slow_update_ended"}


@pytest.mark.requirement("UPD-03")
def test_a_refused_exception_changes_nothing_and_may_be_asked_for_again(under):
    office = under("guangzhou-2019")
    plain()
    key = ask_slower(office.viewer("chen"), BIRTH, "数据按季度形成")
    with pytest.raises(FormRefused):
        ask_slower(office.viewer("chen"), BIRTH, "再次")
    decide_slower(office.viewer("zheng"), key, approved=False, note="可以按期更新")
    assert change_due(office) == date(2026, 11, 16)
    assert ask_slower(office.viewer("chen"), BIRTH, "补充理由") != key


def change_due(office) -> date | None:
    """The day of a change registered now."""
    number = register(office)
    return next(one.due_on for one in change_list(office.viewer("zheng"), 1).rows if one.number == number)


@pytest.mark.requirement("UPD-03")
@pytest.mark.parametrize("city", ["guangzhou-2016", "xiamen-2015"])
def test_where_the_text_knows_no_exception_none_can_be_asked_for(under, city):
    office = under(city)
    with pytest.raises(NotFound):
        ask_slower(office.viewer("chen"), BIRTH, "数据按季度形成")


@pytest.mark.requirement("UPD-08", source="XM:15")
@pytest.mark.parametrize("city", ["xiamen-2015", "guangzhou-2019"])
def test_force_majeure_is_recorded_told_at_once_shown_and_marks_what_is_missed(under, client, city):
    office = under(city)
    Account.objects.filter(username="lin").update(role="clerk")
    granted(office)
    only_birth("daily")
    watch_cycles(day(0))
    hear(state())
    given = {
        "form": "hindrance",
        "began_on": "2026-11-10",
        "cause": "机房受淹（示例）",
        "remedy": "已启用备用机房",
    }
    client.force_login(Account.objects.get(username="chen"))
    address = f"/updates/entries/{BIRTH}/"
    assert client.post(address, given | {"remedy": ""}).status_code == 422
    assert client.post(address, given).status_code == 302
    assert client.post(address, given).status_code == 422, "one at a time"
    told = set(Notification.objects.filter(code="hindrance_recorded").values_list("department_id", flat=True))
    assert {PLATFORM, DATA, HOUSING} <= told
    assert watch_cycles(day(1)) == 1
    missed = MissedCycle.objects.get()
    assert missed.hindrance is not None and not Notification.objects.filter(code="cycle_missed").exists()
    assert ("第十五条" in client.get(address).content.decode()) == (city == "xiamen-2015")
    client.force_login(Account.objects.get(username="lin"))
    assert "已启用备用机房" in client.get(f"/catalogue/{BIRTH}/").content.decode()
    client.force_login(Account.objects.get(username="ma"))
    assert "不可抗力" in client.get("/exchange/").content.decode()
    with pytest.raises(NotFound):
        end_hindrance(office.viewer("ma"), Hindrance.objects.get().pk)
    client.force_login(Account.objects.get(username="chen"))
    assert client.post(f"{address}hindrances/{Hindrance.objects.get().pk}/end").status_code == 302
    assert Notification.objects.filter(code="hindrance_ended", department_id=HOUSING).exists()
    assert len(audit_entries("force_majeure")) == 2
    assert "已启用备用机房" not in client.get(f"/catalogue/{BIRTH}/").content.decode()
    assert schedule_list(office.viewer("zheng"))[0][0].hindrance is None


@pytest.mark.parametrize("who", ["ma", "zheng", "lin"])
def test_only_the_provider_records_force_majeure(under, who):
    office = under("xiamen-2015")
    given = HindranceGiven(BIRTH, NOW.date(), "停电（示例）", "已抢修")
    with pytest.raises(NotFound):
        record_hindrance(office.viewer(who), given)
    assert not Hindrance.objects.exists()


def test_a_second_look_on_a_day_costs_no_statement_an_entry(under, django_assert_max_num_queries):
    under("guangzhou-2016")
    assert Service.objects.filter(ended_at=None).count() > 10
    watch_cycles(day(0))
    with django_assert_max_num_queries(12):
        assert watch_cycles(day(0)) == 0
