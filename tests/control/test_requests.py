"""Asking and answering: what is complete, who may, what is recorded, what the grant then holds."""

from dataclasses import replace
from datetime import date, timedelta

import msgspec
import pytest
from django.conf import settings
from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Notification
from shuqiao.control.clocks.queries import clocks_of
from shuqiao.control.grants.models import Grant
from shuqiao.control.operations.tasks import task_list
from shuqiao.control.organisations.models import Duty
from shuqiao.control.requests.actions import (
    dispute_request,
    escalate_overdue,
    save_draft,
    submit_request,
    withdraw_request,
)
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.models import Request, RequestEvent, RequestItem
from shuqiao.control.requests.pages import inbox, my_requests, request_case, request_form
from shuqiao.rules.errors import (
    AlreadyDecided,
    PermissionDenied,
    ReasonRequired,
    ShuqiaoError,
    TransitionRefused,
)
from shuqiao.security import keys
from shuqiao.wire.grant import verify_grant

from .conftest import BIRTH, NOW, audit_entries, rows


def faults_of(error: pytest.ExceptionInfo[FormRefused]) -> set[tuple[str, str]]:
    """(field, code) of every fault."""
    return {(fault.field, fault.code) for fault in error.value.faults}


@pytest.mark.requirement("REQ-01", source="GZ16:35¶1")
@pytest.mark.parametrize(
    ("missing", "fault"),
    [
        ({"items": {}}, ("items", "field_required")),
        ({"items": {"mother_name": " "}}, ("reason:mother_name", "reason_missing")),
        ({"duty": None}, ("duty", "field_required")),
        ({"purpose": " "}, ("purpose", "field_required")),
        ({"accepted_conditions": ()}, ("conditions", "field_required")),
        ({"applications": ()}, ("applications", "field_required")),
        ({"wanted_until": None}, ("wanted_until", "field_required")),
        ({"wanted_until": date(2029, 1, 1)}, ("wanted_until", "period_too_long")),
        ({"mode": "bulk"}, ("mode", "mode_unknown")),
        ({"items": {"no_such_item": "x"}}, ("items", "item_unknown")),
        ({"applications": ("app-police-portal",)}, ("applications", "application_unknown")),
    ],
)
def test_a_request_with_a_missing_or_wrong_part_is_not_sent(city, missing, fault):
    lin = city.viewer("lin")
    with pytest.raises(FormRefused) as refused:
        submit_request(lin, city.wanted(**missing))
    assert fault in faults_of(refused)
    assert not Request.objects.exclude(state="draft").exists()
    assert audit_entries("request_submitted") == []
    # The same form with the part filled in is sent: nothing else was wrong with it.
    assert submit_request(lin, city.wanted()) == "R-2026-0001"


def test_all_faults_of_a_form_are_told_at_once(city):
    with pytest.raises(FormRefused) as refused:
        submit_request(city.viewer("lin"), replace(city.wanted(), duty=None, purpose="", applications=()))
    assert {field for field, _ in faults_of(refused)} == {"duty", "purpose", "applications"}


@pytest.mark.requirement("REQ-02", source="GZ16:4¶1")
def test_a_request_rests_on_a_registered_duty_of_the_requester_and_the_reviewer_sees_it(city):
    foreign = Duty.objects.get(department_id="440100-police", number=1).pk
    with pytest.raises(FormRefused) as refused:
        submit_request(city.viewer("lin"), city.wanted(duty=foreign))
    assert ("duty", "duty_unknown") in faults_of(refused)
    number = submit_request(city.viewer("lin"), city.wanted())
    case = request_case(city.viewer("chen"), number)
    assert case.duty_confirmed
    assert case.duty.text.zh == "公共租赁住房保障资格审核"


