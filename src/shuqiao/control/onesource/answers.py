"""Settling a second claim: another datum, collected jointly, or brought to co-ordination and decided.

Each action locks the claim and writes its state, the register, audit entry and notices in one transaction.
Source: guangzhou-2016 art. 3(3), 45; guangzhou-2019 art. 5(2); xiamen-2015 art. 6; shenyang-2016 art. 5(1).
"""

from dataclasses import asdict, dataclass, field
from datetime import date
from uuid import UUID

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.disputes.actions import case_provided, open_dispute, withdraw_with_case
from shuqiao.control.disputes.inputs import DisputeInput
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.documents.actions import CaseKey, FileInput, store_document
from shuqiao.control.onesource.access import access_claim_locked
from shuqiao.control.onesource.claims import Conflict, conflicts
from shuqiao.control.onesource.models import (
    ENDED,
    MAX_REASON_CHARS,
    MAX_TITLE_CHARS,
    Claim,
    ClaimKind,
    ClaimState,
    LeadSourceDecision,
)
from shuqiao.control.onesource.register import take_in
from shuqiao.control.organisations.bodies import COMPETENT, bodies_with
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.rules.errors import TransitionRefused
from shuqiao.rules.ids import claim_no
from shuqiao.rules.onesource import Outcome
from shuqiao.rules.regulation import Regulation

CASE = "catalogue"
"""The kind of dispute in which the source of a datum is settled."""

ANSWER = Text("答复来源冲突", "Answer a conflict of sources")
RECORD = Text("记录来源决定", "Record a decision on the source")


@dataclass(frozen=True)
class ClaimInput:
    """How a conflict is answered: the item of the entry, the item it conflicts with, the kind and why."""

    field: str
    held_resource: str
    held_field: str
    kind: str
    reason: str


@dataclass(frozen=True)
class LeadInput:
    """A decision on the source of a datum, as it was taken outside the platform."""

    lead: str
    document_no: str
    decided_on: date | None
    together: bool = False
    opinion: str = ""
    document: FileInput | None = field(default=None, repr=False)


@transaction.atomic
def answer_conflict(viewer: Viewer, resource: str, entry: Entry, given: ClaimInput) -> str:
    """Answer that an item of the viewer's entry is already collected elsewhere; return the claim's number.

    The caller has made sure that the viewer may edit the entry. Raises `FormRefused` where the answer is
    not one that the regulation allows, `NotFound` where there is no such conflict.
    """
    require(viewer, Capability.CATALOGUE_EDIT, ANSWER)
    conflict = _conflict(resource, entry, given)
    rules = regulation()
    _refuse(_claim_faults(conflict, given, rules))
    _end_stale(viewer, resource, conflict)
    year = clock.today().year
    number = claim_no(year, next_number("Q", year))
    claim = Claim(
        number=number,
        resource=resource,
        entry_name=entry.name_zh,
        field=given.field,
        name=conflict.item.zh,
        department_id=entry.department,
        held_resource_id=conflict.resource,
        held_field=conflict.field,
        held_name=conflict.name,
        holder_id=conflict.holder.code,
        kind=given.kind,
        state=_FIRST[ClaimKind(given.kind)],
        score=conflict.likeness.score,
        because=[asdict(one) for one in conflict.likeness.because],
        reason=given.reason.strip(),
        regulation=rules.id,
        article=conflict.article,
        account_id=viewer.account_id,
        made_at=clock.now(),
    )
    if given.kind == ClaimKind.COORDINATION:
        claim.dispute = _bring(viewer, claim)
    _write(claim, viewer, "claim_made", told=(claim.holder_id,))
    take_in([resource])
    return number


@transaction.atomic
def answer_joint(viewer: Viewer, number: str, agree: bool, reply: str) -> None:
    """Let the holder agree to collect a datum jointly, or decline and say why."""
    require(viewer, Capability.CATALOGUE_EDIT, ANSWER)
    claim = access_claim_locked(viewer, number)
    if claim.holder_id != viewer.department.code:
        raise NotFound
    _expect(claim, ClaimState.PROPOSED, ANSWER)
    said = reply.strip()
    _refuse([*_text_faults("reply", said), *([] if agree or said else [_missing("reply")])])
    claim.state = ClaimState.AGREED if agree else ClaimState.DECLINED
    claim.reply = said
    _write(claim, viewer, "claim_settled", told=(claim.department_id,))
    take_in([claim.resource])


