"""Writing, sending and answering requests outside the catalogue and requests to publish.

Each action locks the case, lets its own regulation decide, and writes state, event, clocks, audit entry and
notices in one transaction.
"""

from collections.abc import Mapping

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.disputes.actions import case_provided, open_dispute, withdraw_with_case
from shuqiao.control.disputes.inputs import DisputeInput
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.outside.access import (
    Case,
    access_case_locked,
    access_draft_locked,
    access_kind_locked,
    kind_of,
    sides_of,
)
from shuqiao.control.outside.inputs import (
    OutsideInput,
    PublicationInput,
    duty_of,
    field_faults,
    held_grant,
    holder_of,
)
from shuqiao.control.outside.models import (
    MAX_PURPOSE_CHARS,
    MAX_TEXT_CHARS,
    CaseEvent,
    OutsideRequest,
    Publication,
)
from shuqiao.control.outside.steps import (
    Step,
    add_event,
    apply_step,
    decide_step,
    record,
    refuse_too_long,
)
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.texts import Text
from shuqiao.rules.errors import PassingOnRefused, PermissionDenied, TransitionRefused
from shuqiao.rules.ids import outside_no, publication_no
from shuqiao.rules.procedures import Accepted
from shuqiao.rules.regulation import PROVIDER, REQUESTER, SETTING, Phase, Regulation

SAVE, SUBMIT, MINUTES, AMENDED = "save", "submit", "minutes", "amended"
ASK = Text("要求目录外信息", "Ask for information outside the catalogue")
AMEND = Text("更新需求", "Bring the demand up to date")
PUBLISH = Text("申请对外提供或发布", "Ask to pass on or publish")


@transaction.atomic
def save_outside(viewer: Viewer, given: OutsideInput) -> int:
    """Keep a draft and return its key; a draft binds nobody, so it leaves no audit entry."""
    return _write_outside(viewer, given)[0].pk


@transaction.atomic
def submit_outside(viewer: Viewer, given: OutsideInput) -> str:
    """Ask the presumed holder for information that no entry offers, and return the number (REQ-14).

    Raises `FormRefused` with every fault. Source: guangzhou-2016 art. 36; shenyang-2016 art. 19(1).
    """
    case, faults = _write_outside(viewer, given)
    number = _send(viewer, case, faults)
    return number


@transaction.atomic
def save_publication(viewer: Viewer, given: PublicationInput) -> int:
    """Keep a draft and return its key."""
    return _write_publication(viewer, given)[0].pk


@transaction.atomic
def submit_publication(viewer: Viewer, given: PublicationInput) -> str:
    """Ask the provider for its consent to pass on or publish what a grant gives, and return the number.

    Raises `PassingOnRefused` where the regulation knows no such consent. Source: shenyang-2016 art. 23(1).
    """
    case, faults = _write_publication(viewer, given)
    return _send(viewer, case, faults)


@transaction.atomic
def take_step(viewer: Viewer, kind: str, number: str, action: str, words: Mapping[str, str]) -> None:
    """Take a step of a case that has been sent; the words are those the regulation file requires of it.

    Raises `NotFound` for whoever may not see the case, the refusal's error for whoever may not act or comes
    second, and `FormRefused` for what is missing; nothing is then written.
    """
    if action in (SAVE, SUBMIT):
        raise NotFound
    refuse_too_long(words)
    case = access_kind_locked(viewer, kind, number)
    step = Step(action, viewer, _asked(case, action, words))
    was_disputed = case.phase == Phase.DISPUTED
    accepted = decide_step(case, step)
    apply_step(case, step, accepted)
    if accepted.opens_dispute:
        _open_dispute(viewer, case, step, accepted)
    if was_disputed:
        _end_dispute(viewer, case, step, accepted)
    if isinstance(case, Publication) and accepted.phase == Phase.CLOSED and step.words.get("result"):
        case.published, case.published_at = step.words["result"].strip(), clock.now()
        case.save(update_fields=["published", "published_at"])


