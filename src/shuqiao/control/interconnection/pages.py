"""The register of business systems: the list with its report, one system, and what a certificate says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Count

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.interconnection.access import (
    may_accept,
    may_certify,
    may_register,
    sees_all,
    systems_visible,
)
from shuqiao.control.interconnection.actions import certificate_in_force, connected_since, tested_ways
from shuqiao.control.interconnection.models import BusinessSystem, ConnectionCertificate, SystemStep
from shuqiao.control.interconnection.readings import ways_of
from shuqiao.control.interconnection.words import (
    END_WORDS,
    LAPSE_WORDS,
    MISSING_WORDS,
    STATE_WORDS,
    STEP_WORDS,
    WAY_WORDS,
)
from shuqiao.control.organisations.models import Application, DepartmentLevel
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.interconnection import PLANNED, STATES, Ways, missing_for_certificate, states_after

PAGE_SIZE = 50
MAX_CHOICES = 1000
SHOWN_STEPS = 200
SHOWN_CERTIFICATES = 30
CITY_PLATFORM, DISTRICT_PLATFORM = Text("市级平台", "City platform"), Text("区级平台", "District platform")


@dataclass(frozen=True)
class SystemRow:
    """One system in the register; `platform` is that of its department's level."""

    number: str
    name: str
    department: DepartmentRef
    platform: Text
    purpose: str
    state: str
    state_label: Text
    planned_until: date | None
    is_late: bool


@dataclass(frozen=True)
class StateRow:
    """How many systems of a department stand in each state."""

    department: DepartmentRef
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """Something a form offers."""

    key: str
    name: Text


@dataclass(frozen=True)
class Register:
    """A page of the register as a viewer sees it, with the report of all of it."""

    rows: tuple[SystemRow, ...]
    page: int
    pages: int
    total: int
    report: tuple[StateRow, ...]
    states: tuple[tuple[str, Text, int], ...]
    connect: ArticleRef
    applications: tuple[Choice, ...]
    entries: tuple[Choice, ...]
    may_register: bool
    own: str


@dataclass(frozen=True)
class StepRow:
    """Something that was done about a system; `proof` is the entry of the call or batch of a test."""

    kind: str
    label: Text
    at: datetime
    by: str
    note: str
    due_on: date | None
    entry: str
    proof: str


@dataclass(frozen=True)
class Gate:
    """One of the three steps to the certificate: done, when, and what is missing."""

    label: Text
    done: bool
    at: datetime | None
    said: Text | None


@dataclass(frozen=True)
class CertificateRow:
    """A certificate of a system."""

    number: str
    issued_at: datetime
    issuer: DepartmentRef
    code: str
    state: str
    state_label: Text
    ended_at: datetime | None
    reason: Text | None


@dataclass(frozen=True)
class SystemPage:
    """One system: its steps to the certificate, what was done last, and what may be done next."""

    row: SystemRow
    application: str
    brings: Choice | None
    gates: tuple[Gate, ...]
    missing: tuple[Text, ...]
    steps: tuple[StepRow, ...]
    certificates: tuple[CertificateRow, ...]
    is_certified: bool
    next_states: tuple[tuple[str, Text], ...]
    connect: ArticleRef
    certificate: ArticleRef
    acceptance: ArticleRef
    issuer: Text
    applications: tuple[Choice, ...]
    entries: tuple[Choice, ...]
    may_act: bool
    may_certify: bool
    may_accept: bool
    rectifies: bool

    @property
    def may_plan(self) -> bool:
        """Whether a day of connection may be named now."""
        return any(state == PLANNED for state, _ in self.next_states)


@dataclass(frozen=True)
class Looked:
    """What anybody who holds a certificate's code is told of it."""

    number: str
    system: str
    department: DepartmentRef
    issuer: DepartmentRef
    issued_at: datetime
    digest: str
    state: str
    state_label: Text
    ended_at: datetime | None


