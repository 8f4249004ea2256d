"""A seeded city with everybody who takes part in compiling the catalogue, under any city's rules."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date

import pytest
from django.conf import settings as configured

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.models import Account
from shuqiao.control.compiling.actions import accept_rest, take_step
from shuqiao.control.compiling.drafts import DraftInput, begin, save_draft
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import forget_calendar, regulation
from shuqiao.rules.entries import Entry, EntryItem
from tests.control.conftest import NOW, PEOPLE, City, seed, set_time
from tests.plugins.stages import Stage

__all__ = ["set_time"]

HOUSING, HEALTH, DATA, PLATFORM = (f"440100-{word}" for word in ("housing", "health", "data", "platform"))
BODIES = (
    ("shi", "government", "leader"),
    ("pan", "platform", "platform_operator"),
)
# Compiler and reviewer are two persons of one body in Shenyang, with roles of their own.
SHENYANG_ROLES = {"hou": "compiler", "chen": "compiler", "lin": "reviewer", "bai": "reviewer"}

CITIES = ("guangzhou-2016", "guangzhou-2019", "xiamen-2015", "shenyang-2016")

# The steps after sending, and who takes them: the law's chain, city by city.
CHAINS = {
    "guangzhou-2016": (("compile", "pan"), ("verify", "zheng"), ("approve", "shi"), ("publish", "zheng")),
    "guangzhou-2019": (("compile", "zheng"), ("publish", "zheng")),
    "xiamen-2015": (("confirm", "zheng"), ("publish", "zheng")),
    "shenyang-2016": (
        ("review", "lin"),
        ("merge", "zheng"),
        ("approve", "shi"),
        ("publish", "zheng"),
    ),
}

KEY = EntryItem(
    field="applicant_id", zh="申请人身份证号码", en="Applicant's identity number", length=18, identity=True,
    kind="citizen_id", sensitivity=3, required=True, key=True,
)  # fmt: skip
STATUS = EntryItem(field="approval_status", zh="审核状态", en="Approval status", length=20)
APPLIED = EntryItem(field="applied_on", zh="申请日期", en="Applied on", data_type="D", timestamp=True)


def entry(**changes: object) -> Entry:
    """A complete entry of the housing department that every city takes."""
    types = regulation().share_types.types
    chosen = next((one.key for one in types if one.openness == 1), "")
    whole = Entry(
        name_zh="公租房申请审核信息", name_en="Public rental applications",
        summary_zh="公共租赁住房保障申请与审核结果。", summary_en="Applications and their results.",
        subject="30100801", department=HOUSING, collecting=HOUSING, verifying=HOUSING,
        origin="system", forms=("structured",), format="database", format_detail="postgresql",
        library_kind="business", library="department", share_type=chosen,
        ground="《样例规定》第三条" if chosen else "", ground_rank="law" if chosen else "",
        conditions="用于住房保障审核" if chosen else "", manner=("platform_database",), scope="各行政机关",
        use="核定住房保障资格", open_to_public=False, update_cycle="daily", timeliness="次日",
        platform="市政府信息共享平台", shared_until=date(2028, 11, 11), modes=("verify",),
        record_key="applicant_id", duty=1, legal_ground="《样例条例》第八条", digitisation="database",
        not_secret=True, items=(KEY, STATUS, APPLIED),
    )  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Office:
    """The city at work under one regulation, and the ways a case goes in it."""

    city: City
    rules: str

    def viewer(self, username: str) -> Viewer:
        """An account as the actions see it."""
        return self.city.viewer(username)

    def draft(self, by: str = "hou", **changes: object) -> str:
        """Keep the draft of a new entry and return its number."""
        return save_draft(self.viewer(by), DraftInput(content=entry(**changes))).number

    def step(self, by: str, number: str, action: str, **words: str) -> None:
        """Take a step; a reviewer has looked at every item before."""
        take_step(self.viewer(by), number, action, words)

    def pass_review(self, by: str, number: str, action: str) -> None:
        """Mark every item as correct where the step demands marks, and take the step."""
        case = self.case(number)
        steps = [one for one in _procedure(case).transitions if case.state in one.from_states]
        if any(one.action == action and "marks" in one.requires for one in steps):
            accept_rest(self.viewer(by), number)
        self.step(by, number, action)

    def send(self, number: str, by: str = "hou") -> None:
        """Send a draft on its way."""
        self.step(by, number, "submit")

    def go_on(self, number: str) -> None:
        """Take every step after sending."""
        for action, by in CHAINS[self.rules]:
            self.pass_review(by, number, action)

    def published(self, **changes: object) -> Compilation:
        """An entry of housing that has gone the whole way."""
        number = self.draft(**changes)
        self.send(number)
        self.go_on(number)
        return self.case(number)

    def changed(self, resource: str, by: str = "hou", kind: str = "change", **changes: object) -> str:
        """Begin a change of an entry, write it and return the number of its case."""
        from shuqiao.control.catalogue.entries import entry_from

        begun = begin(self.viewer(by), kind, resource)
        content = entry_from(self.case(begun.number).content)
        written = replace(content, not_secret=True, **changes)  # type: ignore[arg-type]
        given = DraftInput(content=written, number=begun.number, revision=begun.revision)
        return save_draft(self.viewer(by), given).number

    def case(self, number: str) -> Compilation:
        """The case as it stands."""
        return Compilation.objects.get(number=number)


def _procedure(case: Compilation):
    from shuqiao.control.regulations.current import named

    return named(case.regulation).procedure("entry")


def seed_office() -> None:
    """Seed the city and the bodies that take part in compiling."""
    with clock.fixed(NOW):
        seed(PEOPLE + BODIES)


@pytest.fixture(scope="module")
def seeded(stage: Stage) -> Iterator[None]:
    """Seed once and stand there for a module; each test has a transaction of its own."""
    with stage.standing_on(stage.seeded(seed_office)):
        yield


def run_under(settings, name: str) -> None:
    """Let the city run under a regulation, its people with the roles that it knows."""
    fallback = None if name == "guangzhou-2016" else "guangzhou-2016"
    settings.CONFIG = replace(configured.CONFIG, regulation=name, regulation_fallback=fallback)
    if name == "shenyang-2016":
        for username, role in SHENYANG_ROLES.items():
            Account.objects.filter(username=username).update(role=role)


@pytest.fixture
def under(seeded, db, settings) -> Callable[[str], Office]:
    """Run the city under a regulation."""
    forget_calendar()

    def switch(name: str) -> Office:
        run_under(settings, name)
        return Office(City(), name)

    return switch


@pytest.fixture(params=CITIES)
def office(request, under) -> Office:
    """The city under each regulation in turn."""
    return under(request.param)


@pytest.fixture
def guangzhou(under) -> Office:
    """The city under the rules of Guangzhou 2016."""
    return under("guangzhou-2016")


@pytest.fixture
def committed(stage: Stage, settings) -> Iterator[Callable[[str], Office]]:
    """A city that other connections see, with all its people, for this test alone."""
    forget_calendar()

    def switch(name: str) -> Office:
        run_under(settings, name)
        return Office(City(), name)

    with stage.copy(seed_office):
        yield switch
    forget_calendar()


def department(code: str) -> Department:
    """A department by its code."""
    return Department.objects.get(code=code)
