"""Calls of a department's own interface from an application to the department and back, every part real."""

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from shuqiao.auditlog.entries import COLUMNS, StoredEntry, entry_fault
from shuqiao.client.plane import PlaneAnswer
from shuqiao.security.http_signatures import CallContext, sign_request
from shuqiao.wire.receipt import HEADER, decode_promise, verify_promise
from tests.interfaces.conftest import PERMITS, SECRET, SPEC, InterfaceCity
from tests.loader.line import wait_for
from tests.plane import conftest as plane

PERMIT = {"permit_no": "P00000007"}

ALL_ITEMS = tuple(item.field for item in SPEC.items)


def refusals(city: InterfaceCity) -> list[str]:
    """The codes of refused calls."""
    return [row["outcome"] for row in city.logged("call_refused")]


def ends(city: InterfaceCity) -> list[str]:
    """How the recorded calls ended."""
    return [row["outcome"] for row in city.logged("interface_answered")]


def code_of(answer: PlaneAnswer) -> tuple[int, str | None]:
    """Status and code."""
    return answer.status, answer.code


@pytest.mark.requirement("MOD-03")
def test_only_granted_fields_come_back_and_the_sensitive_one_is_masked(city: InterfaceCity) -> None:
    city.interface_grant()
    answer = city.call("getPermit", PERMIT | {"lang": "zh"})
    assert answer.status == 200, answer.body
    assert answer.body == {"permit_no": "P00000007", "issued": "2024-05-01", "phone": "139****34"}
    method, path, headers, _ = city.api.seen[0]
    assert (method, path) == ("GET", "/api/permits/P00000007?lang=zh")
    assert headers["authorization"] == SECRET and headers["accept-encoding"] == "identity"


def test_an_item_that_the_grant_names_is_given_in_the_clear(city: InterfaceCity) -> None:
    city.interface_grant(unmasked=("phone",), items=("phone",))
    assert city.call("getPermit", PERMIT).body == {"phone": "13900001234"}


@pytest.mark.requirement("MOD-10")
def test_the_call_is_recorded_before_it_leaves_and_its_end_after(city: InterfaceCity) -> None:
    grant = city.interface_grant()
    answer = city.call("getPermit", PERMIT, case="案-1")
    (called,) = city.logged("interface_called")
    (ended,) = city.logged("interface_answered")
    assert (called["outcome"], called["grant"], called["seen"]["operation"]) == (
        "asked",
        grant.id,
        "getPermit",
    )
    assert called["said"]["case"] == "案-1" and called["said"]["sealed"]
    assert (ended["outcome"], ended["said"]["call"]) == ("answered", str(called["id"]))
    assert ended["seen"]["given"] == ["issued_on", "permit_no", "phone"] and ended["seen"]["masked"] == [
        "phone"
    ]
    assert answer.promise is not None and answer.promise.entry == ended["id"]
    assert answer.promise.answer == ended["seen"]["answer"]
    assert ended["said"]["case"] == "案-1" and {row["said"]["mode"] for row in (called, ended)} == {"query"}
    # Whoever checks the log finds each entry's columns in its text.
    ids = [called["id"], ended["id"]]
    rows = city.admin.execute(f"SELECT {COLUMNS} FROM audit.entry WHERE id = ANY(%s)", [ids]).fetchall()
    assert [entry_fault(StoredEntry(*row)) for row in rows] == [None, None]
    # The log holds no value that the call named or brought.
    assert not any(
        word in row["body"] for row in (called, ended) for word in ("P00000007", "1234", "2024-05")
    )


def test_nothing_is_asked_of_the_department_without_an_entry(city: InterfaceCity) -> None:
    city.interface_grant()
    city.admin.execute("REVOKE EXECUTE ON FUNCTION exchange.call_interface FROM shuqiao_plane")
    try:
        assert code_of(city.call("getPermit", PERMIT)) == (503, "unavailable")
    finally:
        city.admin.execute("GRANT EXECUTE ON FUNCTION exchange.call_interface TO shuqiao_plane")
    assert city.api.seen == []


