"""A year of cases under each regulation: answered, refused, left, disputed, ruled, all brought to an end.

Every day the office's jobs run, and once more wherever they did something: the second run must do nothing.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import pytest
from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.clocks.models import Clock
from shuqiao.control.disputes.actions import take_step as take_dispute_step
from shuqiao.control.disputes.advance import possible_steps
from shuqiao.control.disputes.inputs import StepInput as DisputeStep
from shuqiao.control.disputes.models import Dispute, ProjectBar
from shuqiao.control.disputes.rulings import apply_for_ruling
from shuqiao.control.disputes.sessions import collect_now, convene
from shuqiao.control.grants.models import Grant
from shuqiao.control.operations.daily import run_clock_jobs
from shuqiao.control.operations.tasks import task_list
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import forget_calendar, named
from shuqiao.control.regulations.files import load_calendar
from shuqiao.control.requests.actions import dispute_request, submit_request, take_step, withdraw_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import StepInput
from shuqiao.control.requests.models import Request, RequestEvent
from shuqiao.control.requests.pages import request_case
from shuqiao.rules.errors import ShuqiaoError
from shuqiao.rules.workdays import add_working_days, is_working_day
from tests.control.conftest import NOW, City, rows
from tests.control.test_request_cities import CITIES, under
from tests.disputes.conftest import BODIES, RULING

__all__ = ["under"]

CN = load_calendar("cn")
YEAR = 2026
OFFICE = time(10, 0)
ITEMS = (
    "sex_code",
    "newborn_name",
    "sex",
    "health_status",
    "mother_name",
    "mother_citizen_id_number",
    "father_name",
    "father_citizen_id_number",
    "birth_date",
    "certificate_issue_time",
    "certificate_issuing_unit",
)
# When each is asked for and what becomes of it; in between lie the Spring Festival and the National Day.
FATES = (
    (date(2026, 1, 5), "answered"),
    (date(2026, 2, 9), "left, agreed"),
    (date(2026, 2, 12), "answered"),
    (date(2026, 3, 2), "refused"),
    (date(2026, 3, 9), "refused, disputed, not shared"),
    (date(2026, 4, 1), "withdrawn"),
    (date(2026, 4, 28), "left, not shared"),
    (date(2026, 6, 15), "left, ruled, provided"),
    (date(2026, 9, 22), "left, agreed"),
    (date(2026, 9, 24), "left, ruled, not provided"),
    (date(2026, 11, 2), "answered"),
)
TOWARDS = {
    "agreed": ("agree",),
    "not shared": ("order_no", "rule_no", "review_open", "opine", "refer", "fail"),
    "ruled": ("order_share", "rule_share", "review_open", "opine", "refer", "fail"),
}
PLAYERS = ("zheng", "bian", "fang", "wen", "shi")


@dataclass
class Case:
    """One request of the year: what it is meant to become, and what has been seen of it."""

    number: str
    item: str
    fate: str
    asked_on: date
    due_on: date
    escalated_on: date | None = None
    ended: bool = False
    path: list[str] = field(default_factory=list)


@dataclass
class Year:
    """A city's year, played one day after the other."""

    city: City
    regulation: str
    cases: list[Case] = field(default_factory=list)
    jobs: Counter = field(default_factory=Counter)

    def play(self) -> None:
        """Each day the jobs run first, then people do what they have come to do."""
        day = date(YEAR, 1, 1)
        while day.year == YEAR:
            with clock.fixed(datetime.combine(day, OFFICE, clock.LEGAL_ZONE)):
                self.run_jobs(day)
                if is_working_day(CN, day):
                    self.ask(day)
                    for case in self.cases:
                        if not case.ended:
                            self.go_on(case, day)
            day += timedelta(days=1)

    def run_jobs(self, day: date) -> None:
        done = run_clock_jobs()
        self.jobs.update({job.name: count for job, count in done})
        if done:
            again = [(job.name, count) for job, count in run_clock_jobs()]
            assert again == [], f"a second run on {day} did something"
        if self.jobs["escalate_overdue"] > sum(case.escalated_on is not None for case in self.cases):
            for case in self.cases:
                if case.escalated_on is None and self.happened(case, "escalate"):
                    case.escalated_on = day

    def ask(self, day: date) -> None:
        for place, (asked_on, fate) in enumerate(FATES):
            if asked_on == day:
                wanted = self.city.wanted(
                    items={ITEMS[place]: "核对"}, wanted_until=day + timedelta(days=200)
                )
                number = submit_request(self.city.viewer("lin"), wanted)
                if any(o.action == "receive_form" for o in request_case(self.viewer("chen"), number).offers):
                    take_step(self.viewer("chen"), number, "receive_form", StepInput(received_on=day))
                days = named(self.regulation).deadline("reply").working_days
                due_on = add_working_days(CN, day, days).day
                self.cases.append(Case(number, ITEMS[place], fate, day, due_on))

    def viewer(self, username: str):
        return self.city.viewer(username)

    def happened(self, case: Case, code: str) -> bool:
        return RequestEvent.objects.filter(request__number=case.number, code=code).exists()

    def request(self, case: Case) -> Request:
        return Request.objects.get(number=case.number)

    def go_on(self, case: Case, day: date) -> None:
        """Do today's part of what a case is meant to become."""
        request, first = self.request(case), case.fate.split(", ")[0]
        third_day = add_working_days(CN, case.asked_on, 3).day
        if request.phase == "waiting" and day == third_day and first != "left":
            {"answered": self.answer, "refused": self.refuse, "withdrawn": self.withdraw}[first](case)
        elif request.phase == "refused" and "disputed" in case.fate and not settled(request):
            dispute_request(self.viewer("lin"), case.number, "仍需使用")
        elif request.phase == "disputed":
            self.settle(case, request)
        elif request.phase != "waiting":
            case.ended = True

    def answer(self, case: Case) -> None:
        until = clock.today() + timedelta(days=60)
        given = self.city.answer(decisions={case.item: True}, valid_until=until)
        self.confirmed(case, answer_request(self.viewer("chen"), case.number, given))

    def refuse(self, case: Case) -> None:
        given = self.city.answer(decisions={case.item: False}, refusal_reason="样例理由", valid_until=None)
        self.confirmed(case, answer_request(self.viewer("chen"), case.number, given))

    def confirmed(self, case: Case, grant: str | None) -> None:
        offered = request_case(self.viewer("gong"), case.number).offers
        if grant is None and any(offer.action == "confirm" for offer in offered):
            take_step(self.viewer("gong"), case.number, "confirm", StepInput())

    def withdraw(self, case: Case) -> None:
        withdraw_request(self.viewer("lin"), case.number)

    def settle(self, case: Case, request: Request) -> None:
        """Move the dispute a step a day; once it is to be shared the provider answers, or never does."""
        if request.must_share:
            dispute = Dispute.objects.get(number=request.must_share)
            if "not provided" not in case.fate:
                self.answer(case)
            elif dispute.final:
                # Found not to be executed, and barred: the answer comes late, but it comes.
                self.answer(case)
            else:
                self.bar(case, dispute)
            return
        dispute = Dispute.objects.filter(case_number=case.number, final=False).first()
        if dispute is not None:
            self.move(case, dispute)

    def move(self, case: Case, dispute: Dispute) -> None:
        towards = next(words for key, words in TOWARDS.items() if key in case.fate)
        if dispute.state == "for_review":
            session = collect_now(self.viewer("zheng"))
            convene(self.viewer("zheng"), session, clock.today(), [dispute.number])
            return
        if dispute.state == "review_open":
            assert apply_for_ruling(self.viewer("lin"), dispute.number, "会审未能解决")
            return
        assert any(self.taken(case, dispute, action, who) for action in towards for who in PLAYERS), (
            f"{dispute.number} is stuck in {dispute.state}"
        )

    def taken(self, case: Case, dispute: Dispute, action: str, username: str) -> bool:
        """Take a step if it is this person's to take now."""
        viewer = self.viewer(username)
        if action not in {step.action for step in possible_steps(viewer, dispute)}:
            return False
        given = DisputeStep(
            minutes="双方到场",
            result="记录在案",
            opinion="依法处理",
            reason="协调未果",
            document=RULING if action.startswith("rule") else None,
            decided_on=clock.today() if action.startswith("rule") else None,
            shared="not shared" not in case.fate,
        )
        try:
            with transaction.atomic():
                take_dispute_step(viewer, dispute.number, action, given)
        except (FormRefused, ShuqiaoError):
            return False
        case.path.append(action)
        return True

    def bar(self, case: Case, dispute: Dispute) -> None:
        """Find that a ruling was not carried out, as soon as the rules let it be found."""
        self.taken(case, dispute, "bar", "zheng")


