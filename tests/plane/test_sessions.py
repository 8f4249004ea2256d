"""Sessions: numbered calls, signed heads, and what follows when nobody signs."""

import base64
import hashlib
import json
import signal
import time
import uuid

import httpx
import pytest

from shuqiao.security.http_signatures import CallContext, base_of, key_signer, read_covered, sign_request
from shuqiao.security.keys import load_sealing_key
from shuqiao.security.sealing import open_sealed
from shuqiao.security.sessions import SessionSigner, request_digest, session_id
from shuqiao.wire.call_proof import REQUEST_CONTEXT, decode_request
from shuqiao.wire.messages import session_entry_id
from tests.plane.conftest import APP, RESOURCE, City, entry_of
from tests.vault import births

AUTO = CallContext()
CLAIM = {"mother_name": "样例母亲3", "sex_code": "2"}


def ask(city: City, session: SessionSigner, nonce: str | None = None) -> httpx.Response:
    """One call with a session key, on a connection of its own."""
    body = json.dumps({"subject": births.certificate(3), "claims": CLAIM}).encode()
    path = f"/v1/resources/{RESOURCE}/verify"
    target = ("POST", f"127.0.0.1:{city.port}", path)
    headers = sign_request(session, target, body, AUTO, int(time.time()), nonce)
    headers["content-type"] = "application/json"
    return httpx.post(city.url + path, content=body, headers=headers, trust_env=False)


def send_head(city: City, session: uuid.UUID, calls: list[list[object]], **more: object) -> httpx.Response:
    """Send a list of calls, signed with the application's key."""
    body = json.dumps({"session": str(session), "calls": calls, **more}).encode()
    path = "/v1/sessions/heads"
    target = ("POST", f"127.0.0.1:{city.port}", path)
    headers = sign_request(city.signer(), target, body, AUTO, int(time.time()))
    headers["content-type"] = "application/json"
    return httpx.post(city.url + path, content=body, headers=headers, trust_env=False)


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def agree(city: City) -> SessionSigner:
    """A session agreed by the client, which then forgets it."""
    with city.client() as client:
        return client.agree_session(key_signer(city.application_keys[APP]))


def end(city: City, session: SessionSigner, ago_s: int) -> None:
    """Put a session's end into the past, as if time had gone by."""
    city.admin.execute(
        "UPDATE exchange.session SET expires_at = now() - make_interval(secs => %s) WHERE id = %s",
        [ago_s, session_id(session.key_id)],
    )


@pytest.fixture(autouse=True)
def none_left(city: City) -> None:
    """No session of another test stands in the way."""
    city.admin.execute("UPDATE exchange.session SET settled = true")


def test_the_client_signs_the_calls_of_its_sessions_by_itself(city: City) -> None:
    city.issue()
    with city.client() as client:
        session = client.use_sessions(key_signer(city.application_keys[APP]))
        entries = [
            entry_of(client.verify(RESOURCE, births.certificate(3), CLAIM, context=AUTO).body)
            for _ in range(3)
        ]
    own = session_id(session.key_id)
    assert entries == [session_entry_id(own, number) for number in range(3)]
    head = city.admin.execute(
        "SELECT confirmed, lost, digest, body FROM exchange.session_head WHERE session = %s", [own]
    ).fetchone()
    assert head is not None
    assert head[:2] == ([0, 1, 2], [])
    assert hashlib.sha256(head[3].encode()).digest() == head[2]
    said = [row["said"] for row in city.entries()]
    assert [(row["session"], row["number"], row["algorithm"]) for row in said] == [
        (str(own), number, "hmac-sha256") for number in range(3)
    ]
    signed = city.admin.execute(
        "SELECT outcome FROM audit.entry WHERE event = 'session_signed' AND body LIKE %s", [f"%{own}%"]
    )
    assert signed.fetchall() == [("confirmed",)]


def test_a_session_that_is_used_up_is_changed_and_signed_without_a_pause(city: City, monkeypatch) -> None:
    city.issue()
    monkeypatch.setattr("shuqiao.security.sessions.MAX_CALLS", 4)
    with city.client() as client:
        client.use_sessions(key_signer(city.application_keys[APP]))
        for _ in range(10):
            assert client.verify(RESOURCE, births.certificate(3), CLAIM, context=AUTO).status == 200
    sessions = {row["said"]["session"] for row in city.entries()}
    assert len(sessions) == 3
    confirmed = city.admin.execute(
        "SELECT sum(cardinality(confirmed)) FROM exchange.session_head WHERE session = ANY(%s::uuid[])",
        [list(sessions)],
    ).fetchone()
    assert confirmed == (10,)