def test_no_answer_leaves_without_an_entry(city: InterfaceCity) -> None:
    city.interface_grant()
    city.admin.execute("REVOKE EXECUTE ON FUNCTION exchange.end_interface_call FROM shuqiao_plane")
    try:
        assert code_of(city.call("getPermit", PERMIT)) == (503, "unavailable")
    finally:
        city.admin.execute("GRANT EXECUTE ON FUNCTION exchange.end_interface_call TO shuqiao_plane")
    assert len(city.api.seen) == 1 and list((city.folder / "answers").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "operation", "expected"),
    [
        ({"operations": ("searchPermits",)}, "getPermit", (403, "operation_not_granted")),
        ({"applications": (plane.OTHER_APP,)}, "getPermit", (404, "not_available")),
        ({"operations": ()}, "getPermit", (404, "not_available")),
        ({"pseudonyms": True}, "getPermit", (404, "not_available")),
        ({"case_required": True}, "getPermit", (400, "request_malformed")),
        ({"operations": ("deletePermit",)}, "deletePermit", (404, "not_available")),
    ],
)
def test_what_no_grant_covers_never_reaches_the_department(
    city: InterfaceCity, changes: dict[str, Any], operation: str, expected: tuple[int, str]
) -> None:
    city.interface_grant(**changes)
    assert code_of(city.call(operation, PERMIT)) == expected
    assert city.api.seen == [] and refusals(city) == [expected[1]]


def test_a_grant_of_operations_is_none_for_keyed_calls(city: InterfaceCity) -> None:
    city.interface_grant()
    with city.client() as client:
        assert client.query(PERMITS, "440100199001010000", [], context=CallContext()).code == "not_available"


@pytest.mark.requirement("MOD-05")
def test_a_revoked_grant_ends_at_once(city: InterfaceCity) -> None:
    grant = city.interface_grant()
    assert city.call("getPermit", PERMIT).status == 200
    city.revoke(grant)
    assert code_of(city.call("getPermit", PERMIT)) == (403, "grant_revoked")
    assert len(city.api.seen) == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"permit_no": ".."},
        {"permit_no": "P" * 21},
        {"permit_no": "P1", "lang": "fr"},
        {"permit_no": "P1", "other": "x"},
        {"permit_no": "P1\r\nx: y"},
    ],
)
def test_a_parameter_outside_the_description_is_refused(
    city: InterfaceCity, parameters: dict[str, str]
) -> None:
    city.interface_grant()
    assert code_of(city.call("getPermit", parameters)) == (422, "parameter_refused")
    assert city.api.seen == []


def test_a_parameter_stays_in_its_place(city: InterfaceCity) -> None:
    city.interface_grant()
    assert city.call("getPermit", {"permit_no": "a/../b?x=1#%2e"}).status == 200
    assert city.api.seen[0][1] == "/api/permits/a%2F..%2Fb%3Fx%3D1%23%252e"


def test_a_large_body_and_a_large_answer_go_in_pieces(city: InterfaceCity) -> None:
    city.interface_grant(items=("permit_no",))
    padding = "x" * 700_000
    answer = city.call("searchPermits", body={"rows": 20_000, "padding": padding})
    assert answer.status == 200
    assert answer.body["total"] == 20_000
    assert answer.body["rows"][-1] == {"permit_no": "P00019999"}
    sent = city.api.seen[0][3]
    assert json.loads(sent) == {"rows": 20_000, "padding": padding}


def fetch_scan(city: InterfaceCity) -> httpx.Response:
    """Fetch a scan as it comes, without the client that expects JSON."""
    path = f"/v1/resources/{PERMITS}/interface/getScan"
    body = json.dumps({"parameters": PERMIT}).encode()
    target = ("POST", f"127.0.0.1:{city.port}", path)
    headers = sign_request(city.signer(), target, body, CallContext(), int(time.time()))
    headers["content-type"] = "application/json"
    return httpx.post(city.url + path, content=body, headers=headers, timeout=30, trust_env=False)


@pytest.mark.requirement("SEC-18")
@pytest.mark.parametrize("changes", [{}, {"items": ("permit_no", "phone"), "unmasked": ("phone",)}])
def test_a_file_is_given_only_where_nothing_of_the_entry_is_withheld(
    city: InterfaceCity, changes: dict[str, Any]
) -> None:
    city.interface_grant(**({"items": ALL_ITEMS} | changes))
    assert fetch_scan(city).json()["code"] == "not_available"
    assert city.api.seen == []


def test_a_file_is_streamed_whole_with_a_promise_and_nothing_stays_behind(city: InterfaceCity) -> None:
    city.interface_grant(items=ALL_ITEMS, unmasked=("phone",))
    city.api.scan = bytes(range(256)) * 20_000
    answer = fetch_scan(city)
    assert answer.status_code == 200 and answer.content == city.api.scan
    promise = decode_promise(answer.headers[HEADER])
    assert verify_promise(promise, answer.content, city.promise_keys()[promise.key_id])
    (ended,) = city.logged("interface_answered")
    assert ended["seen"]["answer"] == hashlib.sha256(city.api.scan).hexdigest()
    wait_for(lambda: not list((city.folder / "answers").iterdir()), what="an empty folder")