@transaction.atomic
def withdraw_claim(viewer: Viewer, number: str) -> None:
    """Take an answer back; a dispute about it ends with it."""
    words = Text("撤回来源答复", "Take back an answer")
    require(viewer, Capability.CATALOGUE_EDIT, words)
    claim = access_claim_locked(viewer, number)
    if claim.department_id != viewer.department.code:
        raise NotFound
    if claim.state not in (ClaimState.EXPLAINED, ClaimState.PROPOSED, ClaimState.OPEN):
        raise _not_now(claim, words)
    claim.state = ClaimState.WITHDRAWN
    _write(claim, viewer, "claim_settled", told=(claim.holder_id,))
    if claim.dispute:
        withdraw_with_case(viewer, CASE, claim.number, "申请方撤回")
    take_in([claim.resource])


@transaction.atomic
def record_lead_source(viewer: Viewer, number: str, given: LeadInput) -> None:
    """Record which department is the source of a datum from now on, with the paper that says so (COL-01).

    Only once the dispute about it has been settled. Raises `FormRefused` with every fault.
    """
    require(viewer, Capability.DISPUTE_COORDINATE, RECORD)
    claim = access_claim_locked(viewer, number)
    _expect(claim, ClaimState.OPEN, RECORD)
    dispute = Dispute.objects.get(number=claim.dispute)
    if dispute.shared is None and not dispute.final:
        raise _not_now(claim, RECORD)
    rules = named(claim.regulation)
    _refuse(_lead_faults(claim, given, rules))
    now = clock.now()
    paper = store_document(CaseKey("claim", number), given.document, viewer) if given.document else None
    claim.state = ClaimState.DECIDED
    facts: dict[str, object] = {
        "lead": given.lead,
        "together": given.together,
        "decided_on": str(given.decided_on),
        "document_no": given.document_no.strip(),
        "document_sha256": paper.sha256 if paper else None,
    }
    entry_id = _write(
        claim, viewer, "lead_source_recorded", told=(claim.department_id, claim.holder_id), facts=facts
    )
    LeadSourceDecision.objects.create(
        claim=claim,
        lead_id=given.lead,
        together=given.together,
        body_id=viewer.department.code,
        decided_on=given.decided_on or clock.today(),
        document_no=given.document_no.strip(),
        document=paper,
        opinion=given.opinion.strip(),
        article=rules.cite(rules.collection.settled_article),
        account_id=viewer.account_id,
        recorded_at=now,
        entry_id=entry_id,
    )
    case_provided(CASE, claim.number)
    take_in([claim.resource, claim.held_resource_id])


def settle(number: str, shared: bool, dispute: str) -> None:  # noqa: ARG001 - the owner's signature
    """Tell those who record the source that the dispute about it has been decided."""
    for body in bodies_with(COMPETENT):
        notify(body, "lead_source_due", number, occasion=dispute)


def is_provided(number: str) -> bool:
    """Whether the source has been recorded, by which the decision is carried out."""
    return LeadSourceDecision.objects.filter(claim__number=number).exists()


def lock(number: str) -> None:
    """Lock the claim before its dispute."""
    Claim.objects.select_for_update(of=("self",)).filter(number=number).first()


_FIRST = {
    ClaimKind.OTHER: ClaimState.EXPLAINED,
    ClaimKind.JOINT: ClaimState.PROPOSED,
    ClaimKind.COORDINATION: ClaimState.OPEN,
}


def _conflict(resource: str, entry: Entry, given: ClaimInput) -> Conflict:
    wanted = (given.field, given.held_resource, given.held_field)
    found = conflicts(entry, resource)
    conflict = next((one for one in found if (one.item.field, one.resource, one.field) == wanted), None)
    if conflict is None:
        raise NotFound
    return conflict


def _end_stale(viewer: Viewer, resource: str, conflict: Conflict) -> None:
    """End what was said of the item when it had another name."""
    standing = Claim.objects.select_for_update(of=("self",)).exclude(state__in=ENDED)
    of_item = standing.filter(resource=resource, field=conflict.item.field)
    for claim in of_item.filter(held_resource_id=conflict.resource, held_field=conflict.field):
        claim.state = ClaimState.WITHDRAWN
        _write(claim, viewer, "claim_settled", told=(claim.holder_id,))