def test_a_number_serves_once_on_every_worker_whatever_its_time(city: City) -> None:
    city.issue()
    session = agree(city)
    assert ask(city, session, "0" * 16).status_code == 200
    # Another second and so another signature, the same number: on any worker.
    time.sleep(1.1)
    codes = {ask(city, session, "0" * 16).json()["code"] for _ in range(6)}
    assert codes == {"signature_replayed"}


@pytest.mark.parametrize("nonce", ["0" * 12 + "1000", "n" * 16, "0" * 17, "-" * 16])
def test_a_call_without_a_number_below_a_thousand_is_refused(city: City, nonce: str) -> None:
    city.issue()
    assert ask(city, agree(city), nonce).json()["code"] == "session_over"


def test_unsigned_calls_keep_the_application_from_another_session(city: City) -> None:
    city.issue()
    session = agree(city)
    assert ask(city, session).status_code == 200
    end(city, session, 30)
    agree(city)
    end(city, session, 90)
    refused = refusal_of_agreement(city)
    assert (refused.status_code, refused.json()["code"]) == (403, "session_unsigned")
    assert str(session_id(session.key_id)) in refused.json()["detail"]
    # Signed calls go on meanwhile.
    with city.client() as client:
        assert client.verify(RESOURCE, births.certificate(3), CLAIM, context=AUTO).status == 200
    answer = send_head(city, session_id(session.key_id), [[0, b64(session.calls[0].request)]])
    assert answer.json() == {"session": str(session_id(session.key_id)), "confirmed": 1, "open": []}
    agree(city)


def refusal_of_agreement(city: City) -> httpx.Response:
    """Ask for a session as a client that doesn't sign anything."""
    body = json.dumps({"public_key": b64(b"k" * 32)}).encode()
    target = ("POST", f"127.0.0.1:{city.port}", "/v1/sessions")
    headers = sign_request(city.signer(), target, body, AUTO, int(time.time()))
    headers["content-type"] = "application/json"
    return httpx.post(f"{city.url}/v1/sessions", content=body, headers=headers, trust_env=False)


def test_the_suspension_holds_on_every_worker_and_after_a_restart(own_city: City) -> None:
    city = own_city
    city.issue()
    session = agree(city)
    assert ask(city, session).status_code == 200
    end(city, session, 90)
    assert {refusal_of_agreement(city).status_code for _ in range(6)} == {403}
    city.stop()
    city.start()
    assert {refusal_of_agreement(city).status_code for _ in range(6)} == {403}


@pytest.mark.parametrize("with_session", [False, True])
def test_a_captured_call_is_used_up_on_every_worker_and_after_a_restart(
    own_city: City, with_session: bool
) -> None:
    """Nonces live in the database, so neither another worker nor a new process answers one again."""
    city = own_city
    city.issue()
    body = json.dumps({"subject": births.certificate(3), "claims": CLAIM}).encode()
    path = f"/v1/resources/{RESOURCE}/verify"
    signer = agree(city) if with_session else city.signer()
    headers = sign_request(signer, ("POST", f"127.0.0.1:{city.port}", path), body, AUTO, int(time.time()))
    headers["content-type"] = "application/json"

    def sent() -> int:
        return httpx.post(city.url + path, content=body, headers=headers, trust_env=False).status_code

    assert sent() == 200
    assert {sent() for _ in range(8)} == {401}
    city.stop(signal.SIGKILL)
    city.start(workers=3)
    assert {sent() for _ in range(8)} == {401}
    answered = [row for row in city.entries() if row["event"] == "verify"]
    assert len(answered) == 1


