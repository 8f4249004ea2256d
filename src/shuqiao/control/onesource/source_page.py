"""What the pages show of the register of sources, of second claims, and of conflicts of an entry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import QuerySet

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.known import knows
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.onesource.access import access_claim, visible_claims
from shuqiao.control.onesource.answers import CASE
from shuqiao.control.onesource.models import Claim, ClaimKind, ClaimState, Source, SourceRole
from shuqiao.control.onesource.register import key_of
from shuqiao.control.onesource.words import synonyms
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.organisations.queries import DepartmentRef, department_ref, department_refs
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.datum_names import variants

PAGE_SIZE = 50
MOST_ROWS = 2000
"""The register is searched, not read through: no more rows are counted."""

ROLES = {
    SourceRole.RESPONSIBLE: Text("责任采集", "Responsible"),
    SourceRole.JOINT: Text("共同采集", "Joint"),
    SourceRole.REPEATED: Text("本部门另一条目", "Another entry of the same department"),
    SourceRole.OTHER: Text("另一数据", "Another datum"),
    SourceRole.CONTESTED: Text("来源待定", "Contested"),
}
KINDS = {
    ClaimKind.OTHER: Text("说明是另一数据", "Said to be another datum"),
    ClaimKind.JOINT: Text("共同采集", "Collected jointly"),
    ClaimKind.COORDINATION: Text("提请协调确定来源", "Brought to co-ordination"),
}
STATES = {
    ClaimState.EXPLAINED: Text("已说明", "Explained"),
    ClaimState.PROPOSED: Text("待对方同意", "Awaiting the holder"),
    ClaimState.AGREED: Text("已同意共同采集", "Agreed to collect jointly"),
    ClaimState.DECLINED: Text("对方不同意", "Declined"),
    ClaimState.OPEN: Text("协调中", "In co-ordination"),
    ClaimState.DECIDED: Text("已确定来源", "Source decided"),
    ClaimState.WITHDRAWN: Text("已撤回", "Taken back"),
}
_PHASES = {
    ClaimState.EXPLAINED: "granted",
    ClaimState.PROPOSED: "waiting",
    ClaimState.AGREED: "granted",
    ClaimState.DECLINED: "refused",
    ClaimState.OPEN: "disputed",
    ClaimState.DECIDED: "granted",
    ClaimState.WITHDRAWN: "closed",
}


@dataclass(frozen=True)
class SourceRow:
    """One item of the register: who holds it as what, with whom, and on which ground."""

    name: str
    resource: str
    resource_name: Text
    department: DepartmentRef
    role: str
    role_label: Text
    joint: tuple[DepartmentRef, ...]
    duty: Text | None
    article: ArticleRef | None

    @property
    def unassigned(self) -> bool:
        """Whether nothing says that collecting it is the department's duty."""
        return self.duty is None and self.article is None


@dataclass(frozen=True)
class SourceList:
    """A page of the register."""

    rows: tuple[SourceRow, ...]
    query: str
    show: str
    contested: int
    page: int
    pages: int
    total: int
    capped: bool
    article: ArticleRef
    within_duty: ArticleRef


@dataclass(frozen=True)
class ClaimRow:
    """One second claim of a list."""

    number: str
    name: str
    department: DepartmentRef
    holder: DepartmentRef
    held: Text
    kind: Text
    state: Text
    phase: str
    at: datetime


@dataclass(frozen=True)
class ClaimList:
    """A page of claims; `waiting` counts those that wait for the viewer's department."""

    rows: tuple[ClaimRow, ...]
    waiting: int
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class Reason:
    """Why two items count as the same datum, with its points."""

    text: Text
    points: int


@dataclass(frozen=True)
class DecisionView:
    """A decision on the source."""

    lead: DepartmentRef
    together: bool
    body: DepartmentRef
    decided_on: date
    document_no: str
    document: str
    opinion: str
    article: ArticleRef


