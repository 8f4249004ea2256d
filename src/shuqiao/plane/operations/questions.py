"""What both operations do with a request: numbers and values in their one written form, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from shuqiao.plane.calls import Call, Granted, answer_entry
from shuqiao.plane.database import ReadRow
from shuqiao.plane.state import Resource
from shuqiao.rules.errors import ClaimInvalid, IdentifierInvalid
from shuqiao.rules.identifiers import check_identifier
from shuqiao.rules.normalise import normalise_value, parse_date, parse_moment
from shuqiao.wire.batch_messages import QueryBatchRequest, VerifyBatchRequest, subject_entry_id
from shuqiao.wire.schemas import ItemSpec

MAX_NUMBER = 128
MAX_VALUE = 1024
ANSWERED = "answered"

_encoder = msgspec.json.Encoder()


class Question(NamedTuple):
    """One subject of a prepared call: the record key in its written form, claims by where they are compared.

    `identity` (field -> claim, empty text where a value is asked for) goes to the vault, `plain` (JSON) to
    the read function. `entry` is the id of its audit entry, `place` its 0-based place in a batch. `proof`
    are the claims that must agree before those of `small` domain are looked at; `guarded` is `plain` without
    the latter. `near` says that the number lies beside another one asked for shortly before.
    """

    call: Call
    granted: Granted
    entry: UUID
    place: int
    number: str
    identity: dict[str, str]
    plain: str | None = None
    guarded: str | None = None
    proof: frozenset[str] = frozenset()
    small: frozenset[str] = frozenset()
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
        (subject_entry_id(call.entry, place), subject_number(resource, subject))
        for place, subject in enumerate(subjects)
    ]


def is_batch(call: Call) -> bool:
    """Tell whether the call is about many subjects and answered for each."""
    return isinstance(call.request, VerifyBatchRequest | QueryBatchRequest)


def subject_number(resource: Resource, subject: str) -> str:
    """Give the record key in its written form; a wrong form or check digit raises `IdentifierInvalid`."""
    item = resource.record_key
    number = normalise_value(item.kind, item.type, subject)
    # The compatibility form can be longer than what was sent; the vault takes no more than this.
    if not 0 < len(number) <= MAX_NUMBER or not check_identifier(item.kind, number, field=item.field).ok:
        raise IdentifierInvalid(item=item.zh)
    return number


def claimed_value(item: ItemSpec, claim: str) -> str:
    """Give a claim in its written form; raises `IdentifierInvalid` or `ClaimInvalid`."""
    value = normalise_value(item.kind, item.type, claim)
    if item.kind in ("citizen_id", "credit_code") and not check_identifier(item.kind, value).ok:
        raise IdentifierInvalid(item=item.zh)
    if (
        not 0 < len(value) <= MAX_VALUE
        or "\x00" in value
        or (item.type == "date" and parse_date(value) is None)
        or (item.type == "datetime" and parse_moment(value) is None)
    ):
        raise ClaimInvalid(item=item.zh)
    if item.codes is not None and value not in item.codes:
        raise ClaimInvalid(item=item.zh)
    return value


def read_row(question: Question, record: UUID, version: int, compared: Compared) -> ReadRow:
    """Give the row of the one statement that reads, counts and records."""
    call = question.call
    entry = answer_entry(call, question.granted, question.entry, question.place, version, near=question.near)
    return ReadRow(
        question.entry,
        call.at,
        entry.event,
        entry.department,
        entry.actor,
        entry.grant,
        entry.case or None,
        ANSWERED,
        record,
        compared.plain,
        _encoder.encode(entry).decode("utf-8"),
        question.granted.grant.terms.rows,
        compared.mark,
        compared.identity,
        compared.agreed,
    )
