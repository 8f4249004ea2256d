"""Calls that are refused: a stable code and status, a message that says what to do, and an audit entry
wherever the department is known."""

import base64
import concurrent.futures
import http.client
import json
import socket
import statistics
import time
from datetime import date, timedelta

import httpx
import pytest

from shuqiao.rules.errors import BY_CODE
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext, key_signer, sign_request
from tests.plane.conftest import APP, PURPOSE, QUERY_ITEMS, RESOURCE, UNKNOWN, VERIFY_ITEMS, City
from tests.vault import births

BODY = json.dumps(
    {"subject": births.certificate(3), "claims": {"mother_name": "样例母亲3", "sex_code": "2"}}
).encode()
QUERY = json.dumps({"subject": births.certificate(3)}).encode()


def send(
    city: City, body: bytes, headers: dict[str, str], *, operation: str = "verify", resource: str = RESOURCE
) -> httpx.Response:
    """Send a call just as given."""
    url = f"{city.url}/v1/resources/{resource}/{operation}"
    return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=20)


def call(city: City, body: bytes = BODY, *, operation: str = "verify", resource: str = RESOURCE, **signed):
    """Sign and send."""
    headers = city.signed(body, operation=operation, resource=resource, **signed)
    return send(city, body, headers, operation=operation, resource=resource)


def assert_problem(response: httpx.Response, code: str) -> None:
    """The answer is the problem with this code, in words of our own."""
    problem = response.json()
    assert (response.status_code, problem["code"]) == (BY_CODE[code].status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["status"] == response.status_code
    assert problem["type"] == f"urn:shuqiao:problem:{code}"
    assert problem["title"] and problem["detail"]
    assert births.certificate(3) not in response.text


def assert_recorded(city: City, code: str, response: httpx.Response | None = None) -> None:
    """The last entry is the refusal with this code, of our department."""
    entry = city.entries()[-1]
    assert (entry["event"], entry["outcome"], entry["department"]) == (
        "call_refused",
        code,
        "440100-housing",
    )
    if response is not None:
        promise = response.headers["shuqiao-promise"]
        said = json.loads(base64.urlsafe_b64decode(promise + "=" * (-len(promise) % 4)))
        assert said["entry"] == str(entry["id"])


def test_a_missing_signature(city: City) -> None:
    response = send(city, BODY, {"content-type": "application/json"})
    assert_problem(response, "signature_missing")
    assert city.entries() == []


def test_a_signature_of_an_unknown_key(city: City) -> None:
    city.issue()
    city.application_keys[APP] = keys.generate_signing_key()
    assert_problem(call(city), "signature_invalid")
    assert city.entries() == []


def test_a_stale_signature_is_recorded_once(city: City) -> None:
    city.issue()
    headers = city.signed(BODY, created=int(time.time()) - 400)
    first, second = send(city, BODY, headers), send(city, BODY, headers)
    assert_problem(first, "signature_stale")
    assert_problem(second, "signature_stale")
    assert_recorded(city, "signature_stale", first)
    assert len(city.entries()) == 1


def test_a_signature_from_the_future(city: City) -> None:
    assert_problem(call(city, created=int(time.time()) + 400), "signature_stale")
    assert_recorded(city, "signature_stale")


def test_a_replay_is_refused_on_every_worker_and_recorded(city: City) -> None:
    city.issue()
    headers = city.signed(BODY)
    assert send(city, BODY, headers).status_code == 200
    first = send(city, BODY, headers)
    assert_problem(first, "signature_replayed")
    assert_recorded(city, "signature_replayed", first)
    for _ in range(8):
        # Each is a new connection, so both workers get some of them.
        response = send(city, BODY, headers)
        assert_problem(response, "signature_replayed")
        assert "shuqiao-promise" not in response.headers
    assert [entry["event"] for entry in city.entries()] == ["verify", "call_refused"]


def test_replays_at_the_same_moment_are_answered_once(city: City) -> None:
    city.issue()
    headers = city.signed(BODY)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(lambda _: send(city, BODY, headers), range(16)))
    assert sorted(response.status_code for response in responses) == [200] + [401] * 15
    assert sorted(entry["event"] for entry in city.entries()) == ["call_refused", "verify"]


def test_a_refused_call_sent_again_is_recorded_as_a_replay_once(city: City) -> None:
    headers = city.signed(BODY)
    assert_problem(send(city, BODY, headers), "not_available")
    for _ in range(3):
        assert_problem(send(city, BODY, headers), "signature_replayed")
    assert [entry["outcome"] for entry in city.entries()] == ["not_available", "signature_replayed"]


