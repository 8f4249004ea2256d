"""The course of a request, drawn from its regulation: what is done, what runs, what lies ahead.

The way is the one an ordinary request takes, from state to state; then provision and use; then the way of a
dispute, which begins only where a request is refused or not answered.
"""

from collections.abc import Iterator
from datetime import date

from shuqiao.control import clock
from shuqiao.control.clocks.queries import CaseClock
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.grants.models import Grant
from shuqiao.control.regulations.queries import article_ref, cited_text, due
from shuqiao.control.requests.granting import PROVIDED
from shuqiao.control.requests.labels import state_label, step_label
from shuqiao.control.requests.models import DECIDED_PHASES, KIND, Request, RequestEvent
from shuqiao.control.requests.queries import Step
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import PROPOSED, SETTING, Phase, Procedure, Regulation, Transition

_APART = {"save", "withdraw"}
MAX_STEPS = 12


def course_of(
    request: Request, rules: Regulation, events: list[RequestEvent], clocks: tuple[CaseClock, ...]
) -> tuple[Step, ...]:
    """Draw the course of a request for its page."""
    happened = {event.code: event for event in events}
    steps = [_step(step, request, rules, happened, clocks) for step in main_way(rules.procedure(KIND))]
    duty = _duty_step(happened.get("duty_confirmed"), rules)
    return (
        *steps[:1],
        duty,
        *steps[1:],
        _provide_step(request, rules, happened.get(PROVIDED), clocks),
        _use_step(request, rules),
        *_dispute_steps(request, rules),
    )


def main_way(procedure: Procedure) -> Iterator[Transition]:
    """The steps of an ordinary request, from the draft to the grant, as the file orders them."""
    state, seen = procedure.initial.key, set[str]()
    for _ in range(MAX_STEPS):
        step = next((one for one in procedure.transitions if _leads_on(one, state, procedure)), None)
        if step is None or state in seen:
            return
        yield step
        seen.add(state)
        state = step.to_state


def _leads_on(step: Transition, state: str, procedure: Procedure) -> bool:
    if state not in step.from_states or step.action in _APART or step.when or step.to_state == state:
        return False
    target = procedure.state(step.to_state)
    return step.to_state == PROPOSED or (
        target is not None and target.phase in (Phase.WAITING, Phase.GRANTED)
    )


def _step(
    step: Transition,
    request: Request,
    rules: Regulation,
    happened: dict[str, RequestEvent],
    clocks: tuple[CaseClock, ...],
) -> Step:
    """One step of the way: done once it has happened, or anything else has led past it."""
    event = happened.get(step.action) or _that_led_to(step, happened)
    answers = step.to_state == PROPOSED or _grants(step, rules)
    if answers and event is None:
        event = next((one for one in reversed(list(happened.values())) if one.decides), None)
    current = request.state in step.from_states and request.phase == Phase.WAITING.value
    decided = request.phase in DECIDED_PHASES
    done = event is not None and not current
    own = _clock_of(step, rules, clocks)
    running = own or (next((one for one in clocks if one.is_open), None) if current else None)
    passed = decided and not done
    return Step(
        key=step.action,
        label=Text("答复", "Reply") if answers else Text(step.zh, step.en),
        status="done" if done or passed else ("current" if current else "ahead"),
        detail=state_label(rules.id, request.state) if answers and decided else None,
        at=event.occurred_at if done and event else None,
        by=event.account.display_name if done and event and event.account else "",
        due_on=running.due_on if running and not done else None,
        clock=running.shown if running else None,
        article=cited_text(_article_of(step, running if current else None, rules), rules.id),
        start_rule=_start_rule(running, rules) if current else None,
    )


def _that_led_to(step: Transition, happened: dict[str, RequestEvent]) -> RequestEvent | None:
    """Another step with the same end: part of what was asked for is proposed as well as all of it."""
    return next((one for one in happened.values() if one.to_state == step.to_state != one.from_state), None)


def _grants(step: Transition, rules: Regulation) -> bool:
    target = rules.procedure(KIND).state(step.to_state)
    return target is not None and target.phase is Phase.GRANTED


def _article_of(step: Transition, running: CaseClock | None, rules: Regulation) -> str:
    """The article of the term while it runs, so that its words stand beside the clock; else the step's."""
    return rules.deadline(running.deadline).article if running else step.article


def _clock_of(step: Transition, rules: Regulation, clocks: tuple[CaseClock, ...]) -> CaseClock | None:
    """The clock that this step meets."""
    keys = [one.key for one in rules.deadlines if step.event and _meets(one.met_by, step.event)]
    kept = [one for one in clocks if one.deadline in keys and one.state != "void"]
    return kept[-1] if kept else None


def _meets(met_by: str, event: str) -> bool:
    return met_by == event or event.startswith(f"{met_by}_")


