"""Reading one table: once in full, then what changed, into the spool.

Changes are found by a time of change in each row. A transaction that commits late brings rows with an earlier
time than others already read, so each run looks back over an overlap and skips the row versions it has sent;
a row whose transaction stays open longer than the overlap is missed until it changes again. Rows that are
gone are found by comparing ranges of keys, where the mapping asks for it, and at the end of each full load.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from shuqiao.edge import guard
from shuqiao.edge.batches import Sender, build_batches, build_emptied, build_end, build_released
from shuqiao.edge.capture_state import Aim, CaptureState, Narrowing, Pace
from shuqiao.edge.comparing import Comparing
from shuqiao.edge.connectors import Source, SourceError, SourceRow
from shuqiao.edge.cover import Cover
from shuqiao.edge.disk import DiskFull
from shuqiao.edge.guard import WINDOW_S, Count, judge_end
from shuqiao.edge.hub import Hub, HubAwayError
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.quarantine import Quarantine
from shuqiao.edge.ranges import RangesUnreadable
from shuqiao.edge.screening import RELEASED_AT_ONCE, Screening
from shuqiao.edge.spool import Also, Number, Position, ResourceState, Seen, Spool, SpooledBatch
from shuqiao.edge.watched import Watched
from shuqiao.wire.batch_receipt import ReceiptsReply
from shuqiao.wire.schemas import ResourceSpec

_log = logging.getLogger("shuqiao.edge")
_RETRY_S = 1.0
_FULL_WAIT_S = 0.2
_PARTS = 8
"""Into so many pages the rows of a refused batch are parted."""

Choose = Callable[[Sequence[SourceRow]], Sequence[SourceRow]]


class Capture:
    """Reads one table for as long as the node runs; `step` is one page or one run of changes."""

    def __init__(
        self,
        mapping: TableMapping,
        spec: ResourceSpec,
        source: Source,
        spool: Spool,
        cover: Cover,
        sender: Sender,
        hub: Hub,
        pace: Pace,
        screening: Screening,
    ) -> None:
        """Put the parts together; nothing is read yet."""
        self.mapping = mapping
        self.state = CaptureState()
        self._spec = spec
        self._source = Watched(source, mapping, spec, spool)
        self._spool = spool
        self._cover = cover
        self._sender = sender
        self._hub = hub
        self._pace = pace
        self._screening = screening
        self._has_released = False
        self._narrowing: Narrowing | None = None
        self._emptied = False
        self._comparing = (
            Comparing(mapping, spec, self._source, spool, cover) if mapping.keeps_ranges else None
        )
        self._next_run = 0.0

    async def run(self) -> None:
        """Read until cancelled, starting again after any failure of source or hub."""
        while True:
            try:
                await self._meet_returned()
                pause_s = await self.step()
                self.state.fault = None
                self.state.disk_full = self.state.disk_full and not await self._is_roomy()
            except DiskFull:
                self._tell_full()
                pause_s = _RETRY_S
            except (SourceError, HubAwayError) as error:
                if self.state.fault != str(error):
                    _log.warning("capture_waits %s %s", self.mapping.resource, error)
                self.state.fault = str(error)
                pause_s = _RETRY_S
            self._tell_changes()
            await asyncio.sleep(pause_s)

    async def _meet_returned(self) -> None:
        """Read the table in full where columns are back without which rows were read."""
        if self._source.returned:
            _log.info("columns_returned %s", self.mapping.resource)
            await self.reload()
            await self._source.settle()

    def _tell_full(self) -> None:
        if not self.state.disk_full:
            _log.warning("disk_full %s", self.mapping.resource)
        self.state.disk_full = True

    async def _is_roomy(self) -> bool:
        """Say whether the disk has room for a page and for what the receipts of others need."""
        return await asyncio.to_thread(self._spool.room_bytes) >= self._pace.reserve_bytes

    def _tell_changes(self) -> None:
        changes = self._source.told()
        if changes != self.state.changes:
            _log.warning("source_changed %s %s", self.mapping.resource, "; ".join(changes))
        self.state.changes, self.state.frozen = changes, self._source.stops

    async def step(self) -> float:
        """Do the next piece of work: begin, one page of the full load, or one run of changes.

        Returns the seconds to wait before the next one.
        """
        if self.state.paused or not await self._has_room() or not await self._may_go_on():
            return _FULL_WAIT_S
        if await self._is_stopped():
            return _FULL_WAIT_S
        async with self.state.exclusive:
            state = await asyncio.to_thread(self._spool.state, self.mapping.resource)
            if state is None:
                await self._begin()
            elif state.position.mapping != self.mapping.version:
                _log.info("mapping_changed %s", self.mapping.resource)
                await asyncio.to_thread(self._spool.restart_load, self.mapping.resource, self.mapping.version)
            elif await self._send_released(state):
                return 0.0
            elif state.position.phase == "full":
                await self._load_page(state)
            else:
                return await self._go_on(state)
        return 0.0

    async def _go_on(self, state: ResourceState) -> float:
        """Do the next piece of work behind the full load; the caller holds `exclusive`."""
        if self.mapping.way.by == "changes" and time.monotonic() >= self._next_run:
            await self._read_changes(state.position)
            self._next_run = time.monotonic() + self._pace.poll_s
            return 0.0
        # What came back behind the page that was read is found before the load is called complete.
        is_settled = self._comparing is None or await self._comparing.is_settled()
        if is_settled and await self._end_load(state):
            return 0.0
        if self._comparing is not None and await self._compare(self._comparing, state):
            return 0.0
        return self._pace.poll_s

    async def _compare(self, comparing: Comparing, state: ResourceState) -> bool:
        narrowing = self._narrowing if self._narrowing and self._narrowing.compared else None
        if narrowing and not await comparing.is_stale(narrowing.compared if narrowing.empties else None):
            # The rows in question are gone from the source.
            self._narrowing = narrowing = None

        async def put(rows: Sequence[SourceRow], also: Also, again: int | None) -> None:
            narrows = narrowing is not None and again is not None
            if narrowing is not None and narrowing.empties:
                narrows = again == narrowing.compared
            await asyncio.to_thread(
                self._store, rows, state.position, state.next, (), also, narrows=narrows, is_compared=True
            )

        try:
            again = narrowing.rows if narrowing else self._pace.rows
            return await comparing.step(self._pace.rows, min(again, self._pace.rows), put)
        except RangesUnreadable as error:
            _log.error("ranges_lost %s %s", self.mapping.resource, error)
            await asyncio.to_thread(self._spool.restart_load, self.mapping.resource, self.mapping.version)
            return True

    async def _end_load(self, state: ResourceState) -> bool:
        """Tell the hub once that a full load is complete; what it didn't meet is gone."""
        if not state.is_end_due or not self.mapping.ends_loads:
            if self._comparing is not None:
                self.state.held = self._comparing.held
            return False
        count = await asyncio.to_thread(self._spool.within, self._count)
        self.state.held = judge_end(count, self.mapping.way.remove_share, time.time())
        if self.state.held is not None:
            if count.let_until:
                await self._let(0.0, 0)
            return False
        end = build_end(self.mapping, self._spec, self._sender, state.next, state.load_since)
        resource, now = self.mapping.resource, time.time()
        await asyncio.to_thread(self._spool.store, resource, [end], state.position, now=now)
        self.state.spooled.set()
        return True

    async def _is_stopped(self) -> bool:
        """Say whether a row that was caught stops the table, and note whether others were released."""
        waiting = await asyncio.to_thread(self.place.waiting, self.mapping.resource)
        self.state.screened, self._has_released = waiting.stops, waiting.released > 0
        return waiting.stops

    async def _send_released(self, state: ResourceState) -> bool:
        """Send rows that somebody has released; they stand behind what was read until now."""
        resource = self.mapping.resource
        place = self.place
        if not self._has_released:
            return False
        limit, batch = RELEASED_AT_ONCE, None
        while batch is None:
            looked, found = await asyncio.to_thread(self._screening.released, limit)
            if not found:
                # A newer version of them has come meanwhile, or a load began.
                self._has_released = False
                return False
            if looked is not None:
                batch = build_released(looked, self.mapping, self._sender, state.next)
            if batch is None and (looked is None or limit == 1):
                # What lies here can't be sent as it is: read anew, it passes by the person's word.
                await asyncio.to_thread(self._spool.restart_load, resource, self.mapping.version)
                break
            limit = max(1, limit // 8)
        if batch is not None:
            await asyncio.to_thread(self._spool.store, resource, [batch], state.position, now=time.time())
            self.state.spooled.set()
        await asyncio.to_thread(place.forget, resource, [one.mark for one in found])
        self._has_released = False
        return True

    def _count(self, db: sqlite3.Connection) -> Count:
        return guard.read(db, self.mapping.resource)

    async def let_through(self, rows: int) -> None:
        """Let so many removals through that were too many: a person was shown this number and has said so."""
        await self._let(time.time() + WINDOW_S, rows)
        if self._comparing is not None:
            await self._comparing.let_through()

    async def _let(self, until: float, rows: int) -> None:
        resource = self.mapping.resource
        await asyncio.to_thread(self._spool.within, lambda db: guard.let(db, resource, until, rows))

    async def close(self) -> None:
        """Give back what this table alone uses."""

    async def reload(self) -> None:
        """Read the whole table again from its beginning; what waits in the spool is still sent."""
        async with self.state.exclusive:
            self.state.held = self._narrowing = None
            if self._comparing is not None:
                self._comparing.held = None
            if await asyncio.to_thread(self._spool.state, self.mapping.resource) is not None:
                await asyncio.to_thread(self._spool.restart_load, self.mapping.resource, self.mapping.version)

    @property
    def spec(self) -> ResourceSpec:
        """The resource as the node knows it."""
        return self._spec

    async def is_loaded(self) -> bool:
        """Say whether the table has been read in full."""
        state = await asyncio.to_thread(self._spool.state, self.mapping.resource)
        if state is None or state.position.phase != "changes":
            return False
        # What is held back at the end of a load is no reason to wait.
        return not state.is_end_due or not self.mapping.ends_loads or self.state.held is not None

    async def read_page(self, after: str | None, limit: int) -> list[SourceRow]:
        """Return the rows with the next greater keys, apart from any position."""
        if self._comparing is not None:
            return await self._comparing.read_page(after, limit)
        return await self._source.read_all(self.mapping, after, limit)

    async def aim(self) -> Aim:
        """Return what is to be reached until all that the source holds now has been read."""
        clock = await self._source.clock(self.mapping) if self.mapping.way.by == "changes" else ""
        turn = await self._comparing.next_pass() if self._comparing is not None else 0
        return Aim(clock, turn)

    async def has_reached(self, aim: Aim) -> bool:
        """Say whether it has been read; a pass over ranges that is needed for it is due at once."""
        state = await asyncio.to_thread(self._spool.state, self.mapping.resource)
        if state is None or not await self.is_loaded() or (state.position.watermark or "") < aim.clock:
            return False
        if self._comparing is None:
            return True
        async with self.state.exclusive:
            return await self._comparing.has_passed(aim.turn)

    async def next_sequence(self) -> int:
        """Return the sequence of the batch that comes next."""
        state = await asyncio.to_thread(self._spool.state, self.mapping.resource)
        return 1 if state is None else state.next.sequence

    async def waits_for(self, sequence: int) -> bool:
        """Say whether a batch before this sequence has no receipt yet."""
        first, _, _ = await asyncio.to_thread(self._spool.waiting, self.mapping.resource)
        return first < sequence

    async def send_again(self, choose: Choose, /) -> int:
        """Read the whole table and put the rows that are chosen into batches; return how many.

        Each page is read and stored while nothing else is, so that no row goes back in time.
        """
        after: str | None = None
        sent = 0
        while True:
            if self.state.paused or not await self._has_room() or not await self._may_go_on():
                await asyncio.sleep(_FULL_WAIT_S)
                continue
            async with self.state.exclusive:
                state = await asyncio.to_thread(self._spool.state, self.mapping.resource)
                if state is None or state.position.phase == "full":
                    # The table is being read in full anyway.
                    return sent
                rows = await self.read_page(after, self._pace.rows)
                chosen = await asyncio.to_thread(choose, rows)
                loosen = None if self._comparing is None else self._comparing.loosen(chosen)
                first, position = state.next, state.position
                await asyncio.to_thread(
                    self._store, chosen, position, first, (), loosen, narrows=False, is_compared=False
                )
            sent += len(chosen)
            if len(rows) < self._pace.rows:
                return sent
            after = rows[-1].key

    async def _begin(self) -> None:
        # The hub knows which sequence comes next even where the node's disk was lost.
        await self.begin_after(await self._hub.receipts(self.mapping.resource, 2**53 - 2))

    async def begin_after(self, reply: ReceiptsReply) -> None:
        """Start over with a full load behind what the hub's ledger holds; the caller holds `exclusive`.

        The clock keeps the generation rising even where both the hub's ledger and this node's disk were lost
        or restored to an older state.
        """
        # The first rows of the table are not those of a batch that was refused.
        self._narrowing = None
        first = Number(max(reply.generation + 1, int(time.time())), reply.last + 1)
        await asyncio.to_thread(self._spool.begin, self.mapping.resource, self.mapping.version, first)
        _log.info("full_load_begins %s next=%d", self.mapping.resource, first.sequence)

    async def _load_page(self, state: ResourceState) -> None:
        position = state.position
        if position.cursor is None:
            # A load meets all there is: what was held of an earlier one is found again, or is gone.
            await asyncio.to_thread(self.place.forget, self.mapping.resource)
        # The clock is read before the first row: what changes from then on is read again as a change.
        watermark = position.watermark or await self._source.clock(self.mapping)
        after = None if position.cursor is None else self._cover.show(position.cursor)
        limit = self._page_rows()
        if self._comparing is not None:
            rows = await self._comparing.read_page(after, limit)
        else:
            rows = await self._source.read_all(self.mapping, after, limit)
        done = len(rows) < limit
        keep = None if self._comparing is None else self._comparing.keep(after, rows, is_last=done)
        cursor = self._cover.hide(rows[-1].key) if rows and not done else None
        reached = Position(position.mapping, "changes" if done else "full", cursor, watermark)
        # Rows that changed shortly before are in the first overlap, which need not send them once more.
        since = self._source.earlier(watermark, self._pace.overlap_s)
        seen = [
            Seen(self._cover.digest(row.key, row.changed, row.values), row.changed)
            for row in rows
            if row.changed >= since
        ]
        await asyncio.to_thread(self._store, rows, reached, state.next, seen, keep)
        if done:
            _log.info("full_load_done %s", self.mapping.resource)

    async def _read_changes(self, position: Position) -> None:
        now = await self._source.clock(self.mapping)
        since = self._source.earlier(position.watermark or now, self._pace.overlap_s)
        last: SourceRow | None = None
        while True:
            if not await self._has_room():
                # What is stored is noted as seen, so the next run goes on behind it.
                return
            page = await self._source.read_changed(self.mapping, since, last, self._pace.rows)
            if not await asyncio.to_thread(self._store_changes, page):
                return
            if len(page) < self._pace.rows:
                break
            last = page[-1]
        oldest = self._source.earlier(now, self._pace.overlap_s)
        await asyncio.to_thread(self._spool.finish_run, self.mapping.resource, now, oldest)

    def _store_changes(self, page: Sequence[SourceRow]) -> bool:
        """Store what has not been sent yet; returns False where something must be waited for before more."""
        state = self._spool.state(self.mapping.resource)
        if state is None or not page:
            return True
        digests = [self._cover.digest(row.key, row.changed, row.values) for row in page]
        fresh = self._spool.unseen(self.mapping.resource, digests)
        chosen = [pair for pair, new in zip(zip(page, digests, strict=True), fresh, strict=True) if new]
        chosen = chosen[: self._page_rows()]
        narrow = self._narrows and bool(chosen)
        seen = [Seen(digest, row.changed) for row, digest in chosen]
        rows = [row for row, _ in chosen]
        loosen = None if self._comparing is None else self._comparing.loosen(rows)
        self._store(rows, state.position, state.next, seen, loosen)
        return not narrow

    def _store(
        self,
        rows: Sequence[SourceRow],
        position: Position,
        first: Number,
        seen: Sequence[Seen],
        also: Also | None = None,
        *,
        narrows: bool | None = None,
        is_compared: bool = False,
    ) -> None:
        batches = self._batches(rows, first, narrows=self._narrows if narrows is None else narrows)
        self._screening.settle(rows, [one for batch in batches for one in batch.kept])
        batches = [replace(batch, is_compared=is_compared) for batch in batches]
        self._spool.store(
            self.mapping.resource,
            batches,
            position,
            seen,
            now=time.time(),
            also=also,
            # Nobody knows whose row was sent without its values, or without its key.
            is_incomplete=self._emptied or any(batch.hides_key for batch in batches),
        )
        if batches:
            self.state.spooled.set()

    @property
    def place(self) -> Quarantine:
        """Where rows lie that the rules of screening hold."""
        return self._screening.place

    @property
    def _narrows(self) -> bool:
        """Say whether the row at fault is looked for among those that are read page by page."""
        return self._narrowing is not None and self._narrowing.compared is None

    def _batches(self, rows: Sequence[SourceRow], first: Number, *, narrows: bool) -> list[SpooledBatch]:
        narrowing = self._narrowing if narrows else None
        self._emptied = narrowing is not None and narrowing.empties and bool(rows)
        if narrowing is not None:
            narrowing.left -= len(rows)
            if narrowing.left <= 0:
                self._narrowing = None
        if self._emptied:
            return [build_emptied(self.mapping, self._spec, self._sender, first)]
        return build_batches(rows, self.mapping, self._spec, self._sender, first, self._screening.look)

    def _page_rows(self) -> int:
        if self._narrowing is None or not self._narrows:
            return self._pace.rows
        return min(self._narrowing.rows, self._pace.rows)

    async def _may_go_on(self) -> bool:
        """While the row at fault is looked for, one page at a time is on its way."""
        if self._narrowing is None and not self._emptied:
            return True
        _, _, since = await asyncio.to_thread(self._spool.waiting, self.mapping.resource)
        return since is None

    def signs_as(self, message: bytes) -> bool:
        """Say whether a message bears the signature of the key this node has now."""
        return self._sender.has_signed(message)

    @property
    def has_emptied(self) -> bool:
        """Say whether the last batch was one row without its values.

        If that is refused too, no row is at fault: whoever runs node or hub must do something first.
        """
        return self._emptied

    async def build_again(self, refused: SpooledBatch, reply: ReceiptsReply, *, narrower: bool) -> None:
        """Read the rows of a refused batch once more; `narrower` in smaller pages, to find the row at fault.

        A row that is refused by itself is sent without its values the next time.
        """
        async with self.state.exclusive:
            if narrower:
                alone = refused.rows == 1 and not self._emptied
                compared = refused.sequence if refused.is_compared else None
                rows = max(1, refused.rows // _PARTS)
                self._narrowing = Narrowing(rows, refused.rows, alone, compared)
            self._emptied = False
            if not await asyncio.to_thread(self._spool.rewind, self.mapping.resource, refused.sequence):
                await self.begin_after(reply)

    async def _has_room(self) -> bool:
        """Say whether the spool may take more; where not, the source keeps the rows meanwhile."""
        size_bytes = await asyncio.to_thread(self._spool.size_bytes)
        self.state.spool_full = size_bytes > self._pace.spool_max_bytes
        if not await self._is_roomy():
            self._tell_full()
            return False
        return not self.state.spool_full
