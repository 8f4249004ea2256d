"""Requests signed with an application's own key: each serves once, and what is refused is in the log once."""

import json
import re
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from shuqiao.plane.bulk.settings import open_spool
from shuqiao.security.http_signatures import CallContext, sign_request
from shuqiao.wire.bulk import Link, link_token
from tests.bulk.conftest import NO_CONTEXT, PERMITS, CopyCity
from tests.bulk.test_feeds import merge
from tests.plane.conftest import APP

OWN_ROUTES = {
    "/v1/bulk": {"resource": PERMITS},
    "/v1/feeds": {"resource": PERMITS},
    f"/v1/bulk/{uuid.uuid4()}": {},
    f"/v1/feeds/{uuid.uuid4()}": {},
    f"/v1/resources/{PERMITS}/browse": {},
    "/v1/sessions": {"public_key": "A" * 43},
    "/v1/sessions/heads": {"session": str(uuid.uuid4()), "calls": [], "lost": False},
}


def signed(
    city: CopyCity, path: str, body: dict[str, Any], created: int | None = None
) -> tuple[str, bytes, dict[str, str]]:
    """A signed request as somebody on the way would see it: address, body and headers."""
    content = json.dumps(body).encode()
    at = int(time.time()) if created is None else created
    target = ("POST", f"127.0.0.1:{city.port}", path)
    headers = sign_request(city.signer(), target, content, CallContext(), at)
    return city.url + path, content, headers | {"content-type": "application/json"}


def sent(request: tuple[str, bytes, dict[str, str]]) -> tuple[int, str | None]:
    """Send it on a connection of its own: status and code."""
    url, content, headers = request
    answer = httpx.post(url, content=content, headers=headers, trust_env=False, timeout=30)
    return answer.status_code, answer.json().get("code")


def refusals(city: CopyCity) -> list[str]:
    """The codes of the refusals in the log."""
    return sorted(row["outcome"] for row in city.logged("call_refused"))


@pytest.mark.requirement("SEC-03")
def test_a_request_for_a_state_serves_once(city: CopyCity) -> None:
    merge(city, 1, [(uuid.uuid4(), "P1", "1")])
    city.bulk_grant()
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT, timeout_s=60)
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
    for path in (f"/v1/bulk/{job}", f"/v1/feeds/{feed}"):
        request = signed(city, path, {})
        # Every one may reach another worker.
        answers = [sent(request) for _ in range(6)]
        assert answers == [(200, None)] + [(401, "signature_replayed")] * 5
    assert refusals(city) == ["signature_replayed"] * 2
    # A refused one is used up too, whatever is granted later.
    for grant in city.admin.execute('SELECT id FROM exchange."grant"').fetchall():
        city.admin.execute(
            "UPDATE exchange.\"grant\" SET suspended_at = now(), suspended_reason = '样例' WHERE id = %s",
            grant,
        )
    request = signed(city, f"/v1/bulk/{job}", {})
    assert sent(request) == (403, "grant_suspended")
    city.admin.execute('UPDATE exchange."grant" SET suspended_at = NULL, suspended_reason = NULL')
    assert sent(request) == (401, "signature_replayed")


def test_what_is_kept_against_replay_goes_when_it_is_over(city: CopyCity) -> None:
    city.bulk_grant()
    city.fill_permits(3)
    with city.bulk() as bulk:
        bulk.state(bulk.ask(PERMITS, "csv", context=NO_CONTEXT), NO_CONTEXT)
    city.admin.execute("UPDATE exchange.used_signature SET expires_at = now()")
    city.admin.execute("SELECT exchange.expire_bulk()")
    assert city.admin.execute("SELECT count(*) FROM exchange.used_signature").fetchone() == (0,)


@pytest.mark.requirement("SEC-17")
@pytest.mark.parametrize("path", OWN_ROUTES)
def test_refusals_before_the_decision_are_recorded_once(city: CopyCity, path: str) -> None:
    stale = signed(city, path, OWN_ROUTES[path], int(time.time()) - 400)
    assert [sent(stale)[1] for _ in range(3)] == ["signature_stale"] * 3
    url, content, headers = signed(city, path, OWN_ROUTES[path])
    for changed in (
        (url, content + b" ", headers),
        (url, content, headers | {"content-type": "text/plain"}),
    ):
        assert len({sent(changed)[1] for _ in range(3)}) == 1
    assert refusals(city) == ["digest_mismatch", "request_malformed", "signature_stale"]
    logged = city.logged("call_refused")
    assert {row["actor"] for row in logged} == {APP}
    assert {row["said"].get("mode", "") for row in logged} == {"" if "sessions" in path else "bulk"}
    assert all(row["said"]["sealed"] for row in logged)


@pytest.mark.requirement("SEC-17")
def test_an_unknown_key_leaves_no_entry(city: CopyCity) -> None:
    url, content, headers = signed(city, "/v1/bulk", {"resource": PERMITS})
    stranger = headers | {
        "signature-input": re.sub('keyid="[^"]*"', f'keyid="{"0" * 16}"', headers["signature-input"])
    }
    assert sent((url, content, stranger)) == (401, "signature_invalid")
    assert refusals(city) == []


@pytest.mark.requirement("SEC-17")
def test_an_agreement_of_a_session_that_is_refused_is_recorded_and_used_up(city: CopyCity) -> None:
    request = signed(city, "/v1/sessions", {"public_key": "not a key"})
    assert [sent(request)[1] for _ in range(3)] == [
        "request_malformed",
        "signature_replayed",
        "signature_replayed",
    ]
    assert refusals(city) == ["request_malformed", "signature_replayed"]


@pytest.mark.requirement("SEC-17")
def test_a_link_that_is_over_is_recorded_once(city: CopyCity) -> None:
    city.fill_permits(3)
    grant = city.bulk_grant()
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT, timeout_s=60)
    secret = open_spool(Path(city.spool), city.folder / "bulk.key").link_secret
    for expires, job_id, code in (
        (int(time.time()) - 1, uuid.UUID(job), "link_expired"),
        (int(time.time()) + 60, uuid.uuid4(), "not_available"),
    ):
        token = link_token(secret, Link(job_id, 1, APP, grant.id, APP, expires))
        path = f"{city.url}/v1/bulk/{job_id}/parts/1?link={token}"
        codes = [httpx.get(path, trust_env=False).json()["code"] for _ in range(3)]
        assert codes == [code] * 3
    assert refusals(city) == ["link_expired", "not_available"]
