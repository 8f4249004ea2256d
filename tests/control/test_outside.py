"""Information outside the catalogue: direct negotiation, its record, and the way into a dispute (REQ-14)."""

import re
from dataclasses import replace

import pytest
from django.conf import settings as configured
from django.db import IntegrityError, transaction
from django.test import Client

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.disputes import hooks
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.outside.actions import (
    amend_demand,
    discard_draft,
    record_talk,
    save_outside,
    submit_outside,
    take_step,
)
from shuqiao.control.outside.inputs import OutsideInput
from shuqiao.control.outside.models import CaseEvent, OutsideRequest
from shuqiao.control.outside.pages import outside_case, outside_list
from shuqiao.control.regulations.current import named, regulation
from shuqiao.rules.errors import AlreadyDecided, PermissionDenied, ShuqiaoError, TransitionRefused
from shuqiao.rules.procedures import Accepted, Facts, decide
from shuqiao.rules.regulation import SYSTEM, Phase

from .conftest import NOW, audit_entries

CITIES = ["guangzhou-2016", "guangzhou-2019", "xiamen-2015", "shenyang-2016"]
HEALTH, HOUSING = "440100-health", "440100-housing"


@pytest.fixture
def under(city, settings):
    """Run the city under another regulation; housing and health have people of its roles."""

    def switch(name):
        fallback = None if name == "guangzhou-2016" else "guangzhou-2016"
        settings.CONFIG = replace(configured.CONFIG, regulation=name, regulation_fallback=fallback)
        return city

    return switch


@pytest.fixture
def here(under):
    return under("guangzhou-2016")


def given(**changes):
    duty = Duty.objects.get(department_id=HOUSING, number=1).pk
    wanted = {
        "holder": HEALTH,
        "wanted": "医院床位占用率，按日",
        "duty": duty,
        "purpose": "公租房选址",
    }
    return OutsideInput(**(wanted | changes))


def sent(city, **changes):
    return submit_outside(city.viewer("lin"), given(**changes))


def case(number):
    return OutsideRequest.objects.get(number=number)


# The whole matrix: every state, action, side and capability of every city; what is not listed is refused.
@pytest.mark.parametrize("name", CITIES)
def test_every_step_of_the_file_and_no_other(under, name):
    under(name)
    rules = regulation()
    procedure = rules.procedure("outside")
    words = ["wanted", "duty", "purpose", "reason", "result"]
    every = frozenset(one for role in rules.roles for one in role.capabilities)
    for state in procedure.states:
        for action in {step.action for step in procedure.transitions}:
            for side in ("requester", "provider", SYSTEM, "competent"):
                for capabilities in (every, frozenset()):
                    sides = frozenset({side})
                    held = frozenset() if side == SYSTEM else capabilities
                    decision = decide(
                        procedure,
                        state.key,
                        action,
                        Facts("O-2026-0001", sides, dict.fromkeys(words, "x")),
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


@pytest.mark.requirement("REQ-14")
@pytest.mark.parametrize("name", CITIES)
def test_the_request_reaches_the_presumed_holder_with_a_record(under, name):
    city = under(name)
    number = sent(city)
    assert re.fullmatch(r"O-2026-\d{4}", number)
    row = case(number)
    assert (row.requester_id, row.provider_id, row.phase) == (HOUSING, HEALTH, "waiting")
    assert audit_entries("outside_step")[0][:3] == (HOUSING, HEALTH, "account:lin")
    assert audit_entries("outside_step")[0][5] == number
    assert Notification.objects.get(department_id=HEALTH).reference == number
    event = CaseEvent.objects.get(number=number)
    assert (event.action, event.account.username) == ("submit", "lin")
    page = outside_case(city.viewer("chen"), number)
    assert page.wanted == "医院床位占用率，按日" and page.received
    assert page.article.regulation in (name, "guangzhou-2016")
    assert {step.action for step in page.steps} >= {"agree", "decline"}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"holder": HOUSING}, ["holder"]),
        ({"holder": "440100-nobody"}, ["holder"]),
        ({"holder": ""}, ["holder"]),
        ({"wanted": " "}, ["wanted"]),
        ({"wanted": "x" * 1001}, ["wanted"]),
        ({"purpose": ""}, ["purpose"]),
        ({"duty": None}, ["duty"]),
        ({"duty": 0}, ["duty"]),
        ({"wanted": "", "purpose": "", "duty": None}, ["duty", "purpose", "wanted"]),
    ],
)
def test_what_is_missing_is_told_at_once_and_nothing_is_sent(here, changes, fields):
    with pytest.raises(FormRefused) as refused:
        sent(here, **changes)
    assert sorted({fault.field for fault in refused.value.faults}) == fields
    assert not OutsideRequest.objects.exists()
    assert audit_entries("outside_step") == []