def test_a_captured_call_with_wrong_bodies_is_recorded_once_for_each_reason(city: City) -> None:
    city.issue()
    headers = city.signed(BODY)
    for other in (BODY.replace(b'"2"', b'"1"'), BODY.replace(b'"2"', b'"9"')) * 2:
        response = send(city, other, headers)
        assert_problem(response, "digest_mismatch")
        assert "retry-after" not in response.headers
    for _ in range(2):
        assert_problem(send(city, BODY, headers | {"content-type": "text/plain"}), "request_malformed")
    assert send(city, BODY, headers).status_code == 200
    outcomes = [entry["outcome"] for entry in city.entries() if entry["event"] == "call_refused"]
    assert outcomes == ["digest_mismatch", "request_malformed"]


def test_a_body_that_is_not_the_signed_one_does_not_use_the_signature_up(city: City) -> None:
    city.issue()
    headers = city.signed(BODY)
    other = BODY.replace(b'"2"', b'"1"')
    response = send(city, other, headers)
    assert_problem(response, "digest_mismatch")
    assert_recorded(city, "digest_mismatch", response)
    assert send(city, BODY, headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body_not_json"),
        (b"not json", "body_not_json"),
        (b"[1]", "body_not_json"),
        (b'"text"', "body_not_json"),
        (b"\xff\xfe", "body_not_json"),
        (b"{" * 100_000, "body_not_json"),
        (b"{}", "request_malformed"),
        (b'{"subject":"S000000003"}', "request_malformed"),
        (b'{"subject":"S000000003","claims":{}}', "request_malformed"),
        (b'{"subject":1,"claims":{"sex_code":"2"}}', "request_malformed"),
        (b'{"subject":"S000000003","claims":{"sex_code":"2"},"other":1}', "request_malformed"),
        (b'{"subject":"S000000003","claims":{"sex_code":"2"},"case":"a\\u0000b"}', "request_malformed"),
        (b'{"subject":"","claims":{"sex_code":"2"}}', "request_malformed"),
    ],
    ids=range(13),
)
def test_a_body_of_another_form(city: City, body: bytes, code: str) -> None:
    city.issue()
    response = call(city, body)
    assert_problem(response, code)
    assert_recorded(city, code, response)


def test_a_body_above_the_limit_is_refused_unread(city: City) -> None:
    city.issue()
    body = b" " * (1024 * 1024 + 1)
    headers = city.signed(body)
    connection = http.client.HTTPConnection("127.0.0.1", city.port, timeout=10)
    connection.putrequest("POST", f"/v1/resources/{RESOURCE}/verify")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.putheader("content-length", str(len(body)))
    connection.endheaders()
    # Nothing of the body is sent: the announcement is enough.
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (413, "body_too_large")
    connection.close()
    assert_recorded(city, "body_too_large")


def test_a_body_without_a_length_is_refused(city: City) -> None:
    city.issue()
    headers = city.signed(BODY)
    url = f"{city.url}/v1/resources/{RESOURCE}/verify"
    response = httpx.post(url, content=iter([BODY]), headers=headers, trust_env=False)
    assert_problem(response, "request_malformed")
    assert_recorded(city, "request_malformed")


@pytest.mark.timeout(60)
def test_a_slow_body_is_given_up(city: City) -> None:
    city.issue()
    headers = city.signed(BODY)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", city.port), timeout=30) as connection:
        connection.sendall(
            f"POST /v1/resources/{RESOURCE}/verify HTTP/1.1\r\nhost: 127.0.0.1:{city.port}\r\n"
            f"content-length: {len(BODY)}\r\n{lines}\r\n".encode()
            + BODY[:5]
        )
        started = time.monotonic()
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
    assert 8 < time.monotonic() - started < 20
    assert_recorded(city, "request_timeout")


@pytest.mark.parametrize("name", ["signature", "signature-input", "content-digest", "shuqiao-purpose"])
def test_a_header_that_comes_twice(city: City, name: str) -> None:
    city.issue()
    headers = city.signed(BODY) | {"host": f"127.0.0.1:{city.port}"}
    twice = [*headers.items(), (name, headers[name])]
    url = f"{city.url}/v1/resources/{RESOURCE}/verify"
    response = httpx.post(url, content=BODY, headers=twice, trust_env=False)
    assert response.status_code == 400
    assert city.entries() == []