@dataclass(frozen=True)
class ClaimView:
    """Everything the page of a claim shows."""

    number: str
    name: str
    entry_name: str
    department: DepartmentRef
    holder: DepartmentRef
    resource: str
    resource_name: Text
    held_name: str
    kind: str
    kind_label: Text
    state: str
    state_label: Text
    phase: str
    score: int
    because: tuple[Reason, ...]
    reason: str
    reply: str
    dispute: str
    by: str
    at: datetime
    article: ArticleRef
    settled_article: ArticleRef
    settled_with: Text | None
    decision: DecisionView | None
    may_reply: bool
    may_withdraw: bool
    may_record: bool
    record_waits: bool
    entry: str


def source_list(viewer: Viewer, query: str, show: str, page: int) -> SourceList:
    """Look the register up by the names of a datum; `show` leaves what is contested, or the viewer's own."""
    rules = regulation()
    asked = query.strip()[:100]
    found = _found(viewer, asked, show)
    total = found[: MOST_ROWS + 1].count()
    number = max(1, min(page, -(-min(total, MOST_ROWS) // PAGE_SIZE) or 1))
    rows = list(found.select_related("resource", "department")[(number - 1) * PAGE_SIZE : number * PAGE_SIZE])
    return SourceList(
        rows=_source_rows(rows),
        query=asked,
        show=show,
        contested=_found(viewer, "", "contested")[:1000].count(),
        page=number,
        pages=max(1, -(-min(total, MOST_ROWS) // PAGE_SIZE)),
        total=min(total, MOST_ROWS),
        capped=total > MOST_ROWS,
        article=article_ref(rules.collection.source_article),
        within_duty=article_ref(rules.collection.duty_article),
    )


def claim_list(viewer: Viewer, page: int) -> ClaimList:
    """List second claims, those last moved first."""
    found = visible_claims(viewer)
    total = found.count()
    number = max(1, min(page, -(-total // PAGE_SIZE) or 1))
    rows = found.select_related("department", "holder", "held_resource")
    rows = rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    waiting = Claim.objects.filter(holder_id=viewer.department.code, state=ClaimState.PROPOSED).count()
    return ClaimList(
        tuple(_claim_row(claim) for claim in rows),
        waiting,
        number,
        max(1, -(-total // PAGE_SIZE)),
        total,
    )


def claim_view(viewer: Viewer, number: str) -> ClaimView:
    """Show one claim with what the viewer can do about it."""
    claim = access_claim(viewer, number)
    at = named(claim.regulation).collection
    own, holds = viewer.department.code == claim.department_id, viewer.department.code == claim.holder_id
    compiles = viewer.can(Capability.CATALOGUE_EDIT)
    records = viewer.can(Capability.DISPUTE_COORDINATE) and claim.state == ClaimState.OPEN
    settled = bool(claim.dispute) and _is_settled(claim.dispute)
    return ClaimView(
        number=claim.number,
        name=claim.name,
        entry_name=claim.entry_name,
        department=department_ref(claim.department),
        holder=department_ref(claim.holder),
        resource=claim.held_resource_id,
        resource_name=claim.held_resource.name,
        held_name=claim.held_name,
        kind=claim.kind,
        kind_label=KINDS[ClaimKind(claim.kind)],
        state=claim.state,
        state_label=STATES[ClaimState(claim.state)],
        phase=_PHASES[ClaimState(claim.state)],
        score=claim.score,
        because=tuple(Reason(Text(one["zh"], one["en"]), one["points"]) for one in claim.because),
        reason=claim.reason,
        reply=claim.reply,
        dispute=claim.dispute,
        by=claim.account.display_name,
        at=claim.made_at,
        article=article_ref(claim.article, claim.regulation),
        settled_article=article_ref(at.settled_article, claim.regulation),
        settled_with=Text(at.settled_with.zh, at.settled_with.en) if at.settled_with else None,
        decision=_decision(claim),
        may_reply=holds and compiles and claim.state == ClaimState.PROPOSED,
        may_withdraw=own
        and compiles
        and claim.state in (ClaimState.EXPLAINED, ClaimState.PROPOSED, ClaimState.OPEN),
        may_record=records and settled,
        record_waits=records and not settled,
        entry=str(claim.entry_id),
    )


def _found(viewer: Viewer, asked: str, show: str) -> QuerySet[Source]:
    rows = Source.objects.filter(knows(viewer, "resource__")).order_by("key", "leaf", "role", "id")
    if show == "contested":
        rows = rows.filter(role=SourceRole.CONTESTED)
    elif show == "own":
        rows = rows.filter(department_id=viewer.department.code)
    key = key_of(asked)
    if not key:
        return rows
    exact = rows.filter(key__in=list(variants(asked, synonyms())))
    return exact if exact.exists() else rows.filter(key__gte=key, key__lt=key + "\U0010ffff")


def _source_rows(rows: Sequence[Source]) -> tuple[SourceRow, ...]:
    departments = department_refs()
    joint = _joint(rows)
    duties = _duties(rows)
    return tuple(
        SourceRow(
            name=row.name,
            resource=row.resource_id,
            resource_name=row.resource.name,
            department=departments[row.department_id],
            role=row.role,
            role_label=ROLES[SourceRole(row.role)],
            joint=tuple(departments[code] for code in sorted(joint.get(row.pk, set()) - {row.department_id})),
            duty=duties.get((row.department_id, row.resource.content.get("duty"))),
            article=_ground(row.resource),
        )
        for row in rows
    )


def _joint(rows: Sequence[Source]) -> Mapping[int, set[str]]:
    """Who collects each item together with whoever holds it: named by its entry, or agreed upon."""
    by_entry: dict[str, set[str]] = {}
    through = Resource.joint_departments.through.objects
    for resource, department in through.filter(resource_id__in={row.resource_id for row in rows}).values_list(
        "resource_id", "department_id"
    ):
        by_entry.setdefault(resource, set()).add(department)
    beside: dict[tuple[str, str], set[str]] = {}
    agreed = Source.objects.filter(role=SourceRole.JOINT, key__in={row.key for row in rows})
    for key, leaf, department in agreed.values_list("key", "leaf", "department_id"):
        beside.setdefault((key, leaf), set()).add(department)
    return {
        row.pk: by_entry.get(row.resource_id, set()) | beside.get((row.key, row.leaf), set()) for row in rows
    }


def _duties(rows: Sequence[Source]) -> Mapping[tuple[str, object], Text]:
    found = Duty.objects.filter(department_id__in={row.department_id for row in rows})
    return {(one.department_id, one.number): Text(one.text_zh, one.text_en) for one in found}


def _ground(resource: Resource) -> ArticleRef | None:
    """The article of the law that names the department, for an entry of one of its lists."""
    if not resource.article:
        return None
    cited = article_ref(resource.article, resource.regulation)
    return cited if cited.article else None


def _claim_row(claim: Claim) -> ClaimRow:
    held = claim.held_resource
    return ClaimRow(
        claim.number,
        claim.name,
        department_ref(claim.department),
        department_ref(claim.holder),
        Text(f"{held.name_zh}·{claim.held_name}", f"{held.name_en or held.name_zh}: {claim.held_name}"),
        KINDS[ClaimKind(claim.kind)],
        STATES[ClaimState(claim.state)],
        _PHASES[ClaimState(claim.state)],
        claim.changed_at,
    )


def _is_settled(dispute: str) -> bool:
    found = Dispute.objects.filter(number=dispute, case_kind=CASE).values_list("shared", "final").first()
    return found is not None and (found[0] is not None or found[1])


def _decision(claim: Claim) -> DecisionView | None:
    decision = getattr(claim, "decision", None)
    if decision is None:
        return None
    names = {
        one.code: department_ref(one)
        for one in Department.objects.filter(code__in=[decision.lead_id, decision.body_id])
    }
    return DecisionView(
        lead=names[decision.lead_id],
        together=decision.together,
        body=names[decision.body_id],
        decided_on=decision.decided_on,
        document_no=decision.document_no,
        document=str(decision.document_id or ""),
        opinion=decision.opinion,
        article=article_ref(decision.article, claim.regulation),
    )
