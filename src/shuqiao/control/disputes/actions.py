"""Opening a dispute, taking its steps, and taking it back.

Each action locks the case and then the dispute, lets the dispute's own regulation decide, and writes state,
event, documents, clocks, audit entry and notices in one transaction.
Source: guangzhou-2016 art. 3(4), 35, 36, 45.
"""

from dataclasses import replace

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.disputes.access import access_dispute_locked, lock_dispute
from shuqiao.control.disputes.advance import KIND, Step, advance, append_case_entry, is_provided, tell
from shuqiao.control.disputes.inputs import DisputeInput, StepInput, too_long
from shuqiao.control.disputes.models import Dispute, DisputeEvent
from shuqiao.control.disputes.records import record_of
from shuqiao.control.disputes.steps import (
    APPLY,
    EXECUTE,
    OPEN,
    SCHEDULE,
    WITHDRAW,
    free_kinds,
    kind_named,
    procedure_of,
    register_steps,
    steps_from,
)
from shuqiao.control.documents.actions import CaseKey, store_document
from shuqiao.control.organisations.models import Department
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.texts import Text
from shuqiao.rules.errors import ShuqiaoError
from shuqiao.rules.ids import dispute_no
from shuqiao.rules.regulation import SYSTEM, Regulation


@transaction.atomic
def open_dispute(viewer: Viewer | None, given: DisputeInput) -> str:
    """Open a dispute and return its number; without a viewer the platform opens it, as on an expired term.

    Called by the owner of a case in the transaction of its step, with the case locked; the owner has made
    sure that its regulation opens a dispute there. A case that has an open dispute keeps it.
    """
    rules = named(given.regulation) if given.regulation else regulation()
    if given.case_number:
        open_one = Dispute.objects.filter(
            case_kind=given.kind, case_number=given.case_number, final=False
        ).first()
        if open_one is not None:
            return open_one.number
    dispute = _create(viewer, replace(given, reason=given.reason.strip()), rules)
    _write_opening(viewer, given, dispute, rules)
    tell(dispute, 1, OPEN)
    return dispute.number


@transaction.atomic
def bring_dispute(viewer: Viewer, given: DisputeInput) -> str:
    """Bring a dispute that is tied to no case, and return its number (DIS-07, DIS-08).

    Raises `FormRefused` with every fault. Source: guangzhou-2016 art. 3(4), 45.
    """
    require(viewer, Capability.DISPUTE_OPEN, Text("提出争议", "Bring a dispute"))
    rules = regulation()
    given = replace(
        given,
        case_number="",
        applicant=viewer.department.code,
        regulation=rules.id,
        article="",
        reason=given.reason.strip(),
        subject=given.subject.strip(),
    )
    faults = _bring_faults(given, rules)
    if faults:
        raise FormRefused(tuple(faults))
    return open_dispute(viewer, given)


@transaction.atomic
def take_step(viewer: Viewer, number: str, action: str, given: StepInput) -> None:
    """Take a step of a dispute; raises `FormRefused` or the refusal's error, with nothing written.

    Bringing it to a joint review and applying for a ruling have functions of their own, which do more.
    """
    if action in (SCHEDULE, APPLY):
        raise NotFound
    dispute = access_dispute_locked(viewer, number)
    advance(dispute, Step(action, viewer, given))


@transaction.atomic
def withdraw_with_case(viewer: Viewer, kind: str, case_number: str, reason: str) -> None:
    """End the open dispute about a case that its requester takes back; nothing happens where there is none.

    The caller holds the case's lock and ends the case itself.
    """
    dispute = _open_about(kind, case_number)
    if dispute is not None:
        advance(dispute, Step(WITHDRAW, viewer, StepInput(reason=reason)), tell_owner=False)


def case_provided(kind: str, case_number: str) -> bool:
    """Record that what was decided has been carried out; called by the case's owner, who holds its lock.

    Tells whether a dispute was ended by it. Safe to repeat. Source: guangzhou-2016 art. 35(3).
    """
    with transaction.atomic():
        dispute = _open_about(kind, case_number)
        return dispute is not None and _execute(dispute)


