"""The decision on a call: a matrix of what differs by one fact from a call that is allowed."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from shuqiao.rules import errors
from shuqiao.rules.exchange import (
    Allowed,
    CallFacts,
    Channel,
    GrantFacts,
    Match,
    Mode,
    Refused,
    decide_call,
)
from shuqiao.rules.ids import ApplicationId, DepartmentCode, GrantId, ResourceId

NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
GRANT = GrantFacts(
    id=GrantId("G-2026-0001"),
    department=DepartmentCode("440100-housing"),
    resource_id=ResourceId("r440100aaaaaaaaaa"),
    mode=Mode.VERIFY,
    items=frozenset({"mother_name", "mother_citizen_id_number"}),
    match=Match.EACH,
    applications=frozenset({ApplicationId("app-housing-rental")}),
    purpose="公共租赁住房保障资格审核",
    valid_from=date(2026, 1, 1),
    valid_until=date(2026, 12, 31),
)
CALL = CallFacts(
    application=ApplicationId("app-housing-rental"),
    department=DepartmentCode("440100-housing"),
    resource_id=ResourceId("r440100aaaaaaaaaa"),
    mode=Mode.VERIFY,
    fields=("mother_name",),
)


def refused(call: CallFacts, *grants: GrantFacts, now: datetime = NOON) -> Refused:
    decision = decide_call(call, grants, now)
    assert isinstance(decision, Refused)
    if decision.code in errors.BY_CODE:
        # Every refusal can be told to the caller in both languages.
        error = errors.BY_CODE[decision.code](**dict(decision.details))
        assert error.explain("zh") and error.explain("en")
    return decision


def allowed(call: CallFacts, *grants: GrantFacts, now: datetime = NOON) -> Allowed:
    decision = decide_call(call, grants, now)
    assert isinstance(decision, Allowed)
    return decision


def test_what_the_grant_covers_is_allowed() -> None:
    assert allowed(CALL, GRANT) == Allowed(GRANT, ("mother_name",), Match.EACH)
    named = replace(CALL, grant=GRANT.id, purpose=GRANT.purpose)
    assert allowed(named, GRANT).grant is GRANT
    whole = replace(CALL, fields=("mother_citizen_id_number", "mother_name"))
    assert allowed(whole, replace(GRANT, match=Match.ALL)).match is Match.ALL


def test_a_grant_that_answers_together_answers_no_part() -> None:
    together = replace(GRANT, match=Match.ALL)
    refusal = refused(CALL, together)
    assert (refusal.code, refusal.fields) == ("claims_incomplete", ("mother_citizen_id_number",))
    single = replace(GRANT, id=GrantId("G-2026-0002"), items=frozenset({"mother_name"}), match=Match.ALL)
    assert allowed(CALL, together, single).grant is single, "another grant may cover exactly what is asked"


@pytest.mark.parametrize(
    "change",
    [
        {"application": ApplicationId("app-other")},
        {"department": DepartmentCode("440100-health")},
        {"resource_id": ResourceId("r440100bbbbbbbbbb")},
        {"mode": Mode.QUERY},
        {"grant": GrantId("G-2026-0002")},
        {"purpose": "其他"},
    ],
)
def test_a_call_that_no_grant_fits_looks_like_an_unknown_resource(change: dict[str, object]) -> None:
    allowed(CALL, GRANT)
    nothing = refused(CALL)
    assert nothing.code == "not_available"
    assert refused(replace(CALL, **change), GRANT) == nothing


def test_a_grant_without_applications_serves_none() -> None:
    assert refused(CALL, replace(GRANT, applications=frozenset())).code == "not_available"


def test_an_item_outside_the_grant_is_named() -> None:
    call = replace(CALL, fields=("mother_name", "father_name", "sex", "father_name"))
    decision = refused(call, GRANT)
    assert (decision.code, decision.fields) == ("item_not_granted", ("father_name", "sex"))
    assert errors.BY_CODE[decision.code].matter == "within_grant"
    assert "father_name, sex" in errors.explain(decision.code, dict(decision.details), "en")


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (datetime(2025, 12, 31, 15, 59, 59, tzinfo=UTC), "grant_not_yet_valid"),
        (datetime(2025, 12, 31, 16, 0, tzinfo=UTC), None),
        (datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC), None),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), "grant_expired"),
    ],
)
def test_the_period_counts_both_days_in_shanghai(now: datetime, code: str | None) -> None:
    if code is None:
        allowed(CALL, GRANT, now=now)
    else:
        assert refused(CALL, GRANT, now=now).code == code


def test_a_revoked_grant_says_why() -> None:
    revoked = replace(GRANT, revoked_at=NOON, revoked_reason="职责调整")
    decision = refused(CALL, revoked)
    assert decision.code == "grant_revoked"
    assert "职责调整" in errors.explain(decision.code, dict(decision.details))
    # The database's clock may be ahead of this machine's: a revocation known of counts all the same.
    assert refused(CALL, revoked, now=datetime(2026, 11, 22, 3, 59, tzinfo=UTC)).code == "grant_revoked"


def test_a_suspended_grant_says_why_and_a_revoked_or_expired_one_says_that_instead() -> None:
    stopped = replace(GRANT, suspended_at=NOON, suspended_reason="数据核查")
    decision = refused(CALL, stopped)
    assert (decision.code, dict(decision.details)["reason"]) == ("grant_suspended", "数据核查")
    # Whatever the clocks of two machines say, a suspension counts from the moment it is known.
    assert refused(CALL, stopped, now=datetime(2026, 11, 22, 3, 59, tzinfo=UTC)).code == "grant_suspended"
    assert refused(CALL, replace(stopped, valid_until=date(2026, 11, 1))).code == "grant_expired"
    assert refused(CALL, replace(stopped, revoked_at=NOON, revoked_reason="x")).code == "grant_revoked"
    assert allowed(CALL, replace(stopped, id=GrantId("G-2026-0002")), GRANT).grant is GRANT


def test_a_grant_in_force_wins_over_a_revoked_one() -> None:
    revoked = replace(GRANT, id=GrantId("G-2026-0002"), revoked_at=NOON, revoked_reason="x")
    assert allowed(CALL, revoked, GRANT).grant is GRANT
    assert refused(replace(CALL, grant=revoked.id), revoked, GRANT).code == "grant_revoked"


def test_of_several_the_one_that_covers_and_lasts_longest() -> None:
    longer = replace(GRANT, id=GrantId("G-2026-0003"), valid_until=date(2027, 1, 1))
    narrow = replace(
        GRANT, id=GrantId("G-2026-0004"), valid_until=date(2030, 1, 1), items=frozenset({"birth_date"})
    )
    assert allowed(CALL, GRANT, longer, narrow).grant is longer
    assert allowed(CALL, narrow, longer, GRANT).grant is longer


def test_a_query_without_fields_asks_for_all_that_is_granted_and_a_verification_needs_claims() -> None:
    query = replace(GRANT, mode=Mode.QUERY)
    assert allowed(replace(CALL, mode=Mode.QUERY, fields=()), query).fields == tuple(sorted(GRANT.items))
    assert refused(replace(CALL, fields=()), GRANT).code == "request_malformed"
    assert refused(replace(CALL, mode=Mode.QUERY), GRANT).code == "not_available"
    assert refused(CALL, query).code == "not_available"


@pytest.mark.requirement("MOD-05")
def test_a_grant_for_another_way_is_named_in_the_refusal() -> None:
    offline = replace(GRANT, channels=frozenset({Channel.OFFLINE, Channel.DOWNLOAD}))
    refusal = refused(CALL, offline)
    assert (refusal.code, refusal.grant) == ("channel_not_granted", offline)
    assert dict(refusal.details)["channels"] == "download, offline"
    # Beside one that covers the call it does no harm.
    assert allowed(CALL, offline, replace(GRANT, id=GrantId("G-2026-0002"))).grant.id == "G-2026-0002"
    assert allowed(replace(CALL, channel=Channel.DOWNLOAD), offline).grant is offline


@pytest.mark.requirement("MOD-02")
def test_what_a_comparison_would_read_out_needs_a_grant_to_query() -> None:
    refusal = refused(replace(CALL, read_out=("mother_name",)), GRANT)
    assert (refusal.code, refusal.fields) == ("query_grant_needed", ("mother_name",))
    query = replace(GRANT, mode=Mode.QUERY)
    assert allowed(replace(CALL, mode=Mode.QUERY, read_out=("mother_name",)), query).grant is query
