"""The plane's statements: load a snapshot, read rows with their audit entries, record refusals.

Every statement has a time limit. Whatever goes wrong on the way to the database is `DatabaseUnavailable`;
a call then answers 503 and never guesses.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

import asyncpg

from shuqiao.plane.pooler import connection_options
from shuqiao.plane.settings import GUESS_LIMITS, STATEMENT_TIMEOUT_S
from shuqiao.plane.state import Snapshot, load_snapshot
from shuqiao.wire.lanes import Lanes
from shuqiao.wire.outages import DATABASE_TROUBLES

_RESOURCE = re.compile(r"r[0-9]{6}[a-z2-7]{10}")


EXTRA_CONNECTIONS = 4
"""One each for refusals, loading a snapshot, sessions and promises, and calls about many subjects."""


class DatabaseUnavailable(Exception):
    """The database can't be reached, is too slow, or refused a statement."""


class ReadRow(NamedTuple):
    """One call as `exchange.read_<resource>` takes it, in the order of its parameters."""

    id: UUID
    at: datetime
    event: str
    department: str
    actor: str
    grant: str
    case: str | None
    outcome: str
    record: UUID
    claims: str | None
    body: str
    rows: str | None
    mark: bytes | None
    identity: str | None
    agreed: bool


class RefusalRow(NamedTuple):
    """One refused call as `exchange.record_refusals` takes it, in the order of its parameters."""

    id: UUID
    at: datetime
    event: str
    department: str
    provider: str | None
    actor: str
    resource: str | None
    grant: str | None
    case: str | None
    outcome: str
    body: str


class SessionRow(NamedTuple):
    """A session as `exchange.agree_session` takes it, in the order of its parameters."""

    entry: UUID
    session: UUID
    application: str
    department: str
    agreed_by: str
    expires_at: datetime
    limit_s: int


class HeadRow(NamedTuple):
    """A signed head as `exchange.keep_head` takes it, in the order of its parameters."""

    session: UUID
    application: str
    numbers: list[int]
    requests: list[bytes]
    lost: bool
    body: str
    digest: bytes
    covered: str
    algorithm: str
    signature: bytes
    key_id: str


class PromiseRow(NamedTuple):
    """Promises of one batch as `exchange.keep_promises` takes them; `entries` is the text of a uuid[]."""

    at: datetime
    entries: str
    key_id: str
    signature: bytes
    sealed: bytes


class Seen(NamedTuple):
    """What the database says of one call; `matches` and `data` are JSON text.

    `budget`: 0 within it, 1 used up and answered for its case, 2 used up and not to be answered.
    """

    ordinal: int
    epoch: int
    written: bool
    digest: bytes | None
    found: bool
    version: int | None
    matches: str | None
    data: str | None
    budget: int


_ORDINAL = itemgetter(0)
_COLUMNS = "ordinal, epoch, written, digest, found, version, matches::text, data::text"
_REFUSALS = f"SELECT {_COLUMNS}, 0 FROM exchange.record_refusals($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)"


async def _keep_as_it_is(_connection: object) -> None:
    """Return a connection to the pool without a round trip: no statement here leaves anything behind."""


_SAME = frozenset({"event", "department", "actor", "grant", "outcome"})
_OPTIONAL = frozenset({"case", "claims", "rows", "mark", "identity"})
_IDS = frozenset({"id", "record"})
_CASTS = {"id": "::text::uuid[]", "record": "::text::uuid[]"}
_READ_PARAMETERS = ",".join(
    f"${number}{_CASTS.get(name, '')}" for number, name in enumerate(("epoch", *ReadRow._fields, "limits"), 1)
)


def _parameters(rows: Sequence[ReadRow]) -> list[object]:
    """Give the columns of calls as `exchange.read_<resource>` takes them.

    What all calls share stands once and what none of them has is left out: coding an array costs the driver
    far more for each element than looking at it does.
    """
    made: list[object] = []
    for name, column in zip(ReadRow._fields, zip(*rows, strict=True), strict=True):
        if name in _IDS:
            made.append("{" + ",".join([one.hex for one in column]) + "}")
        elif name in _SAME and column.count(column[0]) == len(column):
            made.append(column[:1])
        elif name in _OPTIONAL and column.count(None) == len(column):
            made.append(None)
        else:
            made.append(column)
    return made