@transaction.atomic
def record_talk(viewer: Viewer, number: str, minutes: str) -> None:
    """Keep a record of the direct negotiation; either side may, as long as it lasts (REQ-14)."""
    refuse_too_long({"minutes": minutes})
    case = access_case_locked(viewer, OutsideRequest, number)
    sides = sides_of(viewer, case) & {REQUESTER, PROVIDER}
    capability = Capability.REQUEST_ANSWER if PROVIDER in sides else Capability.REQUEST_SUBMIT
    if not sides:
        raise NotFound
    require(viewer, capability, Text("记录协商", "Record the negotiation"))
    if case.phase not in (Phase.WAITING, Phase.DISPUTED):
        raise _not_now(case, Text("记录协商", "Record the negotiation"))
    if not minutes.strip():
        words = Text("请写明协商的时间、参加人和结果", "Say when, who and with what result")
        raise FormRefused((Fault("minutes", "field_required", words),))
    other = case.requester_id if case.provider_id == viewer.department.code else case.provider_id
    _note(case, Step(MINUTES, viewer, {"minutes": minutes}), other)


@transaction.atomic
def amend_demand(viewer: Viewer, number: str, wanted: str, purpose: str) -> None:
    """Keep a demand up to date while the holder has not answered; what it said before stays in the history.

    Source: xiamen-2015 art. 7; REQ-14.
    """
    require(viewer, Capability.REQUEST_SUBMIT, ASK)
    refuse_too_long({"wanted": wanted})
    case = access_case_locked(viewer, OutsideRequest, number)
    if REQUESTER not in sides_of(viewer, case):
        raise PermissionDenied(action=str(AMEND), rule=_article(case))
    if case.phase != Phase.WAITING:
        raise _not_now(case, AMEND)
    blank = Text("不能为空", "It can't be empty")
    given = {"wanted": wanted.strip(), "purpose": purpose.strip()[:MAX_PURPOSE_CHARS]}
    faults = [Fault(name, "field_required", blank) for name, text in given.items() if not text]
    if faults:
        raise FormRefused(tuple(faults))
    if (case.wanted, case.purpose) == (given["wanted"], given["purpose"]):
        return
    step = Step(AMENDED, viewer, {"before": f"{case.wanted}（{case.purpose}）", **given})
    case.wanted, case.purpose, case.changed_at = given["wanted"], given["purpose"], clock.now()
    case.save(update_fields=["wanted", "purpose", "changed_at"])
    _note(case, step, case.provider_id)


def _not_now(case: OutsideRequest, action: Text) -> TransitionRefused:
    state = named(case.regulation).procedure("outside").state(case.state)
    name = state.zh if state else case.state
    return TransitionRefused(case=case.number or "", state=name, action=action.zh, rule=_article(case))


def _note(case: OutsideRequest, step: Step, told: str) -> None:
    """Record something that leaves the case in its state, and tell the other side."""
    entry = record(case, step, case.state, {"articles": [_article(case)]})
    add_event(case, step, case.state, _article(case), entry)
    count = CaseEvent.objects.filter(kind="outside", number=case.number or "").count()
    notify(told, "outside_moved", case.number or "", occasion=f"{step.action}:{count}")


@transaction.atomic
def discard_draft(viewer: Viewer, kind: str, key: int) -> None:
    """Throw a draft away; it bound nobody, so nothing of it stays."""
    if kind == "outside":
        access_draft_locked(viewer, OutsideRequest, key).delete()
    else:
        access_draft_locked(viewer, Publication, key).delete()


def refuse_passing_on(rules: Regulation) -> None:
    """Raise `PassingOnRefused` where the regulation has no procedure of consent (SEC-15)."""
    if "publication" not in rules.procedures:
        raise PassingOnRefused(rule=rules.cite(rules.citations.get("passing_on", SETTING)))


def _write_outside(viewer: Viewer, given: OutsideInput) -> tuple[OutsideRequest, list[Fault]]:
    require(viewer, Capability.REQUEST_SUBMIT, ASK)
    refuse_too_long({"wanted": given.wanted})
    holder, faults = holder_of(viewer, given.holder)
    if holder is None:
        raise FormRefused(tuple(faults))
    duty, wrong = duty_of(viewer, given.duty)
    rules = regulation()
    initial, now = rules.procedure("outside").initial, clock.now()
    case = (
        access_draft_locked(viewer, OutsideRequest, given.draft)
        if given.draft is not None
        else OutsideRequest(
            requester_id=viewer.department.code,
            created_by_id=viewer.account_id,
            created_at=now,
        )
    )
    case.provider, case.duty = holder, duty
    case.wanted = given.wanted.strip()
    case.purpose = given.purpose.strip()[:MAX_PURPOSE_CHARS]
    case.regulation, case.state, case.phase = rules.id, initial.key, initial.phase.value
    case.changed_at = now
    case.save()
    return case, wrong


