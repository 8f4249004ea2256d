"""Rows of lists that somebody puts into a folder, as `folder:///path`.

A mapping's table is a pattern of names, such as `births*.csv`. Files have no time of change, so the node
keeps what it read last, encrypted, in a file of its own: a row counts as changed when a file is read in which
it is new or different. Files are read in the order of their names, and a row in a later one replaces the same
in an earlier one. A file is read when it has lain still for some seconds, as a whole or not at all.

Where ranges are compared, what the files hold now is the list: a row that is in none of them any more is
gone, and so are the rows of a file that was taken away. A folder without a file says nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from shuqiao.edge.connectors import WEIGHTS, RangeSum, SourceError, SourceRow
from shuqiao.edge.connectors.checking import CLOCK_FORMAT, earlier
from shuqiao.edge.connectors.lists import read_list
from shuqiao.edge.cover import Cover
from shuqiao.edge.mapping import TableMapping

STILL_S = 3.0
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


class FolderSource:
    """Reads the lists of one folder; writes nothing into it."""

    def __init__(self, url: str, keeping: Keeping) -> None:
        """Remember the folder; nothing is opened before the first read."""
        self._folder = Path(unquote(urlsplit(url).path))
        self._file = keeping.folder / "lists.db"
        self._cover = keeping.cover
        self._turn = asyncio.Lock()
        self._headed: dict[str, tuple[tuple[Path, str], dict[str, str]]] = {}

    async def check(self, mapping: TableMapping) -> None:
        """Compare the mapping with the newest file."""
        await asyncio.to_thread(self._check, mapping)

    async def clock(self, mapping: TableMapping) -> str:
        """Read the files that are new or changed, then return the time now, UTC."""
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
        with closing(self._open()) as link:
            sql = f"SELECT digest FROM row WHERE resource = ?{where}"
            for (digest,) in link.execute(sql, (mapping.resource, *bounds)):
                rows, weight = rows + 1, weight + _weight(digest)
        return RangeSum(rows, weight % WEIGHTS)

    async def columns(self, mapping: TableMapping) -> dict[str, str]:
        """Return the names in the first row of the newest file, which say nothing of types."""
        return await asyncio.to_thread(self._named, mapping)

    def _named(self, mapping: TableMapping) -> dict[str, str]:
        states = [(path, _state(path, "")) for path in self._files(mapping)]
        still = [(path, state) for path, state in states if state is not None]
        if not still:
            return {}
        if self._headed.get(mapping.resource, (None, {}))[0] != still[-1]:
            names = dict.fromkeys(read_list(still[-1][0])[0], "")
            self._headed[mapping.resource] = (still[-1], names)
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
        """Nothing stays open."""

    async def _page(self, mapping: TableMapping, sql: str, arguments: Sequence[Any]) -> list[SourceRow]:
        return await asyncio.to_thread(self._read, mapping, sql, arguments)

    def _read(self, mapping: TableMapping, sql: str, arguments: Sequence[Any]) -> list[SourceRow]:
        with closing(self._open()) as link:
            found = link.execute(sql, (mapping.resource, *arguments)).fetchall()
        place = _place(mapping)
        try:
            return [
                SourceRow(
                    key,
                    changed,
                    tuple(msgspec.msgpack.decode(self._cover.open(cells, place))),
                    weight=_weight(digest),
                )
                for key, changed, cells, digest in found
            ]
        except msgspec.DecodeError:
            raise SourceError(f"{self._file.name} can't be read under this node's key: remove it") from None

    def _check(self, mapping: TableMapping) -> None:
        files = self._files(mapping)
        if not files:
            raise SourceError(f"{mapping.path}: the folder holds no file {mapping.table!r}")
        names, _ = read_list(files[-1])
        _places(mapping, files[-1], names)

    def _files(self, mapping: TableMapping) -> list[Path]:
        if PurePath(mapping.table).name != mapping.table:
            raise SourceError(f"{mapping.path}: the table must be the name of a file, with * and ? at most")
        try:
            if not self._folder.is_dir():
                raise SourceError("the folder of lists is not there")
            return sorted(path for path in self._folder.glob(mapping.table) if path.is_file())
        except OSError as error:
            raise SourceError(f"the folder of lists: {type(error).__name__}") from None

    def _take_in(self, mapping: TableMapping) -> None:
        files = self._files(mapping)
        with closing(self._open()) as link:
            known = dict(
                link.execute(
                    "SELECT name, state FROM file WHERE resource = ?", (mapping.resource,)
                ).fetchall()
            )
            if mapping.keeps_ranges:
                self._take_whole(link, mapping, files, known)
                return
            is_behind = False
            for path in files:
                state = _state(path, mapping.version)
                # What stands in a later file must win again once an earlier one was read anew.
                if state is not None and (is_behind or known.get(path.name) != state):
                    self._take_file(link, mapping, path, state)
                    is_behind = True

    def _take_whole(
        self, link: sqlite3.Connection, mapping: TableMapping, files: list[Path], known: dict[str, str]
    ) -> None:
        """Make what the files hold now the list, in one transaction; not while one of them is written."""
        if not files:
            raise SourceError(f"{mapping.path}: the folder holds no file {mapping.table!r}")
        states = {path.name: _state(path, mapping.version) for path in files}
        if states == known or None in states.values():
            return
        resource = mapping.resource
        with link:
            link.execute("BEGIN IMMEDIATE")
            (turn,) = link.execute(
                "SELECT coalesce(max(turn), 0) + 1 FROM row WHERE resource = ?", (resource,)
            ).fetchone()
            for path in files:
                names, rows = read_list(path)
                stored = self._stored(mapping, path, names, rows)
                while piece := [row for row, _ in zip(stored, range(_AT_ONCE), strict=False)]:
                    link.executemany(_PUT, piece)
                    link.executemany(_MEET, [(turn, resource, row[1]) for row in piece])
            link.execute("DELETE FROM row WHERE resource = ? AND turn <> ?", (resource, turn))
            link.execute("DELETE FROM file WHERE resource = ?", (resource,))
            link.executemany(
                "INSERT INTO file VALUES (?, ?, ?)", [(resource, *state) for state in states.items()]
            )
            if states != {path.name: _state(path, mapping.version) for path in self._files(mapping)}:
                raise SourceError(f"{mapping.path}: the files changed while they were read")

    def _take_file(self, link: sqlite3.Connection, mapping: TableMapping, path: Path, state: str) -> None:
        """Take one file over in one transaction, or none of it."""
        names, rows = read_list(path)
        stored = self._stored(mapping, path, names, rows)
        with link:
            link.execute("BEGIN IMMEDIATE")
            while piece := [row for row, _ in zip(stored, range(_AT_ONCE), strict=False)]:
                link.executemany(_PUT, piece)
            if _state(path, mapping.version) != state:
                raise SourceError(f"{path.name}: the file changed while it was read; it is read again")
            link.execute("INSERT OR REPLACE INTO file VALUES (?, ?, ?)", (mapping.resource, path.name, state))

    def _stored(
        self, mapping: TableMapping, path: Path, names: list[str], rows: Iterator[list[Any]]
    ) -> Iterator[tuple[str, str, str, bytes, bytes]]:
        key_place, places = _places(mapping, path, names)
        now, place = _now(), _place(mapping)
        for number, cells in enumerate(rows, 1):
            key = cells[key_place]
            if key is None or key == "":
                raise SourceError(f"{path.name}: list row {number} has no {mapping.key!r}, its key")
            values = tuple(cells[at] for at in places)
            mark = self._cover.mark(mapping.resource, str(key)).hex()
            digest = self._cover.digest(mark, mapping.version, values)
            yield mapping.resource, mark, now, digest, self._cover.seal(msgspec.msgpack.encode(values), place)

    def _open(self) -> sqlite3.Connection:
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch(mode=0o600, exist_ok=True)
            link = sqlite3.connect(self._file, timeout=30, isolation_level=None)
            link.execute("PRAGMA journal_mode = WAL")
            link.execute("PRAGMA synchronous = FULL")
            link.executescript(_TABLES)
            if "turn" not in {row[1] for row in link.execute("PRAGMA table_info (row)")}:
                link.execute("ALTER TABLE row ADD COLUMN turn INTEGER NOT NULL DEFAULT 0")
        except (sqlite3.Error, OSError) as error:
            raise SourceError(f"the node's own file of lists: {type(error).__name__}") from None
        return link


def _place(mapping: TableMapping) -> str:
    return f"lists/{mapping.resource}"


def _places(mapping: TableMapping, path: Path, names: list[str]) -> tuple[int, list[int]]:
    """Return where the key and the mapped columns stand in the file."""
    wanted = (mapping.key, *mapping.source_columns())
    faults = [f"the file has no column {name!r}" for name in dict.fromkeys(wanted) if name not in names]
    if faults:
        raise SourceError(f"{mapping.path}, {path.name}: " + "; ".join(faults))
    return names.index(mapping.key), [names.index(name) for name in mapping.source_columns()]


def _state(path: Path, version: str) -> str | None:
    """What tells one state of a file from another; None while it may be written, or where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    if time.time() - found.st_mtime < STILL_S:
        return None
    return f"{found.st_size} {found.st_mtime_ns} {version}"


def _between(after: str | None, until: str | None) -> tuple[str, list[str]]:
    bounds = [(sign, bound) for sign, bound in ((">", after), ("<=", until)) if bound is not None]
    return "".join(f" AND key {sign} ?" for sign, _ in bounds), [bound for _, bound in bounds]


def _weight(digest: bytes) -> int:
    return int.from_bytes(digest[:_WEIGHT_BYTES])


def _now() -> str:
    return datetime.now(UTC).strftime(CLOCK_FORMAT)
