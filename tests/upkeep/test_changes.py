"""Changes of law, functions and resources: the term of each city, who registers, and what meets it."""

from datetime import UTC, date, datetime

import pytest

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.clocks.models import Clock
from shuqiao.control.clocks.reminders import remind
from shuqiao.control.operations.waiting import waiting_for_viewer
from shuqiao.control.upkeep.changes import ChangeInput, close_change, register_change
from shuqiao.control.upkeep.models import Change, Touched
from shuqiao.control.upkeep.report import supervision
from shuqiao.rules.errors import PermissionDenied
from tests.compiling.conftest import CITIES, DATA, HOUSING
from tests.control.conftest import BIRTH, NOW, audit_entries

MONDAY = date(2026, 11, 9)
LATER = datetime(2026, 12, 21, 1, 0, tzinfo=UTC)


def given(*entries: str, **changed) -> ChangeInput:
    """A change of the law on Monday that touches these entries of housing."""
    whole = {
        "kind": "law",
        "department": HOUSING,
        "happened_on": MONDAY,
        "document": "《样例条例》（2026年修正）",
        "description": "审核条件改变，需增加信息项。",
        "entries": entries,
    }
    return ChangeInput(**(whole | changed))


def published(office, **changes) -> str:
    """An entry of housing that was published before the change happened."""
    with clock.fixed(datetime(2026, 11, 3, 1, 0, tzinfo=UTC)):
        return office.published(**changes).resource


def of(number: str) -> Clock:
    """The one clock of a change."""
    return Clock.objects.get(kind="upkeep", number=number)


@pytest.mark.requirement("CAT-12", source="GZ165:8¶3")
@pytest.mark.parametrize("kind", ["law", "functions"])
def test_the_department_has_fifteen_working_days_from_the_change_and_meets_them_by_its_report(under, kind):
    office = under("guangzhou-2019")
    entry = published(office)
    number = register_change(office.viewer("hou"), given(entry, kind=kind))
    term = of(number)
    assert (term.deadline, term.holder_id, term.other_id) == ("catalogue_update", HOUSING, DATA)
    assert (term.starts_on, term.due_on, term.state) == (MONDAY, date(2026, 11, 30), "running")
    case = office.changed(entry, summary_zh="按修正后的条例审核。", use="核定资格")
    assert of(number).state == "running"
    office.send(case)
    term = of(number)
    assert (term.state, term.ended_on) == ("met", NOW.date())
    change = Change.objects.get(number=number)
    touched = change.touched.get()
    assert (change.done_on, touched.compilation, touched.done_on) == (NOW.date(), case, NOW.date())
    entries = [row for row in audit_entries("catalogue_change") if row[5] == number]
    assert sorted(row[6] for row in entries) == ["change_registered", "change_updated"]


@pytest.mark.requirement("CAT-12", source="GZ165:8¶3")
def test_lateness_is_flagged_told_to_both_sides_and_stays_in_the_report(under):
    office = under("guangzhou-2019")
    entry = published(office)
    number = register_change(office.viewer("hou"), given(entry))
    with clock.fixed(LATER):
        remind()
        assert of(number).state == "over"
        told = set(Notification.objects.filter(code="clock_over").values_list("department_id", flat=True))
        assert {HOUSING, DATA} <= told
        [row] = [one for one in supervision(office.viewer("zheng")) if one.department.code == HOUSING]
        assert (row.open_changes, row.overdue, row.late) == (1, 1, 0)
        office.send(office.changed(entry, use="核定资格"))
        [row] = [one for one in supervision(office.viewer("zheng")) if one.department.code == HOUSING]
        assert (row.open_changes, row.overdue, row.late) == (0, 0, 1)


@pytest.mark.requirement("CAT-13", source="GZ165:8¶4")
def test_the_competent_department_has_fifteen_working_days_from_the_receipt_of_the_report(under):
    office = under("guangzhou-2019")
    case = office.changed(published(office), use="核定资格")
    office.send(case)
    term = Clock.objects.get(kind="entry", number=case, deadline="level_catalogue_update")
    assert (term.holder_id, term.starts_on, term.due_on) == (DATA, NOW.date(), date(2026, 12, 2))
    office.go_on(case)
    term.refresh_from_db()
    assert term.state == "met"


