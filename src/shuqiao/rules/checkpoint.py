"""What a checkpoint of the audit log says, word for word, so that signer and checker agree on every byte.

Source: our choice, decision 0004.
"""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass
from typing import Final

FORMAT: Final = "shuqiao/audit/v1"


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


def time_text(moment: dt.datetime) -> str:
    """An aware time in UTC with six decimals, such as `2026-11-23T02:26:41.123456Z`."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_origin(text: str) -> bool:
    """Whether `text` can name a log: 1 to 120 visible ASCII characters."""
    return 0 < len(text) <= 120 and all("!" <= character <= "~" for character in text)
