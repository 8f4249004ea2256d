"""Holding a promise against the log: was the entry that an answer promised really kept?

A promise is signed after its entry is durable. So an entry that is gone, or that has another digest, convicts
the platform at once; one that is there has to stand in the tree within PROMISE_DUE.
Source: our choice, decision 0004.
"""

from __future__ import annotations

import datetime as dt
import enum
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from shuqiao.auditlog.proofs import Connection, read_entry, read_position
from shuqiao.rules.checkpoint import PROMISE_DUE
from shuqiao.security import keys
from shuqiao.wire.receipt import Promise, decode_promise, promise_is_signed

_MAX_FILE_BYTES: Final = 64 * 1024


class Verdict(enum.Enum):
    """What a promise is worth."""

    KEPT = "KEPT"
    EARLY = "EARLY"
    NO_PROMISE = "NOTHING"
    BROKEN = "BROKEN"


def read_promise(file: Path) -> Promise:
    """Read a promise as it came: the header's value, the whole header line, or the JSON inside it.

    Raises ValueError for anything else, OSError for an unreadable file.
    """
    with file.open("rb") as stream:
        content = stream.read(_MAX_FILE_BYTES).strip()
    if content.startswith(b"{"):
        return msgspec.json.decode(content, type=Promise)
    return decode_promise(content.decode("ascii").rpartition(":")[2].strip())


def judge_promise(
    connection: Connection, promise: Promise, trusted: Mapping[str, keys.PublicKey], now: dt.datetime
) -> tuple[Verdict, str]:
    """Say what the log makes of the promise, with the reason in words; `trusted` are promise keys by id."""
    key = trusted.get(promise.key_id)
    if key is None or not promise_is_signed(promise, key):
        return Verdict.NO_PROMISE, "this is not signed by a promise key of the platform, so it proves nothing"
    entry = read_entry(connection, promise.entry)
    if entry is None:
        return Verdict.BROKEN, (
            f"the platform promised at {promise.at} that entry {promise.entry} is in the log, and it is not: "
            "the entry was removed. The signed promise convicts the platform"
        )
    if not hmac.compare_digest(entry.digest.hex(), promise.digest):
        return Verdict.BROKEN, (
            f"entry {promise.entry} has another digest than the platform promised at {promise.at}: "
            "the entry was replaced. The signed promise convicts the platform"
        )
    return _place(connection, promise, now)


def _place(connection: Connection, promise: Promise, now: dt.datetime) -> tuple[Verdict, str]:
    position = read_position(connection, promise.entry)
    if position is not None:
        return Verdict.KEPT, (
            f"entry {promise.entry} is in the log as promised, at position {position}; "
            f"`shuqiao audit prove {promise.entry}` shows the proof"
        )
    if now < dt.datetime.fromisoformat(promise.at) + PROMISE_DUE:
        return Verdict.EARLY, "the entry is durable and waits to be numbered; ask again in a minute"
    return Verdict.BROKEN, (
        f"the platform promised at {promise.at} that entry {promise.entry} would be in the tree within "
        f"{PROMISE_DUE.seconds} seconds, and it is not. The signed promise convicts the platform"
    )
