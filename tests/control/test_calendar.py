"""The working calendar as the office keeps it: pages, refusals, recounting, and two people at once."""

import threading
from collections.abc import Iterator
from datetime import date

import pytest
from django.db import connection, transaction
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.clocks.actions import follow
from shuqiao.control.clocks.calendar import DayInput, announce_year, open_year, set_day
from shuqiao.control.clocks.models import Clock
from shuqiao.control.clocks.queries import clocks_of
from shuqiao.control.clocks.terms import CaseRef
from shuqiao.control.operations.seed import seed_departments
from shuqiao.control.regulations.current import calendar, forget_calendar, named, regulation
from shuqiao.control.regulations.models import CalendarDay, CalendarYear
from shuqiao.rules.errors import PermissionDenied
from shuqiao.rules.procedures import Accepted
from shuqiao.rules.regulation import Extension, Phase
from tests.control.conftest import NOW, add_people, audit_entries, rows
from tests.plugins.stages import Stage

STEP = Accepted("submitted", Phase.WAITING, "guangzhou-2016 art. 35(1)", starts=("reply",))
TYPHOON = "台风停工（示例）"


def case(number: str) -> CaseRef:
    return CaseRef("request", number, "440100-health", "440100-housing")


def begin(number: str, on: date = date(2026, 11, 11), **effects: object) -> None:
    with transaction.atomic():
        follow(case(number), Accepted(**{**_fields(STEP), **effects}), named("guangzhou-2016"), on)


def _fields(step: Accepted) -> dict[str, object]:
    return {name: getattr(step, name) for name in step.__slots__}


def due(number: str) -> date:
    return Clock.objects.get(number=number, ended_on=None).due_on


@pytest.mark.requirement("ORG-13")
def test_a_changed_day_moves_every_open_due_date_and_tells_both_sides(city) -> None:
    begin("R-2026-0001")
    begin("R-2026-0002", date(2026, 11, 20))
    begin("R-2026-0003")
    begin("R-2026-0003", date(2026, 11, 12), starts=(), meets=("reply",))
    done = set_day(city.viewer("zheng"), DayInput(date(2026, 11, 16), "off", TYPHOON))
    assert done.moved == 1
    assert (due("R-2026-0001"), due("R-2026-0002")) == (date(2026, 11, 26), date(2026, 12, 4))
    assert Clock.objects.get(number="R-2026-0003").due_on == date(2026, 11, 25)
    assert audit_entries("calendar_changed") == [
        ("440100-data", None, "account:zheng", None, None, None, "off")
    ]
    assert audit_entries("due_date_moved") == [
        ("440100-housing", "440100-health", "account:zheng", None, None, "R-2026-0001", "moved")
    ]
    told = Notification.objects.filter(code="due_date_moved").order_by("department_id")
    assert [(n.department_id, n.capability, n.params["due_on"]) for n in told] == [
        ("440100-health", "request_answer", "2026-11-26"),
        ("440100-housing", "", "2026-11-26"),
    ]
    # What counts from now on uses the day as well, and taking it back moves everything back.
    begin("R-2026-0004")
    assert due("R-2026-0004") == date(2026, 11, 26)
    back = set_day(city.viewer("zheng"), DayInput(date(2026, 11, 16), "announced", "撤回"))
    assert back.moved == 2 and not CalendarDay.objects.exists()
    assert due("R-2026-0001") == due("R-2026-0004") == date(2026, 11, 25)
    assert Notification.objects.filter(code="due_date_moved", reference="R-2026-0001").count() == 4


def test_extensions_and_pauses_are_kept_when_days_are_counted_anew(city) -> None:
    begin("R-2026-0001")
    begin("R-2026-0001", starts=(), extends=Extension("reply", 5, 1))
    begin("R-2026-0001", date(2026, 11, 17), starts=(), pauses="reply")
    begin("R-2026-0001", date(2026, 11, 19), starts=(), resumes="reply")
    assert due("R-2026-0001") == date(2026, 12, 4)
    set_day(city.viewer("zheng"), DayInput(date(2026, 11, 28), "working", "补班"))
    assert due("R-2026-0001") == date(2026, 12, 3)