@pytest.mark.requirement("REQ-04", source="GZ16:35¶1")
def test_the_clock_of_ten_working_days_starts_at_submission_and_escalates(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    request = Request.objects.get(number=number)
    # From Thursday 12 November ten working days; no holiday lies between.
    [running] = clocks_of("request", [number])[number]
    assert (running.deadline, running.due_on, running.holder) == (
        "reply",
        date(2026, 11, 25),
        "440100-health",
    )
    assert not running.provisional
    with clock.fixed(NOW + timedelta(days=14)):
        assert clock.today() == date(2026, 11, 25)
        assert escalate_overdue() == 0, "the due date itself is still in time"
    with clock.fixed(NOW + timedelta(days=15)):
        assert escalate_overdue() == 1
        assert escalate_overdue() == 0, "running the job again changes nothing"
    request.refresh_from_db()
    assert request.state == "negotiation"
    [(department, provider, actor, resource, _, case, outcome)] = audit_entries("request_escalated")
    assert (department, provider, resource, case) == ("440100-housing", "440100-health", BIRTH, number)
    assert (actor, outcome) == ("system:worker", "negotiation")
    told = set(Notification.objects.filter(code="negotiation_opened").values_list("department_id", flat=True))
    assert told == {"440100-housing", "440100-health", "440100-data"}


def test_a_due_date_in_a_year_without_calendar_is_provisional(city):
    with clock.fixed(NOW + timedelta(days=45)):
        number = submit_request(city.viewer("lin"), city.wanted())
    with clock.fixed(NOW + timedelta(days=46)):
        running = request_case(city.viewer("chen"), number).running
    assert running.provisional
    assert running.shown.state == "wait"


@pytest.mark.requirement("REQ-08", source="GZ16:35¶1")
def test_the_provider_finds_the_request_in_its_inbox_with_due_date_history_and_duty(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    chen = city.viewer("chen")
    [row] = inbox(chen).rows
    assert (row.number, row.state, row.item_count) == (number, "submitted", 2)
    assert row.clock.due_on == date(2026, 11, 25)
    assert row.clock.article.article == "35(1)"
    case = request_case(chen, number)
    assert [event.label.zh for event in case.history] == ["提交申请", "职权核对相符"]
    assert case.can_answer
    assert [item.reason for item in case.items] == ["核对家庭成员关系"] * 2
    assert task_list(chen).task_count == 1
    assert inbox(city.viewer("zhao")).rows == ()


@pytest.mark.requirement("REQ-09", source="GZ16:35¶1")
@pytest.mark.requirement("REQ-13", source="GZ16:35¶1")
def test_a_subset_is_granted_and_the_signed_grant_holds_exactly_what_was_approved(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    grant_number = answer_request(
        city.viewer("chen"),
        number,
        city.answer(
            decisions={"mother_name": True, "mother_citizen_id_number": False},
            refusal_reason="姓名已足以核验",
            match="all",
            valid_from=date(2026, 11, 12),
            valid_until=date(2027, 3, 31),
            applications=("app-housing-portal",),
        ),
    )
    [(document, signature, key_id, revoked)] = rows(
        'SELECT document, signature, key_id, revoked_at FROM exchange."grant" WHERE id = %s', grant_number
    )
    key = keys.load_signing_key(settings.CONFIG.grant_key_file).public_key()
    grant = verify_grant(document, bytes(signature), "ed25519", key)
    assert (grant.id, grant.request_no, key_id, revoked) == (grant_number, number, keys.key_id(key), None)
    assert (grant.resource, grant.department, grant.provider) == (BIRTH, "440100-housing", "440100-health")
    assert (grant.mode, grant.items, grant.match) == ("verify", ("mother_name",), "all")
    assert grant.applications == ("app-housing-portal",)
    assert (grant.valid_from, grant.valid_until) == (date(2026, 11, 12), date(2027, 3, 31))
    assert grant.purpose == "公租房亲子关系核验"
    decided = Request.objects.get(number=number)
    assert (decided.state, decided.granted_mode) == ("partly_approved", "verify")
    assert decided.decided_by.username == "chen"
    [(_, provider, actor, _, _, case, outcome)] = audit_entries("request_decided")
    assert (provider, actor, case, outcome) == ("440100-health", "account:chen", number, "partly_approved")
    [(consumer, provider, _, _, grant_id, case, outcome)] = audit_entries("grant_issued")
    assert (consumer, provider, grant_id) == ("440100-housing", "440100-health", grant_number)
    assert (case, outcome) == (number, "active")
    # The wide item was refused, so nothing of it reached the grant row either.
    assert Grant.objects.get(number=grant_number).fields == ["mother_name"]


@pytest.mark.requirement("REQ-13", source="GZ16:35¶1")
def test_what_a_grant_already_gives_is_not_reviewed_again_but_anything_wider_is(city):
    lin = city.viewer("lin")
    number = submit_request(lin, city.wanted())
    grant = answer_request(city.viewer("chen"), number, city.answer())
    narrower = city.wanted(items={"mother_name": "核对"}, wanted_until=date(2027, 6, 1))
    with pytest.raises(FormRefused) as refused:
        submit_request(lin, narrower)
    assert ("items", "already_granted") in faults_of(refused)
    assert grant in refused.value.faults[0].message.zh
    wider = city.wanted(items={"mother_name": "核对", "father_name": "核对"})
    assert submit_request(lin, wider) == "R-2026-0002"


@pytest.mark.requirement("REQ-11", source="GZ16:35¶1")
def test_a_refusal_needs_a_reason_which_the_requester_then_reads(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    chen = city.viewer("chen")
    no = {"mother_name": False, "mother_citizen_id_number": False}
    with pytest.raises(FormRefused) as refused:
        answer_request(chen, number, city.answer(decisions=no, refusal_reason="  "))
    assert ("refusal_reason", "reason_required") in faults_of(refused)
    with pytest.raises(FormRefused):
        answer_request(chen, number, city.answer(decisions=no, refusal_reasons={"mother_name": "x"}))
    assert audit_entries("request_decided") == []
    assert answer_request(chen, number, city.answer(decisions=no, refusal_reason="不属所述职权")) is None
    case = request_case(city.viewer("lin"), number)
    assert case.state == "refused"
    assert {item.refusal_reason for item in case.items} == {"不属所述职权"}
    assert not Grant.objects.exists()
    # Not even a slip in the code can store a refusal without its reason.
    with pytest.raises(IntegrityError), transaction.atomic():
        RequestItem.objects.filter(request__number=number).update(refusal_reason="")


@pytest.mark.requirement("REQ-15", source="GZ16:35¶1")
def test_the_requester_sees_state_due_dates_and_the_latest_day_of_provision(city):
    lin = city.viewer("lin")
    before = request_form(lin, BIRTH).forecast
    assert (before.reply_due_on, before.provide_due_on) == (date(2026, 11, 25), date(2026, 12, 2))
    number = submit_request(lin, city.wanted())
    [row] = my_requests(lin).rows
    assert (row.number, row.state_label.zh, row.clock.due_on) == (number, "待答复", date(2026, 11, 25))
    case = request_case(lin, number)
    assert case.provide_forecast == before
    steps = {step.key: step for step in case.steps}
    assert [key for key, step in steps.items() if step.status == "done"] == ["submit", "duty"]
    assert steps["approve"].status == "current"
    assert steps["provide"].due_on == date(2026, 11, 18), "if it were approved today"
    assert [step.status for step in case.steps[-5:]] == ["dispute"] * 5
    assert "10个工作日" in "".join(steps["approve"].article.paragraphs)
    assert steps["approve"].start_rule is not None, "what the text leaves open is not set in its voice"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"valid_until": None}, "valid_until"),
        ({"valid_until": date(2026, 11, 10)}, "valid_until"),
        ({"valid_until": date(2027, 11, 12)}, "valid_until"),
        ({"mode": "query"}, "mode"),
        ({"match": "some"}, "match"),
        ({"applications": ("app-police-portal",)}, "applications"),
        ({"applications": ()}, "applications"),
        ({"decisions": {"mother_name": True, "father_name": True}, "refusal_reason": "x"}, "decisions"),
    ],
)
def test_an_answer_never_gives_more_than_was_asked_for(city, changes, fault):
    number = submit_request(city.viewer("lin"), city.wanted())
    chen = city.viewer("chen")
    with pytest.raises(FormRefused) as refused:
        answer_request(chen, number, city.answer(**changes))
    assert fault in {field for field, _ in faults_of(refused)}
    assert not Grant.objects.exists()
    assert Request.objects.get(number=number).state == "submitted"
    assert answer_request(chen, number, city.answer()) == "G-2026-0001"


