"""Finding what changed and what is gone by comparing a table with what was sent, range by range of its keys.

A pass asks the source for the sum of each range, and reads a range whose sum is another or that has none.
Rows that are new or different are sent; a key that is no longer where it was becomes loose. Once all ranges
are walked, a loose record that stands in no range is gone. So nothing is said to be gone because its key
moved: by another order of the source, or by being written in another way that means the same.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from shuqiao.edge import guard, ranges
from shuqiao.edge.connectors import WEIGHTS, Source, SourceRow
from shuqiao.edge.convert import key_text
from shuqiao.edge.cover import Cover
from shuqiao.edge.guard import Held
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.ranges import RANGE_ROWS, Kept, KeyRange, Pass, Sent
from shuqiao.edge.spool import Also, Spool
from shuqiao.rules.normalise import normalise_value
from shuqiao.wire.schemas import ResourceSpec

_log = logging.getLogger("shuqiao.edge")

T = TypeVar("T")
Put = Callable[[Sequence[SourceRow], Also, int | None], Awaitable[None]]
"""Stores rows as batches, and in the same transaction what the function writes.

The number is that of a dropped batch where its rows are sent again, None for all others.
"""


class Comparing:
    """The ranges of one table: kept during the full load, walked again and again afterwards."""

    def __init__(
        self, mapping: TableMapping, spec: ResourceSpec, source: Source, spool: Spool, cover: Cover
    ) -> None:
        """Put the parts together."""
        self._mapping = mapping
        self._resource = mapping.resource
        self._source = source
        self._spool = spool
        self._cover = cover
        self._item = next(item for item in spec.items if item.field == spec.record_key)
        self._place = mapping.source_columns().index(mapping.key)
        self.held: Held | None = None

    async def read_page(self, after: str | None, limit: int) -> list[SourceRow]:
        """Return the next page of the full load, with the weights of its rows."""
        return await self._source.read_range(self._mapping, after, None, limit)

    def keep(self, after: str | None, rows: Sequence[SourceRow], *, is_last: bool) -> Also:
        """Return what keeps the keys of a page of the full load."""
        made = []
        for start in range(0, max(len(rows), 1), RANGE_ROWS):
            piece = rows[start : start + RANGE_ROWS]
            ends = is_last and start + RANGE_ROWS >= len(rows)
            if piece or ends:
                made.append(self._range(after, None if ends else piece[-1].key, piece))
                after = piece[-1].key if piece else after

        def write(db: sqlite3.Connection, sequence: int) -> None:
            ranges.load_part(db, self._cover, self._resource, made, sequence)
            if is_last:
                # The first pass is due at once.
                ranges.write_pass(db, self._resource, Pass(1, "rest", 0, 0.0))

        return write

    def loosen(self, rows: Iterable[SourceRow]) -> Also:
        """Return what notes rows that were sent without being read in a range."""
        marks = self._marks(self._identity(row) for row in rows if not row.removed)

        def write(db: sqlite3.Connection, _sequence: int) -> None:
            now = ranges.read_pass(db, self._resource)
            turn = 1 if now is None else now.turn + 1
            ranges.loosen(db, self._cover, self._resource, marks, turn)

        return write

    async def next_pass(self) -> int:
        """Return the number of the first pass that begins from now on."""
        now = await self._within(lambda db: ranges.read_pass(db, self._resource))
        return 1 if now is None else now.turn + 1

    async def has_passed(self, turn: int) -> bool:
        """Say whether a pass is done; where none is under way, it is due at once."""

        def look(db: sqlite3.Connection) -> bool:
            now = ranges.read_pass(db, self._resource)
            if now is None or now.stage != "rest":
                return False
            if now.turn < turn and now.finished > 0:
                ranges.write_pass(db, self._resource, replace(now, finished=0.0))
            return now.turn >= turn

        return await self._within(look)

    async def is_settled(self) -> bool:
        """Say whether no pass is under way, and one was done since the full load."""
        now = await self._within(lambda db: ranges.read_pass(db, self._resource))
        return now is not None and now.stage == "rest" and now.turn > 1

    async def is_stale(self, sequence: int | None) -> bool:
        """Say whether rows of dropped batches, or of one, are still to be sent again."""
        return await self._within(lambda db: ranges.is_stale(db, self._resource, sequence))

    async def step(self, limit: int, again: int, put: Put) -> bool:
        """Do one piece of a pass, rows of dropped batches `again` at once; False where nothing is due."""
        now = await self._within(lambda db: ranges.read_pass(db, self._resource))
        if now is None or now.stage == "load":
            return False
        if now.stage == "rest":
            # A clock that was set back doesn't hold it up either.
            if 0 <= time.time() - now.finished < self._mapping.way.compare_every_s:
                return False
            await self._begin(now)
        elif now.stage == "walk":
            await self._walk(now, limit, again, put)
        else:
            await self._check(now, limit, put)
        return True

    async def _begin(self, now: Pass) -> None:
        # Lists in a folder are taken in whenever the clock is asked for.
        await self._source.clock(self._mapping)
        await self._note(Pass(now.turn + 1, "walk", 0, now.finished))

    async def _walk(self, now: Pass, limit: int, again: int, put: Put) -> None:
        """Read the next range, unless its sum is what it was."""
        turn = now.turn
        old = await self._within(lambda db: ranges.next_old(db, self._cover, self._resource, turn - 1))
        if old is None:
            await self._note(replace(now, stage="check", checked=0))
            return
        doubted = await self._within(lambda db: self._doubted(db, old, turn))
        if not doubted and await self._is_as_it_was(old):
            kept, sequence = old.range, old.sequence
            await self._within(lambda db: self._put_walked(db, turn, old, kept, None, sequence))
            return
        size = min(again if old.stale else limit, RANGE_ROWS)
        rows = await self._source.read_range(self._mapping, old.range.after, old.range.until, 2 * size)
        goes_on = len(rows) == 2 * size
        rows = rows[:size] if goes_on else rows
        walked = self._range(old.range.after, rows[-1].key if goes_on else old.range.until, rows)
        left = {key: sent for key, sent in old.range.rows.items() if key not in walked.rows}
        sure = {} if old.stale else old.range.rows
        before = {key: sent for key, sent in sure.items() if key not in doubted}
        changed = [row for row in rows if before.get(row.key) != walked.rows[row.key]]
        rest = KeyRange(walked.until, old.range.until, None, left) if goes_on else None

        def write(db: sqlite3.Connection, sequence: int) -> None:
            self._put_walked(db, turn, old, walked, rest, sequence if changed else old.sequence)
            if not goes_on:
                gone = self._marks(sent.identity or key for key, sent in left.items())
                ranges.loosen(db, self._cover, self._resource, gone, turn)

        await put(changed, write, old.sequence if old.stale else None)

    async def _check(self, now: Pass, limit: int, put: Put) -> None:
        """Hold the loose records against a few ranges; at the end, say which are gone."""

        def hold(db: sqlite3.Connection) -> bool:
            if not ranges.judged(db, self._cover, self._resource, now.turn, 1):
                return False
            some, last = ranges.read_ranges(db, self._cover, self._resource, now.turn, now.checked)
            for one in some:
                held = self._marks(sent.identity or key for key, sent in one.rows.items())
                ranges.hold(db, self._resource, held, now.turn)
            ranges.write_pass(db, self._resource, replace(now, checked=last))
            return bool(some)

        if await self._within(hold):
            return
        self.held = await self._within(lambda db: self._too_many(db, now.turn))
        if self.held is not None:
            # None of them is told. They stay loose: the next pass finds those that are back.
            _log.warning("removals_held %s rows=%d of=%d", self._resource, self.held.rows, self.held.of)
            await self._note(Pass(now.turn, "rest", 0, time.time()))
            return
        gone = await self._within(lambda db: ranges.judged(db, self._cover, self._resource, now.turn, limit))
        if not gone:

            def rest(db: sqlite3.Connection) -> None:
                guard.let(db, self._resource, 0.0, 0)
                ranges.write_pass(db, self._resource, Pass(now.turn, "rest", 0, time.time()))

            await self._within(rest)
            return
        nothing = (None,) * len(self._mapping.source_columns())
        rows = [SourceRow(identity, "", nothing, removed=True) for _, identity in gone]
        marks = [mark for mark, _ in gone]
        await put(rows, lambda db, sequence: ranges.told(db, self._resource, marks, sequence), None)
        _log.info("rows_gone %s count=%d", self._resource, len(rows))

    def _too_many(self, db: sqlite3.Connection, turn: int) -> Held | None:
        waiting = ranges.count_judged(db, self._resource, turn)
        count = guard.read(db, self._resource)
        held = guard.judge(waiting, count, self._mapping.way.remove_share, time.time())
        if held is not None and count.let_until:
            guard.let(db, self._resource, 0.0, 0)
        return held

    async def let_through(self) -> None:
        """Begin a pass at once: a person has let removals through."""

        def due(db: sqlite3.Connection) -> None:
            now = ranges.read_pass(db, self._resource)
            if now is not None and now.stage == "rest":
                ranges.write_pass(db, self._resource, replace(now, finished=0.0))

        await self._within(due)

    def _doubted(self, db: sqlite3.Connection, old: Kept, turn: int) -> set[str]:
        """Return keys of which something else was sent since, by another way."""
        keys = {self._mark(sent.identity or key): key for key, sent in old.range.rows.items()}
        return ranges.doubted(db, self._resource, keys, turn)

    async def _is_as_it_was(self, old: Kept) -> bool:
        if old.stale or old.range.weight is None:
            return False
        found = await self._source.checksum(self._mapping, old.range.after, old.range.until)
        return found is not None and (found.rows, found.weight) == (len(old.range.rows), old.range.weight)

    def _put_walked(
        self,
        db: sqlite3.Connection,
        turn: int,
        old: Kept,
        walked: KeyRange,
        rest: KeyRange | None,
        sequence: int,
    ) -> None:
        ranges.put_walked(db, self._cover, self._resource, turn, old, walked, rest, sequence)

    def _range(self, after: str | None, until: str | None, rows: Sequence[SourceRow]) -> KeyRange:
        weights = [row.weight for row in rows if row.weight is not None]
        weight = sum(weights) % WEIGHTS if len(weights) == len(rows) else None
        return KeyRange(after, until, weight, {row.key: self._sent(row) for row in rows})

    def _sent(self, row: SourceRow) -> Sent:
        identity = self._identity(row)
        return Sent("" if identity == row.key else identity, self._cover.digest(row.key, "", row.values))

    def _identity(self, row: SourceRow) -> str:
        """Return the value of the row's record key as it is sent; it may be another text than its key."""
        return key_text(row.values[self._place], self._item) or row.key

    def _marks(self, identities: Iterable[str]) -> Mapping[bytes, str]:
        return {self._mark(identity): identity for identity in identities}

    def _mark(self, identity: str) -> bytes:
        """Return what stands for a record, however its key is written."""
        return self._cover.mark(self._resource, normalise_value(self._item.kind, self._item.type, identity))

    async def _note(self, now: Pass) -> None:
        await self._within(lambda db: ranges.write_pass(db, self._resource, now))

    async def _within(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._spool.within, work)