def register(viewer: Viewer, page: int = 1) -> Register:
    """Return a page of the register; raises `NotFound` for who has nothing to do with it."""
    refs, own, visible = department_refs(), viewer.department.code, systems_visible(viewer)
    counted = visible.order_by().values_list("department_id", "state").annotate(Count("pk"))
    counts = {(department, state): number for department, state, number in counted}
    total = sum(counts.values())
    pages = max(1, -(-total // PAGE_SIZE))
    number = max(1, min(page, pages))
    shown = visible.select_related("department")[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    acts = may_register(viewer, own)
    return Register(
        rows=tuple(_row(one, refs, one.department.level) for one in shown),
        page=number,
        pages=pages,
        total=total,
        report=_report(counts, refs) if sees_all(viewer) else (),
        states=tuple((state, STATE_WORDS[state], _of_state(counts, state)) for state in STATES),
        connect=article_ref(regulation().exchange.interconnection.connect_article),
        applications=_applications(own) if acts else (),
        entries=_entries(own) if acts else (),
        may_register=acts,
        own=own,
    )


def _of_state(counts: Mapping[tuple[str, str], int], state: str) -> int:
    return sum(number for (_, one), number in counts.items() if one == state)


def _row(one: BusinessSystem, refs: dict[str, DepartmentRef], level: str) -> SystemRow:
    late = one.state == PLANNED and one.planned_until is not None and one.planned_until < clock.today()
    return SystemRow(
        number=one.number,
        name=one.name,
        department=refs[one.department_id],
        platform=_platform(level),
        purpose=one.purpose,
        state=one.state,
        state_label=STATE_WORDS[one.state],
        planned_until=one.planned_until,
        is_late=late,
    )


def _platform(level: str) -> Text:
    """The platform of a department's level, where its level has one."""
    has_own = regulation().exchange.interconnection.district_platforms
    return DISTRICT_PLATFORM if has_own and level != DepartmentLevel.CITY else CITY_PLATFORM


def _report(counts: Mapping[tuple[str, str], int], refs: Mapping[str, DepartmentRef]) -> tuple[StateRow, ...]:
    """Count by department; those with most still to connect come first."""
    found = [
        StateRow(refs[code], tuple(counts.get((code, state), 0) for state in STATES))
        for code in {department for department, _ in counts}
    ]
    return tuple(sorted(found, key=lambda one: (-sum(one.counts[:2]), one.department.code)))


def _applications(department: str) -> tuple[Choice, ...]:
    own = Application.objects.filter(department_id=department, portal=False, active=True)
    return tuple(Choice(one.id, Text(one.name_zh, one.name_en)) for one in own)


def _entries(department: str) -> tuple[Choice, ...]:
    own = Resource.objects.filter(department_id=department, state="published").order_by("code")
    return tuple(Choice(one.id, one.name) for one in own[:MAX_CHOICES])


def system_page(viewer: Viewer, number: str) -> SystemPage:
    """Return one system; raises `NotFound` for what this viewer may not see."""
    found = systems_visible(viewer).select_related("department", "brings").filter(number=number).first()
    if found is None:
        raise NotFound
    duty, rules, refs = regulation().exchange.interconnection, regulation(), department_refs()
    ways, tests = ways_of(found), tested_ways(found)
    acts = may_register(viewer, found.department_id)
    missing = missing_for_certificate(found.state, ways, frozenset(tests))
    in_force = certificate_in_force(found)
    issuer = next((one for one in rules.body_roles if one.key == duty.certificate_by), None)
    return SystemPage(
        row=_row(found, refs, found.department.level),
        application=found.application,
        brings=Choice(found.brings.id, found.brings.name) if found.brings else None,
        gates=_gates(found, missing, ways, tests),
        missing=tuple(MISSING_WORDS[one] for one in missing),
        steps=tuple(_step(one) for one in found.steps.select_related("account")[:SHOWN_STEPS]),
        certificates=tuple(
            _certificate(one, refs, in_force) for one in found.certificates.defer("pdf")[:SHOWN_CERTIFICATES]
        ),
        is_certified=in_force is not None,
        next_states=tuple((one, STATE_WORDS[one]) for one in states_after(found.state, ways)) if acts else (),
        connect=article_ref(duty.connect_article, rules.id),
        certificate=article_ref(duty.certificate_article, rules.id),
        acceptance=article_ref(duty.acceptance_article, rules.id),
        issuer=Text(issuer.zh, issuer.en) if issuer else Text("", ""),
        applications=_applications(found.department_id) if acts else (),
        entries=_entries(found.department_id) if acts else (),
        may_act=acts,
        may_certify=may_certify(viewer) and found.department_id != viewer.department.code,
        may_accept=may_accept(viewer),
        rectifies=duty.rectifies,
    )


def _gates(
    system: BusinessSystem, missing: tuple[str, ...], ways: Ways, tests: Mapping[str, SystemStep]
) -> tuple[Gate, ...]:
    connected = system.state == "connected"
    unproved = [one for one in missing if one.startswith("untested_")]
    said = MISSING_WORDS[unproved[0]] if unproved else None
    is_tested = connected and bool(tests) and not unproved
    newest = max((step.occurred_at for step in tests.values()), default=None)
    return (
        Gate(STEP_WORDS["registered"], True, system.registered_at, None),
        Gate(
            STEP_WORDS["connected"],
            connected,
            connected_since(system) if connected else None,
            MISSING_WORDS[ways.missing[0]] if ways.missing else None,
        ),
        Gate(STEP_WORDS["tested"], is_tested, newest if is_tested else None, said),
    )


def _step(one: SystemStep) -> StepRow:
    label = STEP_WORDS[one.kind]
    if one.way:
        way = WAY_WORDS[one.way]
        label = Text(f"{label.zh}：{way.zh}", f"{label.en}: {way.en}")
    return StepRow(
        kind=one.kind,
        label=label,
        at=one.occurred_at,
        by=one.account.display_name if one.account else str(Text("平台", "The platform")),
        note=one.note,
        due_on=one.due_on,
        entry=str(one.entry_id),
        proof=str(one.proof) if one.proof else "",
    )


def _certificate(
    one: ConnectionCertificate, refs: dict[str, DepartmentRef], in_force: ConnectionCertificate | None
) -> CertificateRow:
    state = _state(one, is_held=in_force is not None)
    return CertificateRow(
        number=one.number,
        issued_at=one.issued_at,
        issuer=refs[one.issuer_id],
        code=one.code,
        state=state,
        state_label=END_WORDS[state],
        ended_at=one.ended_at,
        reason=LAPSE_WORDS.get(one.reason, Text(one.reason, one.reason)) if one.reason else None,
    )


def _state(one: ConnectionCertificate, *, is_held: bool) -> str:
    """How a certificate stands; it has lapsed with the connection even before anybody noticed."""
    return one.ended_how or ("" if is_held else "lapsed")


def look_up(code: str) -> Looked:
    """Say what the certificate with this code is and whether it holds; raises `NotFound`."""
    found = ConnectionCertificate.objects.select_related("system").defer("pdf").filter(code=code).first()
    if found is None:
        raise NotFound
    refs = department_refs()
    state = _state(found, is_held=certificate_in_force(found.system) is not None)
    return Looked(
        number=found.number,
        system=found.system.name,
        department=refs[found.system.department_id],
        issuer=refs[found.issuer_id],
        issued_at=found.issued_at,
        digest=found.digest,
        state=state,
        state_label=END_WORDS[state],
        ended_at=found.ended_at,
    )
