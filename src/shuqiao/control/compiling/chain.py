"""The way of an entry through its regulation's procedure, as a stepper shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shuqiao.control.compiling.access import PROCEDURE
from shuqiao.control.compiling.models import CompilationEvent
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Phase, Procedure, Regulation, State, Transition

_BACK = ("save", "withdraw", "return")


@dataclass(frozen=True)
class ChainStep:
    """One step of the chain: done, current or next, who took it and when, and its article."""

    action: str
    label: Text
    state: Text
    status: str
    article: ArticleRef
    at: datetime | None = None
    by: str = ""
    department: DepartmentRef | None = None


def main_path(procedure: Procedure) -> tuple[Transition, ...]:
    """The steps that lead from the beginning to publication, none of them a shortcut or a way back."""
    found: list[Transition] = []
    state, seen = procedure.initial.key, {procedure.initial.key}
    while True:
        step = next((one for one in procedure.transitions if _leads_on(one, state, seen, procedure)), None)
        if step is None:
            return tuple(found)
        found.append(step)
        state = step.to_state
        seen.add(state)


def _leads_on(step: Transition, state: str, seen: set[str], procedure: Procedure) -> bool:
    target: State | None = procedure.state(step.to_state)
    ahead = target is not None and target.phase in (Phase.WAITING, Phase.GRANTED)
    on_its_way = state in step.from_states and step.to_state not in seen
    return on_its_way and ahead and not step.when and step.action not in _BACK


def short_path(procedure: Procedure) -> tuple[Transition, ...]:
    """The one step by which a correction of wording is published; the main path where there is none."""
    start = procedure.initial.key
    short = (step for step in procedure.transitions if start in step.from_states and step.when)
    found = next(short, None)
    return (found,) if found else main_path(procedure)


def chain_of(
    rules: Regulation, state: str, events: Sequence[CompilationEvent], *, correction: bool = False
) -> tuple[ChainStep, ...]:
    """The chain with what has happened since the case was last returned."""
    procedure = rules.procedure(PROCEDURE)
    path = short_path(procedure) if correction else main_path(procedure)
    taken: dict[str, CompilationEvent] = {}
    for event in events:
        if event.action == "return":
            taken.clear()
        taken[event.to_state] = event
    reached = next((n for n, step in enumerate(path, 1) if step.to_state == state), 0)
    return tuple(
        _step(rules, step, _status(n, reached, len(path)), taken.get(step.to_state))
        for n, step in enumerate(path, 1)
    )


def _status(place: int, reached: int, length: int) -> str:
    """`reached` steps are done; the one after is under way, unless the last is reached."""
    if place <= reached:
        return "done"
    return "current" if place == reached + 1 and reached < length else "next"


def _step(rules: Regulation, step: Transition, status: str, event: CompilationEvent | None) -> ChainStep:
    target, is_done = rules.procedure(PROCEDURE).state(step.to_state), status == "done"
    return ChainStep(
        action=step.action,
        label=Text(step.zh, step.en),
        state=Text(target.zh, target.en) if target else Text(step.to_state, step.to_state),
        status=status,
        article=article_ref(step.article, rules.id),
        at=event.occurred_at if event and is_done else None,
        by=event.account.display_name if event and event.account and is_done else "",
        department=department_ref(event.department) if event and event.department and is_done else None,
    )
