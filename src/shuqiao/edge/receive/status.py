"""What the node's status says of each subscription: states and counts, no row contents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from shuqiao.edge.receive.line import ReceiveLine


class SubscriptionStatus(msgspec.Struct, frozen=True):
    """One subscription: `part` was applied last, up to batch `up_to`; `dead` rows lie apart.

    `lag_s` is how old the part is that waits to be applied, 0 where none does.
    """

    resource: str
    state: str
    guarantee: str
    part: int
    up_to: int
    applied_at: str
    lag_s: float
    dead: int
    fault: str


def describe(lines: list[ReceiveLine]) -> dict[str, SubscriptionStatus]:
    """Return the state of each subscription now."""
    return {line.subscription.name: _status(line) for line in lines}


def _status(line: ReceiveLine) -> SubscriptionStatus:
    state, position = line.state, line.state.position
    return SubscriptionStatus(
        resource=line.subscription.resource,
        state=state.state,
        guarantee=line.subscription.guarantee,
        part=position.part,
        up_to=position.up_to,
        applied_at=position.applied_at,
        lag_s=line.lag_s(),
        dead=state.dead,
        fault=state.fault,
    )
