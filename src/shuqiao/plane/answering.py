"""From a verified call to its answer: decide, ask the vault, read and record in one statement, promise."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shuqiao.plane.answers import problem_body, problem_reply, recorded_reply
from shuqiao.plane.batch import Batcher, Key, QueueFull
from shuqiao.plane.calls import Call, CallRefused, Granted, refusal_entry, subjects_of
from shuqiao.plane.database import Database, DatabaseUnavailable, ReadRow, RefusalRow, Seen
from shuqiao.plane.decisions import Decisions
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.metrics import Metrics
from shuqiao.plane.neighbours import Neighbours
from shuqiao.plane.operations import query, verify
from shuqiao.plane.operations.questions import Question, is_batch
from shuqiao.plane.proofs import PromiseKeeper
from shuqiao.plane.settings import MAX_BATCH, MAX_WAITING, MAX_WAITING_BATCHES
from shuqiao.plane.slowing import Slower
from shuqiao.rules.errors import (
    CallError,
    CaseNumberDemanded,
    NotAvailable,
    Overloaded,
    SignatureReplayed,
    SignatureStale,
    Unavailable,
)
from shuqiao.rules.exchange import Mode
from shuqiao.security import keys
from shuqiao.wire.messages import refusal_entry_id
from shuqiao.wire.receipt import encode_promise, make_promises
from shuqiao.wire.vault import MAX_CALLS, CompareResult, RevealResult, VaultClient, VaultError

R = TypeVar("R", CompareResult, RevealResult)

MAX_TRIES = 3
REFUSALS: Key = ("", "call_refused")
_DECOY_RESOURCE = "r000000aaaaaaaaaa"
_RESOURCE = re.compile(r"r[0-9]{6}[a-z2-7]{10}")

_NUMBER = attrgetter("int")
_encoder = msgspec.json.Encoder()


class Asked(NamedTuple):
    """A call that may be answered, decided at an epoch."""

    call: Call
    questions: Sequence[Question]
    epoch: int


@dataclass(frozen=True, slots=True)
class Operation(Generic[R]):
    """The three steps in which the operations differ; `R` is what the vault says of one call."""

    ask_vault: Callable[[VaultClient, str, Sequence[Question]], Awaitable[Sequence[R]]]
    row: Callable[[Question, R], ReadRow]
    answer: Callable[[Sequence[Question], Sequence[R], Sequence[Seen]], bytes | None]


_VERIFY: Operation[CompareResult] = Operation(verify.ask_vault, verify.row, verify.answer)
_QUERY: Operation[RevealResult] = Operation(query.ask_vault, query.row, query.answer)


class Refusal(NamedTuple):
    """A call that is refused; `entry` is the id its audit entry will have.

    `epoch` is the one the decision was made on; None if no other epoch would decide otherwise.
    """

    call: Call
    refused: CallRefused
    entry: UUID
    epoch: int | None


class Outcome(NamedTuple):
    """What a recorded call answers."""

    call: Call
    entry: UUID
    digest: bytes
    status: int
    body: bytes
    is_slowed: bool = False


class Answering:
    """Answers calls in micro-batches; every answer has a durable audit entry before it is given.

    It trusts the signature the call came with, and nothing else the caller says.
    """

    def __init__(
        self,
        database: Database,
        vault: VaultClient,
        keeper: Keeper,
        promise_key: Ed25519PrivateKey,
        metrics: Metrics,
        lanes: int,
        promises: PromiseKeeper,
        guess_delay_s: float,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        """Keep the parts; nothing runs until the first call."""
        self._slower = Slower(guess_delay_s)
        self._neighbours = Neighbours()
        self._decisions = Decisions()
        self._promises = promises
        self._database = database
        self._vault = vault
        self._keeper = keeper
        self._promise_key = promise_key
        self._promise_key_id = keys.key_id(promise_key.public_key())
        self._metrics = metrics
        self._asked: Batcher[Asked] = Batcher(
            self._answer, self._give_up, lanes=lanes, max_batch=MAX_BATCH, max_waiting=max_waiting
        )
        # A call about many subjects is a batch by itself, and never keeps more than one lane from the others.
        self._many: Batcher[Asked] = Batcher(
            self._answer, self._give_up, lanes=1, max_batch=1, max_waiting=MAX_WAITING_BATCHES
        )
        self._refusals: Batcher[Refusal] = Batcher(
            self._refuse, self._give_up, lanes=1, max_batch=MAX_BATCH, max_waiting=max_waiting
        )

    @property
    def waiting(self) -> int:
        """The number of calls that wait for a lane."""
        return self._asked.waiting + self._many.waiting + self._refusals.waiting

    def submit(self, call: Call) -> None:
        """Decide over a call and queue it; it is answered in the end, whatever happens."""
        snapshot = self._keeper.current
        try:
            granted = self._decisions.granted(call, snapshot)
            questions = self._prepared(call, granted)
        except CallRefused as refused:
            self.refuse(call, refused, call.entry, snapshot.epoch)
            return
        try:
            batcher = self._many if is_batch(call) else self._asked
            batcher.submit((call.resource_id, call.mode.value), Asked(call, questions, snapshot.epoch))
        except QueueFull:
            self._reply_problem(call, Overloaded())

    def _prepared(self, call: Call, granted: Granted) -> Sequence[Question]:
        prepare = verify.prepare if call.mode is Mode.VERIFY else query.prepare
        try:
            questions = prepare(call, granted)
        except CallError as error:
            raise CallRefused(error, granted.grant.document.id) from None
        kind = granted.resource.record_key.kind
        return [
            one._replace(near=True)
            if self._neighbours.is_near(call.application.id, call.resource_id, kind, one.number)
            else one
            for one in questions
        ]

    def refuse(self, call: Call, refused: CallRefused, entry: UUID, epoch: int | None = None) -> None:
        """Record a refusal and answer it; `epoch` where another one might decide otherwise.

        What replays a signature is recorded once, beside what the signature was used for.
        """
        if entry == call.entry and isinstance(refused.error, SignatureReplayed):
            entry = refusal_entry_id(entry, refused.error.code)
        try:
            self._refusals.submit(REFUSALS, Refusal(call, refused, entry, epoch))
        except QueueFull:
            self._reply_problem(call, Overloaded())

    def refuse_unused(self, call: Call, error: CallError) -> None:
        """Refuse a call that is not known to be the signed one, once for each reason.

        Its signature isn't used up: whoever only saw it on its way could otherwise send it with a wrong body
        first and so suppress the true call.
        """
        self.refuse(call, CallRefused(error), refusal_entry_id(call.entry, error.code))

    def _give_up(self, work: Asked | Refusal) -> None:
        self._reply_problem(work.call, Unavailable())

    def _reply_problem(self, call: Call, error: CallError) -> None:
        """Answer without a new entry: nothing was read, and nothing was decided that is not in the log."""
        call.answer(problem_reply(error, call.language, self._keeper.current.citations))

    async def _answer(self, key: Key, batch: list[Asked]) -> None:
        if key[1] == Mode.VERIFY.value:
            await self._answer_with(_VERIFY, key, batch)
        else:
            await self._answer_with(_QUERY, key, batch)

    async def _answer_with(self, operation: Operation[R], key: Key, batch: list[Asked]) -> None:
        """Ask the vault, then read and record in one statement; of another epoch, decide again."""
        epoch = self._keeper.current.epoch
        asked = self._without_twins([work for work in batch if work.epoch == epoch])
        for late in (work for work in batch if work.epoch != epoch):
            self._again(late.call)
        if not asked:
            return
        self._metrics.count_batch(key[1], len(asked))
        try:
            questions = [question for work in asked for question in work.questions]
            results = await operation.ask_vault(self._vault, key[0], questions)
            rows = [operation.row(*pair) for pair in zip(questions, results, strict=True)]
            seen = await self._database.read(key[0], epoch, rows)
            if seen[0].ordinal == 0:
                await self._keeper.refresh(seen[0].epoch)
        except (DatabaseUnavailable, VaultError):
            for work in asked:
                self._give_up(work)
            return
        if seen[0].ordinal == 0:
            for work in asked:
                self._again(work.call)
            return
        outcomes, start = [], 0
        for work in asked:
            part = slice(start, start + len(work.questions))
            start = part.stop
            if all(row.written for row in seen[part]):
                outcomes.append(_outcome(operation, work, results[part], seen[part]))
            else:
                self._refuse_replay(work.call)
        self._promise_all(outcomes)

    def _without_twins(self, batch: list[Asked]) -> list[Asked]:
        """Take the second of two calls with one signature out, and order the rest by entry id.

        The database would see both as new: they come in one statement. The order keeps two statements with
        the same ids from waiting for each other in a circle.
        """
        first: dict[UUID, Asked] = {}
        for work in batch:
            if first.setdefault(work.call.entry, work) is not work:
                self._refuse_replay(work.call)
        return [first[entry] for entry in sorted(first, key=_NUMBER)]

    def _again(self, call: Call) -> None:
        """Decide once more on the current snapshot, a few times at most."""
        call.tries += 1
        if call.tries >= MAX_TRIES:
            self._reply_problem(call, Unavailable())
        else:
            self.submit(call)

    async def _refuse(self, _key: Key, batch: list[Refusal]) -> None:
        """Record refusals; those that must look like a record that is not there ask the vault first."""
        epoch = self._keeper.current.epoch
        first: dict[UUID, Refusal] = {}
        for work in batch:
            if work.epoch not in (None, epoch):
                self._again(work.call)
            elif first.setdefault(work.entry, work) is not work:
                self._answer_twin(work)
        if not first:
            return
        refusals = [first[entry] for entry in sorted(first, key=_NUMBER)]
        self._metrics.count_batch("call_refused", len(refusals))
        try:
            await self._ask_in_vain(refusals)
            rows = [self._refusal_row(work) for work in refusals]
            seen = await self._database.record_refusals(epoch, rows)
            if seen[0].ordinal == 0:
                await self._keeper.refresh(seen[0].epoch)
        except (DatabaseUnavailable, VaultError):
            for work in refusals:
                self._give_up(work)
            return
        if seen[0].ordinal == 0:
            for work in refusals:
                self._refuse_again(work)
            return
        outcomes = []
        for work, row in zip(refusals, seen, strict=True):
            if row.written and row.digest is not None:
                error = work.refused.error
                body = problem_body(error, work.call.language, self._keeper.current.citations)
                outcomes.append(Outcome(work.call, work.entry, row.digest, error.status, body))
            else:
                self._answer_twin(work)
        self._promise_all(outcomes)

    async def _ask_in_vain(self, refusals: list[Refusal]) -> None:
        """Do the vault's part of an answered call, so that time does not tell what the text hides."""
        decoys = [work for work in refusals if isinstance(work.refused.error, NotAvailable)]
        numbers = [number for work in decoys for number in subjects_of(work.call)]
        for start in range(0, len(numbers), MAX_CALLS):
            named = decoys[0].call.resource_id
            resource = named if _RESOURCE.fullmatch(named) else _DECOY_RESOURCE
            entries = [work.entry for work in decoys]
            await self._vault.resolve(resource, numbers[start : start + MAX_CALLS], entries)

    def _answer_twin(self, work: Refusal) -> None:
        """Answer a refusal whose entry is there already: somebody sent the same signature again.

        The first time this is a replay of a used-up call. A stale call is simply stale again, and a replay
        again a replay: each is recorded once, or whoever captured one call could fill the log with it.
        """
        if work.entry != work.call.entry or isinstance(work.refused.error, SignatureStale):
            self._reply_problem(work.call, work.refused.error)
        else:
            self._refuse_replay(work.call)

    def _refuse_replay(self, call: Call) -> None:
        self.refuse(call, CallRefused(SignatureReplayed()), call.entry)

    def _refuse_again(self, work: Refusal) -> None:
        if work.epoch is not None:
            self._again(work.call)
            return
        work.call.tries += 1
        if work.call.tries >= MAX_TRIES:
            self._reply_problem(work.call, Unavailable())
        else:
            self.refuse(work.call, work.refused, work.entry)

    def _refusal_row(self, work: Refusal) -> RefusalRow:
        call = work.call
        resource = self._keeper.current.resources.get(call.resource_id)
        provider = resource.department if resource is not None else None
        # What stands in a URL is the caller's word; only what has the form of an id enters the log.
        named = call.resource_id if _RESOURCE.fullmatch(call.resource_id) else None
        entry = refusal_entry(call, work.entry, work.refused, named or "", provider or "")
        return RefusalRow(
            work.entry,
            call.at,
            entry.event,
            entry.department,
            provider,
            entry.actor,
            named,
            work.refused.grant,
            entry.case or None,
            entry.outcome,
            _encoder.encode(entry).decode("utf-8"),
        )

    def _promise_all(self, outcomes: list[Outcome]) -> None:
        """Sign one promise for all and answer."""
        if not outcomes:
            return
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        promises = make_promises(
            [(item.entry, item.digest, hashlib.sha256(item.body).digest()) for item in outcomes],
            at,
            self._promise_key_id,
            self._promise_key.sign,
        )
        self._promises.add(promises)
        for item, promise in zip(outcomes, promises, strict=True):
            call = item.call
            reply = recorded_reply(item.status, item.body, call.language, encode_promise(promise))
            if item.is_slowed:
                self._slower.hold(partial(call.answer, reply))
            else:
                call.answer(reply)

    async def close(self, timeout_s: float) -> None:
        """Let what is under way finish for a time."""
        await self._asked.close(timeout_s)
        await self._many.close(timeout_s)
        self._slower.give_all()
        await self._refusals.close(timeout_s)


def _outcome(operation: Operation[R], work: Asked, results: Sequence[R], seen: Sequence[Seen]) -> Outcome:
    """Word the answer of one call; the promise names the entry of its first subject."""
    call, digest = work.call, seen[0].digest or b""
    is_slowed = any(row.budget for row in seen)
    if seen[0].budget > 1 and not is_batch(call):
        return _refusal(call, digest, CaseNumberDemanded(), is_slowed=True)
    body = operation.answer(work.questions, results, seen)
    if body is None:
        # This refusal names no matter: it is the same text for everything that is not there.
        return _refusal(call, digest, NotAvailable())
    return Outcome(call, call.entry, digest, 200, body, is_slowed)


def _refusal(call: Call, digest: bytes, error: CallError, *, is_slowed: bool = False) -> Outcome:
    body = problem_body(error, call.language, {})
    return Outcome(call, call.entry, digest, error.status, body, is_slowed)
