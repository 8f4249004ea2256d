"""Following one table by its database's log: each change in the order of its commit, deletions included.

The full load and the log are joined without a gap and without going back in time. A page of the table is
read at one moment; then the log is read up to a mark behind that moment. A row of the page that the log has
changed since is left out, and what remains is put behind those changes. Nothing is taken from a page that
does not show yet what was taken from the log before.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from shuqiao.edge import guard
from shuqiao.edge.capture import Capture, Choose
from shuqiao.edge.capture_state import Aim
from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.connectors.log import ChangeLog, LogChange, LogLost, TablePage, place_of
from shuqiao.edge.guard import Held, judge_log
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.spool import Position
from shuqiao.edge.words import Words

_log = logging.getLogger("shuqiao.edge")
_REST_S = 0.2
_WAIT_S = 0.5
_HELD_S = 1.0
_MARK_WAIT_S = 0.05
_WATCH_S = 10.0
_HELD_BYTES = 256 * 1024**2
"""So much of the log the source keeps for batches without a receipt, which may have to be built again."""

_LONGEST_PAUSE_S = 60
"""Before a table is read in full again whose log was lost again before that was done."""

_TOGETHER_S = 0.04
"""While a batch is under way, the next one is made so long after it."""

_CALM_BATCHES = 8
_LINGER_S = 0.001
_LONGEST_LINGER_S = 0.1


class Following(Capture):
    """Reads one table by its log for as long as the node runs.

    It keeps no row: after a stop at any line, position and batches in the spool say where to go on.
    """

    def __init__(
        self, *parts: Any, open_log: Callable[[TableMapping], ChangeLog], log_max_bytes: int
    ) -> None:
        """Put the parts together; nothing is read yet."""
        super().__init__(*parts)
        self._open_log = open_log
        self._mapped = self.mapping
        self._changes = open_log(self.mapping)
        self._log_max_bytes = log_max_bytes
        self._at: Position | None = None
        self._unseen: set[str] = set()
        self._losses = 0
        self._watched = 0.0
        self._saved = 0.0
        self._asked: asyncio.Future[str] | None = None

    async def step(self) -> float:
        """Do the next piece of work; returns the seconds to wait before the next one."""
        try:
            return await self._step()
        except LogLost as lost:
            _log.warning("log_lost %s %s", self.mapping.resource, lost)
            self.state.log_lost = str(lost)
            await self.reload()
            self._losses += 1
            return float(min(2 ** (self._losses - 1), _LONGEST_PAUSE_S))
        except SourceError:
            self._at = None
            raise

    async def close(self) -> None:
        """Stop reading the log; the source keeps it."""
        await self._changes.close()

    async def _step(self) -> float:
        position = await self._position()
        if position is None:
            return 0.0
        if position.watermark is not None:
            await self._watch()
        if self.state.held is not None and position.phase == "changes":
            await asyncio.sleep(_HELD_S)
        if self.state.paused or not await self._has_room() or not await self._may_go_on():
            return _REST_S
        if await self._is_stopped():
            return _REST_S
        if position.watermark is None:
            await self._begin_log(position)
        elif position != self._at:
            await self._open()
            await self._changes.resume(position.watermark)
            self._unseen.clear()
            self._at = position
        elif position.phase == "full":
            await self._load(position)
        else:
            await self._read_log(position)
        return 0.0

    async def aim(self) -> Aim:
        """Return the place in the log behind all that the table holds now."""
        self._asked = asyncio.get_running_loop().create_future()
        while not self._asked.done():
            # Whoever reads the log answers; a source that is away is asked again when it is back.
            if self.state.paused:
                return Aim()
            await asyncio.sleep(_REST_S)
        return Aim(place=self._asked.result())

    async def has_reached(self, aim: Aim) -> bool:
        """Say whether the log was read to that place."""
        state = await asyncio.to_thread(self._spool.state, self.mapping.resource)
        reached = place_of(state.position.watermark or "") if state is not None else ""
        return await self.is_loaded() and reached >= aim.place

    async def send_again(self, _choose: Choose, /) -> int:
        """Read the table in full: between changes of the log no row of it has a place of its own."""
        await self.reload()
        return 0

    async def _position(self) -> Position | None:
        """Return where to go on; None where that had to be settled first."""
        resource = self.mapping.resource
        async with self.state.exclusive:
            state = await asyncio.to_thread(self._spool.state, resource)
            if state is None:
                await self._begin()
            elif state.position.mapping != self.mapping.version:
                _log.info("mapping_changed %s", resource)
                await asyncio.to_thread(self._spool.restart_load, resource, self.mapping.version)
            elif not await self._send_released(state) and not await self._end_load(state):
                return state.position
        return None

    async def _open(self) -> None:
        """Look at the table's columns as the contract over changes says, and read those that are left."""
        await self._source.look()
        mapped = self._source.reduced(self.mapping)
        if mapped != self._mapped:
            await self._changes.close()
            self._mapped, self._changes = mapped, self._open_log(mapped)

    async def _begin_log(self, position: Position) -> None:
        self._at = None
        self._unseen.clear()
        await self._open()
        # A load meets all there is: what was held of an earlier one is found again, or is gone.
        await asyncio.to_thread(self.place.forget, self.mapping.resource)
        start = await self._changes.begin()
        _log.info("log_begins %s", self.mapping.resource)
        self._at = position
        await self._put([], Position(position.mapping, "full", None, start))
        self._at = None

    async def _load(self, position: Position) -> None:
        """Read one page of the table and the log up to behind it."""
        limit = self._page_rows()
        page = await self._read_page(position, limit)
        rows = {row.key: row for row in page.rows}
        reached = position.watermark or ""
        while place_of(reached) < page.high:
            read = await self._changes.read(limit)
            if read.broken:
                raise LogLost(read.broken)
            self._note(page, (*read.again, *read.changes), rows)
            if read.changes:
                moved = Position(position.mapping, "full", position.cursor, read.position)
                if not await self._put(_latest(read.changes), moved):
                    return
            reached = read.position
            if place_of(reached) < page.high:
                await self._changes.ready(_MARK_WAIT_S)
        done = len(page.rows) < limit
        cursor = None if done else self._cover.hide(page.rows[-1].key)
        behind = Position(position.mapping, "changes" if done else "full", cursor, reached)
        if await self._put(list(rows.values()), behind):
            # What the page did not see yet is shown again after a stop, so only what lies before it may go.
            await self._release(position)
            if done:
                _log.info("full_load_done %s", self.mapping.resource)
                self._unseen.clear()
                self.state.log_lost, self._losses = None, 0

    async def _read_page(self, position: Position, limit: int) -> TablePage:
        """Read a page that shows every transaction that was taken from the log before.

        One may be in the log a moment before it can be seen, as long as the source still writes it down.
        """
        after = None if position.cursor is None else self._cover.show(position.cursor)
        while True:
            page = await self._changes.read_table(after, limit)
            self._unseen = {one for one in self._unseen if not page.sees(one)}
            if not self._unseen and page.high >= place_of(position.watermark or ""):
                return page
            await asyncio.sleep(_MARK_WAIT_S)

    def _note(self, page: TablePage, changes: Iterable[LogChange], rows: dict[str, SourceRow]) -> None:
        for change in changes:
            rows.pop(change.row.key, None)
            if not page.sees(change.transaction):
                self._unseen.add(change.transaction)

    async def _read_log(self, position: Position) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_result((await self._changes.read_table(None, 1)).high)
            self._saved = 0.0
        if await self._changes.ready(_WAIT_S):
            await self._linger()
        read = await self._changes.read(self._page_rows())
        if read.broken:
            raise LogLost(read.broken)
        here = Position(position.mapping, "changes", None, read.position)
        if read.changes:
            rows = _latest(read.changes)
            if await self._holds(sum(row.removed for row in rows)):
                # The log is read again from here when a person lets them through.
                self._at = None
                return
            if await self._put(rows, here):
                self._saved = time.monotonic()
                await self._release(here)
        elif time.monotonic() - self._saved > _WATCH_S and (here == self._at or await self._put([], here)):
            # What others wrote moves the place too; the source need not keep it for this table.
            self._saved = time.monotonic()
            await self._release(here)

    async def _holds(self, removed: int) -> bool:
        """Say whether so many removals more are too many; if not, count them."""
        now, resource = time.time(), self.mapping.resource

        def look(db: sqlite3.Connection) -> Held | None:
            count = guard.read(db, resource)
            held = judge_log(removed, count, self.mapping.way.remove_share, now)
            if held is None:
                guard.told(db, resource, removed, now)
            elif count.let_until:
                guard.let(db, resource, 0.0, 0)
            return held

        self.state.held = await asyncio.to_thread(self._spool.within, look) if removed else None
        return self.state.held is not None

    async def _put(self, rows: list[SourceRow], position: Position) -> bool:
        """Store rows and the position they lead to, unless another position was set meanwhile."""
        async with self.state.exclusive:
            state = await asyncio.to_thread(self._spool.state, self.mapping.resource)
            if state is None or state.position != self._at:
                self._at = None
                return False
            await asyncio.to_thread(self._store, self._whole(rows), position, state.next, ())
            self._at = position
        return True

    def _whole(self, rows: list[SourceRow]) -> list[SourceRow]:
        """Put values where the mapping has them; a row that is gone is gone whatever columns there are."""
        wide = self._source.widened(rows)
        return [replace(row, discarded=()) if row.removed else row for row in wide]

    async def _release(self, position: Position) -> None:
        """Let the source forget what is in the spool, but for batches that may have to be built again."""
        oldest = await asyncio.to_thread(self._spool.oldest_position, self.mapping.resource)
        held = oldest is not None and (self.state.log_bytes or 0) < _HELD_BYTES
        kept = oldest.watermark if oldest is not None and held else position.watermark
        if kept is not None:
            await self._changes.release(kept)

    async def _linger(self) -> None:
        """Send at once where nothing is under way; else let more changes come together.

        The longer, the more batches the hub is behind with: a batch costs it much the same whatever it holds.
        """
        state = await asyncio.to_thread(self._spool.state, self.mapping.resource)
        first, _, _ = await asyncio.to_thread(self._spool.waiting, self.mapping.resource)
        waiting = 0 if state is None else state.next.sequence - first
        if waiting:
            pause_s = self._saved + _TOGETHER_S - time.monotonic()
            if waiting > _CALM_BATCHES:
                pause_s = max(pause_s, min(waiting * _LINGER_S, _LONGEST_LINGER_S))
            await asyncio.sleep(max(0.0, pause_s))

    async def _watch(self) -> None:
        """Look now and then at how much of its log the source keeps for this node, and give up too much."""
        if time.monotonic() - self._watched < _WATCH_S:
            return
        self._watched = time.monotonic()
        self.state.log_bytes = (await self._changes.state()).retained_bytes
        if (self.state.log_bytes or 0) > self._log_max_bytes:
            await self._changes.give_up()
            raise LogLost(
                Words(
                    "来源为本表保留的日志超过NODE_LOG_BYTES，已放弃",
                    "the source kept more of its log than NODE_LOG_BYTES allows: it was given up",
                )
            )


def _latest(changes: Sequence[LogChange]) -> list[SourceRow]:
    """Return each row once, as the last of its changes left it, in the order of those."""
    latest: dict[str, SourceRow] = {}
    for change in changes:
        latest.pop(change.row.key, None)
        latest[change.row.key] = change.row
    return list(latest.values())