def test_another_departments_duty_is_not_ones_own(here):
    foreign = Duty.objects.filter(department_id=HEALTH).first().pk
    with pytest.raises(FormRefused) as refused:
        sent(here, duty=foreign)
    assert {fault.field for fault in refused.value.faults} == {"duty"}


def test_a_draft_is_kept_sent_from_where_it_lies_and_can_be_thrown_away(here):
    lin = here.viewer("lin")
    key = save_outside(lin, given(wanted="", duty=None))
    assert outside_list(lin, received=False, page=1).rows[0].key == key
    assert outside_list(here.viewer("chen"), received=True, page=1).rows == ()
    with pytest.raises(NotFound):
        submit_outside(here.viewer("bai"), given(draft=key, holder=HOUSING))
    number = submit_outside(lin, given(draft=key))
    assert case(number).pk == key
    with pytest.raises(NotFound):
        submit_outside(lin, given(draft=key))
    with pytest.raises(NotFound):
        discard_draft(lin, "outside", key)
    other = save_outside(lin, given())
    with pytest.raises(NotFound):
        discard_draft(here.viewer("bai"), "outside", other)
    discard_draft(lin, "outside", other)
    assert not OutsideRequest.objects.filter(pk=other).exists()


@pytest.mark.requirement("REQ-14")
def test_both_sides_keep_minutes_until_the_holder_agrees(here):
    number = sent(here)
    record_talk(here.viewer("lin"), number, "11月12日电话商谈，市卫健委李示例参加，同意研究")
    record_talk(here.viewer("chen"), number, "11月13日会商，可按日提供汇总数")
    with pytest.raises(FormRefused):
        take_step(here.viewer("chen"), "outside", number, "agree", {"result": " "})
    take_step(here.viewer("chen"), "outside", number, "agree", {"result": "每日提供汇总数，编入目录"})
    row = case(number)
    assert (row.state, row.phase) == ("agreed", "granted")
    page = outside_case(here.viewer("lin"), number)
    assert [row.label.zh for row in page.history] == ["提出协商", "记录协商", "记录协商", "同意提供"]
    assert page.history[-1].words[0][1] == "每日提供汇总数，编入目录"
    assert len(audit_entries("outside_step")) == 4
    with pytest.raises((TransitionRefused, AlreadyDecided)):
        record_talk(here.viewer("lin"), number, "再谈")


def test_minutes_are_not_empty_and_not_a_strangers(here):
    number = sent(here)
    with pytest.raises(FormRefused):
        record_talk(here.viewer("lin"), number, "  ")
    with pytest.raises(FormRefused):
        record_talk(here.viewer("lin"), number, "x" * 1001)
    with pytest.raises(NotFound):
        record_talk(here.viewer("zhao"), number, "不相干")
    with pytest.raises(PermissionDenied):
        record_talk(here.viewer("bai"), number, "经办人不能代表提供方")
    assert CaseEvent.objects.count() == 1


@pytest.mark.requirement("REQ-14", source="XM:7")
@pytest.mark.parametrize("name", CITIES)
def test_a_demand_is_kept_up_to_date_until_it_is_answered(under, name):
    city = under(name)
    number = sent(city)
    amend_demand(city.viewer("lin"), number, "医院床位占用率，按周", "公租房选址")
    amend_demand(city.viewer("lin"), number, "医院床位占用率，按周", "公租房选址")
    assert case(number).wanted == "医院床位占用率，按周"
    changed = outside_case(city.viewer("chen"), number).history[-1]
    assert changed.label.zh == "更新需求"
    assert "医院床位占用率，按日" in {key.zh: text for key, text in changed.words}["原为"]
    assert CaseEvent.objects.filter(number=number).count() == 2, "nothing changed, nothing recorded"
    assert Notification.objects.filter(department_id=HEALTH, reference=number).count() == 2
    take_step(city.viewer("chen"), "outside", number, "agree", {"result": "可以"})
    with pytest.raises(TransitionRefused):
        amend_demand(city.viewer("lin"), number, "又变了", "公租房选址")


@pytest.mark.parametrize(
    ("username", "wanted", "purpose", "error"),
    [
        ("chen", "x", "y", PermissionDenied),
        ("zheng", "x", "y", PermissionDenied),
        ("zhao", "x", "y", NotFound),
        ("lin", " ", "y", FormRefused),
        ("lin", "x", "", FormRefused),
        ("lin", "x" * 1001, "y", FormRefused),
    ],
)
def test_only_who_asks_changes_the_demand(here, username, wanted, purpose, error):
    number = sent(here)
    with pytest.raises(error):
        amend_demand(here.viewer(username), number, wanted, purpose)
    assert case(number).wanted == "医院床位占用率，按日"
    assert len(audit_entries("outside_step")) == 1


