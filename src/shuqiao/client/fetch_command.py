"""What commands that fetch have in common: whom they ask as, and what is said where it fails."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import httpx

from shuqiao.client.call import CallFaulty, Plane, plane_of, say
from shuqiao.client.fetching import CopyBroken, CopyRefused
from shuqiao.client.plane import PlaneUnreachable, PromiseBroken
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext
from shuqiao.security.tls import TlsRefused


def fetch_with(arguments: argparse.Namespace, work: Callable[[Plane, CallContext], None]) -> int:
    """Carry a command out; returns its exit code."""
    try:
        with plane_of(arguments) as plane:
            work(plane, CallContext(arguments.purpose, "", arguments.grant))
    except (CallFaulty, CopyRefused, TlsRefused, keys.KeyRefusedError) as error:
        say(str(error))
        return 1
    except (PlaneUnreachable, httpx.HTTPError) as error:
        say(f"the plane can't be reached: {error}. What was fetched stays; the command goes on from there")
        return 1
    except (PromiseBroken, CopyBroken) as error:
        say(f"{error}. Do not use what came; tell the platform agency.")
        return 1
    return 0
