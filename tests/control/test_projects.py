"""Special projects: who leads, who asks, who confirms, and how everything ends with them."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from django.conf import settings as configured
from django.db import IntegrityError, transaction
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.grants.models import Grant
from shuqiao.control.organisations.models import Duty
from shuqiao.control.projects.actions import (
    add_line,
    add_participants,
    join_project,
    remove_line,
    save_project,
    start_project,
)
from shuqiao.control.projects.ending import end_finished, end_project
from shuqiao.control.projects.inputs import ApplicationInput, JoinInput, LineInput, ProjectInput
from shuqiao.control.projects.models import CrossApplication, Project, ProjectEvent
from shuqiao.control.projects.pages import project_list, project_page
from shuqiao.control.projects.register import end_application, register_application
from shuqiao.control.projects.register_page import register_page
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.actions import save_draft, submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import AnswerInput, RequestInput
from shuqiao.control.requests.models import Request
from shuqiao.rules.errors import PermissionDenied, ShuqiaoError, TransitionRefused
from shuqiao.rules.procedures import Accepted, Facts, decide
from shuqiao.rules.regulation import SYSTEM

from .conftest import BIRTH, HOUSEHOLD, NOW, audit_entries, rows

HEALTH, HOUSING, POLICE = "440100-health", "440100-housing", "440100-police"
CITIES = ["guangzhou-2016", "guangzhou-2019", "xiamen-2015", "shenyang-2016"]
UNTIL = date(2027, 3, 31)


@pytest.fixture
def under(city, settings):
    """Run the city under another regulation."""

    def switch(name):
        fallback = None if name == "guangzhou-2016" else "guangzhou-2016"
        settings.CONFIG = replace(configured.CONFIG, regulation=name, regulation_fallback=fallback)
        return city

    return switch


@pytest.fixture
def here(under):
    return under("guangzhou-2016")


def duty(department):
    return Duty.objects.get(department_id=department, number=1).pk


def plan(**changes):
    given = {
        "title": "公租房资格专项核查",
        "purpose": "集中核查在保家庭",
        "duty": duty(HOUSING),
        "valid_from": NOW.date(),
        "valid_until": UNTIL,
        "participants": (POLICE,),
    }
    return ProjectInput(**(given | changes))


def line(user=HOUSING, resource=BIRTH, fields=("mother_name",), **changes):
    given = {"mode": "verify", "reason": "核对家庭成员", **changes}
    return LineInput(user=user, resource=resource, fields=fields, **given)


def terms(department=HOUSING, **changes):
    given = {
        "duty": duty(department),
        "applications": (f"app-{department.partition('-')[2]}-portal",),
        "accepted_conditions": tuple(one.key for one in regulation().conditions),
    }
    return JoinInput(**(given | changes))


def prepared(city, *lines, **changes):
    number = save_project(city.viewer("hou"), plan(**changes))
    for one in lines or (line(), line(POLICE, fields=("father_name",))):
        add_line(city.viewer("hou"), number, one)
    return number


def started(city, *lines):
    number = prepared(city, *lines)
    return number, start_project(city.viewer("hou"), number, terms())


def granted(city, request, fields=("mother_name",)):
    answer = AnswerInput(
        decisions=dict.fromkeys(fields, True), mode="verify", match="each", valid_until=UNTIL
    )
    return answer_request(city.viewer("chen"), request, answer)


# Every state, action, side and capability of every city; what the file does not list is refused.
@pytest.mark.parametrize("name", CITIES)
def test_every_step_of_the_file_and_no_other(under, name):
    under(name)
    rules = regulation()
    procedure = rules.procedure("project")
    words = ["items", "duty", "purpose", "participants", "reason"]
    every = frozenset(one for role in rules.roles for one in role.capabilities)
    for state in procedure.states:
        for action in {step.action for step in procedure.transitions}:
            for side in ("requester", "provider", SYSTEM, "competent"):
                for capabilities in (every, frozenset()):
                    held = frozenset() if side == SYSTEM else capabilities
                    facts = Facts(
                        "Z-2026-0001",
                        frozenset({side}),
                        dict.fromkeys(words, "x"),
                        valid_from=NOW.date(),
                        valid_until=UNTIL,
                    )
                    decision = decide(
                        procedure,
                        state.key,
                        action,
                        facts,
                        capabilities=held,
                        regulation=rules,
                        today=NOW.date(),
                    )
                    allowed = any(
                        step.action == action
                        and state.key in step.from_states
                        and side in step.by
                        and (side == SYSTEM or step.capability in held)
                        for step in procedure.transitions
                    )
                    assert isinstance(decision, Accepted) is allowed, (state.key, action, side)
                    assert decision.article


@pytest.mark.requirement("SPC-01", source="GZ165:16¶4")
@pytest.mark.parametrize("name", CITIES)
def test_a_project_records_lead_participants_items_purpose_and_period(under, name):
    city = under(name)
    number, made = started(city)
    assert re.fullmatch(r"Z-2026-\d{4}", number) and len(made) == 1
    page = project_page(city.viewer("zhao"), number)
    assert page.lead.code == HOUSING
    assert [one.code for one in page.participants] == [POLICE]
    assert [one.code for one in page.providers] == [HEALTH]
    assert [(one.user.code, one.items[0].zh) for one in page.lines] == [
        (HOUSING, "母亲姓名"),
        (POLICE, "父亲姓名"),
    ]
    assert (page.purpose, page.valid_until) == ("集中核查在保家庭", UNTIL)
    assert page.duty is not None and page.phase == "granted"
    entries = audit_entries("project_step")
    assert [entry[:3] for entry in entries] == [(HOUSING, HOUSING, "account:hou")]
    assert Notification.objects.filter(code="project_moved", department_id__in=[HEALTH, POLICE]).count() == 2
    if name == "guangzhou-2019":
        assert page.article.article == "16(4)"


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"purpose": ""}, ["purpose"]),
        ({"duty": None}, ["duty"]),
        ({"participants": ()}, ["participants"]),
        ({"valid_until": None}, ["valid_until"]),
        ({"valid_until": date(2028, 3, 1)}, ["valid_until"]),
        ({"valid_from": date(2026, 1, 1), "valid_until": date(2026, 11, 10)}, ["valid_until"]),
        ({"purpose": "", "duty": None}, ["duty", "purpose"]),
    ],
)
def test_what_is_missing_is_told_at_once_and_nothing_starts(here, changes, fields):
    number = prepared(here, line(), **changes)
    with pytest.raises(FormRefused) as refused:
        start_project(here.viewer("hou"), number, terms())
    assert sorted({fault.field for fault in refused.value.faults}) == fields
    assert Project.objects.get(number=number).phase == "draft"
    assert not Request.objects.exists() and audit_entries("project_step") == []


def test_a_project_without_items_does_not_start(here):
    number = save_project(here.viewer("hou"), plan())
    with pytest.raises(FormRefused) as refused:
        start_project(here.viewer("hou"), number, terms())
    assert {fault.field for fault in refused.value.faults} == {"items"}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"title": " "}, ["title"]),
        ({"title": "x" * 101}, ["title"]),
        ({"purpose": "x" * 201}, ["purpose"]),
        ({"duty": 0}, ["duty"]),
        ({"valid_from": date(2027, 4, 1)}, ["valid_until"]),
        ({"participants": ("440100-nobody",)}, ["participants"]),
    ],
)
def test_what_cannot_be_kept_is_refused(here, changes, fields):
    with pytest.raises(FormRefused) as refused:
        save_project(here.viewer("hou"), plan(**changes))
    assert sorted({fault.field for fault in refused.value.faults}) == fields
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (line(user=HEALTH), "user"),
        (line(user="440100-civil"), "user"),
        (line(resource="r440100aaaaaaaaaa"), "resource"),
        (line(fields=()), "fields"),
        (line(fields=("no_such",)), "fields"),
        (line(mode="bulk"), "mode"),
        (line(reason=" "), "reason"),
        (line(POLICE, resource=HOUSEHOLD, fields=("sex",)), "user"),
    ],
)
def test_a_line_asks_only_for_what_the_catalogue_offers(here, given, field):
    number = save_project(here.viewer("hou"), plan())
    with pytest.raises(FormRefused) as refused:
        add_line(here.viewer("hou"), number, given)
    assert field in {fault.field for fault in refused.value.faults}
    assert not Project.objects.get(number=number).lines.exists()


# (account, action, error) on a running project of housing with police; allow and deny share the set-up.
MATRIX = [
    ("hou", "widen", None),
    ("hou", "line", None),
    ("hou", "end", None),
    ("zhao", "join", None),
    ("hou", "join", FormRefused),
    ("zhao", "widen", PermissionDenied),
    ("zhao", "line", PermissionDenied),
    ("zhao", "end", PermissionDenied),
    ("lin", "widen", PermissionDenied),
    ("lin", "end", PermissionDenied),
    ("chen", "widen", PermissionDenied),
    ("chen", "end", PermissionDenied),
    ("chen", "join", FormRefused),
    ("gong", "join", PermissionDenied),
    ("zheng", "end", PermissionDenied),
    ("zhou", "widen", PermissionDenied),
    ("ma", "end", NotFound),
    ("tan", "join", NotFound),
    ("hou", "start", TransitionRefused),
    ("hou", "save", TransitionRefused),
    ("zhao", "start", PermissionDenied),
]


def act(city, username, action, number):
    viewer = city.viewer(username)
    match action:
        case "widen":
            add_participants(viewer, number, (HEALTH,))
        case "line":
            add_line(viewer, number, line(POLICE, fields=("mother_name",)))
        case "end":
            end_project(viewer, number, "任务完成")
        case "join":
            join_project(viewer, number, terms(viewer.department.code))
        case "start":
            start_project(viewer, number, terms(viewer.department.code))
        case _:
            save_project(viewer, plan(number=number))


@pytest.mark.requirement("SPC-03", source="GZ165:16¶5")
@pytest.mark.parametrize(("username", "action", "error"), MATRIX)
def test_the_permission_matrix(here, username, action, error):
    number, _ = started(here)
    before = ProjectEvent.objects.count()
    if error is None:
        act(here, username, action, number)
        assert ProjectEvent.objects.count() == before + 1
        assert len(audit_entries("project_step")) == before + 1
        return
    with pytest.raises(error):
        act(here, username, action, number)
    assert ProjectEvent.objects.count() == before
    assert Request.objects.count() == 1


@pytest.mark.requirement("SPC-03", source="GZ165:16¶5")
def test_each_department_asks_for_itself_and_each_provider_confirms_its_own(here):
    number, made = started(here)
    request = Request.objects.get(number=made[0])
    assert (request.requester_id, request.provider_id, request.phase) == (HOUSING, HEALTH, "waiting")
    assert number in request.purpose and request.wanted_until == UNTIL
    assert not Grant.objects.exists(), "the lead can give nothing"
    joined = join_project(here.viewer("zhao"), number, terms(POLICE))
    assert Request.objects.get(number=joined[0]).requester_id == POLICE
    with pytest.raises(FormRefused):
        join_project(here.viewer("zhao"), number, terms(POLICE))
    with pytest.raises(ShuqiaoError):
        answer_request(here.viewer("hou"), made[0], AnswerInput(decisions={"mother_name": True}))
    grant = granted(here, made[0])
    lines = project_page(here.viewer("hou"), number).lines
    assert [[one.number for one in row.grants] for row in lines] == [[grant], []]


def test_a_department_states_its_duty_and_accepts_the_conditions_itself(here):
    number, _ = started(here)
    for changes, field in (
        ({"duty": duty(HOUSING)}, "duty"),
        ({"duty": None}, "duty"),
        ({"applications": ()}, "applications"),
        ({"applications": ("app-housing-portal",)}, "applications"),
        ({"accepted_conditions": ()}, "conditions"),
    ):
        with pytest.raises(FormRefused) as refused:
            join_project(here.viewer("zhao"), number, terms(POLICE, **changes))
        assert field in {fault.field for fault in refused.value.faults}
        assert "出生" in refused.value.faults[0].message.zh
    assert Request.objects.count() == 1


def test_a_draft_that_somebody_writes_is_not_lost_to_a_project(here):
    number = prepared(here)
    save_draft(here.viewer("hou"), RequestInput(BIRTH, purpose="别的用途"))
    with pytest.raises(FormRefused) as refused:
        start_project(here.viewer("hou"), number, terms())
    assert [fault.code for fault in refused.value.faults] == ["draft_there"]
    assert Request.objects.get().purpose == "别的用途"


def test_a_line_that_a_grant_covers_is_not_asked_for_again(here):
    wanted = here.wanted(wanted_until=date(2027, 11, 11))
    number = submit_request(here.viewer("lin"), wanted)
    grant = answer_request(here.viewer("chen"), number, here.answer())
    project, made = started(here, line())
    assert made == ()
    assert project_page(here.viewer("hou"), project).lines[0].covered_by == grant
    end_project(here.viewer("hou"), project, "任务完成")
    assert Grant.objects.get(number=grant).phase == "granted", "it was not given for the project"


@pytest.mark.requirement("SPC-02", source="GZ165:16¶4")
def test_its_grants_are_platform_grants_and_end_with_it(here):
    number, made = started(here)
    waiting = join_project(here.viewer("zhao"), number, terms(POLICE))
    longer = AnswerInput(
        decisions={"mother_name": True}, mode="verify", match="each", valid_until=date(2027, 4, 1)
    )
    with pytest.raises(FormRefused):
        answer_request(here.viewer("chen"), made[0], longer)
    grant = granted(here, made[0])
    assert [entry[4] for entry in audit_entries("grant_issued")] == [grant]
    with pytest.raises(FormRefused):
        end_project(here.viewer("hou"), number, " ")
    end_project(here.viewer("hou"), number, "任务完成")
    row = Grant.objects.get(number=grant)
    assert row.phase == "closed" and row.ended_at == NOW
    [(revoked_at, reason)] = rows(
        'SELECT revoked_at, revoked_reason FROM exchange."grant" WHERE id = %s', grant
    )
    assert revoked_at == NOW and number in reason, "the plane refuses its next call"
    assert [entry[4] for entry in audit_entries("grant_expired")] == [grant]
    assert Request.objects.get(number=waiting[0]).phase == "closed"
    assert [entry[5] for entry in audit_entries("request_withdrawn")] == list(waiting)
    with pytest.raises(ShuqiaoError):
        granted(here, waiting[0], ("father_name",))
    page = project_page(here.viewer("zhao"), number)
    assert (page.phase, page.ended_reason) == ("closed", "任务完成")
    with pytest.raises(TransitionRefused):
        end_project(here.viewer("hou"), number, "再结束一次")


@pytest.mark.requirement("SPC-02")
def test_a_refused_request_cannot_outlast_the_project(here):
    number, made = started(here)
    refuse = AnswerInput(decisions={"mother_name": False}, refusal_reason="依法不予共享")
    answer_request(here.viewer("chen"), made[0], refuse)
    end_project(here.viewer("hou"), number, "任务完成")
    assert Request.objects.get(number=made[0]).wanted_until == NOW.date()


@pytest.mark.requirement("SPC-02")
def test_the_last_day_ends_it_without_anybody(here):
    number, made = started(here)
    grant = granted(here, made[0])
    assert end_finished() == 0
    with clock.fixed(datetime(2027, 4, 1, 1, 0, tzinfo=UTC)):
        assert end_finished() == 1
        assert end_finished() == 0
    assert Project.objects.get(number=number).phase == "closed"
    assert Grant.objects.get(number=grant).phase == "closed"
    assert audit_entries("project_step")[-1][2] == "system:worker"


def test_what_is_added_to_a_running_project_is_asked_for_by_its_user(here):
    number, _ = started(here)
    add_participants(here.viewer("hou"), number, (HEALTH, POLICE))
    assert [one.code for one in project_page(here.viewer("hou"), number).participants] == [HEALTH, POLICE]
    add_line(here.viewer("hou"), number, line(HOUSING, resource=HOUSEHOLD, fields=("sex",)))
    assert project_page(here.viewer("hou"), number).can_join
    made = join_project(here.viewer("hou"), number, terms())
    assert [Request.objects.get(number=one).provider_id for one in made] == [POLICE]
    with pytest.raises(TransitionRefused):
        remove_line(here.viewer("hou"), number, Project.objects.get().lines.first().pk)
    with pytest.raises(FormRefused):
        add_participants(here.viewer("hou"), number, ())


def test_a_draft_is_the_leads_alone(here):
    number = prepared(here)
    for username in ("zhao", "chen", "zheng", "zhou"):
        with pytest.raises(NotFound):
            project_page(here.viewer(username), number)
        assert project_list(here.viewer(username), 1).rows == ()
    assert project_page(here.viewer("hou"), number).can_start
    remove_line(here.viewer("hou"), number, Project.objects.get().lines.first().pk)
    assert Project.objects.get().lines.count() == 1
    start_project(here.viewer("hou"), number, terms())
    for username in ("zhao", "chen", "zheng", "zhou", "lin"):
        assert project_page(here.viewer(username), number).number == number
    for username in ("ma", "tan"):
        with pytest.raises(NotFound):
            project_page(here.viewer(username), number)


@pytest.mark.parametrize(
    "broken",
    [
        {"phase": "nowhere"},
        {"purpose": ""},
        {"duty_id": None},
        {"valid_until": None},
        {"started_at": None},
        {"valid_until": date(2026, 11, 10)},
        {"ended_reason": "x"},
        {"phase": "closed"},
        {"ended_at": NOW},
    ],
)
def test_the_database_holds_no_half_written_project(here, broken):
    number, _ = started(here)
    with pytest.raises(IntegrityError), transaction.atomic():
        Project.objects.filter(number=number).update(**broken)


def app(**changes):
    given = {
        "name_zh": "一网通办联合审批",
        "scope": "city",
        "purpose": "跨部门并联审批",
        "departments": (HEALTH, POLICE),
        "systems": ("app-housing-rental",),
    }
    return ApplicationInput(**(given | changes))


@pytest.mark.requirement("SPC-04", source="SY:8")
def test_cross_department_applications_are_registered_and_managed_centrally(under):
    city = under("shenyang-2016")
    key = register_application(city.viewer("hou"), app())
    row = register_page(city.viewer("lin")).rows[0]
    assert (row.name.zh, row.scope.zh, row.lead.code) == ("一网通办联合审批", "全市性", HOUSING)
    assert {one.code for one in row.departments} == {HEALTH, POLICE}
    assert row.systems[0].zh == "app-housing-rental" and not row.can_end
    assert register_page(city.viewer("lin")).article.article == "8"
    assert audit_entries("cross_application_registered")[0][2] == "account:hou"
    with pytest.raises(PermissionDenied):
        end_application(city.viewer("zhao"), key, "停")
    with pytest.raises(FormRefused):
        end_application(city.viewer("hou"), key, " ")
    end_application(city.viewer("hou"), key, "已并入新平台")
    assert CrossApplication.objects.get().ended_reason == "已并入新平台"
    assert len(audit_entries("cross_application_ended")) == 1
    with pytest.raises(TransitionRefused):
        end_application(city.viewer("hou"), key, "再停一次")


@pytest.mark.requirement("SPC-04")
def test_the_competent_department_manages_the_register(here):
    key = register_application(here.viewer("hou"), app())
    assert register_page(here.viewer("zheng")).rows[0].can_end
    end_application(here.viewer("zheng"), key, "统筹停用")
    assert CrossApplication.objects.get().ended_at == NOW


@pytest.mark.parametrize("username", ["lin", "gong", "zheng", "zhou", "ma", "tan"])
def test_only_a_lead_registers(here, username):
    with pytest.raises(PermissionDenied):
        register_application(here.viewer(username), app())
    assert not CrossApplication.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name_zh": " "}, "name_zh"),
        ({"name_zh": "x" * 101}, "name_zh"),
        ({"scope": "world"}, "scope"),
        ({"purpose": ""}, "purpose"),
        ({"departments": ()}, "departments"),
        ({"departments": (HOUSING,)}, "departments"),
        ({"departments": ("440100-nobody", HEALTH)}, "departments"),
        ({"systems": ("app-nobody",)}, "systems"),
    ],
)
def test_a_registration_is_complete_or_refused(here, changes, field):
    with pytest.raises(FormRefused) as refused:
        register_application(here.viewer("hou"), app(**changes))
    assert field in {fault.field for fault in refused.value.faults}
    assert not CrossApplication.objects.exists()
    assert audit_entries("cross_application_registered") == []


def test_a_name_is_registered_once(here):
    register_application(here.viewer("hou"), app())
    with pytest.raises(FormRefused) as refused:
        register_application(here.viewer("zhao"), app(departments=(HEALTH,)))
    assert [fault.code for fault in refused.value.faults] == ["name_taken"]
    assert CrossApplication.objects.count() == 1


def test_the_story_on_the_pages(here):
    lead, police, health = Client(), Client(), Client()
    for client, username in ((lead, "hou"), (police, "zhao"), (health, "chen")):
        client.force_login(Account.objects.get(username=username))
    assert "/projects/" in lead.get("/").content.decode()
    form = {
        "title": "在保家庭<专项>核查",
        "purpose": "集中核查",
        "duty": str(duty(HOUSING)),
        "valid_from": "2026-11-11",
        "valid_until": "2027-03-31",
        "participants": POLICE,
    }
    assert lead.post("/projects/new/", {**form, "title": ""}).status_code == 422
    page = lead.post("/projects/new/", form, follow=True).content.decode()
    number = re.search(r"Z-2026-\d{4}", page).group()
    assert "在保家庭&lt;专项&gt;核查" in page and "草稿" in page
    changed = lead.get(f"/projects/{number}/edit/").content.decode()
    assert "集中核查" in changed
    address = f"/projects/{number}/lines/new/?resource={BIRTH}"
    assert "母亲姓名" in lead.get(address).content.decode()
    own = {"user": HOUSING, "mode": "verify", "fields": "mother_name", "reason": "核对成员"}
    assert lead.post(address, {**own, "fields": ""}).status_code == 422
    lead.post(address, own)
    lead.post(address, {**own, "user": POLICE})
    assert police.get(f"/projects/{number}/").status_code == 404
    refused = lead.post(f"/projects/{number}/start", {"duty": str(duty(HOUSING))})
    assert refused.status_code == 422 and 'href="#conditions"' in refused.content.decode()
    agreed = {
        "duty": str(duty(HOUSING)),
        "applications": "app-housing-portal",
        "conditions": [one.key for one in regulation().conditions],
    }
    running = lead.post(f"/projects/{number}/start", agreed, follow=True).content.decode()
    request = re.search(r"R-2026-\d{4}", running).group()
    assert "进行中" in running
    assert number in health.get(f"/requests/{request}/").content.decode()
    asked = {**agreed, "duty": str(duty(POLICE)), "applications": "app-police-portal"}
    todo = police.get("/").content.decode()
    assert f"/projects/{number}/" in todo and "提出申请" in todo
    assert "提出本部门的申请" in police.get(f"/projects/{number}/").content.decode()
    joined = police.post(f"/projects/{number}/join", asked, follow=True).content.decode()
    assert "已提出 1 件申请" in joined
    assert health.post(f"/projects/{number}/end", {"reason": "x"}).status_code == 403
    grant = granted(here, request)
    assert grant in lead.get(f"/projects/{number}/").content.decode()
    ended = lead.post(f"/projects/{number}/end", {"reason": "任务完成"}, follow=True).content.decode()
    assert "已结束" in ended and "任务完成" in ended
    lead.cookies.load({"django_language": "en"})
    assert "The project has ended" in lead.get(f"/projects/{number}/").content.decode()
    assert lead.get("/projects/").status_code == 200


def test_the_register_on_its_page(here):
    lead, office = Client(), Client()
    lead.force_login(Account.objects.get(username="hou"))
    office.force_login(Account.objects.get(username="zheng"))
    form = {"name_zh": "联合审批", "scope": "city", "purpose": "并联审批", "departments": HEALTH}
    assert lead.post("/projects/applications/", {**form, "scope": ""}).status_code == 422
    assert "联合审批" in lead.post("/projects/applications/", form, follow=True).content.decode()
    key = CrossApplication.objects.get().pk
    assert office.post("/projects/applications/", form).status_code == 403
    office.post(f"/projects/applications/{key}/end", {"reason": ""})
    assert CrossApplication.objects.get().ended_at is None
    page = office.post(f"/projects/applications/{key}/end", {"reason": "统筹停用"}, follow=True)
    assert "已停用" in page.content.decode()
