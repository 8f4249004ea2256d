"""What both operations do with a request: numbers and values in their one written form, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from shuqiao.plane.calls import Call, Granted, actor_of, entry_text
from shuqiao.plane.database import ReadRow
from shuqiao.plane.state import Resource
from shuqiao.wire.batch_messages import QueryBatchRequest, VerifyBatchRequest, subject_entry_id
from shuqiao.wire.claims import subject_number

ANSWERED = "answered"


class Question(NamedTuple):
    """One subject of a prepared call: the record key in its written form, claims by where they are compared.

    `identity` (field -> claim) goes to the vault, `plain` to the read function; a query claims nothing.
    `entry` is the id of its audit entry, `place` its 0-based place in a batch. `near` says that the number
    lies beside another one asked for shortly before.
    """

    call: Call
    granted: Granted
    entry: UUID
    place: int
    number: str
    identity: dict[str, str]
    plain: dict[str, str]
    near: bool = False


class Compared(NamedTuple):
    """What the vault said, for the one statement: the mark, a word per claim as JSON, whether all agreed.

    `plain` are the claims that are still to be compared.
    """

    mark: bytes | None = None
    identity: str | None = None
    agreed: bool = True
    plain: str | None = None


def subject_numbers(call: Call, resource: Resource, subjects: Sequence[str]) -> list[tuple[UUID, str]]:
    """Give entry id and record key of each subject, in order; a wrong one raises `IdentifierInvalid`."""
    return [
        (subject_entry_id(call.entry, place), subject_number(resource.record_key, subject))
        for place, subject in enumerate(subjects)
    ]


def is_batch(call: Call) -> bool:
    """Tell whether the call is about many subjects and answered for each."""
    return isinstance(call.request, VerifyBatchRequest | QueryBatchRequest)


def read_row(question: Question, record: UUID, version: int, compared: Compared) -> ReadRow:
    """Give the row of the one statement that reads, counts and records."""
    call, granted = question.call, question.granted
    return ReadRow(
        question.entry,
        call.at,
        call.mode.value,
        call.application.department,
        actor_of(call),
        granted.grant.document.id,
        (call.request.case if call.request is not None else "") or None,
        ANSWERED,
        record,
        compared.plain,
        entry_text(call, granted, question.entry, question.place, version, near=question.near),
        granted.grant.terms.rows,
        compared.mark,
        compared.identity,
        compared.agreed,
    )
