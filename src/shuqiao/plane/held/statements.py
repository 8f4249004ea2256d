"""The two statements of a call on data that stay with a department."""

from __future__ import annotations

from typing import NamedTuple

from shuqiao.plane.bulk.statements import Done, Statements


class AskedNode(NamedTuple):
    """What `exchange.ask_node` says: done, stale or replayed; the sender's certificate, the node's key."""

    outcome: str
    epoch: int
    certificate: bytes | None
    node_key: bytes | None


class HeldStatements(Statements):
    """A worker's few connections for these calls."""

    async def ask_node(self, *values: object) -> AskedNode:
        """Write the entry before a node is asked, in the order of `exchange.ask_node`."""
        row = await self._call("ask_node", "outcome, epoch, certificate, node_key", values)
        return AskedNode(*row)

    async def end_node_call(self, *values: object) -> Done:
        """Write how it ended, in the order of `exchange.end_node_call`."""
        return Done(*await self._call("end_node_call", "outcome, epoch, digest", values))
