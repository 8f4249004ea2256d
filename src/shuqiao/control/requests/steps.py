"""One step of a request: asking the rules, and writing all that follows, in the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.clocks.actions import follow
from shuqiao.control.clocks.queries import clock_facts
from shuqiao.control.clocks.terms import CaseRef
from shuqiao.control.disputes.actions import open_dispute
from shuqiao.control.disputes.inputs import DisputeInput
from shuqiao.control.grants.models import ENDED
from shuqiao.control.organisations.bodies import COMPETENT, bodies_with
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.wording import refusal_words
from shuqiao.control.requests.models import (
    DECIDED_PHASES,
    KIND,
    Outcome,
    Proposal,
    Request,
    RequestEvent,
)
from shuqiao.rules.procedures import Accepted, Decision, Facts, Refusal
from shuqiao.rules.procedures import decide as decide_step
from shuqiao.rules.regulation import PROPOSED, PROVIDER, SYSTEM, Phase, Procedure, Transition

WORKER = "system:worker"
_EVENTS = {
    "submit": "request_submitted",
    "withdraw": "request_withdrawn",
    "escalate": "request_escalated",
    "dispute": "request_disputed",
}


@dataclass(frozen=True)
class Step:
    """A step that the rules have accepted, and what it writes.

    Without a viewer it is the platform's own. `on` is the legal day from which its terms count. `facts` go
    to the audit entry, `params` to the history, `fields` into the request.
    """

    action: str
    accepted: Accepted
    viewer: Viewer | None
    on: date
    facts: Mapping[str, object] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)
    grant: str | None = None
    reason: str = ""

    @property
    def actor(self) -> str:
        """Who acts, as the audit log names it."""
        return f"account:{self.viewer.username}" if self.viewer else WORKER


def case_ref(request: Request) -> CaseRef:
    """The request as clocks know it: its provider must act, its requester waits."""
    return CaseRef(KIND, request.number or "", request.provider_id, request.requester_id)


def decision(request: Request, action: str, facts: Facts, capabilities: frozenset[str]) -> Decision:
    """Ask the request's own regulation."""
    rules = named(request.regulation)
    return decide_step(
        rules.procedure(KIND),
        request.state,
        action,
        facts,
        capabilities=capabilities,
        regulation=rules,
        today=clock.today(),
    )


def accept(request: Request, action: str, facts: Facts, viewer: Viewer | None) -> Accepted:
    """Ask the request's own regulation; raises the error of a refusal."""
    given = decision(request, action, facts, viewer.capabilities if viewer else frozenset())
    if isinstance(given, Refusal):
        raise given.error()
    return given


def facts_of(request: Request, sides: frozenset[str], given: Mapping[str, object], actor: str = "") -> Facts:
    """What is known of a request that was sent, with what is given now."""
    pending = pending_proposal(request)
    return Facts(
        case=request.number or "",
        sides=sides,
        given=given,
        clocks=clock_facts(case_ref(request)),
        proposed=pending.to_state if pending else "",
        actor=actor,
        proposer=pending.proposed_by.username if pending else "",
    )


def begins_on(request: Request) -> date:
    """The first day a grant would have: today, or the day after the grant that is to be continued."""
    old = request.renews
    if old is None or old.phase == ENDED or old.valid_until < clock.today():
        return clock.today()
    return old.valid_until + timedelta(days=1)


def own_words(request: Request) -> dict[str, object]:
    """What the request itself says, for steps that ask for it again."""
    return {
        "items": request.items.exists(),
        "duty": request.duty_id is not None,
        "purpose": request.purpose,
        "applications": request.applications.exists(),
    }


def answers(step: Transition, procedure: Procedure) -> Phase | None:
    """Whether a step of the provider is an answer, and which: granted or refused, at once or proposed.

    Such a step comes with the form of an answer, whatever a city calls it.
    """
    if PROVIDER not in step.by or step.to_state == PROPOSED:
        return None
    state = procedure.state(step.proposes or step.to_state)
    decides = state is not None and state.phase.value in DECIDED_PHASES
    return state.phase if state is not None and decides else None


def pending_proposal(request: Request) -> Proposal | None:
    """The answer that waits for somebody to confirm it."""
    found = Proposal.objects.filter(request=request, outcome=Outcome.PENDING)
    return found.select_related("proposed_by").first()


def fault_of(refusal: Refusal) -> Fault:
    """Word a refusal of the rules as a fault of a form's field."""
    return Fault(refusal.field, refusal.code, refusal_words(refusal))


