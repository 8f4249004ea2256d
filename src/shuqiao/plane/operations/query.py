"""Query: give the granted items of one record.

Source: xiamen-2015 art. 13(2)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shuqiao.plane.calls import Call, Granted, answer_entry
from shuqiao.plane.database import ReadRow, Seen
from shuqiao.plane.operations.questions import Question, read_row, subject_number
from shuqiao.rules.errors import RequestMalformed
from shuqiao.wire.messages import QueryAnswer, QueryRequest
from shuqiao.wire.vault import RevealCall, RevealResult, VaultClient

_encoder = msgspec.json.Encoder()
_data_decoder = msgspec.json.Decoder(dict[str, str | int | None])


def prepare(call: Call, granted: Granted) -> Question:
    """Pick the granted items the vault keeps; raises a `CallError`."""
    request = call.request
    if not isinstance(request, QueryRequest):
        raise RequestMalformed(part="items")
    number = subject_number(granted.resource, request.subject)
    items = granted.resource.items
    return Question(call, granted, number, {field: "" for field in granted.fields if items[field].identity})


async def ask_vault(
    vault: VaultClient, resource: str, questions: Sequence[Question]
) -> Sequence[RevealResult]:
    """Let the vault find the records and give the granted identity items, and no others."""
    return await vault.reveal(
        resource,
        [
            RevealCall(question.number, tuple(question.identity), question.granted.grant.document.id)
            for question in questions
        ],
        [question.call.entry for question in questions],
    )


def row(question: Question, result: RevealResult) -> ReadRow:
    """Ask the read function for the row and to write the entry."""
    entry = answer_entry(question.call, question.granted, None, result.version)
    return read_row(question, result, entry)


def answer(question: Question, result: RevealResult, seen: Seen) -> bytes | None:
    """Give the granted items in text form; null when the record is not there."""
    if not seen.found or seen.data is None:
        return None
    granted, call = question.granted, question.call
    plain = _data_decoder.decode(seen.data)
    data: dict[str, str | None] = {}
    for field in granted.fields:
        value = result.values.get(field) if field in question.identity else plain.get(field)
        data[field] = None if value is None else str(value)
    return _encoder.encode(QueryAnswer(data, call.entry, call.at))
