"""The hub's side of a reconciliation: holds the shared rows against what a node said in a step, and answers.

A step is kept in the ledger (`loader.steps`) until it is answered; whoever starts next takes it up again.
Nothing is changed by comparing, and an answer counts only for the run and step it was made for. Rows on their
way are no difference: a row that was not the same in the node's two looks is left out, and so is a shared row
that came with a batch behind those looks. Source: decision 41.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from shuqiao.loader import ledger
from shuqiao.loader.consumer import OUTAGES, Workshop
from shuqiao.rules.errors import BatchMalformed
from shuqiao.wire.node_signed import NotTheNodes
from shuqiao.wire.reconciliation import (
    MAX_LISTED,
    MAX_NARROWED_ROWS,
    Details,
    Reply,
    Rows,
    Step,
    Sums,
    encode_reply,
    plain_digest,
    plain_items_digests,
    read_step,
    sealing_context,
    structure_of,
)
from shuqiao.wire.schemas import ResourceSpec, plain_items
from shuqiao.wire.tasks import end_tasks
from shuqiao.wire.vault import Held, Reconciled, VaultRefused

_log = logging.getLogger("shuqiao.loader")
_WAITING = (
    "SELECT id, department, resource_id, salt, run, step, message, work::text"
    " FROM exchange.reconciliation_waiting($1::text[])"
)
_PAGE = "SELECT record_id, batch_sequence, data::text FROM exchange.reconciliation_rows($1, $2, $3, $4)"
_COUNT = "SELECT exchange.reconciliation_counts($1)"
_GONE = "SELECT record_id FROM exchange.reconciliation_gone($1, $2)"
_PROGRESS = "SELECT exchange.progress_reconciliation($1, $2, $3, $4, $5)"
_ANSWER = (
    "SELECT exchange.answer_reconciliation($1, $2, $3, $4::text::jsonb, $5::text::jsonb, $6::text::jsonb,"
    " $7::text::jsonb)"
)
_LOCK = "SELECT pg_try_advisory_lock(hashtext('exchange.reconciliation'), hashtext($1))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtext('exchange.reconciliation'), hashtext($1))"
_TIMEOUT_S = 60.0
_LOOK_S = 0.5
_RETRY_S = 2.0
_FAILED_S = 10.0
AT_ONCE = 3
"""Departments for which a step is answered at the same time: each holds a connection for its lock and needs
one more, and merging needs some too."""
PAGE_ROWS = 2_000
_MAX_SHOWN = 64


T = TypeVar("T")
Suspect = tuple[int, str, UUID | None, str]
"""A row in question: its number at the node or -1, what is wrong, its record, its masked key."""


class Overtaken(Exception):
    """The node began anew, or nobody wants the reconciliation any more."""


class Unfit(Exception):
    """What the node said doesn't fit what the hub knows; `code` says why."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


class Work(msgspec.Struct, frozen=True):
    """What the loader knows between steps: differing ranges to be looked into, and what was found in them.

    `ranges` are number, rows here, rows there, and what became of each.
    """

    ranges: tuple[tuple[int, int, int, str], ...] = ()
    chosen: tuple[int, ...] = ()
    listed: int = 0
    suspects: tuple[Suspect, ...] = ()
    wrong: tuple[int, ...] = ()


@dataclass(frozen=True)
class Open:
    """One step that waits for its answer."""

    id: UUID
    department: str
    resource: str
    salt: bytes
    run: str
    number: int
    said: Step
    work: Work
    spec: ResourceSpec

    @property
    def context(self) -> bytes:
        """What the sealed part is bound to."""
        return sealing_context(self.department, self.resource, self.id.hex, self.run, self.number)


@dataclass(frozen=True)
class Page:
    """Some shared rows: their records, the batch each came with, their plain items."""

    records: tuple[UUID, ...]
    sequences: tuple[int, ...]
    values: tuple[tuple[Any, ...], ...]


@dataclass
class Counted(Generic[T]):
    """The first of many, and how many there were: a list of millions is not kept."""

    first: list[T] = field(default_factory=list)
    count: int = 0

    def add(self, *found: T) -> None:
        """Take some more."""
        self.count += len(found)
        self.first += found[: MAX_LISTED - len(self.first)]


@dataclass
class Outcome:
    """What a step has come to, for the ledger."""

    reply: Reply
    work: Work = field(default_factory=Work)
    facts: dict[str, Any] = field(default_factory=dict)
    differences: list[dict[str, Any]] = field(default_factory=list)