def take(request: Request, step: Step) -> None:
    """Write a step of a locked request: state, audit entry, history, clocks, and the dispute it opens."""
    accepted, was = step.accepted, (request.state, request.phase)
    decides = accepted.phase.value in DECIDED_PHASES and was[1] not in DECIDED_PHASES
    fields = dict(step.fields)
    if accepted.opens_dispute and was[1] in DECIDED_PHASES:
        # An answer was given: what follows is a new round that ends with another one.
        fields["round"] = request.round + 1
    if decides:
        fields.setdefault("decided_at", clock.now())
    _move(request, accepted, fields)
    _drop_proposal(request, step)
    entry = record(request, step)
    add_event(
        request, step.action, step.viewer, was=was[0], entry=entry, accepted=accepted, decides=decides,
        params=step.params,
    )  # fmt: skip
    follow(case_ref(request), accepted, named(request.regulation), step.on)
    if accepted.opens_dispute:
        _open_dispute(request, step)


def _move(request: Request, accepted: Accepted, fields: dict[str, object]) -> None:
    fields |= {
        "state": accepted.to_state,
        "phase": accepted.phase.value,
        "changed_at": clock.now(),
    }
    Request.objects.filter(pk=request.pk).update(**fields)
    for name, value in fields.items():
        setattr(request, name, value)


def _drop_proposal(request: Request, step: Step) -> None:
    """A proposal ends with any step but the one that has just proposed or confirmed it."""
    pending = pending_proposal(request)
    if pending is None or step.accepted.proposes:
        return
    by_provider = step.viewer is not None and step.viewer.department.code == request.provider_id
    pending.outcome = Outcome.SENT_BACK if by_provider and step.reason else Outcome.DROPPED
    pending.closed_by_id = step.viewer.account_id if step.viewer else None
    pending.closed_at = clock.now()
    pending.reason = step.reason[:500]
    pending.save()


def record(request: Request, step: Step, event: str = "") -> str:
    """Append the audit entry of a step and return its id."""
    decides = step.accepted.phase.value in DECIDED_PHASES and not step.accepted.opens_dispute
    named_event = event or _EVENTS.get(step.action) or ("request_decided" if decides else "request_step")
    facts: dict[str, object] = {"regulation": request.regulation, "articles": [step.accepted.article]}
    if step.reason:
        facts["reason"] = step.reason
    entry = append_entry(
        named_event,
        actor=step.actor,
        at=clock.now(),
        outcome=step.accepted.to_state,
        department=request.requester_id,
        provider=request.provider_id,
        resource_id=request.resource_id,
        grant_id=step.grant,
        case_no=request.number,
        facts={"action": step.action, **facts, **step.facts},
    )
    return str(entry)


def add_event(
    request: Request,
    code: str,
    viewer: Viewer | None,
    *,
    was: str = "",
    entry: str | None = None,
    accepted: Accepted | None = None,
    decides: bool = False,
    articles: tuple[str, ...] = (),
    params: Mapping[str, str] | None = None,
) -> None:
    """Add a step to the history of a request; without a viewer it is the platform's."""
    RequestEvent.objects.create(
        request=request,
        code=code,
        from_state=was or request.state,
        to_state=request.state,
        decides=decides,
        occurred_at=clock.now(),
        account_id=viewer.account_id if viewer else None,
        department_id=viewer.department.code if viewer else None,
        round=request.round,
        params=dict(params or {}),
        entry_id=entry,
        articles=[accepted.article] if accepted else list(articles),
    )


def _open_dispute(request: Request, step: Step) -> None:
    rules = named(request.regulation)
    state = rules.procedure(KIND).state(request.state)
    number = open_dispute(
        step.viewer,
        DisputeInput(
            kind=KIND,
            case_number=request.number or "",
            applicant=request.requester_id,
            respondent=request.provider_id,
            resource=request.resource_id,
            reason=step.reason or f"{request.number}：{state.zh if state else request.state}",
            regulation=request.regulation,
            article=step.accepted.article,
        ),
    )
    tell_of_negotiation(request, number)


def tell_of_negotiation(request: Request, dispute: str) -> None:
    """Tell both sides, and whoever co-ordinates, that negotiation has begun."""
    reference, occasion = request.number or "", f"round {request.round}"
    sides = [
        (request.requester_id, Capability.REQUEST_SUBMIT),
        (request.provider_id, Capability.REQUEST_ANSWER),
    ]
    competent = bodies_with(COMPETENT)
    for code, capability in [*sides, *((one, Capability.DISPUTE_COORDINATE) for one in competent)]:
        notify(
            code,
            "negotiation_opened",
            reference,
            capability=capability,
            occasion=occasion,
            params={"dispute": dispute},
        )


def system_facts(request: Request) -> Facts:
    """What is known when the platform itself acts."""
    return facts_of(request, frozenset({SYSTEM}), {})
