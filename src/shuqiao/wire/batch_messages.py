"""Calls about many subjects: one signature and one body, an answer and an audit entry for each subject."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from shuqiao.rules.entry_ids import id_beside
from shuqiao.wire.messages import CaseNumber, Field, Subject, Value

MAX_SUBJECTS = 1000


class SubjectClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One subject of a batch: the value of the list's record key, and what is claimed of it."""

    subject: Subject
    claims: Annotated[dict[Field, Value], msgspec.Meta(min_length=1, max_length=64)]


class VerifyBatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks whether claims agree with many records; all subjects have claims about the same items."""

    subjects: Annotated[tuple[SubjectClaims, ...], msgspec.Meta(min_length=1, max_length=MAX_SUBJECTS)]
    case: CaseNumber = ""


class QueryBatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for items of many records; without `items`, for every item of the grant."""

    subjects: Annotated[tuple[Subject, ...], msgspec.Meta(min_length=1, max_length=MAX_SUBJECTS)]
    items: Annotated[tuple[Field, ...], msgspec.Meta(min_length=1, max_length=64)] | None = None
    case: CaseNumber = ""


class VerifiedSubject(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer about one subject, or the `code` for which it has none.

    `entry` is its audit entry and `digest` that entry's digest in the log, in hexadecimal.
    """

    entry: UUID
    digest: str
    result: dict[str, bool] | bool | None = None
    code: str = ""


class QueriedSubject(msgspec.Struct, frozen=True, omit_defaults=True):
    """The items of one subject, or the `code` for which there are none; `entry` and `digest` as above."""

    entry: UUID
    digest: str
    data: dict[str, str | None] | None = None
    code: str = ""


class VerifyBatchAnswer(msgspec.Struct, frozen=True):
    """Answers in the order of the subjects. The promise of the call covers all their entries and digests."""

    results: tuple[VerifiedSubject, ...]
    at: datetime


class QueryBatchAnswer(msgspec.Struct, frozen=True):
    """As `VerifyBatchAnswer`; `masked` and `pseudonyms` name items as in the answer about one subject."""

    results: tuple[QueriedSubject, ...]
    at: datetime
    masked: tuple[str, ...] = ()
    pseudonyms: tuple[str, ...] = ()


def subject_entry_id(call: UUID, place: int) -> UUID:
    """Derive the id of the entry of the subject at a 0-based place; the first has the call's own."""
    if place == 0:
        return call
    return id_beside(call, hashlib.sha256(b"subject" + call.bytes + place.to_bytes(4, "big")).digest())
