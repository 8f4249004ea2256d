"""The register of other exchange systems: list, one system, and the report of state."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.catalogue.models import Service
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.othersystems.access import may_register, sees_all, systems_visible
from shuqiao.control.othersystems.models import ExchangeSystem
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.regulations.words import SYSTEM_KINDS
from shuqiao.control.texts import Text
from shuqiao.rules.exchange_systems import NEXT, OPEN, STATES, is_late

MAX_ROWS = 500
STATE_WORDS = {
    "registered": Text("已登记", "Registered"),
    "moving": Text("迁移中", "Moving"),
    "connected": Text("已对接平台", "Connected"),
    "moved": Text("已迁移停用", "Moved and switched off"),
}


@dataclass(frozen=True)
class SystemRow:
    """One system in the register."""

    number: str
    name: str
    department: DepartmentRef
    kind: Text
    purpose: str
    partners: str
    running_since: date | None
    planned_until: date
    state: str
    state_label: Text
    late: bool


@dataclass(frozen=True)
class StateRow:
    """How many systems of a department stand at each state."""

    department: DepartmentRef
    counts: tuple[int, ...]
    late: int


@dataclass(frozen=True)
class Register:
    """The register as a viewer sees it, with its report; of `forbidden` kinds none may be built anew."""

    rows: tuple[SystemRow, ...]
    report: tuple[StateRow, ...]
    states: tuple[tuple[str, Text, int], ...]
    late: int
    forbidden: tuple[Text, ...]
    only_channel: ArticleRef
    new_systems: ArticleRef
    existing_systems: ArticleRef
    kinds: tuple[tuple[str, Text], ...]
    departments: tuple[DepartmentRef, ...]
    own: str
    may_register: bool
    sees_all: bool


@dataclass(frozen=True)
class StepRow:
    """One report of state."""

    at: datetime
    by: str
    state_label: Text
    note: str
    planned_until: date
    entry: str


@dataclass(frozen=True)
class MappedRow:
    """Something the system exchanges, the entry that stands for it, and whether the platform serves it."""

    key: int
    what: str
    resource: str
    name: Text
    is_served: bool


@dataclass(frozen=True)
class SystemPage:
    """One system with its reports, what it is mapped to, and what may be reported next."""

    row: SystemRow
    plan: str
    registered_at: datetime
    article: ArticleRef
    steps: tuple[StepRow, ...]
    mapped: tuple[MappedRow, ...]
    next_states: tuple[tuple[str, Text], ...]


def register(viewer: Viewer) -> Register:
    """Return the register; raises `NotFound` for who has nothing to do with it."""
    refs, rules, own = department_refs(), regulation(), viewer.department.code
    found = list(systems_visible(viewer)[:MAX_ROWS])
    rows = tuple(_row(one, refs) for one in found)
    counts = Counter(row.state for row in rows)
    everywhere = sees_all(viewer)
    return Register(
        rows=rows,
        report=_report(rows) if everywhere else (),
        states=tuple((state, STATE_WORDS[state], counts[state]) for state in STATES),
        late=sum(row.late for row in rows),
        forbidden=tuple(words for key, words in SYSTEM_KINDS.items() if key in rules.exchange.forbidden),
        only_channel=article_ref(rules.exchange.only_channel_article, rules.id),
        new_systems=article_ref(rules.exchange.forbidden_article, rules.id),
        existing_systems=article_ref(rules.exchange.existing_article, rules.id),
        kinds=tuple(SYSTEM_KINDS.items()),
        departments=tuple(ref for code, ref in refs.items() if may_register(viewer, code)),
        own=own,
        may_register=may_register(viewer, own),
        sees_all=everywhere,
    )


def _row(one: ExchangeSystem, refs: dict[str, DepartmentRef]) -> SystemRow:
    return SystemRow(
        number=one.number,
        name=one.name,
        department=refs[one.department_id],
        kind=SYSTEM_KINDS[one.kind],
        purpose=one.purpose,
        partners=one.partners,
        running_since=one.running_since,
        planned_until=one.planned_until,
        state=one.state,
        state_label=STATE_WORDS[one.state],
        late=is_late(one.state, one.planned_until, clock.today()),
    )


def _report(rows: tuple[SystemRow, ...]) -> tuple[StateRow, ...]:
    """Count by department; those with most still to move come first."""
    by: dict[str, list[SystemRow]] = {}
    for row in rows:
        by.setdefault(row.department.code, []).append(row)
    found = [
        StateRow(
            department=of[0].department,
            counts=tuple(sum(row.state == state for row in of) for state in STATES),
            late=sum(row.late for row in of),
        )
        for of in by.values()
    ]
    return tuple(
        sorted(found, key=lambda one: (-one.late, -sum(one.counts[: len(OPEN)]), one.department.code))
    )


def system_page(viewer: Viewer, number: str) -> SystemPage:
    """Return one system; raises `NotFound` for what this viewer may not see."""
    found = systems_visible(viewer).filter(number=number).first()
    if found is None:
        raise NotFound
    rules = named(found.regulation)
    acts = may_register(viewer, found.department_id)
    return SystemPage(
        row=_row(found, department_refs()),
        plan=found.plan,
        registered_at=found.registered_at,
        article=article_ref(rules.exchange.existing_article, rules.id),
        steps=tuple(
            StepRow(
                at=step.occurred_at,
                by=step.account.display_name,
                state_label=STATE_WORDS[step.state],
                note=step.note,
                planned_until=step.planned_until,
                entry=str(step.entry_id),
            )
            for step in found.steps.select_related("account")
        ),
        mapped=_mapped(found),
        next_states=tuple((one, STATE_WORDS[one]) for one in NEXT[found.state]) if acts else (),
    )


def _mapped(system: ExchangeSystem) -> tuple[MappedRow, ...]:
    rows = list(system.mapped.select_related("resource"))
    entries = [row.resource_id for row in rows]
    served = set(
        Service.objects.filter(resource_id__in=entries, ended_at=None).values_list("resource_id", flat=True)
    )
    return tuple(
        MappedRow(one.pk, one.what, one.resource_id, one.resource.name, one.resource_id in served)
        for one in rows
    )
