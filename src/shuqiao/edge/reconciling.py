"""The node's side of a reconciliation: reads its table as it would send it, and says so in keyed digests.

First it says sums of ranges. Where some differ, the rows of these are looked at twice: between the looks all
that the first one saw has been read, sent and merged. A row that is the same in both and yet another at the
hub is a difference; one that is not is on its way. Nothing of a run outlives the process: killed at any line,
the node begins a new run when the hub asks again, which it does until it has a result.
Source: decision 41.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shuqiao.edge.batches import Sender
from shuqiao.edge.capture import Capture
from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.convert import convert
from shuqiao.edge.cover import Cover
from shuqiao.edge.hub import Hub, HubAwayError
from shuqiao.rules.masking import mask
from shuqiao.security.sealing import seal
from shuqiao.wire.node_state import Mending, Orders, Task
from shuqiao.wire.reconciliation import (
    DIGEST_BYTES,
    MAX_SAMPLE,
    MOVING,
    SUMS,
    Detail,
    Details,
    DetailsSealed,
    Failed,
    Mended,
    Reply,
    Rows,
    RowsSealed,
    RunKey,
    Said,
    SampleRow,
    Step,
    Sums,
    SumsSealed,
    Waiting,
    identity_of,
    plain_digest,
    plain_items_digests,
    range_of,
    ranges_for,
    sealing_context,
    sign_step,
    structure_of,
)
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, identity_items, plain_items

_log = logging.getLogger("shuqiao.edge")
_PAGE_ROWS = 2_000
_MAX_SHOWN = 64
_MOST_ROWS = 25_000
"""So many rows in question fit into one message."""
_LONGEST_S = 3600.0
"""After so long without having come to rest, a table can't be compared now."""


class NotWanted(Exception):
    """The hub wants nothing more of this run, or wants it begun anew."""


class CantCompare(Exception):
    """The table can't be compared, and the hub is told why."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Seen:
    """A row as one look saw it: its mark and its digest; its items too, where they are asked for."""

    mark: bytes
    digest: bytes
    shown: str = ""
    plain: dict[str, bytes] = field(default_factory=dict)
    identity: dict[str, bytes] = field(default_factory=dict)


class Look:
    """Turns source rows into what is said of them in one run."""

    def __init__(self, capture: Capture, salt: bytes, key: RunKey) -> None:
        """Take the resource's items."""
        spec: ResourceSpec = capture.spec
        self.capture = capture
        self.key = key
        self.salt = salt
        self.spec = spec
        self._plain = plain_items(spec)
        self._identity = identity_items(spec)
        self._item: ItemSpec = next(item for item in spec.items if item.field == spec.record_key)

    async def pages(self) -> AsyncIterator[Sequence[SourceRow]]:
        """Give the whole table, page by page."""
        after: str | None = None
        while True:
            rows = await self.capture.read_page(after, _PAGE_ROWS)
            if rows:
                yield rows
            if len(rows) < _PAGE_ROWS:
                return
            after = rows[-1].key

    def marks(self, rows: Sequence[SourceRow]) -> list[bytes | None]:
        """Return the mark of each row; None where it has no key that could be sent."""
        return [
            self.key.mark(self._item, str(identity[self._item.field]))
            if self._item.field in identity
            else None
            for identity, _ in self._values(rows)
        ]

    def see(self, rows: Sequence[SourceRow], *, items: bool = False) -> Iterator[Seen]:
        """Give marks and digests of rows; those without a key can't be at the hub."""
        for identity, plain in self._values(rows):
            number = identity.get(self._item.field)
            if number is None:
                continue
            mark = self.key.mark(self._item, number)
            digest = self.key.row(mark, identity, plain_digest(self.salt, plain))
            if not items:
                yield Seen(mark, digest)
                continue
            fields = [item.field for item in self._plain]
            yield Seen(
                mark,
                digest,
                (mask(self._item.kind, number) or "")[:_MAX_SHOWN],
                plain_items_digests(self.salt, fields, plain),
                self.key.items(mark, identity),
            )

    def seen(self, rows: Sequence[SourceRow], *, items: bool = False) -> list[Seen]:
        """Return what `see` gives."""
        return list(self.see(rows, items=items))

    def _values(self, rows: Sequence[SourceRow]) -> Iterator[tuple[dict[str, str], tuple[Any, ...]]]:
        columns = convert(rows, self.capture.mapping, self.spec)
        identity = [column.to_pylist() for column in columns.identity.columns]
        plain = [column.to_pylist() for column in columns.plain.columns]
        for place in range(len(rows)):
            own = identity_of(self._identity, [column[place] for column in identity])
            yield own, tuple(column[place] for column in plain)


