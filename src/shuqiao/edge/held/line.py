"""Hearing the hub's calls on what the department keeps, and answering them.

Every call is checked here (`checking`), read by one statement, filtered here (`filtering`), written to the
node's own log and flushed, and only then answered. The line speaks to the hub by a connection of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import msgspec

from shuqiao.edge.connectors import Source, SourceError
from shuqiao.edge.cover import Cover
from shuqiao.edge.disk import DiskFull
from shuqiao.edge.held import filtering
from shuqiao.edge.held.checking import (
    AskRefused,
    HeldTable,
    Question,
    SignedCall,
    Trusted,
    check_granted,
    check_signed,
    moment,
)
from shuqiao.edge.held.store import CallRepeated, Guess, LineBody, Store
from shuqiao.edge.mapping import ColumnSource
from shuqiao.rules.exchange import Mode, legal_day
from shuqiao.security import keys
from shuqiao.security.http_signatures import decode_word
from shuqiao.security.sessions import delivery_digest
from shuqiao.wire.held import (
    MAX_RESULT_BYTES,
    HeldAnswer,
    HeldAsk,
    decode_ask,
    held_subject,
    sign_answer,
)
from shuqiao.wire.interface_messages import answer_subject
from shuqiao.wire.nats_client import Client
from shuqiao.wire.nats_library import Msg, NatsError

_log = logging.getLogger("shuqiao.edge")
_RETRY_S = 1.0
_REPLY_TIMEOUT_S = 5.0
MAX_TIMEOUT_S = 30.0
MAX_CALLS = 16
COUNT_S = 60.0
"""How long messages without a signature are counted before one line is written about them."""
_TROUBLES = (NatsError, OSError, asyncio.TimeoutError, ValueError, SourceError, DiskFull)


class HeldLine:
    """Answers at most `MAX_CALLS` calls at once; trusts the hub with nothing but carrying messages."""

    def __init__(
        self,
        trusted: Trusted,
        tables: Mapping[str, HeldTable],
        source: Source,
        store: Store,
        cover: Cover,
        key: keys.SigningKey,
        connect: Callable[[], Awaitable[Client]],
    ) -> None:
        """Nothing is opened yet."""
        self._trusted = trusted
        self._tables = tables
        self._source = source
        self._store = store
        self._cover = cover
        self._key = key
        self._connect = connect
        self._client: Client | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._unsigned: Counter[str] = Counter()
        self._counting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Work until cancelled; where nothing is kept here there is nothing to do."""
        try:
            if not self._tables:
                await asyncio.Event().wait()
            while True:
                try:
                    await self._listen()
                except _TROUBLES as error:
                    _log.warning("held_hub_away %s", type(error).__name__)
                await asyncio.sleep(_RETRY_S)
        finally:
            for task in self._calls:
                task.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)
            if self._counting is not None:
                self._counting.cancel()
                await asyncio.gather(self._counting, return_exceptions=True)
                await asyncio.to_thread(self._write_counts)

    async def _listen(self) -> None:
        for table in self._tables.values():
            await self._source.check(table.mapping)
        self._client = client = await self._connect()
        try:
            await client.subscribe(held_subject(self._trusted.department), cb=self._asked)
            await client.flush()
            _log.info("held_ready %s", len(self._tables))
            # A broken link is restored by the client itself, with its subscriptions.
            await client.ended.wait()
        finally:
            # One that goes on beside the next would hear every call a second time.
            self._client = None
            await client.close()

    async def _asked(self, message: Msg) -> None:
        try:
            ask = decode_ask(message.data)
        except msgspec.MsgspecError:
            _log.warning("held_call_unreadable")
            return
        if len(self._calls) >= 2 * MAX_CALLS:
            # The plane waits for its time to be over: to answer everyone would be work again.
            _log.warning("held_calls_dropped")
            return
        task = asyncio.get_running_loop().create_task(self._work(ask))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _work(self, ask: HeldAsk) -> None:
        """Answer one call within its time; the only word in the log is how it ended."""
        outcome = "too_slow"
        try:
            async with asyncio.timeout(min(ask.timeout_s, MAX_TIMEOUT_S)):
                answer = await self._answer(ask)
                outcome = answer.outcome
                await self._say(ask, answer)
        except (TimeoutError, *_TROUBLES) as error:
            outcome += f" {type(error).__name__}"
        except Exception:
            # Whatever else goes wrong with one call must not end the others, nor tell a value.
            _log.error("held_call_failed call=%s", ask.call)
            return
        _log.info("held_call call=%s resource=%s outcome=%s", ask.call, ask.resource[:32], outcome)

    async def _say(self, ask: HeldAsk, answer: HeldAnswer) -> None:
        client = self._client
        if client is None or not client.is_connected:
            raise OSError("the link is being restored")
        subject = answer_subject(self._trusted.department, ask.answer_to)
        await client.request(subject, sign_answer(answer, self._key), timeout=_REPLY_TIMEOUT_S)

    async def _answer(self, ask: HeldAsk) -> HeldAnswer:
        """Check, read, filter, write down; a refusal is written down too."""
        if len(self._calls) > MAX_CALLS:
            return HeldAnswer(ask.call, "busy")
        now = datetime.now(UTC)
        call: SignedCall | None = None
        try:
            table = self._tables.get(ask.resource)
            if table is None or ask.department != self._trusted.department:
                raise AskRefused("unknown")
            call = await asyncio.to_thread(check_signed, ask, self._trusted, now)
            if await asyncio.to_thread(self._store.is_answered, call.id):
                raise AskRefused("replayed")
            question = await asyncio.to_thread(
                check_granted, ask, call, table, self._trusted, self._store.offer, now
            )
            return await self._answered(ask, question, table, now)
        except AskRefused as refused:
            if call is None:
                self._count(refused)
                return HeldAnswer(ask.call, refused.refusal)
            return await self._refused(ask, call, refused, now)

    async def _answered(
        self, ask: HeldAsk, question: Question, table: HeldTable, now: datetime
    ) -> HeldAnswer:
        source = table.mapping.items[table.record_key.field]
        if not isinstance(source, ColumnSource):
            raise AskRefused("source")
        # Registers write the last letter of a number small or large.
        forms = tuple(dict.fromkeys((question.number, question.number.lower())))
        try:
            row = await self._source.read_one(table.mapping, source.column, forms, ask.timeout_s)
        except SourceError as error:
            _log.warning("held_source_away %s", error)
            raise AskRefused("source") from None
        record = filtering.record_of(row, question, table)
        agreed = filtering.compared(record, question, table)
        result = _result(record, agreed, question, table)
        if len(result) > MAX_RESULT_BYTES:
            # The plane could not read it, and would take that for silence.
            raise AskRefused("too_large")
        call = question.call
        guess = None
        if agreed:
            mark = self._cover.mark(table.id, question.number)
            has_case = bool(call.request.case.strip())
            guess = Guess(mark, legal_day(now), call.signer.body, agreed, has_case)
        body = _line(question, now, result, is_found=record is not None)
        try:
            line, budget = await asyncio.to_thread(
                self._store.append, call.id, call.covered.created, body, guess
            )
        except CallRepeated:
            raise AskRefused("replayed") from None
        if budget > 1:
            return HeldAnswer(ask.call, "answered", budget=2, line=line.number, digest=line.digest)
        found = record is not None
        return HeldAnswer(ask.call, "answered", found, 1 if budget else 0, result, line.number, line.digest)

    async def _refused(
        self, ask: HeldAsk, call: SignedCall, refused: AskRefused, now: datetime
    ) -> HeldAnswer:
        body = LineBody(
            at=moment(now),
            call=call.id.hex(),
            resource=ask.resource[:64],
            outcome=refused.refusal,
            application=call.signer.name,
            department=call.signer.body,
            key=call.key_id,
            request=call.digest,
        )
        line = await asyncio.to_thread(self._store.refuse, call.id, call.covered.created, body)
        if line is None:
            return HeldAnswer(ask.call, refused.refusal)
        return HeldAnswer(ask.call, refused.refusal, line=line.number, digest=line.digest)

    def _count(self, refused: AskRefused) -> None:
        """Count a message that nothing vouches for: a line for each would let the hub fill the disk."""
        self._unsigned[refused.refusal] += 1
        if self._counting is None or self._counting.done():
            self._counting = asyncio.get_running_loop().create_task(self._note_counts())

    async def _note_counts(self) -> None:
        while self._unsigned:
            await asyncio.sleep(COUNT_S)
            await asyncio.to_thread(self._write_counts)

    def _write_counts(self) -> None:
        counts, self._unsigned = self._unsigned, Counter()
        if counts:
            now = datetime.now(UTC)
            body = LineBody(at=moment(now), call="", resource="", outcome="unsigned", counts=dict(counts))
            self._store.count(int(now.timestamp()), body)


def _result(
    record: filtering.Record | None, agreed: dict[str, bool], question: Question, table: HeldTable
) -> bytes:
    if question.call.mode is Mode.VERIFY:
        each = {field: agreed[field] for field in question.fields}
        return msgspec.json.encode(all(each.values()) if question.grant.match == "all" else each)
    return msgspec.json.encode(None if record is None else filtering.given(record, question, table))


def _line(question: Question, now: datetime, result: bytes, *, is_found: bool) -> LineBody:
    call, grant = question.call, question.grant
    end_user = decode_word(call.covered.end_user)
    return LineBody(
        at=moment(now),
        call=call.id.hex(),
        resource=grant.resource,
        outcome="answered",
        mode=call.mode.value,
        application=call.signer.name,
        key=call.key_id,
        department=call.signer.body,
        end_user="" if end_user == "-" else end_user,
        purpose=grant.purpose,
        case=call.request.case,
        grant=grant.id,
        items=question.fields,
        found=is_found,
        request=call.digest,
        answer=delivery_digest(call.signature, hashlib.sha256(result).digest()).hex(),
    )