def settled(request: Request) -> bool:
    """Whether a dispute about the request has ended already."""
    return Dispute.objects.filter(case_number=request.number, final=True).exists()


@pytest.fixture
def with_bodies(city) -> None:
    """Everybody a dispute needs, under any of the regulations."""
    for username, word, role in BODIES:
        Account.objects.create(
            username=username,
            display_name=username,
            department_id=f"440100-{word}",
            role=role,
            password="!",
            created_at=NOW,
        )
    government = Department.objects.get(code="440100-government")
    Department.objects.filter(pk=government.pk).update(roles=[*government.roles, "leading_group"])
    forget_calendar()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CITIES)
@pytest.mark.requirement("ORG-13")
@pytest.mark.requirement("REQ-12")
def test_a_year_of_cases_comes_to_its_end(under: Callable[[str], City], with_bodies: None, name: str) -> None:
    year = Year(under(name), name)
    year.play()
    assert len(year.cases) == len(FATES)
    for case in year.cases:
        check_clock(case)
        check_end(year, case)
    # Nobody is left waiting: no open term, no open dispute, no task.
    assert not Clock.objects.filter(ended_on=None).exists()
    assert not Dispute.objects.filter(final=False).exists()
    for username in ("chen", "gong", "zheng", "bian", "shi", "lin"):
        with clock.fixed(datetime.combine(date(YEAR, 12, 31), OFFICE, clock.LEGAL_ZONE)):
            assert task_list(year.viewer(username)).task_count == 0, username
    left = sum("left" in case.fate for case in year.cases)
    assert year.jobs["escalate_overdue"] == left
    assert Notification.objects.filter(code="clock_soon").exists()