class Database:
    """A worker's connections, one for each statement that may be under way, and one more for loading."""

    def __init__(
        self,
        url: str,
        lanes: int,
        guess_limits: tuple[int, int] = GUESS_LIMITS,
        *,
        is_pooled: bool = False,
    ) -> None:
        """Keep the settings; `open` connects. The limits are of one department and of all together."""
        self._url = url
        self._lanes = lanes
        self._is_pooled = is_pooled
        self._guess_limits = list(guess_limits)
        self._pool: asyncpg.Pool | None = None
        self._kept: Lanes | None = None
        self._beside = asyncio.Lock()

    async def open(self) -> None:
        """Connect; raises `DatabaseUnavailable`."""
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=self._lanes + EXTRA_CONNECTIONS,
                max_size=self._lanes + EXTRA_CONNECTIONS,
                max_inactive_connection_lifetime=0,
                max_queries=0x7FFFFFFF,
                timeout=STATEMENT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                reset=_keep_as_it_is,
                **connection_options(is_pooled=self._is_pooled),
            )
        except DATABASE_TROUBLES as error:
            raise DatabaseUnavailable(type(error).__name__) from error
        # Calls, refusals and those about many subjects; the other two connections are for what stands beside.
        self._kept = Lanes(self._pool, self._lanes + EXTRA_CONNECTIONS - 2, STATEMENT_TIMEOUT_S)

    async def close(self) -> None:
        """Close all connections, waiting at most a statement's time."""
        if self._kept is not None:
            await self._kept.close()
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), STATEMENT_TIMEOUT_S)
            except TimeoutError:
                self._pool.terminate()

    async def read(self, resource: str, epoch: int, rows: Sequence[ReadRow]) -> list[Seen]:
        """Read rows of one resource, write their audit entries and count wrong claims, in one statement."""
        if _RESOURCE.fullmatch(resource) is None:
            raise ValueError("not a resource id")
        statement = f"SELECT {_COLUMNS}, budget FROM exchange.read_{resource}({_READ_PARAMETERS})"
        return await self._fetch(statement, epoch, _parameters(rows), len(rows), self._guess_limits)

    async def record_refusals(self, epoch: int, rows: Sequence[RefusalRow]) -> list[Seen]:
        """Write the audit entries of refused calls, in one statement."""
        return await self._fetch(_REFUSALS, epoch, list(zip(*rows, strict=True)), len(rows))

    async def forget_guesses(self, before: date) -> None:
        """Remove the counters of days that are over."""
        await self._one("SELECT exchange.forget_guesses($1)", [before])

    async def _fetch(
        self, statement: str, epoch: int, columns: Sequence[object], count: int, *more: object
    ) -> list[Seen]:
        if self._kept is None:
            raise DatabaseUnavailable("not connected yet")
        try:
            found = await self._kept.fetch(statement, epoch, *columns, *more)
        except DATABASE_TROUBLES as error:
            raise DatabaseUnavailable(type(error).__name__) from error
        seen = [Seen(*row) for row in found]
        if not seen or (seen[0].ordinal != 0 and len(seen) != count):
            raise DatabaseUnavailable("the database did not answer for every call")
        seen.sort(key=_ORDINAL)
        return seen

    async def agree_session(self, row: SessionRow) -> tuple[str, list[UUID]]:
        """Enter a session, or hear which ones stand in its way."""
        found = await self._one("SELECT * FROM exchange.agree_session($1,$2,$3,$4,$5,$6,$7)", row)
        return found["outcome"], found["sessions"]

    async def keep_head(self, row: HeadRow) -> tuple[str, int, list[int]]:
        """Keep a signed head: (outcome, calls confirmed, numbers still open or contradicted)."""
        found = await self._one("SELECT * FROM exchange.keep_head($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)", row)
        return found["outcome"], found["confirmed"], found["numbers"]

    async def keep_promises(self, rows: Sequence[PromiseRow]) -> None:
        """Keep promises that were given."""
        columns = [list(column) for column in zip(*rows, strict=True)]
        await self._one("SELECT exchange.keep_promises($1,$2,$3,$4,$5)", columns)

    async def _one(self, statement: str, values: Sequence[object]) -> asyncpg.Record:
        # One at a time: what stands beside the calls never takes their connections.
        try:
            async with (
                asyncio.timeout(2 * STATEMENT_TIMEOUT_S),
                self._beside,
                self._ready_pool().acquire(timeout=STATEMENT_TIMEOUT_S) as connection,
            ):
                found = await connection.fetchrow(statement, *values)
        except DATABASE_TROUBLES as error:
            raise DatabaseUnavailable(type(error).__name__) from error
        if found is None:
            raise DatabaseUnavailable("the database did not answer")
        return found

    async def load(self, known: Snapshot) -> Snapshot:
        """Load a snapshot."""
        try:
            async with self._ready_pool().acquire(timeout=STATEMENT_TIMEOUT_S) as connection:
                return await load_snapshot(connection, known)
        except DATABASE_TROUBLES as error:
            raise DatabaseUnavailable(type(error).__name__) from error

    async def current_epoch(self) -> int:
        """Ask for the epoch alone."""
        try:
            async with self._ready_pool().acquire(timeout=STATEMENT_TIMEOUT_S) as connection:
                epoch: int = await connection.fetchval("SELECT value FROM exchange.epoch")
                return epoch
        except DATABASE_TROUBLES as error:
            raise DatabaseUnavailable(type(error).__name__) from error

    def _ready_pool(self) -> asyncpg.Pool:
        if self._pool is None:
            raise DatabaseUnavailable("not connected yet")
        return self._pool
