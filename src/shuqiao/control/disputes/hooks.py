"""What the owner of a kind of case does when a dispute about one of its cases moves.

Disputes stand below requests and know a case only by kind and number; the owner registers once, from
`AppConfig.ready`.
"""

from collections.abc import Callable
from dataclasses import dataclass

Settle = Callable[[str, bool, str], None]
IsProvided = Callable[[str], bool]
Lock = Callable[[str], None]


@dataclass(frozen=True)
class CaseOwner:
    """How a kind of case is asked and told.

    `settle(number, shared, dispute)` is told what has been decided, in the transaction of the decision.
    `is_provided(number)` says whether the information has been given. `lock(number)` locks the case: called
    before the dispute is locked, so that both are always taken in the same order.
    """

    settle: Settle
    is_provided: IsProvided
    lock: Lock


_owners: dict[str, CaseOwner] = {}


def _no_lock(number: str) -> None:
    """Leave a case unlocked whose owner never holds its lock while it turns to a dispute."""


def register(kind: str, *, settle: Settle, is_provided: IsProvided, lock: Lock = _no_lock) -> None:
    """Name the owner of one kind of case."""
    _owners[kind] = CaseOwner(settle, is_provided, lock)


def owner_of(kind: str) -> CaseOwner | None:
    """Return the owner of a kind of case, or None where nobody has registered it."""
    return _owners.get(kind)
