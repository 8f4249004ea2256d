"""The plane's side of passing a call on: tell the department's node, hand it the body, take its answer.

The node fetches and brings; each message is answered before the next one comes, so the pace is that of the
slower side. The answer lies encrypted on the disk until it is whole and its digest is right.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from shuqiao.plane.interface.nodes import Nodes
from shuqiao.plane.interface.settings import RelaySettings
from shuqiao.security.at_rest import EncryptedFile, FileKey, new_key, read_pieces
from shuqiao.wire.interface_messages import (
    PIECE_BYTES,
    Ask,
    Bring,
    Failed,
    Fault,
    Fetch,
    FromNode,
    Taken,
    Whole,
    answer_subject,
    ask_subject,
    decode_from_node,
    encode,
)
from shuqiao.wire.nats_library import Msg, NatsError

log = logging.getLogger("shuqiao.plane")

GRACE_S = 2.0
_TROUBLES = (NatsError, OSError, asyncio.TimeoutError)
_ENDS = Taken(goes_on=False)
# Encrypting and writing must not hold up the calls of the same worker; one thread keeps the order.
_writers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="interface-write")


class RelayFailed(Exception):
    """No answer that can be used: a word for the log, and the interface's own status where it gave one."""

    def __init__(self, fault: str, status: int = 0) -> None:
        """Keep both."""
        super().__init__(fault)
        self.fault = fault
        self.status = status


@dataclass(slots=True)
class Held:
    """A whole answer, encrypted on the disk, its digest checked."""

    path: Path
    key: FileKey
    media_type: str
    size_bytes: int
    digest: str

    def pieces(self) -> Iterator[bytes]:
        """Read it piece by piece."""
        return read_pieces(self.path, self.key, 0, b"interface answer", self.size_bytes)

    def remove(self) -> None:
        """Leave nothing behind."""
        self.path.unlink(missing_ok=True)


@dataclass(slots=True)
class _Waiting:
    """A call under way: what the node may fetch, and what it has brought so far."""

    ask: Ask
    body: bytes
    file: EncryptedFile
    key: FileKey
    path: Path
    ended: asyncio.Future[Whole | Failed]
    next: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Relay:
    """One worker's connection to the nodes; opened when it is first needed."""

    def __init__(self, settings: RelaySettings) -> None:
        """Draw the worker's name; nothing is connected yet."""
        self._settings = settings
        self._nodes = Nodes(settings, "plane", self._heard)
        self._waiting: dict[str, _Waiting] = {}

    @property
    def worker(self) -> str:
        """The name under which nodes answer this worker."""
        return self._nodes.worker

    async def close(self) -> None:
        """Hang up."""
        await self._nodes.close()

    async def pass_on(self, ask: Ask, body: bytes) -> Held:
        """Ask the node and wait for the whole answer; raises `RelayFailed`."""
        key, path = new_key(self._settings.suite), self._settings.folder / ask.call
        file = EncryptedFile(path, key, 0, b"interface answer")
        ended: asyncio.Future[Whole | Failed] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(ask, body, file, key, path, ended)
        self._waiting[ask.call] = waiting
        try:
            client = await self._nodes.opened()
            await client.publish(ask_subject(ask.department), encode(ask))
            end = await asyncio.wait_for(ended, ask.timeout_s + GRACE_S)
            if isinstance(end, Failed):
                raise RelayFailed(end.fault, end.status)
            async with waiting.lock:
                return await self._held(waiting, end)
        except TimeoutError:
            raise RelayFailed("too_slow") from None
        except _TROUBLES as error:
            log.warning("relay_failed error=%s", type(error).__name__)
            raise RelayFailed("unreachable") from None
        finally:
            del self._waiting[ask.call]
            # A piece may still be on its way to the disk; the file is thrown away behind it.
            await asyncio.get_running_loop().run_in_executor(_writers, file.discard)

    async def _held(self, waiting: _Waiting, end: Whole) -> Held:
        file = waiting.file
        if file.size_bytes != end.size_bytes or file.digest != end.digest:
            raise RelayFailed("digest")
        await asyncio.get_running_loop().run_in_executor(_writers, file.close)
        return Held(waiting.path, waiting.key, end.media_type, end.size_bytes, end.digest)

    async def _heard(self, message: Msg) -> None:
        try:
            said = decode_from_node(message.data)
        except (msgspec.MsgspecError, ValueError):
            log.warning("relay_message_unreadable")
            return
        waiting = self._waiting.get(said.call)
        # The server lets a department publish under its own name only: another's node is nobody here.
        if waiting is None or message.subject != answer_subject(waiting.ask.department, self.worker):
            await message.respond(encode(_ENDS))
            return
        # One call's pieces are written while another's are received.
        task = asyncio.get_running_loop().create_task(self._reply(message, waiting, said))
        task.add_done_callback(_note)

    async def _reply(self, message: Msg, waiting: _Waiting, said: FromNode) -> None:
        async with waiting.lock:
            answer = _ENDS if waiting.ended.done() else await self._taken(waiting, said)
        await message.respond(encode(answer))

    async def _taken(self, waiting: _Waiting, said: FromNode) -> Taken:
        match said:
            case Fetch(number=number):
                start = number * PIECE_BYTES
                return Taken(goes_on=True, content=waiting.body[start : start + PIECE_BYTES])
            case Bring():
                return await self._brought(waiting, said)
            case _:
                waiting.ended.set_result(said)
                return Taken(goes_on=True)

    async def _brought(self, waiting: _Waiting, said: Bring) -> Taken:
        if said.number == waiting.next - 1:
            # The reply was lost and the piece comes again.
            return Taken(goes_on=True)
        limit = waiting.ask.max_answer_bytes
        if said.number != waiting.next or waiting.file.size_bytes + len(said.content) > limit:
            fault: Fault = "too_large" if said.number == waiting.next else "refused"
            waiting.ended.set_result(Failed(said.call, fault))
            return _ENDS
        await asyncio.get_running_loop().run_in_executor(_writers, waiting.file.write, said.content)
        waiting.next += 1
        return Taken(goes_on=True)


def _note(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("relay_reply_failed error=%s", type(task.exception()).__name__)


def body_digest(body: bytes) -> str:
    """The digest by which the node checks the body."""
    return hashlib.sha256(body).hexdigest()