# Who may do what, beside the set-up of those who may: (account, action, words, error).
MATRIX = [
    ("chen", "agree", {"result": "可以"}, None),
    ("chen", "decline", {"reason": "不掌握"}, None),
    ("lin", "withdraw", {}, None),
    ("lin", "dispute", {"reason": "对方长期不答复"}, None),
    ("lin", "agree", {"result": "可以"}, PermissionDenied),
    ("lin", "decline", {"reason": "x"}, PermissionDenied),
    ("chen", "withdraw", {}, PermissionDenied),
    ("chen", "dispute", {"reason": "x"}, PermissionDenied),
    ("bai", "agree", {"result": "可以"}, PermissionDenied),
    ("zhao", "agree", {"result": "可以"}, NotFound),
    ("zheng", "agree", {"result": "可以"}, PermissionDenied),
    ("tan", "withdraw", {}, NotFound),
    ("chen", "settle_no", {}, PermissionDenied),
    ("chen", "no_such_action", {}, ShuqiaoError),
    ("chen", "submit", {}, NotFound),
    ("lin", "dispute", {"reason": ""}, FormRefused),
    ("chen", "decline", {"reason": " "}, FormRefused),
    ("chen", "agree", {"result": "y" * 1001}, FormRefused),
]


@pytest.mark.parametrize(("username", "action", "words", "error"), MATRIX)
def test_the_permission_matrix(here, username, action, words, error):
    number = sent(here)
    before = case(number).state
    if error is None:
        take_step(here.viewer(username), "outside", number, action, words)
        assert case(number).state != before
        assert len(audit_entries("outside_step")) == 2
        return
    with pytest.raises(error):
        take_step(here.viewer(username), "outside", number, action, words)
    assert case(number).state == before
    assert len(audit_entries("outside_step")) == 1


def test_of_two_answers_at_once_the_second_is_refused(here):
    number = sent(here)
    take_step(here.viewer("chen"), "outside", number, "agree", {"result": "可以"})
    with pytest.raises(AlreadyDecided):
        take_step(here.viewer("gong"), "outside", number, "decline", {"reason": "不掌握"})
    assert case(number).state == "agreed"
    assert CaseEvent.objects.filter(number=number).count() == 2


def test_a_draft_or_a_strangers_case_is_not_found(here):
    number = sent(here)
    for username in ("zhao", "tan", "ma"):
        with pytest.raises(NotFound):
            outside_case(here.viewer(username), number)
    for username in ("lin", "chen", "zheng", "zhou", "gong"):
        assert outside_case(here.viewer(username), number).number == number


@pytest.mark.requirement("REQ-14")
@pytest.mark.requirement("DIS-09")
@pytest.mark.parametrize("name", CITIES)
@pytest.mark.parametrize("declined", [True, False])
def test_failed_negotiation_goes_to_the_dispute_procedure(under, name, declined):
    city = under(name)
    number = sent(city)
    if declined:
        take_step(city.viewer("chen"), "outside", number, "decline", {"reason": "无此统计"})
        assert case(number).phase == "refused"
    take_step(city.viewer("lin"), "outside", number, "dispute", {"reason": "对方掌握而不提供"})
    assert case(number).phase == "disputed"
    dispute = Dispute.objects.get(case_kind="outside", case_number=number)
    assert (dispute.applicant_id, dispute.respondent_id) == (HOUSING, HEALTH)
    assert dispute.reason == "对方掌握而不提供"
    assert outside_case(city.viewer("lin"), number).disputes == (dispute.number,)
    # The end of it comes back to the case, in the dispute's own transaction.
    owner = hooks.owner_of("outside")
    assert owner is not None and not owner.is_provided(number)
    owner.lock(number)
    owner.settle(number, False, dispute.number)
    row = case(number)
    assert row.phase == "refused"
    state = named(row.regulation).procedure("outside").state(row.state)
    assert state is not None and state.final
    assert audit_entries("outside_step")[-1][5] == number


@pytest.mark.requirement("REQ-14")
def test_a_dispute_won_leaves_it_to_the_holder_to_provide(here):
    number = sent(here)
    take_step(here.viewer("lin"), "outside", number, "dispute", {"reason": "不答复"})
    dispute = Dispute.objects.get(case_number=number)
    owner = hooks.owner_of("outside")
    owner.settle(number, True, dispute.number)
    assert case(number).phase == Phase.DISPUTED
    assert outside_case(here.viewer("lin"), number).history[-1].label.zh == "争议处理决定：应当提供"
    take_step(here.viewer("chen"), "outside", number, "agree", {"result": "按决定提供"})
    assert owner.is_provided(number)
    owner.settle(number, False, dispute.number)
    assert case(number).phase == "granted", "a case that went on by itself stays as it is"