def execute_provided() -> int:
    """Record the execution of each decision whose information has been given; safe late and twice."""
    waiting = Dispute.objects.filter(final=False, phase="granted").exclude(case_number="")
    return sum(_execute_by_key(*row) for row in list(waiting.values_list("pk", "case_kind", "case_number")))


@transaction.atomic
def _execute_by_key(key: int, case_kind: str, case_number: str) -> int:
    return int(_execute(lock_dispute(key, case_kind, case_number)))


def _execute(dispute: Dispute) -> bool:
    rules = named(dispute.regulation)
    possible = any(step.action == EXECUTE and SYSTEM in step.by for step in steps_from(rules, dispute.state))
    if not possible or not is_provided(dispute):
        return False
    try:
        advance(dispute, Step(EXECUTE, None, StepInput()), tell_owner=False)
    except (ShuqiaoError, FormRefused):
        # The rules ask for more than the platform can say by itself: the co-ordinator does it.
        return False
    return True


def _open_about(kind: str, case_number: str) -> Dispute | None:
    found = Dispute.objects.select_for_update().filter(case_kind=kind, case_number=case_number, final=False)
    return found.first()


def _create(viewer: Viewer | None, given: DisputeInput, rules: Regulation) -> Dispute:
    now = clock.now()
    year = clock.legal_day(now).year
    first = procedure_of(rules).initial
    return Dispute.objects.create(
        number=dispute_no(year, next_number("D", year)),
        kind=given.kind,
        case_kind=given.kind if given.case_number else "",
        case_number=given.case_number,
        applicant_id=given.applicant,
        respondent_id=given.respondent,
        resource=given.resource,
        subject=given.subject,
        reason=given.reason[:2000],
        article=given.article or rules.cite(kind_named(rules, given.kind).article),
        regulation=rules.id,
        state=first.key,
        phase=first.phase.value,
        final=first.final,
        opened_by_id=viewer.account_id if viewer else None,
        opened_at=now,
        changed_at=now,
    )


def _write_opening(viewer: Viewer | None, given: DisputeInput, dispute: Dispute, rules: Regulation) -> None:
    """Write the first event with its document and audit entry."""
    register_steps(rules)
    case = CaseKey(KIND, dispute.number)
    attachment = store_document(case, given.document, viewer) if given.document else None
    # The record of the opening counts as the first step, so it is written as if none had been taken.
    dispute.step = 0
    text = record_of(dispute, OPEN, viewer, StepInput(reason=dispute.reason))
    dispute.step = 1
    record = store_document(case, text, None, field="record")
    facts: dict[str, object] = {
        "regulation": rules.id,
        "kind": dispute.kind,
        "articles": [dispute.article],
        "record_sha256": record.sha256,
    }
    if attachment is not None:
        facts["document_sha256"] = attachment.sha256
    DisputeEvent.objects.create(
        dispute=dispute,
        sequence=1,
        regulation=rules.id,
        action=OPEN,
        to_state=dispute.state,
        phase=dispute.phase,
        final=dispute.final,
        account_id=viewer.account_id if viewer else None,
        department_id=viewer.department.code if viewer else None,
        occurred_at=dispute.opened_at,
        article=dispute.article,
        record=record,
        attachment=attachment,
        entry_id=append_case_entry("dispute_opened", dispute, viewer, facts),
        reason=dispute.reason,
    )


def _bring_faults(given: DisputeInput, rules: Regulation) -> list[Fault]:
    faults = too_long(given, ("subject", "reason"))
    if given.kind not in {kind.key for kind in free_kinds(rules)}:
        faults.append(_fault("kind", "kind_unknown", "请选择争议类型", "Choose a kind of dispute"))
    other = Department.objects.filter(code=given.respondent, active=True).exists()
    if not other or given.respondent == given.applicant:
        words = "请选择争议的另一方", "Choose the other side of the dispute"
        faults.append(_fault("respondent", "department_unknown", *words))
    if not given.subject:
        words = "请写明争议事项，不写个人信息", "Say what the dispute is about, without personal data"
        faults.append(_fault("subject", "field_required", *words))
    if not given.reason:
        words = "请写明事实、依据和主张", "Give the facts, the grounds and what you ask for"
        faults.append(_fault("reason", "reason_required", *words))
    return faults


def _fault(name: str, code: str, zh: str, en: str) -> Fault:
    return Fault(name, code, Text(zh, en))