def answered_while(city: InterfaceCity, operation: str, change: Callable[[], None]) -> PlaneAnswer:
    """Call an operation, and do something while the department works on it."""
    city.api.fault = "late"
    seen = len(city.api.seen)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(city.call, operation, PERMIT)
        wait_for(lambda: len(city.api.seen) > seen, what="the call at the department")
        change()
        return waiting.result(timeout=20)


@pytest.mark.parametrize("operation", ["getPermit", "getScan"])
@pytest.mark.requirement("MOD-05")
def test_what_is_revoked_while_the_department_works_is_not_given(city: InterfaceCity, operation: str) -> None:
    grant = city.interface_grant(items=ALL_ITEMS, unmasked=("phone",))
    answer = answered_while(city, operation, lambda: city.revoke(grant))
    assert code_of(answer) == (403, "grant_revoked") and ends(city) == ["grant_revoked"]
    assert list((city.folder / "answers").iterdir()) == []


def test_the_end_of_another_grant_is_none_of_a_calls_business(city: InterfaceCity) -> None:
    city.interface_grant()
    other = city.interface_grant(department="440100-civil-affairs", applications=(plane.OTHER_APP,))
    answer = answered_while(city, "getPermit", lambda: city.revoke(other))
    assert answer.status == 200 and ends(city) == ["answered"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("broken", "refused 500"),
        ("missing", "refused 404"),
        ("hangs_up", "unreachable"),
        ("cut", "unreachable"),
        ("slow", "too_slow"),
        ("wrong_type", "wrong_type 200"),
        ("not_json", "wrong_shape"),
    ],
)
@pytest.mark.requirement("MOD-11")
def test_a_failing_interface_gives_nothing_and_is_counted(
    city: InterfaceCity, fault: str, reason: str
) -> None:
    city.interface_grant()
    city.api.fault = fault
    started = time.monotonic()
    answer = city.call("getPermit", PERMIT)
    assert code_of(answer) == (502, "interface_failed") and reason in answer.body["detail"]
    assert time.monotonic() - started < 6 and ends(city) == ["interface_failed"]
    counted = city.admin.execute(
        "SELECT application, operation, outcome, calls FROM exchange.interface_outcome"
    ).fetchall()
    assert counted == [(plane.APP, "getPermit", "interface_failed", 1)]
    city.api.fault = ""
    assert city.call("getPermit", PERMIT).status == 200
    assert list((city.folder / "answers").iterdir()) == []


def test_an_answer_beyond_the_cap_is_not_passed_on(city: InterfaceCity) -> None:
    city.interface_grant(items=ALL_ITEMS, unmasked=("phone",))
    city.api.scan = b"x" * (8 * 1024 * 1024 + 1)
    answer = fetch_scan(city)
    assert answer.status_code == 502 and "too_large" in answer.json()["detail"]


def test_an_interface_that_keeps_failing_is_left_alone_and_tried_again(city: InterfaceCity) -> None:
    city.interface_grant()
    city.api.fault = "hangs_up"
    assert [city.call("getPermit", PERMIT).status for _ in range(4)] == [502, 502, 502, 503]
    asked = len(city.api.seen)
    assert ends(city)[-1] == "interface_resting"
    path = f"/v1/resources/{PERMITS}/interface/getPermit"
    body = json.dumps({"parameters": PERMIT}).encode()
    headers = sign_request(
        city.signer(), ("POST", f"127.0.0.1:{city.port}", path), body, CallContext(), int(time.time())
    )
    headers["content-type"] = "application/json"
    resting = httpx.post(city.url + path, content=body, headers=headers, trust_env=False)
    assert resting.status_code == 503 and int(resting.headers["retry-after"]) >= 1
    assert len(city.api.seen) == asked
    city.api.fault = ""
    time.sleep(1.1)
    assert city.call("getPermit", PERMIT).status == 200


def test_a_node_that_is_killed_answers_again_when_it_is_back(city: InterfaceCity) -> None:
    city.interface_grant()
    city.children["node"].kill()
    try:
        assert code_of(city.call("getPermit", PERMIT)) == (502, "interface_failed")
    finally:
        city.start_node()
    assert city.call("getPermit", PERMIT).status == 200


def test_a_call_sent_twice_is_passed_on_once(city: InterfaceCity) -> None:
    city.interface_grant()
    path = f"/v1/resources/{PERMITS}/interface/getPermit"
    body = json.dumps({"parameters": PERMIT}).encode()
    target = ("POST", f"127.0.0.1:{city.port}", path)
    headers = sign_request(city.signer(), target, body, CallContext(), int(time.time()))
    headers["content-type"] = "application/json"
    answers = [httpx.post(city.url + path, content=body, headers=headers, trust_env=False) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[1].json()["code"] == "signature_replayed" and len(city.api.seen) == 1
