"""Verify: compare claimed values with one record and answer only the result.

Source: xiamen-2015 art. 13(1)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shuqiao.plane.calls import Call, Granted, answer_entry
from shuqiao.plane.database import ReadRow, Seen
from shuqiao.plane.operations.questions import Question, claimed_value, read_row, subject_number
from shuqiao.rules.errors import RequestMalformed
from shuqiao.wire.messages import VerifyAnswer, VerifyRequest
from shuqiao.wire.vault import CompareCall, CompareResult, VaultClient

_encoder = msgspec.json.Encoder()
_matches_decoder = msgspec.json.Decoder(dict[str, bool])


def prepare(call: Call, granted: Granted) -> Question:
    """Split and check the claims; raises a `CallError`."""
    request = call.request
    if not isinstance(request, VerifyRequest):
        raise RequestMalformed(part="claims")
    number = subject_number(granted.resource, request.subject)
    identity: dict[str, str] = {}
    plain: dict[str, str] = {}
    for field, claim in request.claims.items():
        item = granted.resource.items[field]
        (identity if item.identity else plain)[field] = claimed_value(item, claim)
    return Question(
        call, granted, number, identity, _encoder.encode(plain).decode("utf-8") if plain else None
    )


async def ask_vault(
    vault: VaultClient, resource: str, questions: Sequence[Question]
) -> Sequence[CompareResult]:
    """Let the vault find the records and compare what it keeps."""
    return await vault.compare(
        resource,
        [CompareCall(question.number, question.identity) for question in questions],
        [question.call.entry for question in questions],
    )


def row(question: Question, result: CompareResult) -> ReadRow:
    """Ask the read function to compare the plain claims and to write the entry."""
    entry = answer_entry(question.call, question.granted, result.matches, result.version)
    return read_row(question, result, entry)


def answer(question: Question, result: CompareResult, seen: Seen) -> bytes:
    """Put both results together; a record that is not there agrees with nothing."""
    granted, call = question.granted, question.call
    agreed = result.matches
    if seen.matches is not None:
        agreed = agreed | _matches_decoder.decode(seen.matches)
    each = {field: seen.found and agreed.get(field, False) for field in granted.fields}
    together = granted.grant.document.match == "all"
    return _encoder.encode(VerifyAnswer(all(each.values()) if together else each, call.entry, call.at))