def test_a_clock_that_was_over_runs_again_when_its_day_moves_past_today(city) -> None:
    begin("R-2026-0001", date(2026, 10, 27))
    begin("R-2026-0001", date(2026, 11, 11), starts=())
    assert Clock.objects.get().state == "over"
    set_day(city.viewer("zheng"), DayInput(date(2026, 11, 9), "off", TYPHOON))
    assert Clock.objects.get().state == "running"


@pytest.mark.requirement("ORG-13")
def test_a_year_not_announced_is_provisional_until_the_office_announces_it(city) -> None:
    zheng = city.viewer("zheng")
    begin("R-2026-0001", date(2026, 12, 24))
    (shown,) = clocks_of("request", ["R-2026-0001"])["R-2026-0001"]
    assert (shown.due_on, shown.provisional, shown.shown.state) == (date(2027, 1, 7), True, "wait")
    with pytest.raises(FormRefused):
        set_day(zheng, DayInput(date(2027, 1, 1), "off", "元旦"))
    open_year(zheng, 2027, "预计")
    set_day(zheng, DayInput(date(2027, 1, 1), "off", "元旦（预计）"))
    clock_row = Clock.objects.get()
    assert (clock_row.due_on, clock_row.provisional) == (date(2027, 1, 8), True)
    announced = announce_year(zheng, 2027, "国办发明电（示例）")
    assert announced.moved == 0
    assert not Clock.objects.get().provisional and 2027 in calendar().years
    assert {entry[-1] for entry in audit_entries("calendar_changed")} == {
        "year_opened",
        "off",
        "year_announced",
    }


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (DayInput(date(2026, 11, 16), "off", " "), "reason"),
        (DayInput(None, "off", "理由"), "day"),
        (DayInput(date(2026, 11, 16), "sometimes", "理由"), "setting"),
        (DayInput(date(2031, 1, 1), "off", "理由"), "day"),
    ],
)
def test_a_change_without_its_parts_is_refused_and_nothing_is_written(city, given, field) -> None:
    begin("R-2026-0001")
    with pytest.raises(FormRefused) as refused:
        set_day(city.viewer("zheng"), given)
    assert [fault.field for fault in refused.value.faults] == [field]
    assert not CalendarDay.objects.exists() and due("R-2026-0001") == date(2026, 11, 25)
    assert audit_entries("calendar_changed") == []


def test_years_are_opened_and_announced_in_order_and_only_those_to_come(city) -> None:
    zheng = city.viewer("zheng")
    for act, year in ((open_year, 2026), (open_year, 2029), (open_year, 1999), (announce_year, 2027)):
        with pytest.raises(FormRefused):
            act(zheng, year, "理由")
    with pytest.raises(FormRefused):
        open_year(zheng, 2027, "")
    open_year(zheng, 2027, "理由")
    for act, year in ((open_year, 2027), (announce_year, 2026)):
        with pytest.raises(FormRefused):
            act(zheng, year, "理由")
    assert list(CalendarYear.objects.values_list("year", "announced")) == [(2027, False)]


@pytest.mark.parametrize("username", ["lin", "hou", "tan", "chen", "gong", "zhou", "ma"])
def test_only_the_office_with_the_capability_changes_the_calendar(city, username) -> None:
    viewer = city.viewer(username)
    for act in (
        lambda: set_day(viewer, DayInput(date(2026, 11, 16), "off", TYPHOON)),
        lambda: open_year(viewer, 2027, "理由"),
        lambda: announce_year(viewer, 2027, "理由"),
    ):
        with pytest.raises(PermissionDenied):
            act()
    assert not CalendarDay.objects.exists() and not CalendarYear.objects.exists()


def browser(username: str) -> Client:
    client = Client()
    client.force_login(Account.objects.get(username=username))
    return client