class Reconciler:
    """Answers the steps that wait in the ledger: for each department one, for some departments at a time."""

    def __init__(self, workshop: Workshop) -> None:
        """Remember where ledger and vault are."""
        self._shop = workshop
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                try:
                    await self._take_up()
                except OUTAGES as error:
                    _log.warning("reconciliation_waits %s", type(error).__name__)
                    await asyncio.sleep(_RETRY_S)
                if self._busy:
                    await asyncio.wait(
                        self._busy.values(), timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED
                    )
                else:
                    await asyncio.sleep(_LOOK_S)
        finally:
            await end_tasks(self._busy.values())

    async def _take_up(self) -> None:
        """Begin to answer what waits longest; a department that is slow or fails holds up no other."""
        self._busy = {department: task for department, task in self._busy.items() if not task.done()}
        while len(self._busy) < AT_ONCE:
            row = await self._shop.pool.fetchrow(_WAITING, list(self._busy), timeout=_TIMEOUT_S)
            if row is None:
                return
            self._busy[row["department"]] = asyncio.create_task(self._serve(row))

    async def _serve(self, row: Any) -> None:
        """Answer one step; where that fails, its department waits for a while."""
        try:
            if not await self._answer_alone(row):
                await asyncio.sleep(_RETRY_S)
        except OUTAGES as error:
            _log.warning("reconciliation_waits %s %s", row["resource_id"], type(error).__name__)
            await asyncio.sleep(_RETRY_S)
        except Exception as error:
            # What nodes said must not end the process that loads everybody's batches.
            _log.error("reconciliation_failed %s\n%s", type(error).__name__, _place(error))
            await asyncio.sleep(_FAILED_S)

    async def _answer_alone(self, row: Any) -> bool:
        """Answer one step, unless another loader is at it, whose lock ends with its connection."""
        async with self._shop.pool.acquire(timeout=10) as connection:
            if not await connection.fetchval(_LOCK, row["id"].hex, timeout=10):
                return False
            try:
                await self._answer(row)
            finally:
                with suppress(*OUTAGES):
                    await connection.fetchval(_UNLOCK, row["id"].hex, timeout=10)
        return True

    async def _answer(self, row: Any) -> None:
        try:
            step = await self._opened(row)
            outcome = await self._compare(step)
        except Overtaken:
            return
        except (Unfit, NotTheNodes, VaultRefused) as error:
            if isinstance(error, VaultRefused) and error.code != BatchMalformed.code:
                raise
            code = error.code if isinstance(error, Unfit) else "malformed"
            outcome = Outcome(Reply("over"), facts={"failure": code})
        except OUTAGES:
            raise
        except Exception as error:
            # A fault nobody foresaw ends this reconciliation; the text of the error may quote a row.
            _log.error(
                "reconciliation_failed %s %s\n%s", row["resource_id"], type(error).__name__, _place(error)
            )
            outcome = Outcome(Reply("over"), facts={"failure": "fault"})
        try:
            kept = await self._keep(row, outcome)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            # A text of the node's that the ledger can't hold must not come up again and again.
            outcome = Outcome(Reply("over"), facts={"failure": "malformed"})
            kept = await self._keep(row, outcome)
        _log.info(
            "reconciliation_step %s step=%d next=%s kept=%s",
            row["resource_id"],
            row["step"],
            outcome.reply.state,
            kept,
        )

    async def _keep(self, row: Any, outcome: Outcome) -> bool:
        """Keep what a step has come to; False where the node began anew meanwhile."""
        said = [
            msgspec.json.encode(one).decode() for one in (outcome.work, outcome.facts, outcome.differences)
        ]
        answer = encode_reply(outcome.reply).decode()
        given = (row["id"], row["run"], row["step"], answer, *said)
        return bool(await self._shop.pool.fetchval(_ANSWER, *given, timeout=_TIMEOUT_S))

    async def _opened(self, row: Any) -> Open:
        key = await ledger.node_key(self._shop.pool, row["department"])
        provided = await ledger.provided_resource(self._shop.pool, row["resource_id"])
        if key is None or provided is None:
            raise Unfit("no_resource")
        return Open(
            row["id"],
            row["department"],
            row["resource_id"],
            row["salt"],
            row["run"],
            row["step"],
            read_step(row["message"], key),
            msgspec.json.decode(row["work"], type=Work),
            provided.spec,
        )

    async def _compare(self, step: Open) -> Outcome:
        match step.said.said:
            case Sums() as sums:
                return await self._sums(step, sums)
            case Rows() as rows:
                return await self._rows(step, rows)
            case Details() as details:
                return await self._details(step, details)
        raise Unfit("malformed")

    async def _sums(self, step: Open, said: Sums) -> Outcome:
        """Add the shared rows up, range by range, and hold the sums against the node's."""
        if said.structure != structure_of(step.spec):
            raise Unfit("structure")
        total = await self._shop.pool.fetchval(_COUNT, step.id, timeout=_TIMEOUT_S)
        state, shared = b"", 0
        samples: list[tuple[Held, Page]] = []
        unknown: Counted[UUID] = Counted()
        async for page in self._pages(step, int(total)):
            answer = await self._ask(step, "sums", said.sealed, page, state=state)
            state = answer.state
            samples += [(one, page) for one in answer.held]
            shared += len(page.records)
            unknown.add(*answer.unknown)
        last = await self._ask(step, "sums", said.sealed, Page((), (), ()), state=state, last=True)
        fine = sum(self._is_alike(step, said, one, page) for one, page in samples)
        ranges = tuple((number, here, there, "differs") for number, here, there in last.ranges)
        facts = {
            "mapping": said.mapping,
            "ranges": said.ranges,
            "source_rows": said.rows,
            "shared_rows": shared,
            "sampled": len(said.sample),
            "sample_agrees": fine,
            "found": unknown.count,
            "is_complete": unknown.count <= MAX_LISTED,
        }
        differences = [{"kind": "unknown", "shown": "", "record": one, "items": []} for one in unknown.first]
        work = Work(ranges, listed=len(differences))
        return _next(Outcome(Reply("over"), work, facts, differences))

    def _is_alike(self, step: Open, said: Sums, held: Held, page: Page) -> bool:
        """Say whether a row of the sample agrees in all items, the plain ones too."""
        fields = [item.field for item in plain_items(step.spec)]
        values = page.values[page.records.index(held.record)]
        own = plain_items_digests(step.salt, fields, values)
        return held.agrees and 0 <= held.row < len(said.sample) and said.sample[held.row] == own

    async def _rows(self, step: Open, said: Rows) -> Outcome:
        """Hold the shared rows of the chosen ranges against the node's, one by one."""
        if said.chosen != step.work.chosen:
            raise Unfit("malformed")
        met: set[int] = set()
        suspects: Counted[Suspect] = Counted()
        moving = set(said.moving)
        async for page in self._pages(step, None):
            answer = await self._ask(step, "rows", said.sealed, page)
            newer = {r for r, n in zip(page.records, page.sequences, strict=True) if n >= said.sequence}
            for one in answer.held:
                met.add(one.row)
                if one.agrees or one.row in moving:
                    continue
                if one.record in newer:
                    moving.add(one.row)
                elif one.row < 0:
                    suspects.add((-1, "absent_there", one.record, one.shown))
                else:
                    suspects.add((one.row, "differs", one.record, one.shown))
        # What left the list behind the node's second look has been there.
        gone = await self._shop.pool.fetch(_GONE, step.id, said.sequence, timeout=_TIMEOUT_S)
        if gone:
            left = Page(tuple(row[0] for row in gone), (), ())
            met |= {one.row for one in (await self._ask(step, "rows", said.sealed, left)).held}
        known = met | moving
        suspects.add(*[(n, "absent_here", None, "") for n in range(said.rows) if n not in known])
        return self._judged(step, suspects, len(moving))

    def _judged(self, step: Open, suspects: Counted[Suspect], moving: int) -> Outcome:
        """Note which of the chosen ranges have differences, and ask for those rows item by item."""
        work, room = step.work, MAX_LISTED - step.work.listed
        state = "found" if suspects.count else "moving"
        ranges = tuple(
            (number, here, there, state if number in work.chosen else said)
            for number, here, there, said in work.ranges
        )
        listed = tuple(suspects.first[:room])
        facts = {"moving": moving, "found": suspects.count, "is_complete": suspects.count <= room}
        done = msgspec.structs.replace(
            work, ranges=ranges, chosen=(), listed=work.listed + len(listed), suspects=listed
        )
        wanted = tuple(row for row, _, _, _ in listed if row >= 0)
        if wanted:
            return Outcome(Reply("details", rows=wanted), done, _with_ranges(facts, done))
        return _next(Outcome(Reply("over"), done, facts, [_difference(one, ()) for one in listed]))

    async def _details(self, step: Open, said: Details) -> Outcome:
        """Say of each row in question which items differ."""
        suspects, own = step.work.suspects, {row.index: (n, row) for n, row in enumerate(said.rows)}
        if {row for row, _, _, _ in suspects if row >= 0} != own.keys():
            raise Unfit("malformed")
        differing = [one for one in suspects if one[1] == "differs" and one[2] is not None]
        records = [record for _, _, record, _ in differing if record is not None]
        places = [own[row][0] for row, _, _, _ in differing]
        page = await self._page(step, None, records)
        identity = await self._shop.vault.reconcile(
            step.resource, "details", said.sealed, step.context, records=records, places=places
        )
        # Only the items of the list: names in the sealed part are whatever the node wrote there.
        own_items = {item.field for item in step.spec.items}
        items = {one.record: own_items.intersection(one.items) for one in identity.held}
        fields = [item.field for item in plain_items(step.spec)]
        values = dict(zip(page.records, page.values, strict=True))
        differences = []
        for one in suspects:
            row, kind, record, shown = one
            names: set[str] = set()
            if kind == "differs" and record is not None and record in values:
                here = plain_items_digests(step.salt, fields, values[record])
                names = items.get(record, set()) | {
                    name for name in fields if here[name] != own[row][1].plain.get(name)
                }
            if kind == "absent_here":
                shown = own[row][1].shown
            differences.append(_difference((row, kind, record, shown), sorted(names)))
        work = msgspec.structs.replace(step.work, suspects=())
        return _next(Outcome(Reply("over"), work, {}, differences))

    async def _pages(self, step: Open, total: int | None) -> AsyncIterator[Page]:
        """Give all shared rows, page by page in the order of their records, and tell how far it is."""
        after: UUID | None = None
        done = 0
        total = total or await self._shop.pool.fetchval(_COUNT, step.id, timeout=_TIMEOUT_S)
        while True:
            try:
                page = await self._page(step, after, None)
            except asyncpg.InvalidParameterValueError:
                raise Overtaken from None
            if page.records:
                yield page
                done += len(page.records)
                given = (step.id, step.run, step.number, done, total)
                if not await self._shop.pool.fetchval(_PROGRESS, *given, timeout=10):
                    raise Overtaken
            if len(page.records) < PAGE_ROWS:
                return
            after = page.records[-1]

    async def _page(self, step: Open, after: UUID | None, records: Sequence[UUID] | None) -> Page:
        given = (step.id, after, records, PAGE_ROWS)
        found = await self._shop.pool.fetch(_PAGE, *given, timeout=_TIMEOUT_S)
        items = plain_items(step.spec)
        times = {item.field for item in items if item.type == "datetime"}
        values = []
        for row in found:
            data = msgspec.json.decode(row[2], type=dict[str, str | None])
            values.append(
                tuple(
                    _moment(data.get(item.field)) if item.field in times else data.get(item.field)
                    for item in items
                )
            )
        return Page(tuple(row[0] for row in found), tuple(row[1] for row in found), tuple(values))

    async def _ask(
        self, step: Open, kind: Any, sealed: bytes, page: Page, *, state: bytes = b"", last: bool = False
    ) -> Reconciled:
        plain = [plain_digest(step.salt, values) for values in page.values]
        await asyncio.sleep(0)
        return await self._shop.vault.reconcile(
            step.resource,
            kind,
            sealed,
            step.context,
            records=page.records,
            # Of a record that left the list the plain items don't matter.
            plain=b"".join(plain) if plain else bytes(16 * len(page.records)),
            state=state,
            last=last,
        )


