"""A seeded city with everybody a dispute needs, and short words for bringing and moving one."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from shuqiao.control import clock
from shuqiao.control.disputes import hooks
from shuqiao.control.disputes.actions import bring_dispute, open_dispute, take_step
from shuqiao.control.disputes.inputs import DisputeInput, StepInput
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.disputes.rulings import apply_for_ruling
from shuqiao.control.disputes.sessions import collect_now, convene
from shuqiao.control.documents.actions import FileInput
from tests.control.conftest import NOW, PEOPLE, City, seed, set_time
from tests.plugins.stages import Stage

__all__ = ["set_time"]

BODIES = (
    ("bian", "staffing", "sharing_officer"),
    ("fang", "legal-affairs", "sharing_officer"),
    ("wen", "government-services", "sharing_officer"),
    ("shi", "government", "leader"),
)
MEMBERS = ("bian", "fang", "wen")

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
RULING = FileInput("ruling.pdf", PDF)


@dataclass
class Owner:
    """An owner of cases that remembers what it was told, in place of requests and the like."""

    told: list[tuple[str, bool, str]] = field(default_factory=list)
    provided: set[str] = field(default_factory=set)

    def settle(self, number: str, shared: bool, dispute: str) -> None:
        """Remember an outcome."""
        self.told.append((number, shared, dispute))

    def is_provided(self, number: str) -> bool:
        """Whether the test has said that the information was given."""
        return number in self.provided


@dataclass(frozen=True)
class Story:
    """The city, and the ways a dispute goes in it."""

    city: City

    def open(self, number: str = "", kind: str = "request", **changes: object) -> str:
        """Open a dispute about a case between housing (applicant) and health (respondent)."""
        given = {
            "kind": kind,
            "case_number": number or f"R-2026-{uuid.uuid4().int % 10**8:08d}",
            "applicant": "440100-housing",
            "respondent": "440100-health",
            "reason": "逾期未答复",
        }
        return open_dispute(None, DisputeInput(**{**given, **changes}))

    def bring(self, kind: str = "use", by: str = "hou", **changes: object) -> str:
        """Bring a dispute that is tied to no case."""
        given = {
            "kind": kind,
            "case_number": "",
            "applicant": "",
            "respondent": "440100-health",
            "subject": "出生登记信息的使用范围",
            "reason": "对使用范围理解不一致",
        }
        return bring_dispute(self.city.viewer(by), DisputeInput(**{**given, **changes}))

    def take(self, by: str, number: str, action: str, **given: object) -> None:
        """Take a step."""
        take_step(self.city.viewer(by), number, action, StepInput(**given))

    def state(self, number: str) -> str:
        """Where the dispute stands."""
        return Dispute.objects.get(number=number).state

    def fail(self, number: str) -> None:
        """Negotiate without result."""
        self.take("zheng", number, "fail", minutes="双方各持己见", result="未达成一致")

    def review(self, *numbers: str, held_on=None) -> str:
        """Convene a joint review about disputes that failed; returns its number."""
        session = collect_now(self.city.viewer("zheng"))
        convene(self.city.viewer("zheng"), session, held_on or clock.today(), numbers)
        return session

    def opine(self, number: str, members=MEMBERS) -> None:
        """Let members of the review give their opinions."""
        for member in members:
            self.take(member, number, "opine", opinion="依法应当共享", shared=True)

    def to_review_open(self, number: str) -> None:
        """Go on until the joint review has not settled it."""
        self.fail(number)
        self.review(number)
        self.opine(number)
        self.take("zheng", number, "review_open", result="三部门意见不一")

    def to_ruled(self, number: str, decided_on=None) -> None:
        """Go on until the government has ruled that it must be shared."""
        self.to_review_open(number)
        assert apply_for_ruling(self.city.viewer("hou"), number, "会审未能解决")
        self.take("shi", number, "rule_share", document=RULING, decided_on=decided_on or clock.today())


def seed_disputes() -> None:
    """Seed the city and the bodies that take part in disputes."""
    with clock.fixed(NOW):
        seed(PEOPLE + BODIES)


@pytest.fixture(scope="module")
def seeded(stage: Stage) -> Iterator[None]:
    """Seed once and stand there for a module; each test has a transaction of its own."""
    with stage.standing_on(stage.seeded(seed_disputes)):
        yield


@pytest.fixture
def city(seeded, db) -> City:
    """The seeded city, as it was, for one test."""
    return City()


@pytest.fixture
def story(city) -> Story:
    """The city with the ways of a dispute."""
    return Story(city)


@pytest.fixture
def owner(monkeypatch) -> Owner:
    """An owner registered for cases of the kind request."""
    owner = Owner()
    one = hooks.CaseOwner(owner.settle, owner.is_provided, hooks._no_lock)
    monkeypatch.setitem(hooks._owners, "request", one)
    return owner


@pytest.fixture
def at(set_time):
    """Move the clock: `with at(moment): ...`."""

    def moved(moment: datetime):
        return clock.fixed(moment)

    return moved
