"""The integrator: numbers durable entries into the Merkle tree and signs a checkpoint for each step.

One step is one transaction: entries leave `audit.pending`, their leaves, the complete subtrees and the signed
checkpoint appear, or nothing happens. Whatever is visible in `audit.pending` is taken, in any order: an entry
whose transaction commits late is simply numbered later. (Numbering by "greater than the last" would lose it.)
Only one integrator works at a time, under an advisory lock; others wait to take over.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from shuqiao.rules import merkle
from shuqiao.rules.checkpoint import Checkpoint
from shuqiao.security import keys
from shuqiao.wire.outages import DATABASE_TROUBLES

MAX_BATCH: Final = 10_000
PAUSE_S: Final = 0.2
"""Longest rest between two looks at the queue: with the step itself, well below a second."""

LOCK_KEY: Final = int.from_bytes(b"sqaudlog", "big")
"""Key of the advisory lock that makes one integrator the only one."""

_LOCK_PAUSE_S: Final = 0.5
_RETRY_PAUSE_S: Final = 1.0
_STATEMENT_TIMEOUT_S: Final = 60.0

_TAKE: Final = """
WITH taken AS (
    DELETE FROM audit.pending WHERE ctid = ANY (ARRAY(SELECT ctid FROM audit.pending LIMIT $2))
    RETURNING entry_id, digest),
numbered AS (
    SELECT $1::bigint + row_number() OVER () - 1 AS position, entry_id,
           sha256('\\x00'::bytea || digest) AS hash
    FROM taken)
INSERT INTO audit.leaf (position, entry_id, hash) SELECT position, entry_id, hash FROM numbered
RETURNING position, hash
"""
_ADD_NODES: Final = """
INSERT INTO audit.node (level, position, hash) SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])
"""
_ADD_CHECKPOINT: Final = """
INSERT INTO audit.checkpoint (size, root, signed_at, key_id, signature) VALUES ($1, $2, $3, $4, $5)
"""
_NEWEST: Final = "SELECT size, root FROM audit.checkpoint ORDER BY size DESC LIMIT 1"
_READ_NODES: Final = """
SELECT 0::smallint AS level, position, hash FROM audit.leaf WHERE position = ANY ($1::bigint[])
UNION ALL
SELECT level, position, hash FROM audit.node
WHERE (level, position) IN (SELECT * FROM unnest($2::smallint[], $3::bigint[]))
"""
_KEY_KNOWN: Final = """
SELECT EXISTS (SELECT FROM exchange.signing_key WHERE id = $1 AND purpose = 'log' AND active)
"""

log = logging.getLogger("shuqiao.auditlog")


class LogBrokenError(Exception):
    """The stored tree contradicts its newest checkpoint; nothing may be added until a person has looked."""


class KeyUnknownError(Exception):
    """The signing key is not registered as an active key of the log, so nobody could check its signatures."""


@dataclass(frozen=True, slots=True)
class LogKey:
    """The key that signs checkpoints, with its id and the log's name."""

    origin: str
    key: keys.SigningKey
    key_id: str

    def sign(self, checkpoint: Checkpoint) -> bytes:
        """Sign the checkpoint's text with Ed25519."""
        return keys.sign("ed25519", self.key, checkpoint.text())