def _place(error: Exception) -> str:
    """Where a fault was; its words may quote a row, so they are written nowhere."""
    return "".join(traceback.format_tb(error.__traceback__))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _difference(one: Suspect, items: Sequence[str]) -> dict[str, Any]:
    _, kind, record, shown = one
    return {"kind": kind, "shown": shown[:_MAX_SHOWN], "record": record, "items": list(items)}


def _with_ranges(facts: dict[str, Any], work: Work) -> dict[str, Any]:
    """Add the ranges as the ledger keeps them: those in which nothing was found but rows on their way go."""
    return facts | {"differing": [list(one) for one in work.ranges if one[3] != "moving"]}


def _next(outcome: Outcome) -> Outcome:
    """Ask for the next ranges, as many as one step holds, or end the reconciliation."""
    work = outcome.work
    chosen: list[int] = []
    rows = 0
    ranges = list(work.ranges)
    for place, (number, here, there, state) in enumerate(ranges):
        if state != "differs" or work.listed >= MAX_LISTED:
            continue
        if max(here, there) > MAX_NARROWED_ROWS:
            ranges[place] = (number, here, there, "too_large")
        elif rows + max(here, there) <= MAX_NARROWED_ROWS:
            chosen.append(number)
            rows += max(here, there)
    work = msgspec.structs.replace(work, ranges=tuple(ranges), chosen=tuple(chosen))
    outcome.facts = _with_ranges(outcome.facts, work)
    outcome.work = work
    if chosen:
        outcome.reply = Reply("narrow", ranges=tuple(chosen))
    else:
        left = any(state in ("differs", "too_large") for _, _, _, state in ranges)
        found = work.listed > 0
        outcome.facts["agrees"] = not left and not found
        outcome.facts["is_complete"] = outcome.facts.get("is_complete", True) and not left
    return outcome
