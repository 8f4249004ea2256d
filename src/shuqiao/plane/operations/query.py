"""Query: give the granted items of records, masked or as tokens where the grant says no more.

Source: xiamen-2015 art. 13(2); guangzhou-2016 art. 38(2)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shuqiao.plane.calls import Call, Granted
from shuqiao.plane.database import ReadRow, Seen
from shuqiao.plane.operations.questions import Compared, Question, is_batch, read_row, subject_numbers
from shuqiao.rules.errors import NotAvailable, RequestMalformed
from shuqiao.rules.masking import mask
from shuqiao.wire.batch_messages import QueriedSubject, QueryBatchAnswer, QueryBatchRequest
from shuqiao.wire.messages import QueryAnswer, QueryRequest
from shuqiao.wire.vault import RevealCall, RevealResult, VaultClient

_encoder = msgspec.json.Encoder()
_data_decoder = msgspec.json.Decoder(dict[str, str | int | None])


def prepare(call: Call, granted: Granted) -> list[Question]:
    """Pick the granted items the vault keeps; raises a `CallError`."""
    request = call.request
    if isinstance(request, QueryRequest):
        subjects: tuple[str, ...] = (request.subject,)
    elif isinstance(request, QueryBatchRequest):
        subjects = request.subjects
    else:
        raise RequestMalformed(part="items")
    return [
        Question(call, granted, entry, place, number, {}, {})
        for place, (entry, number) in enumerate(subject_numbers(call, granted.resource, subjects))
    ]


async def ask_vault(
    vault: VaultClient, resource: str, questions: Sequence[Question]
) -> Sequence[RevealResult]:
    """Let the vault find the records and give the granted identity items, and no others."""
    return await vault.reveal(
        resource,
        [_reveal(question) for question in questions],
        [question.entry for question in questions],
    )


def _reveal(question: Question) -> RevealCall:
    grant, identity = question.granted.grant, question.granted.identity
    terms = grant.terms
    return RevealCall(
        question.number,
        identity,
        grant.document.id,
        tuple(terms.masked.intersection(identity)) if terms.masked else (),
        tuple(terms.tokens.intersection(identity)) if terms.tokens else (),
        grant.document.department,
    )


def row(question: Question, result: RevealResult) -> ReadRow:
    """Ask the read function for the row and to write the entry."""
    return read_row(question, result.record, result.version, Compared())


def outcome(question: Question, result: RevealResult, seen: Seen) -> dict[str, str | None] | None:
    """Give the granted items in text form; null when the record is not there."""
    if not seen.found or seen.data is None:
        return None
    granted = question.granted
    masked = granted.grant.terms.masked
    plain = _data_decoder.decode(seen.data)
    data: dict[str, str | None] = {}
    for field in granted.fields:
        if field in granted.identity:
            # The vault has masked these, or made tokens of them: the clear value never came here.
            data[field] = result.values.get(field)
            continue
        value = plain.get(field)
        written = None if value is None else str(value)
        data[field] = mask(granted.resource.items[field].kind, written) if field in masked else written
    return data


def answer(
    questions: Sequence[Question], results: Sequence[RevealResult], seen: Sequence[Seen]
) -> bytes | None:
    """Write the answer of a call about one subject, or about many; null when the one record is not there."""
    call, granted = questions[0].call, questions[0].granted
    masked, tokens = granted.masked, granted.tokens
    if is_batch(call):
        subjects = [_subject(*triple) for triple in zip(questions, results, seen, strict=True)]
        return _encoder.encode(QueryBatchAnswer(tuple(subjects), call.at, masked, tokens))
    data = outcome(questions[0], results[0], seen[0])
    return None if data is None else _encoder.encode(QueryAnswer(data, call.entry, call.at, masked, tokens))


def _subject(question: Question, result: RevealResult, seen: Seen) -> QueriedSubject:
    digest = (seen.digest or b"").hex()
    data = outcome(question, result, seen)
    if data is None:
        return QueriedSubject(question.entry, digest, code=NotAvailable.code)
    return QueriedSubject(question.entry, digest, data)