def _claim_faults(conflict: Conflict, given: ClaimInput, rules: Regulation) -> list[Fault]:
    faults = _text_faults("reason", given.reason.strip())
    if not given.reason.strip():
        faults.append(_missing("reason"))
    if given.kind not in ClaimKind.values:
        words = Text("请选择如何处理", "Choose what to do")
        return [*faults, Fault("kind", "kind_unknown", words)]
    if conflict.answered is not None:
        words = Text(f"已在 {conflict.answered.number} 中答复", f"Answered in {conflict.answered.number}")
        return [*faults, Fault("kind", "already_answered", words)]
    if conflict.outcome is Outcome.REFUSED and given.kind != ClaimKind.OTHER:
        words = Text(
            "来源由规定本身确定，只能通过共享取得，或说明为何不是同一数据",
            "The rules themselves name the source: get it by sharing, or say why it is another datum",
        )
        faults.append(Fault("kind", "source_named_by_text", words))
    known = {kind.key for kind in rules.disputes.kinds}
    if given.kind == ClaimKind.COORDINATION and CASE not in known:
        words = Text("本规定没有目录争议程序", "The rules have no dispute about the catalogue")
        faults.append(Fault("kind", "kind_unknown", words))
    return faults


def _lead_faults(claim: Claim, given: LeadInput, rules: Regulation) -> list[Fault]:
    faults = [
        *_text_faults("document_no", given.document_no.strip(), MAX_TITLE_CHARS),
        *_text_faults("opinion", given.opinion.strip()),
    ]
    if given.lead not in (claim.department_id, claim.holder_id):
        words = Text("请选择两方之一为来源部门", "Choose one of the two departments as the source")
        faults.append(Fault("lead", "department_unknown", words))
    if not given.document_no.strip():
        faults.append(_missing("document_no"))
    if given.decided_on is None or given.decided_on > clock.today():
        words = Text("填写决定日期，不晚于今天", "The day of the decision, not later than today")
        faults.append(Fault("decided_on", "date_refused", words))
    having = rules.collection.settled_with
    if having is not None and not given.opinion.strip():
        words = Text(f"填写{having.zh}的意见", f"Give the opinion of the {having.en.lower()}")
        faults.append(Fault("opinion", "field_required", words))
    return faults


def _text_faults(name: str, text: str, limit: int = MAX_REASON_CHARS) -> list[Fault]:
    found = plain_fault(name, text, limit)
    return [Fault(name, found.code, Text(found.zh, found.en))] if found else []


def _missing(name: str) -> Fault:
    return Fault(name, "field_required", Text("请填写", "Fill this in"))


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise FormRefused(tuple(faults))


def _expect(claim: Claim, state: ClaimState, action: Text) -> None:
    if claim.state != state:
        raise _not_now(claim, action)


def _not_now(claim: Claim, action: Text) -> TransitionRefused:
    label = ClaimState(claim.state).label
    return TransitionRefused(case=claim.number, state=str(label), action=action.zh, rule=claim.article)


def _bring(viewer: Viewer, claim: Claim) -> str:
    """Open the dispute in which the source is settled; the claimant is its applicant."""
    applicant = Department.objects.get(code=claim.department_id)
    return open_dispute(
        viewer,
        DisputeInput(
            kind=CASE,
            case_number=claim.number,
            applicant=applicant.code,
            respondent=claim.holder_id,
            resource=claim.held_resource_id,
            subject=f"“{claim.name}”的数据来源",
            reason=claim.reason,
            regulation=claim.regulation,
            article=named(claim.regulation).cite(named(claim.regulation).collection.settled_article),
        ),
    )


def _write(
    claim: Claim, viewer: Viewer, event: str, *, told: tuple[str, ...], facts: dict[str, object] | None = None
) -> UUID:
    """Save the claim with its audit entry, and tell the others."""
    claim.changed_at = clock.now()
    entry_id = append_entry(
        event,
        actor=f"account:{viewer.username}",
        at=claim.changed_at,
        outcome=claim.state,
        department=viewer.department.code,
        provider=claim.holder_id,
        resource_id=claim.held_resource_id,
        case_no=claim.number,
        facts={
            "regulation": claim.regulation,
            "articles": [claim.article],
            "kind": claim.kind,
            "claimed": f"{claim.resource}.{claim.field}",
            "held": f"{claim.held_resource_id}.{claim.held_field}",
            "score": claim.score,
            "reason": claim.reason,
            "reply": claim.reply,
            "dispute": claim.dispute,
            **(facts or {}),
        },
    )
    claim.entry_id = entry_id
    claim.save()
    for department in told:
        if department != viewer.department.code:
            notify(department, "claim_moved", claim.number, occasion=claim.state)
    return entry_id
