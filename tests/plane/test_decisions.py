"""Remembered decisions, and entries whose shared part is written once: both as if made anew each time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from shuqiao.plane import calls, decisions
from shuqiao.plane.calls import Call, CallRefused, decide, entry_text
from shuqiao.plane.decisions import Decisions
from shuqiao.plane.proofs import CallProof
from shuqiao.plane.state import Application, HeldGrant, Resource, Snapshot
from shuqiao.rules.exchange import Mode
from shuqiao.rules.small_domain import small_fields
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.grant import Grant, facts_of
from shuqiao.wire.messages import CallEntry, QueryRequest, VerifyRequest
from shuqiao.wire.schemas import traits_of
from shuqiao.wire.terms import terms_of
from tests.vault import births

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ITEMS = {item.field: item for item in births.BIRTH.items}
TRAITS = traits_of(births.BIRTH.items)
APPLICATION = Application("app-x", "440100-housing", "0123456789abcdef", "ed25519", lambda _s, _m: True)
LIST = Resource(
    births.RESOURCE,
    births.DEPARTMENT,
    ITEMS[births.BIRTH.record_key],
    frozenset({"verify", "query"}),
    ITEMS,
    TRAITS,
    small_fields(TRAITS),
)
CLAIMS = {"mother_name": "样例母亲1", "sex_code": "1"}


def held(number: str, mode: str, **changes: Any) -> HeldGrant:
    """A grant in force."""
    words: dict[str, Any] = {
        "id": number,
        "resource": LIST.id,
        "department": APPLICATION.department,
        "provider": LIST.department,
        "mode": mode,
        "items": ("mother_name", "sex_code", "father_name"),
        "match": "each",
        "applications": (APPLICATION.id,),
        "purpose": f"样例用途 {number}",
        "valid_from": date(2026, 1, 1),
        "valid_until": date(2026, 5, 4),
        "regulation": "guangzhou-2016 art. 35",
        "request_no": "R-2026-0001",
        "issued_at": NOW,
        "issued_by": "sample",
    }
    document = Grant(**(words | changes))
    return HeldGrant(document, facts_of(document), ("", b"", ""), terms_of(document, ITEMS))


def snapshot_of(*grants: HeldGrant) -> Snapshot:
    """What the plane would know."""
    return Snapshot(
        1,
        {APPLICATION.id: APPLICATION},
        {APPLICATION.key_id: APPLICATION},
        {LIST.id: LIST},
        {grant.document.id: grant for grant in grants},
        {(APPLICATION.department, LIST.id): tuple(grant.facts for grant in grants)},
    )


def call_of(mode: Mode, **changes: Any) -> Call:
    """A call that the grants below allow."""
    verify, query = VerifyRequest("B000000001", CLAIMS), QueryRequest("B000000001")
    words: dict[str, Any] = {
        "entry": uuid4(),
        "at": NOW,
        "application": APPLICATION,
        "context": CallContext(),
        "resource_id": LIST.id,
        "mode": mode,
        "language": "zh",
        "answer": lambda _reply: None,
        "request": verify if mode is Mode.VERIFY else query,
        "proof": CallProof("ed25519", "aa" * 32, "c2VhbGVk"),
    }
    return Call(**(words | changes))


BOTH = snapshot_of(held("G-1", "verify"), held("G-2", "query"))
SIGNED = snapshot_of(held("G-1", "verify", signed_calls=True), held("G-2", "query", case_required=True))
SESSION = CallProof("hmac-sha256", "bb" * 32, "c2VhbGVk", uuid4(), 7)


@pytest.mark.parametrize(
    ("mode", "changes", "snapshot"),
    [
        (Mode.QUERY, {}, BOTH),
        (Mode.VERIFY, {"request": VerifyRequest("B000000001", {"father_name": "样例父亲1"})}, BOTH),
        (Mode.VERIFY, {"request": VerifyRequest("B000000001", {"sex_code": "1"})}, BOTH),
        (Mode.QUERY, {"request": QueryRequest("B000000001", ("sex_code",))}, BOTH),
        (Mode.QUERY, {"request": QueryRequest("B000000001", ("newborn_name",))}, BOTH),
        (Mode.VERIFY, {"context": CallContext(grant="G-2")}, BOTH),
        (Mode.VERIFY, {"context": CallContext(purpose="样例用途 G-2")}, BOTH),
        (Mode.VERIFY, {"at": NOW + timedelta(days=1)}, BOTH),
        (Mode.VERIFY, {"application": replace(APPLICATION, key_id="ffffffffffffffff")}, BOTH),
        (Mode.VERIFY, {"application": replace(APPLICATION, id="app-y")}, BOTH),
        (Mode.VERIFY, {"resource_id": "r440100aaaaaaaaaa"}, BOTH),
        (Mode.VERIFY, {"proof": SESSION}, SIGNED),
        (Mode.QUERY, {"request": QueryRequest("B000000001", case=" ")}, SIGNED),
    ],
)
def test_a_remembered_decision_serves_no_call_that_would_be_decided_otherwise(
    mode: Mode, changes: dict[str, Any], snapshot: Snapshot
) -> None:
    known = Decisions()
    allowed = call_of(Mode.VERIFY)
    known.granted(allowed, snapshot)
    if snapshot is SIGNED:
        known.granted(call_of(Mode.QUERY, request=QueryRequest("B000000001", case="S-1")), snapshot)
    other = call_of(mode, **changes)
    try:
        expected = decide(other, snapshot)
    except CallRefused as refused:
        for _ in range(2):
            with pytest.raises(CallRefused) as again:
                known.granted(other, snapshot)
            assert again.value.error.code == refused.error.code
            assert again.value.grant == refused.grant
    else:
        assert known.granted(other, snapshot) == known.granted(other, snapshot) == expected


def test_another_snapshot_forgets_every_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Decisions()
    assert known.granted(call_of(Mode.VERIFY), BOTH) is known.granted(call_of(Mode.VERIFY), BOTH)
    with pytest.raises(CallRefused) as refused:
        known.granted(call_of(Mode.VERIFY), replace(BOTH, grants_of={}))
    assert refused.value.error.code == "not_available"
    monkeypatch.setattr(decisions, "MAX_KNOWN", 3)
    for day in range(10):
        known.granted(call_of(Mode.VERIFY, at=NOW - timedelta(days=day)), BOTH)
    assert len(known._known) <= 3


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("proof", [None, SESSION, CallProof("ed25519", "aa" * 32, "")])
def test_an_entry_says_everything_about_its_call(proof: CallProof | None, place: int) -> None:
    context = CallContext(end_user='样例 用户"', grant="G-2")
    call = call_of(Mode.QUERY, context=context, proof=proof, request=QueryRequest("B000000001", case="案 1"))
    granted = decide(call, BOTH)
    entry = uuid4()
    text = entry_text(call, granted, entry, place, 4, near=True)
    assert "\n" not in text
    document = BOTH.grants["G-2"].document
    assert msgspec.json.decode(text, type=CallEntry) == CallEntry(
        event="query",
        id=entry,
        at=NOW,
        department="440100-housing",
        actor='app-x/样例 用户"',
        application="app-x",
        key="0123456789abcdef",
        end_user='样例 用户"',
        provider=births.DEPARTMENT,
        resource=LIST.id,
        mode="query",
        grant="G-2",
        request_no="R-2026-0001",
        regulation="guangzhou-2016 art. 35",
        purpose=document.purpose,
        case="案 1",
        items=tuple(sorted(document.items)),
        masked=granted.masked,
        pseudonyms=granted.tokens,
        place=place,
        identity_version=4,
        near=True,
        algorithm="" if proof is None else proof.algorithm,
        session=None if proof is None else proof.session,
        number=None if proof is None else proof.number,
        request="" if proof is None else proof.request,
        sealed="" if proof is None or place else proof.sealed,
        call=call.entry if proof is not None and place else None,
    )


def test_the_two_parts_of_an_entry_have_all_its_fields_and_no_other() -> None:
    head, tail, whole = (
        {field.name for field in msgspec.structs.fields(form)}
        for form in (calls._EntryHead, calls._EntryTail, CallEntry)
    )
    # The outcome stands in the line of the database; only copies are sealed to a recipient.
    assert head | tail == whole - {"outcome", "recipient"}
    assert not head & tail
    assert isinstance(call_of(Mode.QUERY).entry, UUID)