@pytest.mark.requirement("CAT-15", source="SY:12¶3")
def test_a_changed_resource_is_updated_within_two_working_days(under):
    office = under("shenyang-2016")
    entry = published(office)
    number = register_change(office.viewer("hou"), given(entry, kind="resource"))
    assert (of(number).due_on, of(number).deadline) == (date(2026, 11, 11), "catalogue_update")
    case = office.changed(entry, use="核定资格")
    office.send(case)
    assert of(number).state == "running"
    office.pass_review("lin", case, "review")
    assert of(number).state == "met"


@pytest.mark.requirement("CAT-15", source="XM:7")
@pytest.mark.requirement("CAT-15", source="GZ16:31")
@pytest.mark.parametrize("name", ["guangzhou-2016", "xiamen-2015"])
def test_where_no_number_of_days_is_set_a_change_is_done_when_the_entry_is_published_anew(under, name):
    office = under(name)
    entry = published(office)
    number = register_change(office.viewer("hou"), given(entry, kind="resource"))
    assert not Clock.objects.filter(kind="upkeep").exists()
    case = office.changed(entry, use="核定资格")
    office.send(case)
    assert Change.objects.get(number=number).done_on is None
    office.go_on(case)
    assert Change.objects.get(number=number).done_on == NOW.date()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("shenyang-2016", "law"), ("guangzhou-2019", "resource"), ("guangzhou-2016", "law")],
)
def test_a_kind_of_change_starts_no_term_that_the_regulation_does_not_set(under, name, kind):
    office = under(name)
    register_change(office.viewer("hou"), given(published(office), kind=kind))
    assert not Clock.objects.filter(kind="upkeep").exists()


def test_a_change_waits_for_every_entry_it_touches_and_a_correction_brings_none_up_to_date(under):
    office = under("guangzhou-2019")
    first = published(office)
    second = published(office, name_zh="公租房配租信息", subject="30100802")
    number = register_change(office.viewer("hou"), given(first, second))
    office.send(office.changed(first, kind="correction", summary_zh="文字更正。"))
    assert not Touched.objects.filter(done_on__isnull=False).exists()
    office.send(office.changed(first, use="核定资格"))
    assert Change.objects.get(number=number).done_on is None and of(number).state == "running"
    office.send(office.changed(second, use="配租"))
    assert Change.objects.get(number=number).done_on == NOW.date() and of(number).state == "met"


def test_what_was_reported_before_the_change_was_registered_counts_from_the_day_it_happened(under):
    office = under("guangzhou-2019")
    entry = published(office)
    office.send(office.changed(entry, use="核定资格"))
    early = register_change(office.viewer("hou"), given(entry))
    assert (of(early).state, Change.objects.get(number=early).done_on) == ("met", NOW.date())


def test_what_was_reported_before_the_change_happened_does_not_count(under):
    office = under("guangzhou-2019")
    entry = published(office)
    number = register_change(office.viewer("hou"), given(entry))
    assert of(number).state == "running"


def test_a_change_whose_entries_need_no_update_is_closed_with_a_reason_that_the_office_is_told(under):
    office = under("guangzhou-2019")
    entry = published(office)
    number = register_change(office.viewer("hou"), given(entry))
    for reason in ("", "  ", "<b>无</b>"):
        with pytest.raises(FormRefused):
            close_change(office.viewer("hou"), number, reason)
    close_change(office.viewer("hou"), number, "条文调整不涉及信息项")
    change = Change.objects.get(number=number)
    assert (change.done_on, change.closing, of(number).state) == (NOW.date(), "条文调整不涉及信息项", "void")
    assert Notification.objects.filter(code="change_closed", department_id=DATA).count() == 1
    with pytest.raises(FormRefused):
        close_change(office.viewer("hou"), number, "再次")
    with pytest.raises(NotFound):
        close_change(office.viewer("chen"), number, "别的部门")