class Reconciling:
    """Does what the hub asks, one table after another."""

    def __init__(
        self, captures: Mapping[str, Capture], hub: Hub, sender: Sender, cover: Cover, pause_s: float
    ) -> None:
        """Put the parts together; nothing is asked yet."""
        self._captures = captures
        self._hub = hub
        self._sender = sender
        self._cover = cover
        self._pause_s = pause_s
        self._orders = Orders()
        self._woken = asyncio.Event()

    def offer(self, orders: Orders) -> None:
        """Take note of what the hub asks now."""
        self._orders = orders
        if orders.reconcile or orders.mend:
            self._woken.set()

    async def run(self) -> None:
        """Work until cancelled; what could not be done is begun anew when the hub asks again."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            orders = self._orders
            for resource, mending in orders.mend.items():
                await self._try(resource, mending)
            for resource, task in orders.reconcile.items():
                await self._try(resource, task)

    async def _try(self, resource: str, asked: Task | Mending) -> None:
        capture = self._captures.get(resource)
        run = asked.run if isinstance(asked, Mending) else secrets.token_hex(8)
        one = _Run(self._hub, self._sender, resource, asked.id, run, self._pause_s)
        try:
            if capture is None:
                await one.say(0, Failed("no_mapping"))
                return
            key = RunKey(self._cover.derived(f"reconcile/{asked.id}/{run}"))
            if isinstance(asked, Mending):
                await _mend(one, capture, asked, key)
            else:
                await _compare(one, Look(capture, asked.salt, key))
        except CantCompare as error:
            await self._fail(one, error.code)
        except (SourceError, HubAwayError, NotWanted) as error:
            _log.info("reconciliation_stops %s %s", resource, type(error).__name__)
        except Exception as error:
            # A fault nobody foresaw ends this comparison; what the node is there for goes on. The text of the
            # error may quote a row, so only its kind and place are written down.
            place = "".join(traceback.format_tb(error.__traceback__))
            _log.error("reconciliation_failed %s %s\n%s", resource, type(error).__name__, place)
            await self._fail(one, "fault")

    async def _fail(self, one: _Run, code: str) -> None:
        try:
            await one.say(0, Failed(code))
        except (HubAwayError, NotWanted) as error:
            _log.info("reconciliation_stops %s %s", one.resource, type(error).__name__)


class _Run:
    """Says the steps of one run."""

    def __init__(self, hub: Hub, sender: Sender, resource: str, task: str, run: str, pause_s: float) -> None:
        """Nothing is said yet."""
        self._hub = hub
        self._sender = sender
        self.resource = resource
        self._task = task
        self._run = run
        self._pause_s = pause_s
        self._told = 0.0

    def seal(self, content: msgspec.Struct, step: int) -> bytes:
        """Seal a part of a step to the vault."""
        context = sealing_context(self._sender.department, self.resource, self._task, self._run, step)
        return seal(self._sender.vault_key, msgspec.msgpack.encode(content), context)

    async def say(self, number: int, said: Said) -> Reply:
        """Say one step until it is answered; a word of progress or an end has no number of its own."""
        step = Step(self._sender.department, self.resource, self._task, self._run, max(1, number), said)
        message = sign_step(step, self._sender.key)
        while True:
            reply = await self._hub.reconcile(message)
            if reply.state == "again" or (reply.state == "over" and isinstance(said, Waiting)):
                raise NotWanted
            if reply.state != "working" or isinstance(said, Waiting):
                return reply
            await asyncio.sleep(self._pause_s)

    async def wait(self, phase: str, done: int = 0) -> None:
        """Say now and then how far it is; raises NotWanted where that is in vain."""
        if time.monotonic() - self._told >= self._pause_s:
            await self.say(0, Waiting(phase, done))
            self._told = time.monotonic()

    async def rest(self) -> None:
        """Wait a moment."""
        await asyncio.sleep(self._pause_s)


async def _compare(one: _Run, look: Look) -> None:
    """Do one run from its first step to the hub's last answer."""
    await _loaded(one, look.capture)
    said, ranges = await _sums(one, look)
    reply = await one.say(1, said)
    number = 1
    while reply.state == "narrow":
        chosen = _Chosen(ranges, reply.ranges)
        first = await _rows(one, look, chosen)
        sequence = await _merged(one, look.capture)
        second = await _rows(one, look, chosen, items=True)
        marks = [*second, *(mark for mark in first if mark not in second)]
        if len(marks) > _MOST_ROWS:
            raise CantCompare("too_many_rows")
        number += 1
        reply = await one.say(number, _named(one, look, chosen, first, second, marks, sequence, number))
        if reply.state == "details":
            number += 1
            wanted = [(place, second[marks[place]]) for place in reply.rows if marks[place] in second]
            reply = await one.say(number, _details(one, look, wanted, number))


@dataclass(frozen=True)
class _Chosen:
    """The ranges that are looked into, of so many."""

    ranges: int
    numbers: tuple[int, ...]

    def holds(self, mark: bytes, numbers: Collection[int]) -> bool:
        """Say whether a mark lies in one of them."""
        return range_of(mark, self.ranges) in numbers


async def _loaded(one: _Run, capture: Capture) -> None:
    """Wait until the table has been read in full once."""
    began = time.monotonic()
    while not await capture.is_loaded():
        await _patience(one, capture, began, "loading")