def test_everybody_sees_the_year_and_only_the_office_a_form(city) -> None:
    page = browser("lin").get("/calendar/2026/").content.decode()
    assert "249 个工作日" in page or "248 个工作日" in page
    assert "春节" in page and 'name="reason"' not in page
    assert 'name="reason"' in browser("zheng").get("/calendar/2026/").content.decode()
    assert browser("lin").get("/calendar/").headers["Location"] == "/calendar/2026/"
    assert "暂定" in browser("lin").get("/calendar/2027/").content.decode()
    for year in ("1999", "2029", "99999999999"):
        assert browser("zheng").get(f"/calendar/{year}/").status_code == 404
    english = browser("zheng").get("/calendar/2026/", headers={"Accept-Language": "en"}).content.decode()
    assert "Working calendar 2026" in english and "Spring Festival" in english


def test_the_page_saves_a_day_and_shows_what_is_wrong(city) -> None:
    begin("R-2026-0001")
    client = browser("zheng")
    refused = client.post("/calendar/2026/day", {"day": "2026-11-16", "setting": "off", "reason": ""})
    assert refused.status_code == 422 and "请写明理由" in refused.content.decode()
    saved = client.post(
        "/calendar/2026/day", {"day": "2026-11-16", "setting": "off", "reason": TYPHOON}, follow=True
    )
    assert "1 个未结期限随之变动" in saved.content.decode()
    assert TYPHOON in saved.content.decode()
    client.post("/calendar/2027/open", {"reason": "预计"})
    assert "暂定，尚未公布" in client.get("/calendar/2027/").content.decode()
    client.post("/calendar/2027/announce", {"reason": "文号"})
    assert "已公布，由本市录入" in client.get("/calendar/2027/").content.decode()
    assert browser("lin").post("/calendar/2026/day", {}).status_code == 403


def seed_departments_only() -> None:
    """Seed the departments and two people of the data office."""
    with clock.fixed(NOW):
        seed_departments(regulation())
        add_people((("zheng", "data", "coordinator"), ("qian", "data", "coordinator")))


@pytest.fixture
def committed(stage: Stage) -> Iterator[None]:
    """Departments and people that other connections see."""
    forget_calendar()
    with stage.copy(seed_departments_only):
        yield
    forget_calendar()


def together(*acts) -> None:
    """Run these at the same moment, each on its own connection; fails where one does."""
    barrier = threading.Barrier(len(acts), timeout=60)
    faults: list[BaseException] = []

    def run(act) -> None:
        try:
            with clock.fixed(NOW):
                barrier.wait()
                act()
        except BaseException as fault:
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert faults == []


def viewer_of(username: str):
    from tests.control.conftest import City

    return City().viewer(username)


def test_two_changes_and_new_clocks_at_the_same_moment_leave_every_day_right(committed) -> None:
    numbers = [f"R-2026-{n:04}" for n in range(1, 9)]
    begin(numbers[0])
    changers = [viewer_of("zheng"), viewer_of("qian")]
    days = (date(2026, 11, 16), date(2026, 11, 18))
    together(
        *(
            lambda viewer=viewer, day=day: set_day(viewer, DayInput(day, "off", TYPHOON))
            for viewer, day in zip(changers, days, strict=True)
        ),
        *(lambda number=number: begin(number) for number in numbers[1:]),
    )
    assert {due(number) for number in numbers} == {date(2026, 11, 27)}
    moved = rows("SELECT count(*) FROM audit.entry WHERE event = 'due_date_moved'")
    assert moved >= [(2,)]


def test_a_clock_started_beside_an_uncommitted_change_waits_for_it(committed) -> None:
    held, release = threading.Event(), threading.Event()

    def change() -> None:
        with transaction.atomic():
            set_day(viewer_of("zheng"), DayInput(date(2026, 11, 16), "off", TYPHOON))
            held.set()
            release.wait(timeout=60)

    def start() -> None:
        held.wait(timeout=60)
        threading.Timer(0.5, release.set).start()
        begin("R-2026-0001")

    together(change, start)
    assert due("R-2026-0001") == date(2026, 11, 26)
