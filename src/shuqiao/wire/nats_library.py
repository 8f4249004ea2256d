"""What is used of the message client, loaded without what it has for WebSocket alone.

The client takes aiohttp where that is installed, and loading it costs every start a tenth of a second.
"""

from __future__ import annotations

import sys
from importlib import import_module

_WEB = "aiohttp"
_is_hidden = _WEB not in sys.modules
if _is_hidden:
    # What stands here as None can't be imported, which the client takes for not installed.
    sys.modules[_WEB] = None  # type: ignore[assignment]
try:
    from nats.aio import transport
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.errors import Error as NatsError
    from nats.errors import NoRespondersError
    from nats.js import JetStreamContext, api
    from nats.js.errors import NotFoundError
finally:
    if _is_hidden:
        del sys.modules[_WEB]

__all__ = [
    "Client",
    "JetStreamContext",
    "Msg",
    "NatsError",
    "NoRespondersError",
    "NotFoundError",
    "allow_web_sockets",
    "api",
]


def allow_web_sockets() -> None:
    """Let the client connect to addresses that begin with wss:// from now on; raises ImportError."""
    if getattr(transport, _WEB) is None:
        setattr(transport, _WEB, import_module(_WEB))