async def _merged(one: _Run, capture: Capture) -> int:
    """Wait until all that the source holds now is merged; return the sequence behind it."""
    began = time.monotonic()
    aim = await capture.aim()
    while not await capture.has_reached(aim):
        await _patience(one, capture, began, "settling")
    sequence = await capture.next_sequence()
    while await capture.waits_for(sequence):
        await _patience(one, capture, began, "settling")
    return sequence


async def _patience(one: _Run, capture: Capture, began: float, phase: str) -> None:
    if capture.state.paused:
        raise CantCompare("paused")
    if capture.state.held is not None:
        raise CantCompare("held_back")
    if time.monotonic() - began > _LONGEST_S:
        raise CantCompare("not_settled")
    await one.wait(phase)
    await one.rest()


async def _sums(one: _Run, look: Look) -> tuple[Sums, int]:
    """Look at the whole table once: sums by range, and a sample."""
    marks: list[bytes] = []
    digests: list[bytes] = []
    sample: list[SourceRow] = []
    rows = 0
    async for page in look.pages():
        for row in page:
            rows += 1
            if len(sample) < MAX_SAMPLE:
                sample.append(row)
            elif (place := secrets.randbelow(rows)) < MAX_SAMPLE:
                sample[place] = row
        for seen in await asyncio.to_thread(look.seen, page):
            marks.append(seen.mark)
            digests.append(seen.digest)
        await one.wait("reading", rows)
    return await asyncio.to_thread(_summed, one, look, marks, digests, sample, rows), ranges_for(rows)


def _summed(
    one: _Run, look: Look, marks: list[bytes], digests: list[bytes], sample: list[SourceRow], rows: int
) -> Sums:
    ranges = ranges_for(rows)
    counts, sums = [0] * ranges, [0] * ranges
    for mark, digest in zip(marks, digests, strict=True):
        number = range_of(mark, ranges)
        counts[number] += 1
        sums[number] = (sums[number] + int.from_bytes(digest, "big")) % SUMS
    chosen = list(look.see(sample, items=True))
    sealed = SumsSealed(
        look.key.secret,
        tuple(counts),
        b"".join(total.to_bytes(DIGEST_BYTES, "big") for total in sums),
        tuple(SampleRow(seen.mark, seen.identity) for seen in chosen),
    )
    plain = tuple(seen.plain for seen in chosen)
    version = look.capture.mapping.version
    return Sums(structure_of(look.spec), version, rows, ranges, plain, one.seal(sealed, 1))


async def _rows(one: _Run, look: Look, chosen: _Chosen, *, items: bool = False) -> dict[bytes, Seen]:
    """Look at the rows of the chosen ranges."""
    found: dict[bytes, Seen] = {}
    numbers = frozenset(chosen.numbers)
    done = 0
    async for page in look.pages():
        mine = await asyncio.to_thread(_of_ranges, look, page, chosen, numbers)
        for seen in await asyncio.to_thread(look.seen, mine, items=items):
            found[seen.mark] = seen
        if len(found) > _MOST_ROWS:
            raise CantCompare("too_many_rows")
        done += len(page)
        await one.wait("looking_again" if items else "narrowing", done)
    return found


def _of_ranges(
    look: Look, rows: Sequence[SourceRow], chosen: _Chosen, numbers: Collection[int]
) -> list[SourceRow]:
    marks = look.marks(rows)
    return [
        row for row, mark in zip(rows, marks, strict=True) if mark is not None and chosen.holds(mark, numbers)
    ]


def _named(
    one: _Run,
    look: Look,
    chosen: _Chosen,
    first: Mapping[bytes, Seen],
    second: Mapping[bytes, Seen],
    marks: Sequence[bytes],
    sequence: int,
    number: int,
) -> Rows:
    """Name the rows of both looks; those that are not the same in both are on their way."""
    moving = tuple(
        place
        for place, mark in enumerate(marks)
        if mark not in first or mark not in second or first[mark].digest != second[mark].digest
    )
    digests = [second[mark].digest if mark in second else MOVING for mark in marks]
    sealed = RowsSealed(look.key.secret, chosen.ranges, chosen.numbers, b"".join(marks), b"".join(digests))
    return Rows(chosen.numbers, len(marks), sequence, moving, one.seal(sealed, number))


def _details(one: _Run, look: Look, wanted: Sequence[tuple[int, Seen]], number: int) -> Details:
    """Say of some rows what each of their items is, in digests."""
    rows = tuple(Detail(place, seen.shown, seen.plain) for place, seen in wanted)
    sealed = DetailsSealed(look.key.secret, tuple(seen.identity for _, seen in wanted))
    return Details(rows, one.seal(sealed, number))


async def _mend(one: _Run, capture: Capture, asked: Mending, key: RunKey) -> None:
    """Send the rows of some ranges once more, as they are now."""
    look, chosen = Look(capture, bytes(DIGEST_BYTES), key), _Chosen(asked.ranges, asked.chosen)
    numbers = frozenset(asked.chosen)
    await _loaded(one, capture)
    rows = await capture.send_again(lambda page: _of_ranges(look, page, chosen, numbers))
    await one.say(0, Mended(rows))
    _log.info("ranges_sent_again %s rows=%d", one.resource, rows)