def test_a_second_answer_is_refused_and_changes_nothing(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    answer_request(city.viewer("chen"), number, city.answer())
    with pytest.raises(AlreadyDecided):
        answer_request(city.viewer("gong"), number, city.answer())
    assert Grant.objects.count() == 1
    assert len(audit_entries("request_decided")) == 1


def test_a_disputed_refusal_can_be_answered_once_more(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    no = {"mother_name": False, "mother_citizen_id_number": False}
    answer_request(city.viewer("chen"), number, city.answer(decisions=no, refusal_reason="先核姓名"))
    with pytest.raises(ReasonRequired):
        dispute_request(city.viewer("lin"), number, " ")
    dispute_request(city.viewer("lin"), number, "同名者多，须核对号码")
    assert [outcome for *_, outcome in audit_entries("request_disputed")] == ["negotiation"]
    grant = answer_request(city.viewer("chen"), number, city.answer())
    assert Grant.objects.get(number=grant).fields == ["mother_name", "mother_citizen_id_number"]
    assert request_case(city.viewer("lin"), number).grants == (grant,)
    assert len(audit_entries("request_decided")) == 2


def test_withdrawing_ends_an_open_request_for_good(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    withdraw_request(city.viewer("lin"), number)
    assert [outcome for *_, outcome in audit_entries("request_withdrawn")] == ["withdrawn"]
    with pytest.raises(TransitionRefused):
        answer_request(city.viewer("chen"), number, city.answer())
    with pytest.raises(TransitionRefused):
        withdraw_request(city.viewer("lin"), number)


def test_a_draft_is_kept_as_it_is_and_seen_by_its_writer_only(city):
    lin = city.viewer("lin")
    first = save_draft(lin, city.wanted(purpose="", items={"mother_name": ""}))
    assert save_draft(lin, city.wanted(purpose="写到一半")) == first
    form = request_form(lin, BIRTH)
    assert (form.draft, form.purpose) == (first, "写到一半")
    assert request_form(city.viewer("hou"), BIRTH).draft is None
    assert my_requests(city.viewer("hou")).rows == ()
    assert inbox(city.viewer("chen")).rows == ()
    assert submit_request(lin, city.wanted()) == "R-2026-0001"
    assert Request.objects.count() == 1


# Which answer each role gets for each action, by state of the request. "404" does not tell that it exists,
# "403" and "409" go to those who may see it; "ok" is done.
MATRIX = {
    # account: (read, answer submitted, answer approved, withdraw submitted, withdraw approved, inbox)
    "lin": ("ok", "403", "403", "ok", "409", "404"),
    "hou": ("ok", "403", "403", "ok", "409", "ok"),
    "tan": ("404", "404", "404", "404", "404", "404"),
    "chen": ("ok", "ok", "409", "403", "403", "ok"),
    "gong": ("ok", "ok", "409", "403", "403", "ok"),
    "bai": ("ok", "403", "403", "403", "403", "404"),
    "wu": ("404", "404", "404", "404", "404", "404"),
    "zhao": ("404", "404", "404", "404", "404", "ok"),
    "zheng": ("ok", "403", "403", "403", "403", "404"),
    "zhou": ("ok", "403", "403", "403", "403", "404"),
    "ma": ("404", "404", "404", "404", "404", "404"),
}


def outcome_of(act) -> str:
    """What a person gets: ok, or the status of the refusal."""
    try:
        with transaction.atomic():
            act()
    except NotFound:
        return "404"
    except ShuqiaoError as error:
        assert isinstance(error, PermissionDenied) == (error.status == 403)
        return str(error.status)
    return "ok"


@pytest.mark.parametrize("state", ["submitted", "approved"])
@pytest.mark.parametrize("username", MATRIX)
def test_role_by_action_by_state(city, username, state):
    number = submit_request(city.viewer("lin"), city.wanted())
    if state == "approved":
        answer_request(city.viewer("chen"), number, city.answer())
    decided = len(audit_entries("request_decided"))
    viewer = city.viewer(username)
    read, answer_open, answer_done, withdraw_open, withdraw_done, lists = MATRIX[username]
    assert outcome_of(lambda: request_case(viewer, number)) == read
    assert outcome_of(lambda: inbox(viewer)) == lists
    withdraw = withdraw_open if state == "submitted" else withdraw_done
    answer = answer_open if state == "submitted" else answer_done
    with transaction.atomic():
        assert outcome_of(lambda: withdraw_request(viewer, number)) == withdraw
        transaction.set_rollback(True)
    assert outcome_of(lambda: answer_request(viewer, number, city.answer())) == answer
    assert len(audit_entries("request_decided")) == decided + (answer == "ok")
    assert RequestEvent.objects.filter(decides=True).count() == decided + (answer == "ok")


def test_an_unknown_number_and_a_foreign_request_are_the_same_to_a_stranger(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    stranger = city.viewer("zhao")
    answers = []
    for asked in (number, "R-2026-9999"):
        with pytest.raises(NotFound) as refused:
            request_case(stranger, asked)
        answers.append((type(refused.value), refused.value.args))
    assert answers[0] == answers[1]


def test_the_audit_body_names_items_and_article_and_no_person(city):
    submit_request(city.viewer("lin"), city.wanted())
    [(body,)] = rows("SELECT body FROM audit.entry WHERE event = 'request_submitted'")
    content = msgspec.json.decode(body)
    assert content["items"] == ["mother_citizen_id_number", "mother_name"]
    assert content["articles"] == ["guangzhou-2016 art. 35(1)"]