def _start_rule(running: CaseClock | None, rules: Regulation) -> Text | None:
    """Say what the text leaves open about the counting and the platform has settled."""
    if running is None:
        return None
    deadline = rules.deadline(running.deadline)
    if SETTING not in (deadline.starts_article, rules.start_day_article):
        return None
    counted = (
        Text("当日起算", "counted from the day itself")
        if rules.start_day_counts
        else Text("次日起算", "counted from the day after")
    )
    return Text(
        f"起算：{counted.zh}。条文未定，此为平台设定",
        f"The term is {counted.en}: the text leaves it open, the platform has settled it",
    )


def _duty_step(event: RequestEvent | None, rules: Regulation) -> Step:
    return Step(
        key="duty",
        label=Text("职权核对", "Check of the duty"),
        status="done" if event else "ahead",
        detail=None,
        at=event.occurred_at if event else None,
        by="",
        due_on=None,
        clock=None,
        article=cited_text(rules.citations["own_duty"], rules.id),
        start_rule=None,
    )


def _provide_step(
    request: Request, rules: Regulation, event: RequestEvent | None, clocks: tuple[CaseClock, ...]
) -> Step:
    """Provision: with its term where the text sets one, else with the approval."""
    deadline = next((one for one in rules.deadlines if one.met_by == PROVIDED), None)
    held = [one for one in clocks if deadline and one.deadline == deadline.key and one.state != "void"]
    opened = event is not None and event.round == request.round
    detail = Text("同意即开通", "Opened with the approval")
    due_on: date | None = None
    if deadline and not held and not opened:
        term = due(deadline.key, clock.today(), rules)
        due_on = term.due_on
        detail = Text(
            f"若今天同意，最迟 {term.due_on:%m-%d} 提供",
            f"If approved today: to be provided by {term.due_on}",
        )
    waiting = bool(held) and not opened
    return Step(
        key="provide",
        label=Text("提供", "Provision"),
        status="done" if opened else ("current" if waiting else "ahead"),
        detail=Text("授权已开通", "Access is open") if opened else detail,
        at=event.occurred_at if opened and event else None,
        by="",
        due_on=held[-1].due_on if held else due_on,
        clock=held[-1].shown if held else None,
        article=cited_text(deadline.article if deadline else rules.citations["first_request"], rules.id),
        start_rule=None,
    )


def _use_step(request: Request, rules: Regulation) -> Step:
    grants = Grant.objects.filter(request_number=request.number or "")
    until = grants.order_by("-valid_until").values_list("valid_until", flat=True).first()
    words = Text(f"至 {until}，期满自动停用", f"Until {until}, then it ends by itself") if until else None
    return Step(
        key="use",
        label=Text("使用", "Use"),
        status="current" if until and until >= clock.today() else ("done" if until else "ahead"),
        detail=words or Text("每次调用先留痕后应答", "Every call is recorded before it is answered"),
        at=None,
        by="",
        due_on=until,
        clock=None,
        article=cited_text(rules.citations["sharing_period"], rules.id),
        start_rule=None,
    )


def _dispute_steps(request: Request, rules: Regulation) -> tuple[Step, ...]:
    """The stages of a dispute in the order of the file: those passed, the one it stands at, those ahead."""
    procedure = rules.procedure("dispute")
    stages = [state.key for state in procedure.states if state.phase is Phase.WAITING]
    disputed = request.phase == Phase.DISPUTED.value
    about = Dispute.objects.filter(case_kind=KIND, case_number=request.number or "")
    opened = about.order_by("-opened_at").first() if disputed else None
    now = stages.index(opened.state) if opened is not None and opened.state in stages else -1
    return tuple(
        _stage(
            procedure,
            stage,
            rules,
            status="dispute" if place > now else "current" if place == now else "done",
        )
        for place, stage in enumerate(stages)
    )


def _stage(procedure: Procedure, stage: str, rules: Regulation, *, status: str) -> Step:
    into = [
        step for step in procedure.transitions if step.to_state == stage and stage not in step.from_states
    ]
    out = [step for step in procedure.transitions if stage in step.from_states]
    step = (into or out)[0]
    return Step(
        key=stage,
        label=state_label(rules.id, stage, "dispute"),
        status=status,
        detail=None,
        at=None,
        by="",
        due_on=None,
        clock=None,
        article=cited_text(step.article, rules.id),
        start_rule=Text(
            f"仅在不答复或不予共享时启动（{article_ref(step.article, rules.id).cite.zh}）",
            "Begins only where a request is not answered or refused",
        ),
    )


def event_words(event: RequestEvent, regulation: str) -> Text:
    """Name a step of the history."""
    return step_label(regulation, event.code, event.from_state, event.to_state)
