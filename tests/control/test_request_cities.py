"""One request under each city's rules: how it is answered, when, by whom, and what is shared at once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.conf import settings as configured
from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Notification
from shuqiao.control.catalogue.models import Item, Resource, Sharing
from shuqiao.control.clocks.queries import clocks_of
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.grants.models import Grant
from shuqiao.control.operations.tasks import task_list
from shuqiao.control.organisations.models import Duty
from shuqiao.control.requests.actions import escalate_overdue, submit_request, take_step
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.granting import open_begun
from shuqiao.control.requests.inputs import StepInput
from shuqiao.control.requests.models import Proposal, Request
from shuqiao.control.requests.pages import inbox, request_case, request_form
from shuqiao.rules.errors import BY_CODE, ReasonRequired, ShuqiaoError, TransitionRefused
from shuqiao.rules.regulation import Phase

from .conftest import BIRTH, HOUSEHOLD, NOW, City, audit_entries

CITIES = ("guangzhou-2016", "guangzhou-2019", "xiamen-2015", "shenyang-2016")
OPEN_ITEMS = {"sex": "核对性别", "household_status": "核对户籍状态"}
"""Base items of 户籍登记: shared with all where a city knows such a type."""

Under = Callable[[str], City]


@pytest.fixture
def under(city, settings) -> Under:
    """Run the seeded city under another regulation; 2019 takes what it leaves unknown from 2016."""

    def switch(name: str) -> City:
        fallback = None if name == "guangzhou-2016" else "guangzhou-2016"
        settings.CONFIG = replace(configured.CONFIG, regulation=name, regulation_fallback=fallback)
        return city

    return switch


def sent(city: City, **changes) -> str:
    """A request of housing that has reached the state in which it can be answered."""
    number = submit_request(city.viewer("lin"), city.wanted(**changes))
    if any(offer.action == "receive_form" for offer in request_case(city.viewer("chen"), number).offers):
        take_step(city.viewer("chen"), number, "receive_form", StepInput(received_on=clock.today()))
    return number


def answered(city: City, number: str, **changes) -> str | None:
    """The answer of health, confirmed by its leader where the city wants that."""
    grant = answer_request(city.viewer("chen"), number, city.answer(**changes))
    if Request.objects.get(number=number).phase in ("granted", "refused"):
        return grant
    return take_step(city.viewer("gong"), number, "confirm", StepInput())


def refusal(act: Callable[[], object]) -> ShuqiaoError:
    """The refusal of an act that must write nothing."""
    with pytest.raises(ShuqiaoError) as refused, transaction.atomic():
        act()
    return refused.value


# City: working days of the reply, when it starts, its last day from 11 November 2026, days of provision.
TERMS = {
    "guangzhou-2016": (10, date(2026, 11, 25), 5),
    "guangzhou-2019": (10, date(2026, 11, 25), 5),
    "xiamen-2015": (5, date(2026, 11, 18), None),
    "shenyang-2016": (7, date(2026, 11, 20), None),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("guangzhou-2016", marks=pytest.mark.requirement("REQ-04", source="GZ16:35¶1")),
        pytest.param("guangzhou-2019"),
        pytest.param("xiamen-2015", marks=pytest.mark.requirement("REQ-05", source="XM:12(2)")),
        pytest.param("shenyang-2016", marks=pytest.mark.requirement("REQ-06", source="SY:20(4)")),
    ],
)
def test_the_reply_has_the_term_of_the_city(under, name):
    city, (days, due_on, provision) = under(name), TERMS[name]
    before = request_form(city.viewer("lin"), BIRTH).forecast
    assert (before.reply_days, before.reply_due_on) == (days, due_on)
    assert (before.provide_due_on is None) == (provision is None)
    number = sent(city)
    [running] = clocks_of("request", [number])[number]
    assert (running.deadline, running.state, running.due_on) == ("reply", "running", due_on)
    assert running.due.working_days == days
    [row] = inbox(city.viewer("chen")).rows
    assert row.clock.due_on == due_on and row.clock.article.article
    answered(city, number)
    met = {one.deadline: one.state for one in clocks_of("request", [number])[number]}
    assert met == ({"reply": "met", "provide": "met"} if provision else {"reply": "met"})


@pytest.mark.requirement("REQ-06", source="SY:20(4)")
def test_the_paper_form_starts_the_clock_on_the_day_it_was_received(under):
    city = under("shenyang-2016")
    lin, chen = city.viewer("lin"), city.viewer("chen")
    number = submit_request(lin, city.wanted())
    case = request_case(lin, number)
    assert case.prints_form and case.state_label.zh == "待收书面申请"
    assert case.clocks == (), "no term runs before the written application"
    assert request_form(lin, BIRTH).forecast.starts_with.zh == "登记收到书面申请"
    with pytest.raises(TransitionRefused):
        answer_request(chen, number, city.answer())
    with clock.fixed(NOW + timedelta(days=6)):
        today = clock.today()
        for impossible in (today + timedelta(days=1), date(2026, 11, 10)):
            with pytest.raises(FormRefused) as refused, transaction.atomic():
                take_step(chen, number, "receive_form", StepInput(received_on=impossible))
            assert [fault.field for fault in refused.value.faults] == ["received_on"]
        missing = refusal(lambda: take_step(chen, number, "receive_form", StepInput()))
        assert missing.code == "field_required" and "20(4)" in (missing.rule or "")
        # Recorded on Tuesday, received on Friday: the seven working days count from Friday.
        take_step(chen, number, "receive_form", StepInput(received_on=date(2026, 11, 13)))
    [running] = clocks_of("request", [number])[number]
    assert (running.starts_on, running.due_on) == (date(2026, 11, 13), date(2026, 11, 24))
    assert Request.objects.get(number=number).form_received_on == date(2026, 11, 13)
    assert len(audit_entries("request_step")) == 1
    for username in ("lin", "bai", "zheng"):
        outsider = refusal(
            lambda who=username: take_step(
                city.viewer(who), number, "receive_form", StepInput(received_on=today)
            )
        )
        assert outsider.code == "permission_denied"


@pytest.mark.requirement("REQ-10", source="SY:20(4)¶2")
def test_an_answer_goes_out_only_when_another_person_of_the_provider_has_confirmed_it(under):
    city = under("shenyang-2016")
    number = sent(city)
    chen, gong = city.viewer("chen"), city.viewer("gong")
    partly = {"mother_name": True, "mother_citizen_id_number": False}
    assert answer_request(chen, number, city.answer(decisions=partly, refusal_reason="姓名已足")) is None
    assert not Grant.objects.exists(), "a proposal gives nothing"
    assert audit_entries("request_decided") == []
    waiting = request_case(city.viewer("lin"), number)
    assert waiting.state_label.zh == "待主管领导审核" and waiting.proposals == ()
    assert [item.granted for item in waiting.items] == [None, None], "the requester does not see it yet"
    [proposal] = request_case(gong, number).proposals
    assert (proposal.by, [str(name.zh) for name in proposal.grants.items]) == ("chen", ["母亲姓名"])
    assert [task.reference for group in task_list(gong).groups for task in group.tasks] == [number]
    assert task_list(chen).task_count == 0

    assert refusal(lambda: take_step(chen, number, "confirm", StepInput())).code == "permission_denied"
    again = refusal(lambda: answer_request(chen, number, city.answer()))
    assert isinstance(again, TransitionRefused)
    assert refusal(lambda: take_step(gong, number, "send_back", StepInput())).code == "reason_required"
    take_step(gong, number, "send_back", StepInput(reason="请说明号码的必要性"))
    assert Request.objects.get(number=number).phase == "waiting"
    assert request_case(chen, number).proposals[0].reason == "请说明号码的必要性"

    # Whoever may do both still can't confirm what they have proposed themselves.
    both = replace(gong, capabilities=gong.capabilities | {"request_answer"})
    assert answer_request(both, number, city.answer()) is None
    own = refusal(lambda: take_step(both, number, "confirm", StepInput()))
    assert own.code == "second_person_required" and "20¶2" in (own.rule or "")
    take_step(gong, number, "send_back", StepInput(reason="由经办人提出"))
    answer_request(chen, number, city.answer(decisions=partly, refusal_reason="姓名已足"))
    with clock.fixed(NOW + timedelta(days=1)):
        grant = take_step(gong, number, "confirm", StepInput())
    held = Grant.objects.get(number=grant)
    assert (held.fields, held.valid_from) == (["mother_name"], date(2026, 11, 12))
    decided = Request.objects.get(number=number)
    assert (decided.state, decided.decided_by.username) == ("partly_approved", "gong")
    [(_, _, actor, _, _, case, outcome)] = audit_entries("request_decided")
    assert (actor, case, outcome) == ("account:gong", number, "partly_approved")
    outcomes = Proposal.objects.filter(request=decided).values_list("outcome", flat=True)
    assert list(outcomes) == ["sent_back", "sent_back", "confirmed"]
    last = Proposal.objects.filter(request=decided, outcome="confirmed")
    with pytest.raises(IntegrityError), transaction.atomic():
        last.update(closed_by=city.viewer("chen").account_id)


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("guangzhou-2016", False),
        pytest.param("guangzhou-2019", False),
        pytest.param("xiamen-2015", True, marks=pytest.mark.requirement("REQ-03", source="XM:12(1)")),
        pytest.param("shenyang-2016", True, marks=pytest.mark.requirement("REQ-03", source="SY:20(3)")),
    ],
)
def test_information_open_to_all_is_granted_at_once_and_signed_by_the_platform(under, name, shared):
    city = under(name)
    lin = city.viewer("lin")
    number = submit_request(lin, city.wanted(resource=HOUSEHOLD, items=OPEN_ITEMS, mode="query"))
    request = Request.objects.get(number=number)
    if not shared:
        assert request.phase == "waiting" and not Grant.objects.exists()
        return
    assert (request.phase, request.decided_by) == ("granted", None)
    grant = Grant.objects.get(request_number=number)
    assert (sorted(grant.fields), grant.mode) == (["household_status", "sex"], "query")
    assert (grant.valid_from, grant.valid_until) == (date(2026, 11, 11), date(2027, 11, 11))
    assert '"issued_by":"platform"' in grant.document
    assert grant.opened_at is not None
    assert [entry[2] for entry in audit_entries("request_decided")] == ["system:platform"]
    assert [item.granted for item in request_case(lin, number).items] == [True, True]
    assert Notification.objects.filter(code="request_answered", reference=number).count() == 1


@pytest.mark.requirement("REQ-03", source="XM:12(1)")
@pytest.mark.parametrize("name", ["xiamen-2015", "shenyang-2016"])
def test_at_once_means_neither_incomplete_nor_wider_nor_sensitive(under, name):
    city = under(name)
    lin, open_type = city.viewer("lin"), {"xiamen-2015": "open", "shenyang-2016": "non_restricted"}[name]
    asked = {"resource": HOUSEHOLD, "items": OPEN_ITEMS}
    for missing in ({"duty": None}, {"purpose": ""}, {"accepted_conditions": ()}, {"applications": ()}):
        with pytest.raises(FormRefused):
            submit_request(lin, city.wanted(**asked, **missing))
    # The provider has published the status for comparing only: reading it can't be asked for.
    Item.objects.filter(resource_id=HOUSEHOLD, field="household_status").update(modes=["verify"])
    with pytest.raises(FormRefused) as refused:
        submit_request(lin, city.wanted(**asked, mode="query"))
    assert "items" in {fault.field for fault in refused.value.faults}
    assert not Grant.objects.exists()
    # An item that is open to all but tells more of a person than its grade allows is looked at first.
    ethnicity = Item.objects.get(resource_id=HOUSEHOLD, field="ethnicity")
    assert ethnicity.sensitivity == 2
    _share(ethnicity, open_type)
    mixed = submit_request(lin, city.wanted(resource=HOUSEHOLD, items={**OPEN_ITEMS, "ethnicity": "核对"}))
    assert Request.objects.get(number=mixed).phase == "waiting"
    assert not Grant.objects.exists()
    assert request_case(lin, submit_request(lin, city.wanted(**asked))).phase == "granted"


def _share(item: Item, share_type: str) -> None:
    resource = Resource.objects.get(id=item.resource_id)
    Sharing.objects.create(
        resource=resource,
        item=item,
        regulation=configured.CONFIG.regulation,
        share_type=share_type,
        openness=2,
        ground="样例",
        ground_rank="other",
        origin="initial",
        version=resource.version,
        set_at=NOW,
    )


def test_what_is_not_shared_at_all_cannot_be_asked_for_and_the_article_says_why(under):
    city = under("shenyang-2016")
    item = Item.objects.get(resource_id=BIRTH, field="mother_name")
    _share(item, "not_shared")
    Sharing.objects.filter(item=item).update(openness=0)
    with pytest.raises(FormRefused) as refused:
        submit_request(city.viewer("lin"), city.wanted())
    [fault] = refused.value.faults
    assert (fault.field, fault.code) == ("items", "not_shared")
    assert "第十条第四款" in fault.message.zh


@pytest.mark.requirement("REQ-01", source="SY:20(4)")
@pytest.mark.requirement("REQ-01", source="XM:12(2)")
@pytest.mark.parametrize("name", CITIES)
def test_every_city_refuses_a_request_that_leaves_out_what_its_law_wants_said(under, name):
    city = under(name)
    parts = {"items": {}, "duty": None, "purpose": "", "applications": (), "accepted_conditions": ()}
    for part, empty in {**parts, "wanted_until": None}.items():
        with pytest.raises(FormRefused) as refused:
            submit_request(city.viewer("lin"), city.wanted(**{part: empty}))
        fields = {fault.field for fault in refused.value.faults}
        assert {"accepted_conditions": "conditions"}.get(part, part) in fields
        assert all("依据：" in fault.message.zh for fault in refused.value.faults), "each names its rule"
    assert not Request.objects.exclude(phase="draft").exists()


@pytest.mark.requirement("REQ-02", source="SY:4(4)")
@pytest.mark.requirement("REQ-02", source="XM:5(2)")
@pytest.mark.requirement("REQ-02", source="GZ165:4(2)")
@pytest.mark.parametrize(
    ("name", "article"),
    [
        ("guangzhou-2016", "4(1)"),
        ("guangzhou-2019", "4(2)"),
        ("xiamen-2015", "5(2)"),
        ("shenyang-2016", "4(4)"),
    ],
)
def test_the_duty_is_checked_against_the_register_under_the_citys_own_article(under, name, article):
    city = under(name)
    foreign = Duty.objects.get(department_id="440100-police", number=1).pk
    with pytest.raises(FormRefused) as refused:
        submit_request(city.viewer("lin"), city.wanted(duty=foreign))
    assert ("duty", "duty_unknown") in {(fault.field, fault.code) for fault in refused.value.faults}
    case = request_case(city.viewer("chen"), sent(city))
    assert case.duty_confirmed and case.duty.ground
    assert (case.duty_article.regulation, case.duty_article.article) == (name, article)


@pytest.mark.requirement("REQ-09", source="SY:20(4)¶2")
@pytest.mark.requirement("REQ-09", source="XM:12(2)")
@pytest.mark.requirement("REQ-07", source="XM:12(2)")
@pytest.mark.requirement("REQ-07", source="SY:20(4)¶3")
@pytest.mark.requirement("REQ-13", source="XM:12(2)")
@pytest.mark.requirement("REQ-13", source="SY:20(4)¶2-3")
@pytest.mark.parametrize("name", CITIES)
def test_the_reviewer_decides_items_users_mode_purpose_and_period_and_access_opens(under, name):
    city = under(name)
    number = sent(city)
    grant = answered(
        city,
        number,
        decisions={"mother_name": True, "mother_citizen_id_number": False},
        refusal_reason="姓名已足以核验",
        applications=("app-housing-portal",),
        purpose="公租房资格核验",
        valid_until=date(2027, 3, 31),
    )
    held = Grant.objects.get(number=grant)
    assert (held.fields, held.mode, held.purpose) == (["mother_name"], "verify", "公租房资格核验")
    assert [one.id for one in held.applications.all()] == ["app-housing-portal"]
    assert (held.regulation, held.valid_until) == (name, date(2027, 3, 31))
    assert held.opened_at is not None, "access opens with the approval"
    case = request_case(city.viewer("lin"), number)
    assert {item.field: item.granted for item in case.items} == {
        "mother_name": True,
        "mother_citizen_id_number": False,
    }
    assert next(step for step in case.steps if step.key == "provide").status == "done"
    assert len(audit_entries("grant_opened")) == 1


@pytest.mark.requirement("REQ-07", source="GZ16:35¶1")
def test_provision_has_its_own_term_and_is_met_when_the_grant_comes_into_force(under):
    city = under("guangzhou-2016")
    number = sent(city)
    # Approved on 11 November: to be provided by the 18th, so access can't be promised for the 19th.
    with pytest.raises(FormRefused) as refused:
        answer_request(city.viewer("chen"), number, city.answer(valid_from=date(2026, 11, 19)))
    [fault] = refused.value.faults
    assert (fault.field, fault.code) == ("valid_from", "provision_late")
    assert "guangzhou-2016 art. 35(1)" in fault.message.zh
    answer_request(city.viewer("chen"), number, city.answer(valid_from=date(2026, 11, 16)))
    clocks = {one.deadline: one for one in clocks_of("request", [number])[number]}
    assert (clocks["provide"].state, clocks["provide"].due_on) == ("running", date(2026, 11, 18))
    steps = {step.key: step.status for step in request_case(city.viewer("lin"), number).steps}
    assert steps["provide"] == "current"
    assert open_begun() == 0
    with clock.fixed(NOW + timedelta(days=5)):
        assert (open_begun(), open_begun()) == (1, 0), "safe to run twice"
    [met] = [one for one in clocks_of("request", [number])[number] if one.deadline == "provide"]
    assert (met.state, met.ended_on) == ("met", date(2026, 11, 16))


@pytest.mark.requirement("REQ-11", source="XM:12(2)")
@pytest.mark.requirement("REQ-11", source="SY:20(4)")
@pytest.mark.parametrize("name", CITIES)
def test_a_refusal_without_a_reason_is_not_accepted_and_its_reason_is_shown(under, name):
    city = under(name)
    number = sent(city)
    no = {"mother_name": False, "mother_citizen_id_number": False}
    with pytest.raises(FormRefused) as refused:
        answer_request(city.viewer("chen"), number, city.answer(decisions=no))
    assert {fault.code for fault in refused.value.faults} == {"reason_required"}
    assert Request.objects.get(number=number).phase == "waiting"
    assert answered(city, number, decisions=no, refusal_reason="不属所述职权") is None
    case = request_case(city.viewer("lin"), number)
    assert case.phase == "refused"
    assert {item.refusal_reason for item in case.items} == {"不属所述职权"}


@pytest.mark.requirement("REQ-12", source="GZ16:35¶1")
@pytest.mark.requirement("REQ-12", source="XM:20(2)")
@pytest.mark.requirement("REQ-12", source="SY:27(1)")
@pytest.mark.requirement("DIS-01", source="GZ16:35¶1")
@pytest.mark.parametrize("name", CITIES)
def test_an_answer_not_given_in_time_opens_a_dispute_by_itself(under, name):
    city = under(name)
    number = sent(city)
    last = TERMS[name][1]
    with clock.fixed(NOW + (last - clock.today())):
        assert escalate_overdue() == 0, "the last day itself is still in time"
    with clock.fixed(NOW + (last - clock.today()) + timedelta(days=1)):
        assert (escalate_overdue(), escalate_overdue()) == (1, 0)
    request = Request.objects.get(number=number)
    assert request.phase == Phase.DISPUTED.value
    dispute = Dispute.objects.get(case_number=number)
    assert (dispute.applicant_id, dispute.respondent_id) == ("440100-housing", "440100-health")
    assert (dispute.regulation, dispute.phase, dispute.opened_by) == (name, "waiting", None)
    assert request_case(city.viewer("lin"), number).disputes == (dispute.number,)
    told = Notification.objects.filter(code="negotiation_opened").values_list("department_id", flat=True)
    assert set(told) == {"440100-housing", "440100-health", "440100-data"}
    assert len(audit_entries("request_escalated")) == 1


def test_a_proposal_that_was_not_confirmed_in_time_ends_with_the_term(under):
    city = under("shenyang-2016")
    number = sent(city)
    answer_request(city.viewer("chen"), number, city.answer())
    with clock.fixed(NOW + timedelta(days=10)):
        assert escalate_overdue() == 1
        late = refusal(lambda: take_step(city.viewer("gong"), number, "confirm", StepInput()))
    assert late.code == "transition_refused"
    assert Proposal.objects.get(request__number=number).outcome == "dropped"
    assert not Grant.objects.exists()


@pytest.mark.requirement("SEC-16", source="GZ16:4¶2")
@pytest.mark.requirement("SEC-16", source="SY:23¶2")
@pytest.mark.parametrize("name", CITIES)
def test_every_grant_carries_that_paid_use_is_barred_and_nobody_gets_one_without_accepting_it(under, name):
    city = under(name)
    keys = city.wanted().accepted_conditions
    assert "no_profit" in keys
    without = tuple(key for key in keys if key != "no_profit")
    with pytest.raises(FormRefused) as refused:
        submit_request(city.viewer("lin"), city.wanted(accepted_conditions=without))
    assert {fault.field for fault in refused.value.faults} == {"conditions"}
    number = sent(city)
    assert "no_profit" in {one.key for one in request_case(city.viewer("chen"), number).accepted_conditions}
    assert '"no_profit"' in Grant.objects.get(number=answered(city, number)).document


@pytest.mark.requirement("REQ-15", source="XM:12¶1")
@pytest.mark.requirement("REQ-08", source="XM:12¶1")
@pytest.mark.requirement("REQ-08", source="SY:20(4)")
@pytest.mark.parametrize("name", CITIES)
def test_requester_and_provider_see_state_due_day_article_and_history(under, name):
    city = under(name)
    number = sent(city)
    for username in ("lin", "chen"):
        case = request_case(city.viewer(username), number)
        assert case.running.due_on == TERMS[name][1]
        assert case.running.shown.article.regulation in (name, "guangzhou-2016")
        assert case.history[0].label.zh and all(event.label.zh for event in case.history)
        current = [step for step in case.steps if step.status == "current"]
        assert current and current[0].article.paragraphs, "the words of the article stand beside the clock"
    assert [row.number for row in inbox(city.viewer("chen")).rows] == [number]
    assert BY_CODE["not_available"].status == 404
    with pytest.raises(NotFound):
        request_case(city.viewer("zhao"), number)


def test_a_reason_is_asked_for_by_the_rule_that_wants_it(under):
    city = under("xiamen-2015")
    number = sent(city)
    answered(city, number, decisions={}, refusal_reason="样例")
    with pytest.raises(ReasonRequired) as refused:
        take_step(city.viewer("lin"), number, "dispute", StepInput(reason=" "))
    assert refused.value.rule == "xiamen-2015 art. 12(2)"
