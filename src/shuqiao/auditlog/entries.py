"""One stored audit entry held against itself: digest against body, columns against body. Pure.

The searchable columns repeat what the body says and only the body is under the digest, so an altered column
is found here and nowhere else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

MAX_BODY_LINES: Final = 2


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A row of `audit.entry`; `body` is null once its retention has ended."""

    id: UUID
    occurred_at: dt.datetime
    event: str
    department: str | None
    provider: str | None
    actor: str
    resource_id: str | None
    record_id: UUID | None
    grant_id: str | None
    case_no: str | None
    outcome: str
    body: str | None
    salt: bytes
    digest: bytes


COLUMNS: Final = (
    "id, occurred_at, event, department, provider, actor, resource_id, record_id, grant_id, case_no, "
    "outcome, body, salt, digest"
)
"""The columns of `audit.entry` in the order of StoredEntry's fields."""

# Column of the table, key in the body, in the order in which they are compared.
_TEXTS: Final = (
    ("event", "event"),
    ("department", "department"),
    ("provider", "provider"),
    ("actor", "actor"),
    ("resource_id", "resource"),
    ("grant_id", "grant"),
    ("case_no", "case"),
    ("outcome", "outcome"),
)
_decode = msgspec.json.Decoder(dict[str, object]).decode


def digest_of(salt: bytes, body: str) -> bytes:
    """The digest an entry with this salt and body must have: SHA-256 of both, the body in UTF-8."""
    return hashlib.sha256(salt + body.encode()).digest()


def entry_fault(entry: StoredEntry) -> str | None:
    """Say in words what is wrong with an entry, or None; of a pruned one only the digest is left to trust."""
    if entry.body is None:
        return None
    if not hmac.compare_digest(digest_of(entry.salt, entry.body), entry.digest):
        return "its body does not have the digest that was recorded: body, salt or digest was altered"
    try:
        lines = [_decode(line) for line in entry.body.split("\n", MAX_BODY_LINES)]
    except msgspec.DecodeError:
        return "its body is not JSON"
    if len(lines) > MAX_BODY_LINES:
        return "its body has more than two lines"
    return _column_fault(entry, lines)


def _column_fault(entry: StoredEntry, lines: Sequence[dict[str, object]]) -> str | None:
    record = None if entry.record_id is None else str(entry.record_id)
    expected = [(column, key, getattr(entry, column)) for column, key in _TEXTS]
    expected += [("id", "id", str(entry.id)), ("record_id", "record", record)]
    for column, key, value in expected:
        said = [line[key] for line in lines if key in line] or [None]
        # Writers leave out what is empty; an empty column says no more than a null one.
        if any((other or None) != (value or None) for other in said):
            return f"its column {column} does not say what its body says"
    moments = [line["at"] for line in lines if "at" in line] or [None]
    if any(_moment(text) != entry.occurred_at for text in moments):
        return "its column occurred_at does not say what its body says"
    return None


def _moment(text: object) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