class Integrator:
    """Holds one connection, the lock and the right edge of the tree; `run` works until `stop` is set.

    It never repairs: if another process wrote to the tree, the primary keys refuse the step, and the edge is
    read anew.
    """

    def __init__(self, database_url: str, key: LogKey) -> None:
        self._url = database_url
        self._key = key
        self._frontier = merkle.EMPTY

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; a lost database or a refused step is retried, a broken log is raised."""
        while not stop.is_set():
            try:
                await self._lead(stop)
            except (*DATABASE_TROUBLES, KeyUnknownError) as fault:
                # The name is enough for an operator; a database's own text may quote a row.
                log.warning("integrator_retry reason=%s", type(fault).__name__)
                await _rest(stop, _RETRY_PAUSE_S)

    async def _lead(self, stop: asyncio.Event) -> None:
        connection = await asyncpg.connect(
            self._url,
            timeout=10,
            command_timeout=_STATEMENT_TIMEOUT_S,
            server_settings={"application_name": "shuqiao-integrator"},
        )
        try:
            if not await _take_lock(connection, stop):
                return
            if not await connection.fetchval(_KEY_KNOWN, self._key.key_id):
                raise KeyUnknownError(self._key.key_id)
            self._frontier = await load_frontier(connection)
            log.info("integrator_leading size=%d", self._frontier.size)
            while not stop.is_set():
                if await self.step(connection) < MAX_BATCH:
                    await _rest(stop, PAUSE_S)
        finally:
            connection.terminate()

    async def step(self, connection: asyncpg.Connection[asyncpg.Record]) -> int:
        """Integrate up to MAX_BATCH waiting entries in one transaction; return how many."""
        async with connection.transaction():
            rows = await connection.fetch(_TAKE, self._frontier.size, MAX_BATCH)
            if not rows:
                return 0
            # RETURNING promises no order, and the tree needs the leaves by position.
            hashes = [row[1] for row in sorted(rows, key=_position)]
            growth = merkle.append(self._frontier, hashes)
            await self._store(connection, growth)
        # Only what is committed may be built upon.
        self._frontier = growth.frontier
        return len(rows)

    async def _store(self, connection: asyncpg.Connection[asyncpg.Record], growth: merkle.Growth) -> None:
        if growth.nodes:
            await connection.execute(_ADD_NODES, *_columns(growth.nodes))
        size, now = growth.frontier.size, dt.datetime.now(dt.UTC)
        signature = self._key.sign(Checkpoint(self._key.origin, size, growth.root, now))
        await connection.execute(_ADD_CHECKPOINT, size, growth.root, now, self._key.key_id, signature)


async def load_frontier(connection: asyncpg.Connection[asyncpg.Record]) -> merkle.Frontier:
    """Read the right edge of the stored tree and check it against the newest checkpoint's root."""
    newest = await connection.fetchrow(_NEWEST)
    if newest is None:
        return merkle.EMPTY
    places = merkle.nodes_for_frontier(newest["size"])
    leaves = [position for level, position in places if level == 0]
    upper = [place for place in places if place[0] > 0]
    rows = await connection.fetch(
        _READ_NODES, leaves, [level for level, _ in upper], [position for _, position in upper]
    )
    hashes = {(row["level"], row["position"]): row["hash"] for row in rows}
    if len(hashes) < len(places):
        raise LogBrokenError("a stored leaf or node is missing: run `shuqiao audit verify`")
    frontier = merkle.load_frontier(lambda level, position: hashes[level, position], newest["size"])
    if merkle.root_of_frontier(frontier) != newest["root"]:
        raise LogBrokenError("the tree does not have the root of its checkpoint: run `shuqiao audit verify`")
    return frontier


async def _take_lock(connection: asyncpg.Connection[asyncpg.Record], stop: asyncio.Event) -> bool:
    """Wait for the advisory lock; false when told to stop meanwhile.

    Asking again and again, not waiting inside the database: a statement that waits holds a snapshot, and with
    it every dead row of the queue, for as long as the other integrator lives.
    """
    waiting = False
    while not stop.is_set():
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            return True
        if not waiting:
            log.info("integrator_waiting reason=another_leads")
            waiting = True
        await _rest(stop, _LOCK_PAUSE_S)
    return False


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _position(row: asyncpg.Record) -> int:
    position: int = row[0]
    return position


def _columns(nodes: Sequence[merkle.Node]) -> tuple[list[int], list[int], list[bytes]]:
    return [node.level for node in nodes], [node.position for node in nodes], [node.hash for node in nodes]
