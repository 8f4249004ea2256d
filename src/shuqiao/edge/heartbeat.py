"""Telling the hub every few seconds how the node is, and following what the hub asks in its answer.

What is asked for is rest, work or a full load of one table, and what the values of batches are looked through
for: no order can make a node send what its mapping files don't name. The names of the columns that a mapping
reads are told when the hub asks for them. Which full loads were followed stands in a file, written after the
load began: a node killed between the two begins the load once more, which changes no row.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec
from cryptography import x509

from shuqiao.edge.capture import Capture
from shuqiao.edge.disk import DiskFull, is_full
from shuqiao.edge.hub import Hub, HubAwayError
from shuqiao.edge.mapping import ColumnSource, TableMapping
from shuqiao.edge.reconciling import Reconciling
from shuqiao.edge.screening import RulesInForce
from shuqiao.edge.status import NodeStatus, ResourceStatus
from shuqiao.rules.screening import Rules
from shuqiao.security.keys import SigningKey
from shuqiao.security.replacing import replace_file
from shuqiao.wire.node_state import ItemColumn, LineState, MappingColumns, NodeState, Orders, sign_state
from shuqiao.wire.screening import RulesRefused

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
        rules: RulesInForce,
        reconciling: Reconciling,
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
        self._reconciling = reconciling
        self._rules = rules
        self._described: tuple[str, ...] = ()
        self._started_at = datetime.now(UTC)

    async def run(self) -> None:
        """Work until cancelled; a hub that is away is told later."""
        while True:
            try:
                state = await asyncio.to_thread(self._state)
                # Told once: the hub asks again for what didn't reach it.
                self._described = ()
                await self._follow(await self._hub.tell(sign_state(state, self._key)))
            except HubAwayError as error:
                _log.info("state_waits %s", error)
            except (DiskFull, OSError) as error:
                if not is_full(error):
                    raise
                # What the hub asks is followed when there is room to note it.
                _log.warning("orders_wait disk_full")
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
            screening=self._rules.screen.rules.version,
            mappings={
                name: columns_of(self._captures[name].mapping)
                for name in self._described
                if name in self._captures
            },
        )

    async def _follow(self, orders: Orders) -> None:
        self._reconciling.offer(orders)
        self._described = orders.describe
        if orders.screening is not None:
            await self._screen_by(orders.screening)
        for resource, capture in self._captures.items():
            capture.state.paused = resource in orders.paused
        followed = await asyncio.to_thread(self._read_followed)
        for resource, number in orders.reloads.items():
            if (wanted := self._captures.get(resource)) is not None:
                await self._once(followed, resource, number, wanted.reload)
        for resource, word in orders.let_through.items():
            if (wanted := self._captures.get(resource)) is not None:
                let = partial(wanted.let_through, word.rows)
                await self._once(followed, f"{resource}/let_through", word.number, let)

    async def _once(
        self, followed: dict[str, int], place: str, number: int, follow: Callable[[], Awaitable[None]]
    ) -> None:
        """Follow a wish that counts, once for each number."""
        if number <= followed.get(place, 0):
            return
        await follow()
        followed[place] = number
        await asyncio.to_thread(replace_file, self._followed, msgspec.json.encode(followed), mode=0o600)
        _log.info("followed %s", place)

    async def _screen_by(self, rules: Rules) -> None:
        try:
            await asyncio.to_thread(self._rules.follow, rules)
        except RulesRefused as error:
            _log.error("screening_rules_refused version=%d %s", rules.version, error)
        else:
            _log.info("screening_rules version=%d", rules.version)

    def _read_followed(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self._followed.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}


def first_end(chain: bytes) -> datetime:
    """Return when the first of these certificates (PEM) ends, in UTC."""
    return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(chain))


def columns_of(mapping: TableMapping) -> MappingColumns:
    """Say where each item of a mapping comes from."""
    items = (
        ItemColumn(item, source.column, source.codes is not None)
        if isinstance(source, ColumnSource)
        else ItemColumn(item)
        for item, source in mapping.items.items()
    )
    return MappingColumns(mapping.system[:200], mapping.table[:200], tuple(items))


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
        held_back=one.held_back,
        held_of=one.held_of,
        screened=one.screened,
        screened_rows=tuple(one.screened_rows),
        unacknowledged=one.unacknowledged,
    )
