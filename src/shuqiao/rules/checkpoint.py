"""What a checkpoint of the audit log says, word for word, so that signer and checker agree on every byte.

Source: our choice, decision 0004.
"""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass
from typing import Final

FORMAT: Final = "shuqiao/audit/v1"

PROMISE_DUE: Final = dt.timedelta(seconds=60)
"""A promised entry stands in the tree after this time at the latest; normally it does within a second."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of the log at one moment: its name, its number of entries and the root of its tree.

    `signed_at` is aware and has at most microseconds.
    """

    origin: str
    size: int
    root: bytes
    signed_at: dt.datetime

    def text(self) -> bytes:
        """The bytes that are signed: five lines of ASCII, each ended by a line feed."""
        root = base64.b64encode(self.root).decode("ascii")
        return f"{FORMAT}\n{self.origin}\n{self.size}\n{root}\n{time_text(self.signed_at)}\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with the Ed25519 signature over its text and the id of the key that made it."""

    checkpoint: Checkpoint
    key_id: str
    signature: bytes


def time_text(moment: dt.datetime) -> str:
    """An aware time in UTC with six decimals, such as `2026-11-23T02:26:41.123456Z`."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_origin(text: str) -> bool:
    """Whether `text` can name a log: 1 to 120 visible ASCII characters."""
    return 0 < len(text) <= 120 and all("!" <= character <= "~" for character in text)
