"""One worker's line to the nodes that answer for what their departments keep.

The plane tells the node of a call; the node brings one answer, signed with its own key, to the worker's own
subject. What a node says is believed only with that signature, for the call it names.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from shuqiao.plane.interface.nodes import Nodes
from shuqiao.plane.interface.settings import RelaySettings
from shuqiao.security import keys
from shuqiao.wire import nats_client
from shuqiao.wire.held import HeldAnswer, HeldAsk, encode, held_subject, peek_call, read_answer
from shuqiao.wire.interface_messages import answer_subject
from shuqiao.wire.nats_library import Msg, NatsError
from shuqiao.wire.node_signed import NotTheNodes

log = logging.getLogger("shuqiao.plane")

_OPEN_S = 2.0
_TROUBLES = (NatsError, OSError, ValueError)


class LinkDown(Exception):
    """The plane itself has no way to the nodes."""


@dataclass(slots=True)
class _Waiting:
    """A call under way, and the key that its answer must be signed with."""

    department: str
    node_key: keys.PublicKey
    answer: asyncio.Future[HeldAnswer]


class NodeLink:
    """Opened when it is first needed."""

    def __init__(self, settings: RelaySettings) -> None:
        """Draw the worker's name; nothing is connected yet."""
        self._nodes = Nodes(settings, "plane-held", self._heard)
        self._waiting: dict[str, _Waiting] = {}

    @property
    def worker(self) -> str:
        """The name under which nodes answer this worker."""
        return self._nodes.worker

    async def close(self) -> None:
        """Hang up."""
        await self._nodes.close()

    async def ask(self, ask: HeldAsk, node_key: keys.PublicKey) -> HeldAnswer:
        """Ask and wait; raises `LinkDown`, or TimeoutError where the node stays silent."""
        answer: asyncio.Future[HeldAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[ask.call] = _Waiting(ask.department, node_key, answer)
        try:
            client = await self._opened_in_time()
            async with asyncio.timeout(ask.timeout_s):
                await client.publish(held_subject(ask.department), encode(ask))
                return await answer
        except TimeoutError:
            raise
        except _TROUBLES as error:
            log.warning("node_link_failed error=%s", type(error).__name__)
            raise LinkDown from None
        finally:
            del self._waiting[ask.call]

    async def _opened_in_time(self) -> nats_client.Client:
        """The platform's own link is no silence of the department."""
        try:
            return await asyncio.wait_for(self._nodes.opened(), _OPEN_S)
        except TimeoutError:
            raise OSError("the message server is away") from None

    async def _heard(self, message: Msg) -> None:
        # The node only wants to know that its answer has arrived.
        await message.respond(b"")
        try:
            waiting = self._waiting.get(peek_call(message.data))
            # The server lets a department publish under its own name only: another's node is nobody here.
            if waiting is None or message.subject != answer_subject(waiting.department, self.worker):
                return
            answer = read_answer(message.data, waiting.node_key)
        except NotTheNodes as error:
            log.warning("node_answer_refused reason=%s", error)
            return
        if not waiting.answer.done():
            waiting.answer.set_result(answer)
