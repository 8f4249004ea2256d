"""Connecting to the hub's NATS server: always TLS, always with credentials, always trying again."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shuqiao.wire.nats_library import Client as _Client
from shuqiao.wire.nats_library import NatsError, allow_web_sockets

_log = logging.getLogger("shuqiao.nats")
_CONNECT_TIMEOUT_S = 5
_LEAVE_S = 1.0
_HOLDS_S = 10.0
_REFUSALS = ("authorization violation", "authentication expired", "authentication revoked")
_UNKNOWN = (
    "the hub's certificate is of an authority that this machine was not told of: this may not be the hub"
)
_OTHER = "the hub's certificate is for another address than this one"
_CERTIFICATE = {
    9: "the hub's certificate is not valid yet: look at this machine's clock",
    10: "the hub's certificate has expired: it is renewed there, unless this machine's clock is wrong",
    18: _UNKNOWN,
    19: _UNKNOWN,
    20: _UNKNOWN,
    21: _UNKNOWN,
    62: _OTHER,
    64: _OTHER,
}
"""By OpenSSL's codes."""

_WEB = "wss://"
_SCHEMES = ("tls://", _WEB)
MAX_SERVERS = 9


def addresses(text: str) -> list[str]:
    """Read one address or, of a cluster, several with commas between; raises ValueError."""
    found = [one.strip() for one in text.split(",")]
    if len(found) > MAX_SERVERS or not all(one.startswith(_SCHEMES) for one in found):
        raise ValueError(f"must be addresses that begin with tls:// or wss://, at most {MAX_SERVERS}")
    return found


@dataclass(slots=True)
class Link:
    """Why there is no link at the moment, in words for whoever has to do something; empty where there is."""

    fault: str = ""
    _said_at: float = float("-inf")

    def hear(self, error: Exception) -> None:
        """Take an error as the reason; one that only says that a link broke takes no reason's place at once.

        A server that refuses says why and closes, and both are heard of in one moment.
        """
        said = diagnosis(error)
        if said is not None:
            self.fault, self._said_at = said, time.monotonic()
        elif time.monotonic() - self._said_at > _HOLDS_S:
            self.fault = f"the hub does not answer ({type(error).__name__})"

    def stands(self) -> None:
        """Forget the reason: the link is there."""
        self.fault, self._said_at = "", float("-inf")


class Client(_Client):
    """A client whose end can be waited for: a link that breaks is no end, it is made anew."""

    def __init__(self, name: str, link: Link) -> None:
        """Begin unconnected, under the name that logs give it; `link` hears of faults."""
        super().__init__()
        self.name = name
        self._link = link
        self.ended = asyncio.Event()

    async def note(self, error: Exception) -> None:
        """Tell of an error by its class alone."""
        self._link.hear(error)
        _log.warning("nats_error %s %s", self.name, type(error).__name__)

    async def lost(self) -> None:
        """Tell that the link is broken."""
        _log.warning("nats_lost %s", self.name)

    async def found(self) -> None:
        """Tell that the link is there."""
        self._link.stands()
        _log.info("nats_connected %s", self.name)

    async def closed(self) -> None:
        """Tell those who wait for the end."""
        self.ended.set()


def diagnosis(error: Exception) -> str | None:
    """Say what keeps this machine from the hub; None where the error doesn't tell."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(
            error.verify_code, f"the hub's certificate is not accepted ({error.verify_code})"
        )
    if any(word in str(error).lower() for word in _REFUSALS):
        return "the hub refuses these credentials: they were revoked or are of another hub; be admitted again"
    return None


async def connect(
    url: str,
    credentials: Path,
    authority: Path,
    *,
    name: str,
    inbox_prefix: str = "_INBOX",
    link: Link | None = None,
) -> Client:
    """Connect, verifying the server against `authority`; tries for as long as no server can be reached.

    `url` may name several servers of a cluster. A connection that breaks later is made anew by itself, to any
    of them, for as long as the process lives.
    """
    tls = ssl.create_default_context(cafile=str(authority))
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    servers = addresses(url)
    if any(server.startswith(_WEB) for server in servers):
        allow_web_sockets()
    while True:
        client = Client(name, link or Link())
        try:
            # The library's own first attempts may wait for ever for the end of a link that TLS refused.
            async with asyncio.timeout(_CONNECT_TIMEOUT_S * (len(servers) + 1)):
                await client.connect(
                    servers,
                    name=name,
                    tls=tls,
                    user_credentials=str(credentials),
                    inbox_prefix=inbox_prefix.encode("ascii"),
                    connect_timeout=_CONNECT_TIMEOUT_S,
                    allow_reconnect=True,
                    reconnect_time_wait=1,
                    max_reconnect_attempts=-1,
                    error_cb=client.note,
                    disconnected_cb=client.lost,
                    reconnected_cb=client.found,
                    closed_cb=client.closed,
                )
            break
        except TimeoutError:
            with suppress(TimeoutError, OSError, NatsError):
                await asyncio.wait_for(client.close(), _LEAVE_S)
    await client.found()
    return client
