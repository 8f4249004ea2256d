"""Rows of lists that have no time of change: files in a folder or on a server, answers of an interface.

A mapping's table says which lists are meant. The node keeps what it read last, encrypted, in a file of its
own: a row counts as changed when a list is read in which it is new or different. Lists are read in the order
of their names, and a row in a later one replaces the same in an earlier one. A list is taken in as a whole or
not at all, in one transaction, so that a process killed on the way has read nothing.

Where ranges are compared, what the lists hold now is all there is: a row that is in none of them any more is
gone, and so are the rows of a list that was taken away. No list at all says nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import msgspec

from shuqiao.edge.connectors import WEIGHTS, RangeSum, SourceError, SourceRow, Unreadable
from shuqiao.edge.connectors.checking import CLOCK_FORMAT, earlier
from shuqiao.edge.connectors.dbf import MEMO, UNKNOWN
from shuqiao.edge.connectors.lists import Listed, Rows
from shuqiao.edge.cover import Cover
from shuqiao.edge.disk import DiskFull, is_full
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

_Stored = tuple[str, str, str, bytes, bytes]
_AT_ONCE = 1_000

_TABLES = """
CREATE TABLE IF NOT EXISTS file (
    resource TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (resource, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS row (
    resource TEXT NOT NULL, key TEXT NOT NULL, changed TEXT NOT NULL, digest BLOB NOT NULL,
    cells BLOB NOT NULL, turn INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (resource, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS row_changed ON row (resource, changed, key);
"""
_PUT = """
INSERT INTO row (resource, key, changed, digest, cells) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (resource, key) DO UPDATE SET changed = excluded.changed, digest = excluded.digest,
    cells = excluded.cells WHERE row.digest <> excluded.digest"""
_MEET = "UPDATE row SET turn = ? WHERE resource = ? AND key = ?"
_WEIGHT_BYTES = 8


@dataclass(frozen=True)
class Keeping:
    """Where a connector may keep what it must remember, and the secret under which it does."""

    folder: Path
    cover: Cover


class Shelf(Protocol):
    """Where lists stand, each with a state that is another one whenever the list is.

    Its functions block and run in a thread of their own, those of one shelf one after the other.
    """

    tells_columns: bool
    """Whether the columns of a list can be seen without reading it all."""

    def standing(self, mapping: TableMapping) -> Mapping[str, str | None]:
        """Return the states of the lists meant, in order; None of one that is being written."""

    def opened(self, mapping: TableMapping, name: str, /) -> AbstractContextManager[Listed]:
        """Open a list; raises SourceError at the end where it changed meanwhile."""

    def stays(self, mapping: TableMapping, states: Mapping[str, str | None], /) -> bool:
        """Say whether the lists are still these."""

    def close(self) -> None:
        """Wait for nothing any more."""


class KeptSource:
    """Reads the lists of one shelf; writes nothing there."""

    def __init__(self, shelf: Shelf, keeping: Keeping) -> None:
        """Keep the parts; nothing is opened before the first read."""
        self._shelf = shelf
        self._file = keeping.folder / "lists.db"
        self._cover = keeping.cover
        self._turn = asyncio.Lock()
        self._headed: dict[str, tuple[tuple[str, str], Mapping[str, str]]] = {}

    async def check(self, mapping: TableMapping) -> None:
        """Compare the mapping with the newest list."""
        async with self._turn:
            await asyncio.to_thread(self._check, mapping)

    async def clock(self, mapping: TableMapping) -> str:
        """Read the lists that are new or changed, then return the time now, UTC."""
        async with self._turn:
            await asyncio.to_thread(self._take_in, mapping)
        return _now()

    def earlier(self, clock: str, seconds: float) -> str:
        """Return the text of a time before `clock`."""
        return earlier(clock, seconds)

    async def read_all(self, mapping: TableMapping, after: str | None, limit: int) -> list[SourceRow]:
        """Return one page in order of what stands for the key."""
        sql = (
            "SELECT key, changed, cells, digest FROM row WHERE resource = ? AND key > ? ORDER BY key LIMIT ?"
        )
        return await self._page(mapping, sql, (after or "", limit))

    async def read_changed(
        self, mapping: TableMapping, since: str, after: SourceRow | None, limit: int
    ) -> list[SourceRow]:
        """Return one page in order of change and key."""
        sql = (
            "SELECT key, changed, cells, digest FROM row"
            " WHERE resource = ? AND changed >= ? AND (changed, key) > (?, ?) ORDER BY changed, key LIMIT ?"
        )
        behind = ("", "") if after is None else (after.changed, after.key)
        return await self._page(mapping, sql, (since, *behind, limit))

    async def read_range(
        self, mapping: TableMapping, after: str | None, until: str | None, limit: int
    ) -> list[SourceRow]:
        """Return one page of a range in order of what stands for the key."""
        where, bounds = _between(after, until)
        sql = f"SELECT key, changed, cells, digest FROM row WHERE resource = ?{where} ORDER BY key LIMIT ?"
        return await self._page(mapping, sql, (*bounds, limit))

    async def checksum(self, mapping: TableMapping, after: str | None, until: str | None) -> RangeSum | None:
        """Return the sum of the digests of a range, for which no row is opened."""
        return await asyncio.to_thread(self._sum, mapping, *_between(after, until))

    def _sum(self, mapping: TableMapping, where: str, bounds: Sequence[str]) -> RangeSum:
        rows = weight = 0
        with self._linked() as link:
            sql = f"SELECT digest FROM row WHERE resource = ?{where}"
            for (digest,) in link.execute(sql, (mapping.resource, *bounds)):
                rows, weight = rows + 1, weight + _weight(digest)
        return RangeSum(rows, weight % WEIGHTS)

    async def columns(self, mapping: TableMapping) -> Mapping[str, str]:
        """Return the columns of the newest list, with their types where it has them."""
        if not self._shelf.tells_columns:
            return {}
        async with self._turn:
            return await asyncio.to_thread(self._named, mapping)

    def _named(self, mapping: TableMapping) -> Mapping[str, str]:
        still = [(name, state) for name, state in self._shelf.standing(mapping).items() if state is not None]
        if not still:
            return {}
        if self._headed.get(mapping.resource, (None, {}))[0] != still[-1]:
            with self._shelf.opened(mapping, still[-1][0]) as (columns, _):
                self._headed[mapping.resource] = (still[-1], columns)
        return self._headed[mapping.resource][1]

    async def read_one(
        self,
        mapping: TableMapping,
        _column: str,
        _values: Sequence[str],
        _timeout_s: float,
    ) -> SourceRow | None:
        """Say that files answer no calls."""
        raise SourceError(f"{mapping.path}: records that stay here must lie in a database")

    async def close(self) -> None:
        """Give back what the shelf holds open."""
        self._shelf.close()

    async def _page(self, mapping: TableMapping, sql: str, arguments: Sequence[Any]) -> list[SourceRow]:
        return await asyncio.to_thread(self._read, mapping, sql, arguments)

    def _read(self, mapping: TableMapping, sql: str, arguments: Sequence[Any]) -> list[SourceRow]:
        with self._linked() as link:
            found = link.execute(sql, (mapping.resource, *arguments)).fetchall()
        place = _place(mapping)
        try:
            return [
                SourceRow(
                    key,
                    changed,
                    tuple(map(_kept, msgspec.msgpack.decode(self._cover.open(cells, place)))),
                    weight=_weight(digest),
                )
                for key, changed, cells, digest in found
            ]
        except msgspec.DecodeError:
            raise SourceError(f"{self._file.name} can't be read under this node's key: remove it") from None

    def _check(self, mapping: TableMapping) -> None:
        names = [*self._standing(mapping)]
        with self._shelf.opened(mapping, names[-1]) as (columns, rows):
            _places(mapping, names[-1], columns)
            # The first row shows whether the rest can be read at all.
            next(rows, None)

    def _standing(self, mapping: TableMapping) -> Mapping[str, str | None]:
        """Return the states of the lists, which belong to this version of the mapping."""
        states = self._shelf.standing(mapping)
        if not states:
            said = Words(f"文件夹里没有文件{mapping.table!r}", f"the folder holds no file {mapping.table!r}")
            raise SourceError(f"{mapping.path}: {said}")
        return states

    def _take_in(self, mapping: TableMapping) -> None:
        states = self._standing(mapping) if mapping.keeps_ranges else self._shelf.standing(mapping)
        wanted = {name: state and f"{state} {mapping.version}" for name, state in states.items()}
        with self._linked() as link:
            known = dict(
                link.execute(
                    "SELECT name, state FROM file WHERE resource = ?", (mapping.resource,)
                ).fetchall()
            )
            if mapping.keeps_ranges:
                if wanted != known and None not in wanted.values():
                    self._take_whole(link, mapping, states, wanted)
                return
            is_behind = False
            for name, state in wanted.items():
                # What stands in a later list must win again once an earlier one was read anew.
                if state is not None and (is_behind or known.get(name) != state):
                    self._take_one(link, mapping, name, state)
                    is_behind = True

    def _take_whole(
        self,
        link: sqlite3.Connection,
        mapping: TableMapping,
        states: Mapping[str, str | None],
        wanted: Mapping[str, str | None],
    ) -> None:
        """Make what the lists hold now all there is, in one transaction."""
        resource = mapping.resource
        with link:
            link.execute("BEGIN IMMEDIATE")
            (turn,) = link.execute(
                "SELECT coalesce(max(turn), 0) + 1 FROM row WHERE resource = ?", (resource,)
            ).fetchone()
            for name in states:
                for piece in self._pieces(mapping, name):
                    link.executemany(_PUT, piece)
                    link.executemany(_MEET, [(turn, resource, row[1]) for row in piece])
            link.execute("DELETE FROM row WHERE resource = ? AND turn <> ?", (resource, turn))
            link.execute("DELETE FROM file WHERE resource = ?", (resource,))
            link.executemany(
                "INSERT INTO file VALUES (?, ?, ?)", [(resource, *one) for one in wanted.items()]
            )
            if not self._shelf.stays(mapping, states):
                raise SourceError(f"{mapping.path}: the files changed while they were read")

    def _take_one(self, link: sqlite3.Connection, mapping: TableMapping, name: str, state: str) -> None:
        """Take one list over in one transaction, or none of it."""
        with link:
            link.execute("BEGIN IMMEDIATE")
            for piece in self._pieces(mapping, name):
                link.executemany(_PUT, piece)
            link.execute("INSERT OR REPLACE INTO file VALUES (?, ?, ?)", (mapping.resource, name, state))

    def _pieces(self, mapping: TableMapping, name: str) -> Iterator[list[_Stored]]:
        with self._shelf.opened(mapping, name) as (columns, rows):
            stored = self._stored(mapping, name, columns, rows)
            while piece := list(islice(stored, _AT_ONCE)):
                yield piece

    def _stored(
        self, mapping: TableMapping, name: str, columns: Mapping[str, str], rows: Rows
    ) -> Iterator[_Stored]:
        key_place, places = _places(mapping, name, columns)
        now, place = _now(), _place(mapping)
        for number, cells in enumerate(rows, 1):
            key = cells[key_place]
            if key is None or key == "":
                said = Words(
                    f"第{number}行没有键{mapping.key!r}", f"list row {number} has no {mapping.key!r}, its key"
                )
                raise SourceError(f"{name}: {said}")
            if isinstance(key, Unreadable | bytes):
                said = Words(
                    f"第{number}行的键{mapping.key!r}不是文字",
                    f"list row {number} has a {mapping.key!r}, its key, that is no text",
                )
                raise SourceError(f"{name}: {said}")
            values = tuple(cells[at] for at in places)
            mark = self._cover.mark(mapping.resource, str(key)).hex()
            digest = self._cover.digest(mark, mapping.version, values)
            yield mapping.resource, mark, now, digest, self._cover.seal(msgspec.msgpack.encode(values), place)

    @contextmanager
    def _linked(self) -> Iterator[sqlite3.Connection]:
        """Open the file; raises DiskFull where nothing more can be written, else SourceError."""
        try:
            with closing(self._open()) as link:
                yield link
        except (sqlite3.Error, OSError) as error:
            if is_full(error):
                raise DiskFull(str(error)) from error
            raise SourceError(f"the node's own file of lists: {type(error).__name__}") from None

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file.touch(mode=0o600, exist_ok=True)
        link = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        link.execute("PRAGMA journal_mode = WAL")
        link.execute("PRAGMA synchronous = FULL")
        link.executescript(_TABLES)
        if "turn" not in {row[1] for row in link.execute("PRAGMA table_info (row)")}:
            link.execute("ALTER TABLE row ADD COLUMN turn INTEGER NOT NULL DEFAULT 0")
        return link


def _place(mapping: TableMapping) -> str:
    return f"lists/{mapping.resource}"


def _kept(cell: Any) -> Any:
    """Return a cell as it was: of all that is kept only an unreadable one is a map."""
    return Unreadable(**cell) if isinstance(cell, dict) else cell


def _places(mapping: TableMapping, name: str, columns: Mapping[str, str]) -> tuple[int, list[int]]:
    """Return where the key and the mapped columns stand in the list."""
    wanted = dict.fromkeys((mapping.key, *mapping.source_columns()))
    faults = [
        Words(
            f"文件没有列{one!r}（首行须是列名）", f"the file has no column {one!r} (its first row names them)"
        )
        for one in wanted
        if one not in columns
    ]
    faults += [
        Words(
            f"列{one!r}的类型（{columns[one]}）不读取",
            f"the column {one!r} is of a kind that isn't read ({columns[one]})",
        )
        for one in wanted
        if columns.get(one) in (MEMO, UNKNOWN)
    ]
    if faults:
        raise SourceError(f"{mapping.path}, {name}: " + "; ".join(map(str, faults)))
    names = [*columns]
    return names.index(mapping.key), [names.index(one) for one in mapping.source_columns()]


def _between(after: str | None, until: str | None) -> tuple[str, list[str]]:
    bounds = [(sign, bound) for sign, bound in ((">", after), ("<=", until)) if bound is not None]
    return "".join(f" AND key {sign} ?" for sign, _ in bounds), [bound for _, bound in bounds]


def _weight(digest: bytes) -> int:
    return int.from_bytes(digest[:_WEIGHT_BYTES])


def _now() -> str:
    return datetime.now(UTC).strftime(CLOCK_FORMAT)
