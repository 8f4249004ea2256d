"""Steps that need no code of their own, disputes that come back to a request, what the database keeps."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound, Viewer
from shuqiao.control.accounts.models import Account
from shuqiao.control.clocks.queries import clocks_of
from shuqiao.control.disputes import actions as disputes
from shuqiao.control.disputes.inputs import StepInput as DisputeStep
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.grants.models import Grant
from shuqiao.control.operations.tasks import task_list
from shuqiao.control.regulations import files
from shuqiao.control.requests.actions import (
    dispute_request,
    escalate_overdue,
    submit_request,
    take_step,
    withdraw_request,
)
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.granting import is_provided
from shuqiao.control.requests.inputs import StepInput
from shuqiao.control.requests.models import Proposal, Request, RequestEvent
from shuqiao.control.requests.pages import inbox, my_requests, request_case
from shuqiao.control.requests.replies import reply_statistics
from shuqiao.rules.errors import PermissionDenied, ReasonRequired, ShuqiaoError, TransitionRefused

from .conftest import NOW, City, audit_entries

MADE_UP = "yunxi-2030"
HERE = Path(__file__).parent.parent / "rules" / "seventh_city"
NO = {"mother_name": False, "mother_citizen_id_number": False}


@pytest.fixture
def seventh(city, settings, monkeypatch, tmp_path) -> Iterator[City]:
    """The seeded city under the made-up regulation: a file nobody wrote code for."""
    folder = tmp_path / "regulations"
    shutil.copytree(files.regulations_dir(), folder)
    shutil.copy(HERE / f"{MADE_UP}.yaml", folder)
    shutil.copy(HERE / f"{MADE_UP}.txt", folder / "texts")
    monkeypatch.setattr(files, "regulations_dir", lambda: folder)
    settings.CONFIG = replace(configured.CONFIG, regulation=MADE_UP)
    Account.objects.filter(role="clerk").update(role="desk")
    Account.objects.filter(role="sharing_officer").update(role="data_officer")
    Account.objects.filter(role="leader").update(role="head")
    yield city
    files.load_regulation.cache_clear()
    files.load_articles.cache_clear()


def refused(act) -> ShuqiaoError:
    """The refusal of an act that writes nothing."""
    with pytest.raises(ShuqiaoError) as error, transaction.atomic():
        act()
    return error.value


def reply_of(number: str) -> tuple[str, date, int]:
    """State, last day and round of the newest clock of the reply."""
    newest = [one for one in clocks_of("request", [number])[number] if one.deadline == "reply"][-1]
    return newest.state, newest.due_on, newest.round


def offered(viewer: Viewer, number: str) -> list[str]:
    """What the case page offers as plain buttons."""
    return [offer.action for offer in request_case(viewer, number).offers]


def test_a_city_that_extends_pauses_and_restarts_terms_needs_no_code(seventh):
    city = seventh
    lin, chen = city.viewer("lin"), city.viewer("chen")
    number = submit_request(lin, city.wanted(wanted_until=date(2027, 6, 1)))
    assert request_case(lin, number).state_label.zh == "待受理"
    assert offered(chen, number) == ["accept"] and offered(lin, number) == []
    take_step(chen, number, "accept", StepInput())
    # The day itself counts there: eight working days from Wednesday the 11th end on Friday the 20th.
    assert reply_of(number) == ("running", date(2026, 11, 20), 1)
    assert {"extend", "ask_others", "return_for_completion"} <= set(offered(chen, number))
    [consent] = next(o for o in request_case(chen, number).offers if o.action == "extend").fields
    assert (consent.key, consent.kind) == ("consent", "yes")

    assert refused(lambda: take_step(chen, number, "extend", StepInput())).code == "field_required"
    take_step(chen, number, "extend", StepInput(consent=True))
    take_step(chen, number, "extend", StepInput(consent=True))
    assert reply_of(number) == ("running", date(2026, 12, 2), 1)
    third = refused(lambda: take_step(chen, number, "extend", StepInput(consent=True)))
    assert third.code == "transition_refused" and "4¶3" in (third.rule or "")

    take_step(chen, number, "ask_others", StepInput())
    assert reply_of(number)[0] == "paused"
    with clock.fixed(NOW + timedelta(days=60)):
        assert escalate_overdue() == 0, "a term that stands still does not run out"
    with clock.fixed(NOW + timedelta(days=7)):
        take_step(chen, number, "others_answered", StepInput())
        assert reply_of(number) == ("running", date(2026, 12, 9), 1)
        assert refused(lambda: take_step(chen, number, "return_for_completion", StepInput())).code == (
            "reason_required"
        )
        take_step(chen, number, "return_for_completion", StepInput(reason="请补充办件说明"))
    assert [task.reference for group in task_list(lin).groups for task in group.tasks] == [number]
    assert isinstance(refused(lambda: take_step(chen, number, "complete", StepInput())), PermissionDenied)
    with clock.fixed(NOW + timedelta(days=12)):
        take_step(lin, number, "complete", StepInput())
        assert reply_of(number) == ("running", date(2026, 12, 2), 2)
        assert answer_request(chen, number, city.answer(valid_until=date(2027, 6, 1))) is None
        grant = take_step(city.viewer("gong"), number, "confirm", StepInput())
    assert Grant.objects.get(number=grant).phase == "granted"
    labels = [event.label.zh for event in request_case(lin, number).history]
    assert labels[0] == "提交" and {"受理", "延长期限", "退回补正", "复核通过"} <= set(labels)
    assert len(audit_entries("request_step")) == 8


def test_steps_with_a_form_of_their_own_and_unknown_ones_are_no_plain_steps(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    chen = city.viewer("chen")
    for action in ("approve", "approve_part", "refuse", "submit"):
        with pytest.raises(NotFound):
            take_step(chen, number, action, StepInput(reason="x"))
    for action in ("settle_no", "escalate", "no_such_step", "'; DROP TABLE"):
        assert refused(lambda act=action: take_step(chen, number, act, StepInput())).status == 403
    assert Request.objects.get(number=number).phase == "waiting"


@pytest.mark.requirement("REQ-12", source="GZ16:35¶1")
def test_what_a_dispute_decides_comes_back_to_the_request(city):
    lin, chen, zheng = city.viewer("lin"), city.viewer("chen"), city.viewer("zheng")
    number = submit_request(lin, city.wanted())
    answer_request(chen, number, city.answer(decisions=NO, refusal_reason="不属所述职权"))
    dispute_request(lin, number, "同名者多，须核对号码")
    dispute = Dispute.objects.get(case_number=number)
    assert (dispute.reason, dispute.article) == ("同名者多，须核对号码", "guangzhou-2016 art. 35(1)")
    agreed = DisputeStep(minutes="双方到会", result="同意提供姓名", shared=True)
    disputes.take_step(zheng, dispute.number, "agree", agreed)
    request = Request.objects.get(number=number)
    assert (request.phase, request.must_share) == ("disputed", dispute.number)
    case = request_case(chen, number)
    assert case.can_answer and not case.can_refuse and case.must_share == dispute.number
    assert not is_provided(number)
    grant = answer_request(chen, number, city.answer())
    assert is_provided(number) and Grant.objects.get(number=grant).round == 2

    other = submit_request(lin, city.wanted(items={"father_name": "核对"}))
    answer_request(chen, other, city.answer(decisions={}, refusal_reason="不属所述职权"))
    dispute_request(lin, other, "需要")
    ended = DisputeStep(minutes="双方到会", result="不共享", shared=False)
    disputes.take_step(zheng, Dispute.objects.get(case_number=other).number, "agree", ended)
    request = Request.objects.get(number=other)
    assert (request.state, request.must_share) == ("settled_no", "")
    with pytest.raises(TransitionRefused):
        dispute_request(lin, other, "再次")
    assert [step.status for step in request_case(lin, other).steps[-5:]] == ["dispute"] * 5


def test_a_request_taken_back_in_dispute_takes_the_dispute_with_it(city):
    lin = city.viewer("lin")
    number = submit_request(lin, city.wanted())
    with clock.fixed(NOW + timedelta(days=15)):
        escalate_overdue()
        assert [step.status for step in request_case(lin, number).steps].count("current") == 1
        withdraw_request(lin, number)
    assert Request.objects.get(number=number).phase == "closed"
    assert Dispute.objects.get(case_number=number).final
    assert all(not one.is_open for one in clocks_of("request", [number])[number])


def test_the_database_itself_keeps_a_request_from_being_half_written(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    found = Request.objects.filter(number=number)
    wrong = (
        {"phase": "granted"},
        {"phase": "refused"},
        {"phase": "unheard_of"},
        {"phase": "draft"},
        {"number": None},
        {"submitted_at": None},
        {"duty": None},
        {"purpose": ""},
        {"wanted_until": None},
        {"decided_by": city.viewer("chen").account_id},
        {"requester": "440100-health"},
    )
    for fields in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            found.update(**fields)
    event = RequestEvent.objects.get(request__number=number, code="submit")
    for twice in ({"code": "submit"}, {"account": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            RequestEvent.objects.filter(pk=event.pk).update(**twice) if "account" in twice else (
                RequestEvent.objects.create(
                    request=found.get(), code="submit", from_state="", to_state="", occurred_at=NOW
                )
            )
    base = {
        "request": found.get(),
        "round": 1,
        "action": "x",
        "to_state": "y",
        "answer": {},
        "proposed_at": NOW,
    }
    chen = city.viewer("chen").account_id
    Proposal.objects.create(**base, proposed_by_id=chen)
    for another in (
        {},
        {"outcome": "confirmed", "closed_at": NOW, "closed_by_id": chen},
        {"outcome": "sent_back", "closed_at": NOW, "closed_by_id": chen},
        {"outcome": "dropped"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Proposal.objects.create(**base, proposed_by_id=chen, **another)


@pytest.mark.requirement("REQ-16", source="SY:4(3)")
@pytest.mark.requirement("REQ-16", source="GZ16:42(4)")
def test_open_requests_and_mean_and_longest_time_of_reply_are_counted_by_provider(city):
    lin, chen = city.viewer("lin"), city.viewer("chen")
    items = ("mother_name", "father_name", "sex", "birth_date")
    numbers = [submit_request(lin, city.wanted(items={item: "核对"})) for item in items]
    for number, item, days in zip(numbers, items, (2, 20), strict=False):
        with clock.fixed(NOW + timedelta(days=days)):
            answer_request(chen, number, city.answer(decisions={item: True}))
    withdraw_request(lin, numbers[2])
    with clock.fixed(NOW + timedelta(days=20)):
        page = reply_statistics(city.viewer("zheng"), 2026)
        assert reply_statistics(city.viewer("zhou"), 1999).year == 2021
    [row] = page.rows
    assert (row.provider.code, row.open, row.overdue) == ("440100-health", 1, 1)
    # Answered after 2 and after 14 working days; the second was late, the withdrawn one counts nowhere.
    assert (row.answered, row.late, row.mean_days, row.longest_days) == (2, 1, 8.0, 14)
    assert (page.answered, page.mean_days, page.longest_days) == (2, 8.0, 14)
    for username in ("lin", "chen", "wu"):
        with pytest.raises(NotFound):
            reply_statistics(city.viewer(username), 2026)


def signed_in(username: str) -> Client:
    """A browser in which somebody has signed in."""
    client = Client()
    client.force_login(Account.objects.get(username=username))
    return client


@pytest.mark.requirement("REQ-10", source="SY:20(4)¶2")
@pytest.mark.requirement("REQ-06", source="SY:20(4)")
def test_the_pages_of_a_paper_form_and_a_leaders_approval(city, settings):
    settings.CONFIG = replace(configured.CONFIG, regulation="shenyang-2016")
    number = submit_request(city.viewer("lin"), city.wanted())
    lin, chen, gong = signed_in("lin"), signed_in("chen"), signed_in("gong")
    assert "请打印申请表" in lin.get(f"/requests/{number}/").content.decode()
    form = lin.get(f"/requests/{number}/form/").content.decode()
    for words in ("公租房亲子关系核验", "母亲姓名", "公共租赁住房保障资格审核", "申请单位盖章", number):
        assert words in form
    step = f"/requests/{number}/steps/receive_form"
    page = chen.post(step, {})
    assert page.status_code == 422 and 'id="receive_form:received_on-error"' in page.content.decode()
    assert chen.post(step, {"receive_form:received_on": "2026-11-12"}).status_code == 422
    assert lin.post(step, {"receive_form:received_on": "2026-11-11"}).status_code == 403
    assert chen.post(step, {"receive_form:received_on": "2026-11-11"}).status_code == 302
    assert "待主管领导" not in chen.get(f"/requests/{number}/").content.decode().split("<main")[0]
    answer = {
        "decision": "grant",
        "granted": ["mother_name", "mother_citizen_id_number"],
        "mode": "verify",
        "match": "each",
        "applications": ["app-housing-portal"],
        "valid_from": "2026-11-11",
        "valid_until": "2027-11-11",
    }
    assert chen.post(f"/requests/{number}/answer", answer).status_code == 302
    page = gong.get(f"/requests/{number}/").content.decode()
    assert "拟同意" in page and f"/requests/{number}/steps/confirm" in page
    assert f"/requests/{number}/steps/confirm" not in chen.get(f"/requests/{number}/").content.decode()
    back = gong.post(f"/requests/{number}/steps/send_back", {})
    assert back.status_code == 422 and 'id="send_back:reason-error"' in back.content.decode()
    assert chen.post(f"/requests/{number}/steps/confirm", {}).status_code == 403
    assert gong.post(f"/requests/{number}/steps/confirm", {}).status_code == 302
    assert Grant.objects.filter(request_number=number).count() == 1
    assert gong.post(f"/requests/{number}/steps/confirm", {}).status_code == 409
    assert signed_in("zhao").post(f"/requests/{number}/steps/confirm", {}).status_code == 404


def test_grant_pages_suspend_resume_and_renew(city):
    number = submit_request(city.viewer("lin"), city.wanted())
    grant = answer_request(city.viewer("chen"), number, city.answer())
    chen, lin = signed_in("chen"), signed_in("lin")
    assert chen.post(f"/grants/{grant}/suspend", {}).status_code == 422
    assert chen.post(f"/grants/{grant}/suspend", {"pause_reason": "数据核查"}).status_code == 302
    assert "数据核查" in lin.get(f"/grants/{grant}/").content.decode()
    assert lin.post(f"/grants/{grant}/resume").status_code == 404
    assert chen.post(f"/grants/{grant}/resume").status_code == 302
    assert lin.post(f"/grants/{grant}/renew")["Location"].startswith("/requests/new/?resource=")
    draft = lin.get(lin.post(f"/grants/{grant}/renew")["Location"].replace("step=3", "step=5"))
    assert grant in draft.content.decode()
    assert chen.post(f"/grants/{grant}/renew").status_code == 404
    assert signed_in("zheng").get("/replies/?year=2026").status_code == 200
    assert signed_in("lin").get("/replies/").status_code == 404


def queries_of(read) -> int:
    """How many questions a page asks the database; the calendar is asked for anew every few seconds."""
    with CaptureQueriesContext(connection) as asked:
        read()
    return sum("regulations_calendar" not in query["sql"] for query in asked.captured_queries)


def test_lists_tasks_and_badges_ask_as_many_questions_for_fifty_requests_as_for_five(city):
    lin, chen, zheng = city.viewer("lin"), city.viewer("chen"), city.viewer("zheng")
    reads = (
        lambda: my_requests(lin),
        lambda: inbox(chen),
        lambda: task_list(chen),
        lambda: task_list(lin),
        lambda: signed_in_page("chen", "/requests/inbox/"),
        lambda: signed_in_page("chen", "/"),
        lambda: reply_statistics(zheng, 2026),
    )
    clients["chen"] = signed_in("chen")
    wanted = city.wanted()
    for _ in range(5):
        submit_request(lin, wanted)
    for read in reads:
        # What is kept for the life of the process is asked for once.
        read()
    few = [queries_of(read) for read in reads]
    for _ in range(45):
        submit_request(lin, wanted)
    many = [queries_of(read) for read in reads]
    assert all(after <= before for after, before in zip(many, few, strict=True)), (few, many)
    assert max(few) < 60


clients: dict[str, Client] = {}


def signed_in_page(username: str, address: str) -> None:
    """A page as a browser asks for it."""
    assert clients[username].get(address).status_code == 200


def test_a_reason_that_is_too_long_or_missing_is_named_and_nothing_is_written(city):
    lin = city.viewer("lin")
    number = submit_request(lin, city.wanted())
    answer_request(city.viewer("chen"), number, city.answer(decisions=NO, refusal_reason="样例"))
    before = RequestEvent.objects.count()
    with pytest.raises(FormRefused) as faults, transaction.atomic():
        dispute_request(lin, number, "长" * 501)
    assert [(fault.field, fault.code) for fault in faults.value.faults] == [("reason", "too_long")]
    with pytest.raises(ReasonRequired), transaction.atomic():
        dispute_request(lin, number, "")
    assert RequestEvent.objects.count() == before and not Dispute.objects.exists()