def test_who_lost_the_record_says_so_and_the_calls_stay_unconfirmed(city: City) -> None:
    city.issue()
    session = agree(city)
    assert ask(city, session).status_code == 200
    assert ask(city, session).status_code == 200
    end(city, session, 90)
    agree(city)
    row = city.admin.execute(
        "SELECT confirmed, lost FROM exchange.session_head WHERE session = %s", [session_id(session.key_id)]
    ).fetchone()
    assert row == ([], [0, 1])
    said = city.admin.execute(
        "SELECT outcome FROM audit.entry WHERE event = 'session_signed' AND body LIKE %s",
        [f"%{session_id(session.key_id)}%"],
    ).fetchall()
    assert said == [("unconfirmed",)]


def test_a_head_that_contradicts_the_log_is_refused_whole(city: City) -> None:
    city.issue()
    session = agree(city)
    assert ask(city, session).status_code == 200
    assert ask(city, session).status_code == 200
    calls = [[0, b64(session.calls[0].request)], [1, b64(b"x" * 32)]]
    refused = send_head(city, session_id(session.key_id), calls)
    assert (refused.status_code, refused.json()["code"]) == (422, "head_contradicted")
    kept = city.admin.execute(
        "SELECT count(*) FROM exchange.session_head WHERE session = %s", [session_id(session.key_id)]
    ).fetchone()
    assert kept == (0,)


def test_a_head_sent_twice_is_kept_once_and_a_part_leaves_the_rest_open(city: City) -> None:
    city.issue()
    session = agree(city)
    assert ask(city, session).status_code == 200
    assert ask(city, session).status_code == 200
    part = [[1, b64(session.calls[1].request)]]
    assert send_head(city, session_id(session.key_id), part).json()["open"] == [0]
    assert send_head(city, session_id(session.key_id), part).json()["open"] == [0]
    kept = city.admin.execute(
        "SELECT count(*) FROM exchange.session_head WHERE session = %s", [session_id(session.key_id)]
    ).fetchone()
    assert kept == (1,)


def test_nobody_signs_the_calls_of_another_application(city: City) -> None:
    city.issue()
    session = agree(city)
    assert ask(city, session).status_code == 200
    body = json.dumps({"session": str(session_id(session.key_id)), "calls": [], "lost": True}).encode()
    target = ("POST", f"127.0.0.1:{city.port}", "/v1/sessions/heads")
    headers = sign_request(city.signer("app-education-enrol"), target, body, AUTO, int(time.time()))
    headers["content-type"] = "application/json"
    answer = httpx.post(f"{city.url}/v1/sessions/heads", content=body, headers=headers, trust_env=False)
    assert answer.json()["code"] == "not_available"


def test_the_agreement_of_a_session_serves_once(city: City) -> None:
    body = json.dumps({"public_key": b64(b"k" * 32)}).encode()
    target = ("POST", f"127.0.0.1:{city.port}", "/v1/sessions")
    headers = sign_request(city.signer(), target, body, AUTO, int(time.time()))
    headers["content-type"] = "application/json"
    url = f"{city.url}/v1/sessions"
    codes = [httpx.post(url, content=body, headers=headers, trust_env=False).status_code for _ in range(4)]
    assert codes == [200, 401, 401, 401]


def test_a_grant_may_demand_a_signature_for_each_call(city: City) -> None:
    grant = city.issue(signed_calls=True)
    session = agree(city)
    refused = ask(city, session)
    assert (refused.status_code, refused.json()["code"]) == (403, "signed_call_needed")
    assert grant.id in refused.json()["detail"]
    with city.client() as client:
        assert client.verify(RESOURCE, births.certificate(3), CLAIM, context=AUTO).status == 200


def test_the_signed_request_is_kept_sealed_and_the_log_names_only_a_blind_digest(city: City) -> None:
    city.issue()
    with city.client() as client:
        entry = entry_of(client.verify(RESOURCE, births.certificate(3), CLAIM, context=AUTO).body)
    said = next(row["said"] for row in city.entries() if row["id"] == entry)
    key = load_sealing_key(city.vault.folder / "secrets" / "vault-sealing.pem")
    kept = decode_request(open_sealed(key, base64.b64decode(said["sealed"]), REQUEST_CONTEXT))
    base = base_of(kept.covered)
    assert request_digest(base, kept.signature).hex() == said["request"]
    assert read_covered(kept.covered).path == f"/v1/resources/{RESOURCE}/verify"
    assert read_covered(kept.covered).content_digest not in json.dumps(said)