def test_another_content_type_and_a_query_string(city: City) -> None:
    city.issue()
    headers = city.signed(BODY) | {"content-type": "text/plain"}
    assert_problem(send(city, BODY, headers), "request_malformed")
    url = f"{city.url}/v1/resources/{RESOURCE}/verify?x=1"
    response = httpx.post(url, content=BODY, headers=city.signed(BODY), trust_env=False)
    assert_problem(response, "request_malformed")


def test_a_signature_for_another_host(city: City) -> None:
    city.issue()
    elsewhere = "platform.example:8001"
    path = f"/v1/resources/{RESOURCE}/verify"
    headers = sign_request(city.signer(), ("POST", elsewhere, path), BODY, CallContext(), int(time.time()))
    headers |= {"content-type": "application/json", "host": elsewhere}
    assert_problem(send(city, BODY, headers), "signature_invalid")


@pytest.mark.parametrize("subject", ["T12345", "X12345678A", "7Q", "样例"])
def test_a_number_of_a_wrong_form(city: City, subject: str) -> None:
    city.issue()
    body = json.dumps({"subject": subject, "claims": {"mother_name": "样例母亲3", "sex_code": "2"}}).encode()
    response = call(city, body)
    assert_problem(response, "identifier_invalid")
    assert_recorded(city, "identifier_invalid", response)
    assert subject not in response.text


def test_a_claimed_number_with_a_wrong_check_digit(city: City) -> None:
    city.issue()
    number = births.citizen_number(3, "19700101")
    wrong = number[:-1] + ("1" if number[-1] != "1" else "2")
    body = json.dumps(
        {"subject": births.certificate(3), "claims": {"mother_citizen_id_number": wrong}}
    ).encode()
    response = call(city, body)
    assert_problem(response, "identifier_invalid")
    assert_recorded(city, "identifier_invalid", response)
    assert wrong not in response.text


@pytest.mark.requirement("MOD-05")
def test_an_item_outside_the_grant(city: City) -> None:
    city.issue(items=("mother_name",))
    response = call(city)
    assert_problem(response, "item_not_granted")
    assert_recorded(city, "item_not_granted", response)


@pytest.mark.requirement("ORG-11")
def test_a_refusal_cites_the_regulation_in_force_whichever_that_is(city: City) -> None:
    city.issue(items=("mother_name",))
    for cited in ("xiamen-2015 art. 5(5)", "shenyang-2016 art. 23(2)"):
        city.admin.execute(
            "INSERT INTO exchange.citation VALUES ('within_grant', %s)"
            " ON CONFLICT (matter) DO UPDATE SET citation = excluded.citation",
            [cited],
        )
        try:
            # Each worker hears of it by itself, so a call may come to one that has not yet.
            deadline = time.monotonic() + 60
            problem = call(city).json()
            while problem["rule"] != cited and time.monotonic() < deadline:
                time.sleep(0.05)
                problem = call(city).json()
            assert problem["rule"] == cited and problem["code"] == "item_not_granted"
            shown = cited.replace("art. ", "第").replace("(", "条(")
            assert problem["detail"].endswith(f"（依据：{shown}）")
        finally:
            city.admin.execute("DELETE FROM exchange.citation")


@pytest.mark.requirement("MOD-05")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"valid_until": date(2026, 2, 1)}, "grant_expired"),
        ({"valid_from": date.today() + timedelta(days=5)}, "grant_not_yet_valid"),
        ({"applications": ("app-housing-other",)}, "not_available"),
        ({"department": "440100-education"}, "not_available"),
        ({"mode": "query"}, "not_available"),
        ({"purpose": "别的用途"}, "not_available"),
        ({"case_required": True}, "request_malformed"),
    ],
)
def test_a_grant_that_does_not_cover_the_call(city: City, changes: dict[str, object], code: str) -> None:
    city.issue(**changes)
    response = call(city, purpose=PURPOSE)
    assert_problem(response, code)
    assert_recorded(city, code, response)


@pytest.mark.requirement("MOD-05")
def test_revocation_holds_at_the_very_next_call_on_every_worker(city: City) -> None:
    grant = city.issue()
    for _ in range(6):
        assert call(city).status_code == 200
    city.revoke(grant, "不再需要")
    for _ in range(6):
        response = call(city)
        assert_problem(response, "grant_revoked")
        assert "不再需要" in response.json()["detail"]
        assert_recorded(city, "grant_revoked", response)


