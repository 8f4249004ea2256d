"""Passing calls to the department's own interfaces, and their answers to the hub.

The node speaks to the hub by a connection of its own, so that a large answer never holds up batches. It
checks each call against its own copy of the description: the hub can't make it ask for anything else.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from urllib.parse import quote

import httpx
import msgspec

from shuqiao.edge.interface_files import NodeInterface
from shuqiao.security.tls import client_context
from shuqiao.wire.interface import JSON_TYPE, Operation, parameter_fault
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
    decode_ask,
    decode_taken,
    encode,
)
from shuqiao.wire.nats_client import Client
from shuqiao.wire.nats_library import Msg, NatsError

_log = logging.getLogger("shuqiao.edge")
# The client's own log has every address, and an address has the numbers of persons.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)
_RETRY_S = 1.0
_PIECE_TIMEOUT_S = 10.0
MAX_CALLS = 16
MAX_BODY_BYTES = 1024 * 1024
_TROUBLES = (NatsError, OSError, asyncio.TimeoutError, msgspec.MsgspecError, ValueError)
_HOLE = re.compile(r"\{([^{}]*)\}")


class CallFailed(Exception):
    """No answer can be given; `status` is that of the interface where it gave one."""

    def __init__(self, fault: Fault, status: int = 0) -> None:
        """Keep both."""
        super().__init__(fault)
        self.fault: Fault = fault
        self.status = status


class HubGone(Exception):
    """The hub doesn't want the answer any more, or can't be reached."""


class InterfaceLine:
    """Hears the hub's calls and answers them, at most `MAX_CALLS` at once; keeps nothing of them."""

    def __init__(
        self,
        department: str,
        interfaces: Mapping[str, NodeInterface],
        connect: Callable[[], Awaitable[Client]],
    ) -> None:
        """Nothing is opened yet."""
        self._department = department
        self._interfaces = interfaces
        self._connect = connect
        self._client: Client | None = None
        self._http = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            # A department's own authority is among those of its machine, not among the web's.
            verify=client_context(),
            limits=httpx.Limits(max_connections=MAX_CALLS, max_keepalive_connections=MAX_CALLS),
        )
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; without interfaces there is nothing to do."""
        try:
            if not self._interfaces:
                await asyncio.Event().wait()
            while True:
                try:
                    await self._listen()
                except _TROUBLES as error:
                    _log.warning("interfaces_hub_away %s", type(error).__name__)
                await asyncio.sleep(_RETRY_S)
        finally:
            for task in self._calls:
                task.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)
            await self._http.aclose()
            if self._client is not None:
                await self._client.close()

    async def _listen(self) -> None:
        self._client = client = await self._connect()
        await client.subscribe(ask_subject(self._department), cb=self._asked)
        _log.info("interfaces_ready %s", len(self._interfaces))
        # A broken link is restored by the client itself, with its subscriptions.
        await client.ended.wait()

    async def _asked(self, message: Msg) -> None:
        try:
            ask = decode_ask(message.data)
        except msgspec.MsgspecError:
            _log.warning("interface_call_unreadable")
            return
        if len(self._calls) >= 2 * MAX_CALLS:
            # The plane waits for its time to be over: to answer everyone would be work again.
            _log.warning("interface_calls_dropped")
            return
        task = asyncio.get_running_loop().create_task(self._work(ask))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _work(self, ask: Ask) -> None:
        """Answer one call within its time; the only word in the log is how it ended."""
        outcome = "answered"
        try:
            try:
                async with asyncio.timeout(min(ask.timeout_s, 60.0)):
                    await self._answer(ask)
            except CallFailed as failed:
                outcome = failed.fault
                await self._say(ask, Failed(ask.call, failed.fault, failed.status))
            except TimeoutError:
                outcome = "too_slow"
                await self._say(ask, Failed(ask.call, "too_slow"))
        except (HubGone, *_TROUBLES) as error:
            outcome = type(error).__name__
        _log.info(
            "interface_call call=%s resource=%s operation=%s grant=%s outcome=%s",
            ask.call,
            ask.resource[:32],
            ask.operation[:64],
            ask.grant[:64],
            outcome,
        )

    async def _answer(self, ask: Ask) -> None:
        if len(self._calls) > MAX_CALLS:
            raise CallFailed("busy")
        interface = self._interfaces.get(ask.resource)
        operation = interface.description.operation(ask.operation) if interface is not None else None
        if interface is None or operation is None or ask.department != self._department:
            raise CallFailed("unknown")
        fault = parameter_fault(operation, ask.parameters, has_body=ask.has_body)
        if fault is not None or ask.body_bytes > MAX_BODY_BYTES:
            raise CallFailed("refused")
        body = await self._body(ask)
        request = _request(self._http, interface, operation, ask, body)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TimeoutException:
            raise CallFailed("too_slow") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise CallFailed("unreachable") from None
        try:
            await self._bring(ask, operation, response)
        finally:
            await response.aclose()

    async def _body(self, ask: Ask) -> bytes:
        """Fetch the body piece by piece and check its digest."""
        if not ask.has_body:
            return b""
        body, number = bytearray(), 0
        while len(body) < ask.body_bytes:
            taken = await self._say(ask, Fetch(ask.call, number))
            if not taken.content or len(body) + len(taken.content) > ask.body_bytes:
                raise CallFailed("refused")
            body += taken.content
            number += 1
        if hashlib.sha256(body).hexdigest() != ask.body_digest:
            raise CallFailed("refused")
        return bytes(body)

    async def _bring(self, ask: Ask, operation: Operation, response: httpx.Response) -> None:
        """Bring the answer piece by piece; the next is read from the interface when one has been taken."""
        media_type = response.headers.get("content-type", "")
        if response.status_code != httpx.codes.OK:
            raise CallFailed("refused", response.status_code)
        if media_type.partition(";")[0].strip().lower() != operation.answer_type:
            raise CallFailed("wrong_type", response.status_code)
        digest, size, number = hashlib.sha256(), 0, 0
        async for piece in _pieces(response):
            size += len(piece)
            if size > ask.max_answer_bytes:
                raise CallFailed("too_large", response.status_code)
            digest.update(piece)
            await self._say(ask, Bring(ask.call, number, piece))
            number += 1
        await self._say(ask, Whole(ask.call, media_type[:200], size, digest.hexdigest()))

    async def _say(self, ask: Ask, said: FromNode) -> Taken:
        """Tell the worker that waits; raises `HubGone` where it has stopped waiting."""
        client = self._client
        if client is None or not client.is_connected:
            raise HubGone
        subject = answer_subject(self._department, ask.answer_to)
        reply = await client.request(subject, encode(said), timeout=_PIECE_TIMEOUT_S)
        taken = decode_taken(reply.data)
        if not taken.goes_on:
            raise HubGone
        return taken


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in response.aiter_bytes(PIECE_BYTES):
            yield piece
    except httpx.TimeoutException:
        raise CallFailed("too_slow") from None
    except httpx.HTTPError:
        raise CallFailed("unreachable") from None


def _request(
    http: httpx.AsyncClient, interface: NodeInterface, operation: Operation, ask: Ask, body: bytes
) -> httpx.Request:
    """Make the request: every value stands in its place and can't change what is asked for."""
    path = _HOLE.sub(lambda hole: quote(ask.parameters[hole[1]], safe=""), operation.path)
    query = {
        one.name: ask.parameters[one.name]
        for one in operation.parameters
        if one.place == "query" and one.name in ask.parameters
    }
    headers = {
        **interface.headers,
        "accept": operation.answer_type,
        # A packed answer could be far larger than what came.
        "accept-encoding": "identity",
        "shuqiao-call": ask.call,
        **({"content-type": JSON_TYPE} if operation.takes_body else {}),
    }
    return http.build_request(
        operation.method,
        interface.base_url + path,
        params=query,
        headers=headers,
        content=body if operation.takes_body else None,
        timeout=min(interface.timeout_s, ask.timeout_s),
    )
