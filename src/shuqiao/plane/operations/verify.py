"""Verify: compare claimed values with records and answer only the results.

Source: xiamen-2015 art. 13(1)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from shuqiao.plane.calls import Call, Granted
from shuqiao.plane.database import ReadRow, Seen
from shuqiao.plane.operations.questions import (
    Compared,
    Question,
    is_batch,
    read_row,
    subject_numbers,
)
from shuqiao.rules.errors import CaseNumberDemanded, RequestMalformed
from shuqiao.wire.batch_messages import VerifiedSubject, VerifyBatchAnswer, VerifyBatchRequest
from shuqiao.wire.claims import claimed_value
from shuqiao.wire.messages import VerifyAnswer, VerifyRequest
from shuqiao.wire.vault import CompareCall, CompareResult, VaultClient

_encoder = msgspec.json.Encoder()
_matches_decoder = msgspec.json.Decoder(dict[str, bool])


def prepare(call: Call, granted: Granted) -> list[Question]:
    """Split and check the claims about each subject; raises a `CallError`."""
    request = call.request
    if isinstance(request, VerifyRequest):
        subjects, claims = [request.subject], [request.claims]
    elif isinstance(request, VerifyBatchRequest):
        subjects = [subject.subject for subject in request.subjects]
        claims = [subject.claims for subject in request.subjects]
    else:
        raise RequestMalformed(part="claims")
    if any(asked.keys() != claims[0].keys() for asked in claims):
        # One decision stands for all subjects, so all ask the same.
        raise RequestMalformed(part="claims")
    return [
        _question(call, granted, entry, place, number, claims[place])
        for place, (entry, number) in enumerate(subject_numbers(call, granted.resource, subjects))
    ]


def _question(
    call: Call, granted: Granted, entry: UUID, place: int, number: str, claims: Mapping[str, str]
) -> Question:
    identity: dict[str, str] = {}
    plain: dict[str, str] = {}
    items = granted.resource.items
    for field, claim in claims.items():
        item = items[field]
        (identity if item.identity else plain)[field] = claimed_value(item, claim)
    return Question(call, granted, entry, place, number, identity, plain)


def _json(claims: Mapping[str, str] | Mapping[str, bool]) -> str:
    return _encoder.encode(claims).decode("utf-8")


async def ask_vault(
    vault: VaultClient, resource: str, questions: Sequence[Question]
) -> Sequence[CompareResult]:
    """Let the vault find the records and compare what it keeps."""
    return await vault.compare(
        resource,
        [CompareCall(question.number, question.identity) for question in questions],
        [question.entry for question in questions],
    )


def _proved(question: Question, agreed: Mapping[str, bool]) -> bool:
    """Tell whether no claim that proves who the record is about is known to disagree."""
    return all(agreed.get(field, True) for field in question.granted.proof)


def row(question: Question, result: CompareResult) -> ReadRow:
    """Ask the read function to compare the plain claims, count what disagrees and write the entry.

    Claims of small domain beside a wrong name or identifier are not compared at all.
    """
    matches, plain, small = result.matches, question.plain, question.granted.small
    agreed = all(matches.values())
    if small and not agreed and not _proved(question, matches):
        matches = {field: word and field not in small for field, word in matches.items()}
        plain = {field: value for field, value in plain.items() if field not in small}
    compared = Compared(result.mark or None, _json(matches), agreed, _json(plain) if plain else None)
    return read_row(question, result.record, result.version, compared)


def outcome(question: Question, result: CompareResult, seen: Seen) -> dict[str, bool] | bool:
    """Put both results together; a record that is not there agrees with nothing."""
    granted = question.granted
    agreed = result.matches
    if seen.matches is not None:
        agreed = agreed | _matches_decoder.decode(seen.matches)
    each = {field: seen.found and agreed.get(field, False) for field in granted.fields}
    if granted.small and not _proved(question, each):
        each |= dict.fromkeys(granted.small, False)
    return all(each.values()) if granted.grant.document.match == "all" else each


def answer(questions: Sequence[Question], results: Sequence[CompareResult], seen: Sequence[Seen]) -> bytes:
    """Write the answer of a call about one subject, or about many."""
    call = questions[0].call
    if not is_batch(call):
        return _encoder.encode(VerifyAnswer(outcome(questions[0], results[0], seen[0]), call.entry, call.at))
    subjects = [_subject(*triple) for triple in zip(questions, results, seen, strict=True)]
    return _encoder.encode(VerifyBatchAnswer(tuple(subjects), call.at))


def _subject(question: Question, result: CompareResult, seen: Seen) -> VerifiedSubject:
    digest = (seen.digest or b"").hex()
    if seen.budget > 1:
        return VerifiedSubject(question.entry, digest, code=CaseNumberDemanded.code)
    return VerifiedSubject(question.entry, digest, outcome(question, result, seen))
