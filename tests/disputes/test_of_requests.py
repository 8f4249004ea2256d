"""Disputes about real requests, from the missing answer to the grant, the refusal or the bar."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from django.conf import settings as configured

from shuqiao.control import clock
from shuqiao.control.clocks.queries import clocks_of
from shuqiao.control.disputes.case import dispute_case
from shuqiao.control.disputes.models import Dispute, DisputeEvent, ProjectBar
from shuqiao.control.disputes.queries import published_results
from shuqiao.control.grants.models import Grant
from shuqiao.control.requests.actions import dispute_request, escalate_overdue, submit_request, take_step
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import StepInput
from shuqiao.control.requests.models import Request
from tests.control.conftest import NOW
from tests.disputes.conftest import Story

LATER = NOW + timedelta(days=30)
"""Friday 11 December 2026, when every city's term for the reply has run out."""


@pytest.fixture
def under(story, settings) -> Callable[[str], Story]:
    """Run the seeded city under another regulation."""

    def switch(name: str) -> Story:
        settings.CONFIG = replace(configured.CONFIG, regulation=name)
        return story

    return switch


def sent(story: Story, name: str) -> str:
    """A request of housing that health must answer."""
    number = submit_request(story.city.viewer("lin"), story.city.wanted())
    if name == "shenyang-2016":
        given = StepInput(received_on=clock.today())
        take_step(story.city.viewer("chen"), number, "receive_form", given)
    return number


def dispute_of(number: str) -> str:
    """The open dispute about a request."""
    return Dispute.objects.get(case_number=number, final=False).number


CITIES = [
    pytest.param("guangzhou-2016", marks=pytest.mark.requirement("DIS-01", source="GZ16:35¶1")),
    pytest.param("xiamen-2015", marks=pytest.mark.requirement("DIS-01", source="XM:12(2)")),
    pytest.param("shenyang-2016", marks=pytest.mark.requirement("DIS-01", source="SY:20(4)¶3")),
]


@pytest.mark.parametrize("name", CITIES)
def test_no_answer_in_time_opens_a_negotiation_that_can_end_in_a_grant(under, name):
    """The platform opens it once; both sides agree before the co-ordinator; the provider then answers."""
    story = under(name)
    request = sent(story, name)
    assert escalate_overdue() == 0 and not Dispute.objects.exists()
    with clock.fixed(LATER):
        assert escalate_overdue() == 1 and escalate_overdue() == 0
        number = dispute_of(request)
        opening = DisputeEvent.objects.get(dispute__number=number)
        assert (opening.action, opening.account, opening.regulation) == ("open", None, name)
        story.take("zheng", number, "minute", minutes="双方到场，卫健委同意提供")
        agreed = {"minutes": "达成一致", "result": "卫健委提供两项", "shared": True}
        story.take("zheng", number, "agree", **agreed)
        assert Request.objects.get(number=request).must_share == number
        answer_request(story.city.viewer("chen"), request, story.city.answer())
        if name == "shenyang-2016":
            take_step(story.city.viewer("gong"), request, "confirm", StepInput())
        assert Grant.objects.filter(request_number=request).count() == 1
        assert Request.objects.get(number=request).phase == "granted"


@pytest.mark.parametrize("name", CITIES)
def test_a_refusal_can_be_taken_to_negotiation(under, name):
    """By the requester, with a reason; where both agree that it is not shared, the request has ended."""
    story = under(name)
    request = sent(story, name)
    nothing = dict.fromkeys(("mother_name", "mother_citizen_id_number"), False)
    refusal = story.city.answer(decisions=nothing, refusal_reason="与所述职权无关")
    answer_request(story.city.viewer("chen"), request, refusal)
    if name == "shenyang-2016":
        take_step(story.city.viewer("gong"), request, "confirm", StepInput())
    dispute_request(story.city.viewer("lin"), request, "资格审核须核对亲子关系")
    number = dispute_of(request)
    assert Dispute.objects.get(number=number).reason == "资格审核须核对亲子关系"
    story.take("zheng", number, "agree", minutes="会", result="申请方改用其他材料", shared=False)
    ended = Request.objects.get(number=request)
    assert ended.phase == "refused" and not Grant.objects.exists()


def ruled(story: Story) -> tuple[str, str]:
    """A request not answered in time, its dispute gone all the way to a ruling on 11 December."""
    request = sent(story, "guangzhou-2016")
    with clock.fixed(LATER):
        escalate_overdue()
        number = dispute_of(request)
        story.to_ruled(number, date(2026, 12, 11))
    return request, number


@pytest.mark.requirement("DIS-05", source="GZ16:35¶3")
@pytest.mark.requirement("DIS-09", source="GZ16:35¶1-3")
def test_a_ruling_is_executed_when_the_provider_gives_what_was_asked(story):
    """Provided on the third of five working days: the dispute ends by itself, its term met."""
    request, number = ruled(story)
    [running] = clocks_of("dispute", [number])[number]
    assert (running.starts_on, running.due_on, running.state) == (
        date(2026, 12, 11),
        date(2026, 12, 18),
        "running",
    )
    with clock.fixed(LATER + timedelta(days=5)):
        answer_request(story.city.viewer("chen"), request, story.city.answer())
        assert story.state(number) == "executed"
        assert Grant.objects.filter(request_number=request).count() == 1
        [met] = clocks_of("dispute", [number])[number]
        assert (met.state, met.ended_on) == ("met", date(2026, 12, 16))
        case = dispute_case(story.city.viewer("lin"), number)
        assert case.provided is True and case.row.final and not case.forms


@pytest.mark.requirement("DIS-06", source="GZ16:35¶3")
def test_a_provider_that_gives_nothing_is_barred_and_still_owes_it(story):
    """After the term, for the year after the finding; the request stays open to be answered."""
    request, number = ruled(story)
    with clock.fixed(datetime.fromisoformat("2027-01-05T02:00:00+00:00")):
        story.take("zheng", number, "bar", reason="期满未提供")
        assert ProjectBar.objects.get().year == 2028
        assert Request.objects.get(number=request).phase == "disputed"
        answer_request(story.city.viewer("chen"), request, story.city.answer(valid_until=date(2027, 11, 11)))
        assert Grant.objects.filter(request_number=request).count() == 1
        assert story.state(number) == "not_executed"


@pytest.mark.requirement("DIS-02", source="GZ16:35¶1")
def test_the_result_about_a_request_is_published(story):
    """With its number, both sides and the result."""
    request = sent(story, "guangzhou-2016")
    with clock.fixed(LATER):
        escalate_overdue()
        number = dispute_of(request)
        story.take("zheng", number, "fail", minutes="协商", result="未能一致，提交会审")
    [row] = published_results().rows
    assert (row.number, row.result) == (number, "未能一致，提交会审")
    assert (row.applicant.code, row.respondent.code) == ("440100-housing", "440100-health")
