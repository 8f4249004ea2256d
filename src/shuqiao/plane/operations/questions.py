"""What both operations do with a request: numbers and values in their one written form, checked."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from shuqiao.plane.calls import Call, Granted
from shuqiao.plane.database import ReadRow
from shuqiao.plane.state import Resource
from shuqiao.rules.errors import ClaimInvalid, IdentifierInvalid
from shuqiao.rules.identifiers import check_identifier
from shuqiao.rules.normalise import normalise_value, parse_date, parse_moment
from shuqiao.wire.messages import CallEntry
from shuqiao.wire.schemas import ItemSpec
from shuqiao.wire.vault import CompareResult, RevealResult

MAX_NUMBER = 128
MAX_VALUE = 1024

_encoder = msgspec.json.Encoder()


class Question(NamedTuple):
    """A prepared call: the record key in its written form, and the claims by where they are compared.

    `identity` (field -> claim, empty text where a value is asked for) goes to the vault, `plain` (JSON) to
    the read function.
    """

    call: Call
    granted: Granted
    number: str
    identity: dict[str, str]
    plain: str | None = None


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


def read_row(question: Question, result: CompareResult | RevealResult, entry: CallEntry) -> ReadRow:
    """Give the row of the one statement that reads and records."""
    call = question.call
    return ReadRow(
        call.entry,
        call.at,
        entry.event,
        entry.department,
        entry.actor,
        entry.grant,
        entry.case or None,
        entry.outcome,
        result.record,
        question.plain,
        _encoder.encode(entry).decode("utf-8"),
    )
