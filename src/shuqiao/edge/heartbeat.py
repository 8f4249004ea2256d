"""Telling the hub every few seconds how the node is, and following what the hub asks in its answer.

What is asked for is rest, work or a full load of one table, nothing else: no order can make a node send what
its mapping files don't name. Which full loads were followed stands in a file, written after the load began:
a node killed between the two begins the load once more, which changes no row.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from cryptography import x509

from shuqiao.edge.capture import Capture
from shuqiao.edge.hub import Hub, HubAwayError
from shuqiao.edge.status import NodeStatus, ResourceStatus
from shuqiao.security.keys import SigningKey
from shuqiao.security.nats_secrets import replace_file
from shuqiao.wire.node_state import LineState, NodeState, Orders, sign_state

_log = logging.getLogger("shuqiao.edge")
_MAX_WORDS = 300


class Heartbeat:
    """Brings the node's state to the hub for as long as it runs."""

    def __init__(
        self,
        captures: Sequence[Capture],
        hub: Hub,
        key: SigningKey,
        describe: Callable[[], NodeStatus],
        size_bytes: Callable[[], int],
        followed: Path,
        authority: Path,
        every_s: float,
    ) -> None:
        """Remember what to tell; `describe` and `size_bytes` may block."""
        self._captures = {capture.mapping.resource: capture for capture in captures}
        self._hub = hub
        self._key = key
        self._describe = describe
        self._size_bytes = size_bytes
        self._followed = followed
        self._authority = authority
        self._every_s = every_s
        self._started_at = datetime.now(UTC)

    async def run(self) -> None:
        """Work until cancelled; a hub that is away is told later."""
        while True:
            try:
                state = await asyncio.to_thread(self._state)
                await self._follow(await self._hub.tell(sign_state(state, self._key)))
            except HubAwayError as error:
                _log.info("state_waits %s", error)
            await asyncio.sleep(self._every_s)

    def _state(self) -> NodeState:
        status = self._describe()
        return NodeState(
            department=status.department,
            at=datetime.now(UTC),
            version=version("shuqiao"),
            started_at=self._started_at,
            state=status.state,
            spool_bytes=self._size_bytes(),
            lines=tuple(
                _line(resource, self._captures[resource].mapping.version, one)
                for resource, one in status.resources.items()
            ),
            certificate_until=first_end(self._authority.read_bytes()),
        )

    async def _follow(self, orders: Orders) -> None:
        for resource, capture in self._captures.items():
            capture.state.paused = resource in orders.paused
        followed = await asyncio.to_thread(self._read_followed)
        for resource, number in orders.reloads.items():
            wanted = self._captures.get(resource)
            if wanted is not None and number > followed.get(resource, 0):
                await wanted.reload()
                followed[resource] = number
                await asyncio.to_thread(
                    replace_file, self._followed, msgspec.json.encode(followed), mode=0o600
                )
                _log.info("reload_ordered %s", resource)

    def _read_followed(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self._followed.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}


def first_end(chain: bytes) -> datetime:
    """Return when the first of these certificates (PEM) ends, in UTC."""
    return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(chain))


def _line(resource: str, mapping: str, one: ResourceStatus) -> LineState:
    return LineState(
        resource=resource,
        state=one.state,
        phase=one.phase or "",
        mapping=mapping,
        waiting_rows=one.waiting_rows,
        lag_s=max(0.0, one.lag_s),
        fault=(one.fault or "")[:_MAX_WORDS],
        refused=(one.refused or "")[:_MAX_WORDS],
        changes="; ".join(one.changes)[:_MAX_WORDS],
    )