def test_taking_the_case_back_takes_its_dispute_back(here):
    number = sent(here)
    take_step(here.viewer("lin"), "outside", number, "dispute", {"reason": "不答复"})
    take_step(here.viewer("lin"), "outside", number, "withdraw", {})
    assert case(number).phase == "closed"
    assert Dispute.objects.get(case_number=number).final


def test_a_case_keeps_the_regulation_it_was_opened_under(under, settings):
    city = under("shenyang-2016")
    number = sent(city)
    settings.CONFIG = replace(configured.CONFIG, regulation="guangzhou-2016", regulation_fallback=None)
    assert case(number).regulation == "shenyang-2016"
    page = outside_case(city.viewer("chen"), number)
    assert "依法不予提供" in {step.label.zh for step in page.steps}


@pytest.mark.parametrize(
    "broken",
    [
        {"phase": "nowhere"},
        {"wanted": ""},
        {"purpose": ""},
        {"duty_id": None},
        {"submitted_at": None},
        {"number": None},
        {"phase": "draft"},
        {"provider_id": HOUSING},
    ],
)
def test_the_database_holds_no_half_written_case(here, broken):
    number = sent(here)
    with pytest.raises(IntegrityError), transaction.atomic():
        OutsideRequest.objects.filter(number=number).update(**broken)


def test_the_story_on_the_pages(here):
    clerk, officer = Client(), Client()
    clerk.force_login(Account.objects.get(username="lin"))
    officer.force_login(Account.objects.get(username="chen"))
    assert "/outside/" in clerk.get("/").content.decode()
    duty = Duty.objects.get(department_id=HOUSING, number=1).pk
    form = {"holder": HEALTH, "wanted": "", "duty": str(duty), "purpose": "公租房选址", "go": "submit"}
    refused = clerk.post("/outside/new/", form)
    assert refused.status_code == 422
    page = refused.content.decode()
    assert 'href="#wanted"' in page and "公租房选址" in page and "第三十六条" in page
    kept = clerk.post("/outside/new/", {**form, "go": "save"})
    assert kept.status_code == 302 and "draft=" in kept.headers["Location"]
    done = clerk.post(kept.headers["Location"], {**form, "wanted": "医院床位占用率"}, follow=True)
    number = re.search(r"O-2026-\d{4}", done.content.decode()).group()
    assert "双方协商" in done.content.decode()
    assert number in officer.get("/outside/?side=received").content.decode()
    officer.post(f"/outside/{number}/minutes", {"minutes": "已电话沟通，李示例"})
    assert "已电话沟通，李示例" in clerk.get(f"/outside/{number}/").content.decode()
    clerk.post(f"/outside/{number}/amend", {"wanted": "床位占用率，按周", "purpose": "选址"})
    assert "床位占用率，按周" in officer.get(f"/outside/{number}/").content.decode()
    assert clerk.post(f"/outside/{number}/amend", {"wanted": "", "purpose": "选址"}).status_code == 422
    assert officer.post(f"/outside/{number}/amend", {"wanted": "x", "purpose": "y"}).status_code == 403
    empty = officer.post(f"/cases/outside/{number}/decline", {"reason": ""})
    assert empty.status_code == 422 and 'href="#decline-reason"' in empty.content.decode()
    officer.post(f"/cases/outside/{number}/decline", {"reason": "没有<b>按日</b>统计"})
    shown = clerk.get(f"/outside/{number}/").content.decode()
    assert "没有&lt;b&gt;按日&lt;/b&gt;统计" in shown and "协商不成" in shown
    disputed = clerk.post(f"/cases/outside/{number}/dispute", {"reason": "对方掌握"}, follow=True)
    assert re.search(r"争议 D-2026-\d{4}", disputed.content.decode())
    assert officer.post(f"/cases/outside/{number}/withdraw").status_code == 403
    stranger = Client()
    stranger.force_login(Account.objects.get(username="zhao"))
    assert stranger.get(f"/outside/{number}/").status_code == 404
    assert stranger.post(f"/cases/outside/{number}/agree", {"result": "x"}).status_code == 404
    assert clerk.post("/cases/request/R-2026-0001/agree").status_code == 404
    clerk.cookies.load({"django_language": "en"})
    assert "Take it to the dispute procedure" in clerk.get(f"/outside/{number}/").content.decode()
    assert Department.objects.get(code=HEALTH)
