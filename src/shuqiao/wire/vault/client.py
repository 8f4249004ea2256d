"""The client of the vault: many calls at once over one connection, which it restores by itself."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast
from uuid import UUID

import msgspec

from shuqiao.wire.vault.frames import Frames
from shuqiao.wire.vault.messages import (
    MAX_FRAME_BYTES,
    MAX_HANDSHAKE_BYTES,
    NONCE_BYTES,
    PROTOCOL,
    Answer,
    Assign,
    Assigned,
    Challenge,
    Compare,
    CompareCall,
    Compared,
    CompareResult,
    FindByName,
    Found,
    FrameRefused,
    Hello,
    Opened,
    OpenSealed,
    Reconcile,
    Reconciled,
    RecordsRevealed,
    Refused,
    Request,
    Resolve,
    Resolved,
    Reveal,
    RevealCall,
    Revealed,
    RevealRecords,
    RevealResult,
    VaultRefused,
    VaultUnavailable,
    Welcome,
    client_proof,
    encode_message,
    vault_proof,
)

if TYPE_CHECKING:
    # Only the loader hands over a specification; the others are spared loading Arrow.
    from shuqiao.wire.schemas import ResourceSpec

AnswerT = TypeVar(
    "AnswerT", Resolved, Compared, Revealed, RecordsRevealed, Found, Assigned, Opened, Reconciled
)

_answer_decoder = msgspec.msgpack.Decoder(Answer)
_challenge_decoder: msgspec.msgpack.Decoder[Challenge] = msgspec.msgpack.Decoder(Challenge)
_welcome_decoder = msgspec.msgpack.Decoder(Welcome | Refused)
_spec_encoder = msgspec.msgpack.Encoder()


class _ConnectionLost(VaultUnavailable):
    """The connection broke before the answer came."""


class _Connection(asyncio.Protocol):
    """One connection and the calls under way on it; it serves none before the vault has proved itself.

    A call costs a future and no task. Nothing waits for a frame to leave: whoever sends one waits for its
    answer, and how many may do so is bounded.
    """

    def __init__(self) -> None:
        self.pending: dict[int, asyncio.Future[Answer]] = {}
        self.is_open = True
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._frames = Frames(MAX_HANDSHAKE_BYTES)
        self._greeting: asyncio.Event | None = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the vault."""
        self._transport = cast(asyncio.Transport, transport)

    def send(self, frame: bytes) -> None:
        """Send a frame; the loss of the connection is told to who waits for the answer."""
        if self._transport is not None:
            self._transport.write(frame)

    async def greeting(self) -> bytes:
        """Wait for the next frame of the greeting; raises `VaultUnavailable` when the vault hangs up."""
        while True:
            frame = self._frames.take()
            if frame is not None:
                return frame
            if not self.is_open or self._greeting is None:
                raise VaultUnavailable("the vault broke off the greeting")
            self._greeting.clear()
            await self._greeting.wait()

    def begin(self) -> None:
        """Take answers from now on."""
        self._greeting = None
        self._frames.limit_bytes = MAX_FRAME_BYTES
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        """Give answers to the calls that wait for them; a late one finds nobody and is dropped."""
        self._frames.feed(data)
        if self._greeting is not None:
            self._greeting.set()
            return
        try:
            while (frame := self._frames.take()) is not None:
                answer = _answer_decoder.decode(frame)
                waiting = self.pending.pop(answer.id, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (msgspec.MsgspecError, FrameRefused):
            # Who says what nobody can read is not listened to any more; the calls under way learn it.
            self.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell everybody who waits."""
        self.close()
        if not self.lost.done():
            self.lost.set_result(None)

    def close(self) -> None:
        """Hang up; calls under way fail."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()
        if self._greeting is not None:
            self._greeting.set()
        pending, self.pending = self.pending, {}
        for waiting in pending.values():
            if not waiting.done():
                waiting.set_exception(_ConnectionLost("the vault closed the connection"))


class VaultClient:
    """Asks the vault; safe for many tasks of one event loop.

    A call fails with `VaultUnavailable` when the vault can't be reached or is too slow, and with
    `VaultRefused` when it says no. All operations may be repeated without harm, so a call whose connection
    breaks is asked once more over a new one: a vault that was restarted is noticed only by using it.
    """

    def __init__(
        self, path: Path, client: str, key: bytes, *, timeout_s: float = 5.0, max_in_flight: int = 256
    ) -> None:
        """Keep the settings; the first call connects."""
        self._path = path
        self._client = client
        self._key = key
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(max_in_flight)
        self._connecting = asyncio.Lock()
        self._connection: _Connection | None = None
        self._last_id = 0

    @classmethod
    async def connect(
        cls, path: Path, client: str, key: bytes, *, timeout_s: float = 5.0, max_in_flight: int = 256
    ) -> VaultClient:
        """Make a client and prove that the vault can be reached and accepts its key."""
        made = cls(path, client, key, timeout_s=timeout_s, max_in_flight=max_in_flight)
        await made.ready()
        return made

    async def ready(self) -> None:
        """Connect if needed; raises like a call."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._connected()
        except TimeoutError as error:
            raise VaultUnavailable("the vault did not answer in time") from error

    async def close(self) -> None:
        """Hang up; calls under way fail with `VaultUnavailable`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            await connection.lost

    async def resolve(
        self, resource: str, numbers: Sequence[str], entries: Sequence[UUID]
    ) -> tuple[UUID, ...]:
        """Give the record id of each number, a random one for a number nobody has."""
        request = Resolve(self._next_id(), resource, tuple(numbers), tuple(entries))
        return (await self._ask(request, Resolved)).records

    async def compare(
        self, resource: str, calls: Sequence[CompareCall], entries: Sequence[UUID]
    ) -> tuple[CompareResult, ...]:
        """Give record id and one word per claimed field, in the order of the calls."""
        request = Compare(self._next_id(), resource, tuple(calls), tuple(entries))
        return (await self._ask(request, Compared)).results

    async def reveal(
        self, resource: str, calls: Sequence[RevealCall], entries: Sequence[UUID]
    ) -> tuple[RevealResult, ...]:
        """Give record id and values in clear, in the order of the calls."""
        request = Reveal(self._next_id(), resource, tuple(calls), tuple(entries))
        return (await self._ask(request, Revealed)).results

    async def reveal_records(
        self,
        resource: str,
        records: Sequence[UUID],
        call: RevealCall,
        entries: Sequence[UUID],
        *,
        timeout_s: float = 30.0,
    ) -> tuple[tuple[str | None, ...], ...]:
        """Give a column of values for each field of the call, in the order of the records."""
        columns: list[list[str | None]] = [[] for _ in call.fields]
        at = 0
        while at < len(records):
            count, given = await self.reveal_some(resource, records[at:], call, entries, timeout_s=timeout_s)
            for column, values in zip(columns, given, strict=True):
                column += values
            at += count
        return tuple([tuple(column) for column in columns])

    async def reveal_some(
        self,
        resource: str,
        records: Sequence[UUID],
        call: RevealCall,
        entries: Sequence[UUID],
        *,
        timeout_s: float = 30.0,
    ) -> tuple[int, tuple[tuple[str | None, ...], ...]]:
        """Give the columns of the first records, as many as fit into one answer, and how many these are."""
        request = RevealRecords(self._next_id(), resource, tuple(records), call, tuple(entries))
        answer = await self._ask(request, RecordsRevealed, timeout_s)
        if not 0 < answer.count <= len(records):
            raise VaultUnavailable("the vault answered about other records than were asked for")
        return answer.count, answer.columns

    async def find_by_name(
        self, resource: str, field: str, name: str, reason: str, entries: Sequence[UUID]
    ) -> Found:
        """Give the records whose field holds exactly this name."""
        return await self._ask(
            FindByName(self._next_id(), resource, field, name, reason, tuple(entries)), Found
        )

    async def open_sealed(
        self,
        resource: str | None,
        kind: Literal["request", "promises"],
        sealed: bytes,
        entries: Sequence[UUID],
    ) -> bytes | None:
        """Open what the plane sealed with a call; None where it is none of this vault's."""
        request = OpenSealed(self._next_id(), kind, sealed, tuple(entries), resource)
        return (await self._ask(request, Opened)).plain

    async def assign(
        self,
        resource: str,
        spec: ResourceSpec,
        *,
        department: str,
        generation: int,
        sequence: int,
        sealed: bytes,
        skip: Sequence[int] = (),
        entries: Sequence[UUID] = (),
        rows: int | None = None,
        removed: Sequence[int] = (),
        complete_since: int | None = None,
        timeout_s: float = 60.0,
    ) -> Assigned:
        """Store the identity columns of a batch; the same batch again gives the same answer.

        With `rows`, a sealed part of another length is refused as `batch_malformed`. Rows in `removed` name
        records that are gone; with `complete_since`, so is all that was not met since that generation.
        """
        request = Assign(
            self._next_id(),
            resource,
            _spec_encoder.encode(spec),
            department,
            generation,
            sequence,
            sealed,
            tuple(skip),
            tuple(entries),
            rows,
            tuple(removed),
            complete_since,
        )
        return await self._ask(request, Assigned, timeout_s)

    async def reconcile(
        self,
        resource: str,
        step: Literal["sums", "rows", "details"],
        sealed: bytes,
        context: bytes,
        *,
        records: Sequence[UUID] = (),
        plain: bytes = b"",
        state: bytes = b"",
        places: Sequence[int] = (),
        last: bool = False,
        entries: Sequence[UUID] = (),
        timeout_s: float = 30.0,
    ) -> Reconciled:
        """Hold a page of records against what a node sealed; nothing changes, so it may be repeated."""
        request = Reconcile(
            self._next_id(),
            resource,
            step,
            context,
            sealed,
            tuple(records),
            plain,
            state,
            tuple(places),
            last,
            tuple(entries),
        )
        return await self._ask(request, Reconciled, timeout_s)

    def _next_id(self) -> int:
        self._last_id = self._last_id % (2**32 - 1) + 1
        return self._last_id

    async def _ask(self, request: Request, kind: type[AnswerT], timeout_s: float | None = None) -> AnswerT:
        frame = encode_message(request)
        try:
            async with asyncio.timeout(timeout_s or self._timeout_s), self._slots:
                try:
                    answer = await self._exchange(request.id, frame)
                except _ConnectionLost:
                    answer = await self._exchange(request.id, frame)
        except TimeoutError as error:
            raise VaultUnavailable("the vault did not answer in time") from error
        if isinstance(answer, Refused):
            raise VaultRefused(answer.code)
        if not isinstance(answer, kind):
            raise VaultUnavailable("the vault gave another answer than was asked for")
        return answer

    async def _exchange(self, request_id: int, frame: bytes) -> Answer:
        connection = await self._connected()
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        connection.pending[request_id] = waiting
        try:
            connection.send(frame)
            return await waiting
        finally:
            connection.pending.pop(request_id, None)
            if waiting.done() and not waiting.cancelled():
                # A failure that came together with the end of the time counts as noticed.
                waiting.exception()

    async def _connected(self) -> _Connection:
        connection = self._connection
        if connection is not None and connection.is_open:
            return connection
        async with self._connecting:
            if self._connection is None or not self._connection.is_open:
                self._connection = await self._open()
            return self._connection

    async def _open(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_unix_connection(_Connection, str(self._path))
        except OSError as error:
            raise VaultUnavailable("the vault can't be reached") from error
        try:
            await self._shake_hands(connection)
        except BaseException:
            connection.close()
            raise
        connection.begin()
        return connection

    async def _shake_hands(self, connection: _Connection) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        try:
            challenge = _challenge_decoder.decode(await connection.greeting())
            if challenge.protocol != PROTOCOL:
                raise VaultUnavailable(f"the vault speaks protocol {challenge.protocol}, not {PROTOCOL}")
            proof = client_proof(self._key, self._client, challenge.nonce, nonce)
            connection.send(encode_message(Hello(self._client, nonce, proof)))
            welcome = _welcome_decoder.decode(await connection.greeting())
        except (msgspec.MsgspecError, FrameRefused) as error:
            raise VaultUnavailable("the vault broke off the greeting") from error
        if isinstance(welcome, Refused):
            raise VaultRefused(welcome.code)
        expected = vault_proof(self._key, self._client, challenge.nonce, nonce)
        if not hmac.compare_digest(welcome.proof, expected):
            raise VaultUnavailable("who answers at the socket does not hold the vault's key for this client")


def find_by_name_sync(
    path: Path,
    key: bytes,
    *,
    resource: str,
    field: str,
    name: str,
    reason: str,
    entries: Sequence[UUID],
    timeout_s: float = 5.0,
) -> Found:
    """Search by name from synchronous code, as client `control`, over a connection of its own."""

    async def search() -> Found:
        client = VaultClient(path, "control", key, timeout_s=timeout_s)
        try:
            return await client.find_by_name(resource, field, name, reason, entries)
        finally:
            await client.close()

    return asyncio.run(search())


def open_sealed_sync(
    path: Path,
    client: str,
    key: bytes,
    *,
    resource: str | None,
    sealed: Sequence[tuple[Literal["request", "promises"], bytes]],
    entries: Sequence[UUID],
    timeout_s: float = 5.0,
) -> list[bytes | None]:
    """Open what was sealed with calls from synchronous code, over a connection of its own."""

    async def opened() -> list[bytes | None]:
        vault = VaultClient(path, client, key, timeout_s=timeout_s)
        try:
            return [await vault.open_sealed(resource, kind, text, entries) for kind, text in sealed]
        finally:
            await vault.close()

    return asyncio.run(opened())
