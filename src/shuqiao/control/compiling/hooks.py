"""Who is told when cases of the catalogue move: a capability above this one registers once, at start.

Listeners are called in the transaction of the step, for all its cases together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shuqiao.rules.procedures import Accepted
from shuqiao.rules.regulation import Regulation


@dataclass(frozen=True)
class Moved:
    """A case that has taken a step which the regulation names an event, such as `catalogue_reported`."""

    number: str
    resource: str
    department: str
    kind: str
    event: str


Listener = Callable[[Sequence[Moved]], None]

_listeners: dict[str, Listener] = {}


def register(name: str, listener: Listener) -> None:
    """Name who is told; registered again under the same name it is told once."""
    _listeners[name] = listener


def tell(moved: Sequence[Moved]) -> None:
    """Tell everyone who asked to be told."""
    if moved:
        for listener in _listeners.values():
            listener(moved)


def event_of(rules: Regulation, before: str, action: str, accepted: Accepted) -> str:
    """The event that a step taken from a state is in the regulation's procedure; empty where it is none."""
    found = (
        step.event or ""
        for step in rules.procedure("entry").transitions
        if step.action == action and before in step.from_states and step.to_state == accepted.to_state
    )
    return next(found, "")