@pytest.mark.parametrize("name", CITIES)
def test_a_department_registers_for_itself_the_competent_one_for_all_and_nobody_else(under, name):
    office = under(name)
    entry = published(office)
    number = register_change(office.viewer("zheng"), given(entry))
    assert Notification.objects.filter(code="change_registered", department_id=HOUSING).exists()
    assert Change.objects.get(number=number).department_id == HOUSING
    for stranger in ("chen", "zhao", "lin", "tan", "zhou"):
        with pytest.raises((NotFound, PermissionDenied)):
            register_change(office.viewer(stranger), given(entry))
    assert Change.objects.count() == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"kind": "weather"}, "kind"),
        ({"happened_on": None}, "happened_on"),
        ({"happened_on": date(2026, 11, 12)}, "happened_on"),
        ({"happened_on": date(1999, 1, 1)}, "happened_on"),
        ({"document": " "}, "document"),
        ({"document": "x" * 201}, "document"),
        ({"description": "<script>alert(1)</script>"}, "description"),
        ({"entries": ()}, "entries"),
        ({"entries": (BIRTH,)}, "entries"),
        ({"entries": tuple(f"r440100{'a' * 10}" for _ in range(201))}, "entries"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_nothing_is_written(under, changed, field):
    office = under("guangzhou-2019")
    entry = published(office)
    with pytest.raises(FormRefused) as refused:
        register_change(office.viewer("hou"), given(entry, **changed))
    assert field in {fault.field for fault in refused.value.faults}
    assert not Change.objects.exists() and not audit_entries("catalogue_change")


@pytest.mark.requirement("CAT-12")
def test_the_pages_register_show_and_close_a_change(under, client):
    office = under("guangzhou-2019")
    entry = published(office)
    client.force_login(Account.objects.get(username="hou"))
    form = client.get("/upkeep/new/").content.decode()
    assert "公租房申请审核信息" in form and "15 个工作日" in form
    assert "公租房申请审核信息" in client.get("/upkeep/new/?q=公租房").content.decode()
    assert "没有名称相符的条目" in client.get("/upkeep/new/?q=没有这个").content.decode()
    assert "公租房申请审核信息" in client.get(f"/upkeep/new/?q=没有这个&entries={entry}").content.decode()
    refused = client.post("/upkeep/new/", {"kind": "law", "document": "甲"})
    assert refused.status_code == 422 and "请选择涉及的目录条目" in refused.content.decode()
    posted = {
        "kind": "law", "happened_on": "2026-11-09", "document": "《样例条例》", "description": "修正",
        "entries": [entry],
    }  # fmt: skip
    address = client.post("/upkeep/new/", posted).headers["Location"]
    assert "《样例条例》" in client.get("/upkeep/").content.decode()
    shown = client.get(address).content.decode()
    assert "待更新" in shown and "2026-11-09" in shown
    assert client.post(f"{address}close", {"reason": ""}).status_code == 422
    assert client.post(f"{address}close", {"reason": "不涉及"}).status_code == 302
    assert "已说明办结" in client.get(address).content.decode()
    client.force_login(Account.objects.get(username="chen"))
    assert (
        client.get(address).status_code == 404
        and "《样例条例》" not in client.get("/upkeep/").content.decode()
    )
    client.force_login(Account.objects.get(username="tan"))
    assert client.get("/upkeep/").status_code == 404


@pytest.mark.requirement("CAT-12")
def test_an_open_change_waits_on_the_workbench_of_the_department_s_compilers_until_it_is_done(under):
    office = under("guangzhou-2019")
    entry = published(office)
    number = register_change(office.viewer("zheng"), given(entry))

    def waits(username: str) -> list[str]:
        found = [one.task for one in waiting_for_viewer(office.viewer(username))]
        return [task.reference for task in found if task.kind == "upkeep"]

    assert waits("hou") == [number] and waits("chen") == [] and waits("lin") == []
    office.send(office.changed(entry, use="核定资格"))
    assert waits("hou") == []
