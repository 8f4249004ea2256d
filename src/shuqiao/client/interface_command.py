"""The command `shuqiao interface`: call an operation of a department's own interface through the platform."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from shuqiao.client.call import CallFaulty, named_values, plane_of, say
from shuqiao.client.plane import InterfaceAnswer, PlaneUnreachable, PromiseBroken
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext
from shuqiao.security.tls import TlsRefused

MAX_BODY_BYTES = 1024 * 1024
TIMEOUT_S = 60.0
"""Longer than any interface may take."""


def _body(file: Path | None) -> Any:
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BODY_BYTES + 1)
        if len(content) > MAX_BODY_BYTES:
            raise CallFaulty(f"{file} is larger than {MAX_BODY_BYTES} bytes")
        return json.loads(content)
    except (OSError, ValueError) as error:
        raise CallFaulty(f"{file} can't be read as JSON ({type(error).__name__})") from error


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    body: dict[str, Any] = {"parameters": named_values(arguments.param, "parameter", "name")}
    given = _body(arguments.body)
    return (
        body
        | ({"body": given} if given is not None else {})
        | ({"case": arguments.case} if arguments.case else {})
    )


def _show(answer: InterfaceAnswer, out: Path | None) -> None:
    """Write the answer to the file, or to standard output where it is text."""
    if out is not None:
        out.write_bytes(answer.content)
        say(f"{len(answer.content)} bytes of {answer.media_type} in {out}")
    elif answer.is_json:
        print(json.dumps(json.loads(answer.content), ensure_ascii=False, indent=2))
    else:
        say(f"the answer is a file of {answer.media_type}; name a place for it with --out")


def interface_command(arguments: argparse.Namespace) -> int:
    """Make one call; exit code 0 when it was answered and its promise holds, else 1."""
    try:
        with plane_of(arguments, TIMEOUT_S) as plane:
            answer = plane.client.interface(
                arguments.resource,
                arguments.operation,
                _asked(arguments),
                CallContext(arguments.purpose, arguments.end_user, arguments.grant),
                is_sample=arguments.sample,
            )
        _show(answer, arguments.out if answer.is_answered else None)
    except (CallFaulty, TlsRefused, keys.KeyRefusedError, OSError) as error:
        say(str(error))
        return 1
    except PlaneUnreachable as error:
        say(f"the plane can't be reached: {error}. Is the city running? Start it with ./dev demo")
        return 1
    except PromiseBroken as error:
        say(f"{error}. Do not rely on the answer; tell the platform agency.")
        return 1
    if answer.promise is not None:
        say(f"entry {answer.promise.entry}; promise checked")
    return 0 if answer.is_answered else 1