def _write_publication(viewer: Viewer, given: PublicationInput) -> tuple[Publication, list[Fault]]:
    require(viewer, Capability.REQUEST_SUBMIT, PUBLISH)
    rules = regulation()
    refuse_passing_on(rules)
    refuse_too_long({"content": given.content})
    grant = held_grant(viewer, given.grant)
    initial, now = rules.procedure("publication").initial, clock.now()
    case = (
        access_draft_locked(viewer, Publication, given.draft)
        if given.draft is not None
        else Publication(
            requester_id=viewer.department.code,
            created_by_id=viewer.account_id,
            created_at=now,
        )
    )
    case.grant, case.provider_id = grant, grant.provider_id
    case.fields = sorted(set(given.fields) & set(grant.fields))
    case.content = given.content.strip()[:MAX_TEXT_CHARS]
    case.audience = given.audience.strip()[:MAX_PURPOSE_CHARS]
    case.channel = given.channel.strip()[:MAX_PURPOSE_CHARS]
    case.purpose = given.purpose.strip()[:MAX_PURPOSE_CHARS]
    case.regulation, case.state, case.phase = rules.id, initial.key, initial.phase.value
    case.changed_at = now
    case.save()
    return case, field_faults(grant, given.fields)


def _send(viewer: Viewer, case: Case, faults: list[Fault]) -> str:
    """Send a draft: its number, the decision, and every fault told at once."""
    year = clock.today().year
    kind = kind_of(case)
    step = Step(SUBMIT, viewer, {})
    try:
        accepted = decide_step(case, step)
    except FormRefused as refused:
        raise FormRefused((*faults, *refused.faults)) from None
    if faults:
        raise FormRefused(tuple(faults))
    number: str
    if kind == "outside":
        number = outside_no(year, next_number("O", year))
    else:
        number = publication_no(year, next_number("P", year))
    case.number, case.submitted_at = number, clock.now()
    # Number, time and state are one fact to the database's constraints: they are written together.
    case.state, case.phase, before = accepted.to_state, accepted.phase.value, case.state
    case.save()
    case.state = before
    apply_step(case, step, accepted)
    return number


def _asked(case: Case, action: str, words: Mapping[str, str]) -> dict[str, str]:
    """Keep the words the file knows for this action; anything else a form brings is dropped."""
    procedure = named(case.regulation).procedure(kind_of(case))
    known = {
        word
        for step in procedure.transitions
        if step.action == action
        for word in (*step.requires, "reason", "result")
    }
    return {key: text for key, text in words.items() if key in known}


def _open_dispute(viewer: Viewer, case: Case, step: Step, accepted: Accepted) -> None:
    open_dispute(
        viewer,
        DisputeInput(
            kind=kind_of(case),
            case_number=case.number or "",
            applicant=case.requester_id,
            respondent=case.provider_id,
            reason=step.words.get("reason", ""),
            regulation=case.regulation,
            article=accepted.article,
        ),
    )


def _end_dispute(viewer: Viewer, case: Case, step: Step, accepted: Accepted) -> None:
    """Tell the open dispute that its case has moved on: given, or taken back."""
    if accepted.phase == Phase.GRANTED:
        case_provided(kind_of(case), case.number or "")
    elif accepted.phase == Phase.CLOSED:
        reason = step.words.get("reason", "").strip() or "申请方撤回"
        withdraw_with_case(viewer, kind_of(case), case.number or "", reason)


def _article(case: Case) -> str:
    """The citation of the step that began the negotiation."""
    rules = named(case.regulation)
    sent = rules.procedure(kind_of(case)).action(SUBMIT)
    return rules.cite(sent.article if sent else SETTING)