def check_clock(case: Case) -> None:
    """The last day is as counted by hand, and what ran out was moved on the day after it."""
    reply = Clock.objects.filter(number=case.number, deadline="reply").order_by("round").first()
    assert reply is not None and (reply.starts_on, reply.due_on) == (case.asked_on, case.due_on)
    if "left" in case.fate:
        assert case.escalated_on == case.due_on + timedelta(days=1)
        assert reply.ended_on is not None and reply.ended_on > reply.due_on
    else:
        assert case.escalated_on is None
        assert reply.ended_on == add_working_days(CN, case.asked_on, 3).day <= reply.due_on


ENDS = {
    "answered": "granted",
    "left, agreed": "granted",
    "refused": "refused",
    "refused, disputed, not shared": "refused",
    "withdrawn": "closed",
    "left, not shared": "refused",
    "left, ruled, provided": "granted",
    "left, ruled, not provided": "granted",
}


def check_end(year: Year, case: Case) -> None:
    """The request ended as it was meant to, its grant has run its time, and every step left its entry."""
    request = year.request(case)
    assert request.phase == ENDS[case.fate], (case.fate, request.state, case.path)
    grants = Grant.objects.filter(request_number=case.number)
    assert grants.count() == (request.phase == "granted")
    if request.phase == "granted" and case.asked_on < date(2026, 9, 1):
        assert [grant.state for grant in grants] == ["expired"]
    entries = rows("SELECT event FROM audit.entry WHERE case_no = %s", case.number)
    assert Counter(event for (event,) in entries)["request_submitted"] == 1
    assert (("request_escalated",) in entries) == ("left" in case.fate)
    barred = ProjectBar.objects.filter(dispute__case_number=case.number).exists()
    assert barred == ("not provided" in case.fate)