def test_suspension_holds_at_the_very_next_call_and_ends_with_the_resumption(city: City) -> None:
    grant = city.issue()
    assert call(city).status_code == 200
    change = 'UPDATE exchange."grant" SET suspended_at = {}, suspended_reason = %s WHERE id = %s'
    city.admin.execute(change.format("now()"), ["数据核查", grant.id])
    for _ in range(6):
        response = call(city)
        assert_problem(response, "grant_suspended")
        assert "数据核查" in response.json()["detail"]
        assert_recorded(city, "grant_suspended", response)
    city.admin.execute(change.format("NULL"), [None, grant.id])
    for _ in range(6):
        assert call(city).status_code == 200


def test_a_forged_grant_counts_for_nothing(city: City) -> None:
    real, city.grant_key = city.grant_key, keys.generate_signing_key()
    city.issue()
    assert_problem(call(city), "not_available")
    city.grant_key = real
    city.issue()
    assert call(city).status_code == 200


def test_not_there_and_not_granted_look_the_same(city: City) -> None:
    city.issue(mode="query", items=QUERY_ITEMS)
    absent = json.dumps({"subject": "X999999999"}).encode()
    unknown_resource = call(city, QUERY, operation="query", resource=UNKNOWN)
    not_there = call(city, absent, operation="query")
    other_mode = call(city, BODY, operation="verify")
    assert not_there.content == unknown_resource.content == other_mode.content
    hidden = {"shuqiao-promise", "date"}
    for other in (unknown_resource, other_mode):
        assert {k: v for k, v in other.headers.items() if k not in hidden} == {
            k: v for k, v in not_there.headers.items() if k not in hidden
        }
    assert_problem(not_there, "not_available")
    events = [(entry["event"], entry["resource_id"]) for entry in city.entries()]
    assert events == [("call_refused", UNKNOWN), ("query", RESOURCE), ("call_refused", RESOURCE)]


def test_not_there_and_not_granted_take_the_same_time(city: City) -> None:
    city.issue(mode="query", items=QUERY_ITEMS)
    absent = json.dumps({"subject": "X999999999"}).encode()
    times: dict[str, list[float]] = {RESOURCE: [], UNKNOWN: []}
    for turn in range(60):
        for resource in (RESOURCE, UNKNOWN) if turn % 2 else (UNKNOWN, RESOURCE):
            headers = city.signed(absent, operation="query", resource=resource)
            started = time.perf_counter()
            send(city, absent, headers, operation="query", resource=resource)
            times[resource].append(time.perf_counter() - started)
    there, unknown = (statistics.median(times[resource][10:]) for resource in (RESOURCE, UNKNOWN))
    assert 0.6 < there / unknown < 1.67


def test_a_database_that_refuses_is_no_answer(own_city: City) -> None:
    city = own_city
    city.issue()
    assert call(city).status_code == 200
    city.admin.execute("REVOKE EXECUTE ON FUNCTION exchange.read_" + RESOURCE + " FROM shuqiao_plane")
    assert_problem(call(city), "unavailable")


def test_a_vault_that_is_gone_is_no_answer_and_comes_back(own_city: City) -> None:
    city = own_city
    city.issue()
    city.vault.kill()
    assert_problem(call(city), "unavailable")
    # Nor may the refusal of a call without a grant tell what is there.
    assert_problem(call(city, QUERY, operation="query"), "unavailable")
    assert city.status("/health/ready") == 503
    city.vault.start()
    assert call(city).status_code == 200


@pytest.mark.parametrize(
    ("accept", "words"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "没有可供"), ("en", "Nothing is available"), ("fr", "没有可供")],
)
def test_the_message_comes_in_the_language_asked_for(city: City, accept: str, words: str) -> None:
    headers = city.signed(BODY) | {"accept-language": accept}
    response = send(city, BODY, headers)
    assert response.json()["detail"].startswith(words)
    assert response.headers["content-language"] == ("en" if accept == "en" else "zh")


def test_a_session_key_may_not_agree_another_session(city: City) -> None:
    signer = key_signer(city.application_keys[APP])
    with city.client() as client:
        session = client.agree_session(signer)
        own = b'{"public_key":"' + b"A" * 43 + b'"}'

        headers = sign_request(
            session, ("POST", f"127.0.0.1:{city.port}", "/v1/sessions"), own, CallContext(), int(time.time())
        )
    headers["content-type"] = "application/json"
    response = httpx.post(f"{city.url}/v1/sessions", content=own, headers=headers, trust_env=False)
    assert_problem(response, "signature_invalid")


def test_many_items_of_a_grant_are_all_checked(city: City) -> None:
    city.issue()
    claims = dict.fromkeys(VERIFY_ITEMS, "x") | {"sex_code": "2"}
    body = json.dumps({"subject": births.certificate(3), "claims": claims}).encode()
    assert_problem(call(city, body), "identifier_invalid")
