"""Who may speak to the interface: proved by another library too, each signature once, in every process."""

import datetime as dt
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import http_message_signatures as oracle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shuqiao.control.accounts.models import Account
from shuqiao.control.compiling.interface.models import UsedSignature
from shuqiao.control.compiling.interface.signed import forget_used_signatures
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.organisations.models import Application
from shuqiao.security import keys
from shuqiao.security.http_signatures import content_digest
from tests.compiling.interface_client import BASE, HEALTH, HOST, System, complete_entry, enrolled
from tests.control.conftest import city

__all__ = ["city"]

pytestmark = pytest.mark.database

PATH = f"{BASE}/entries"
COMPONENTS = (
    "@method",
    "@authority",
    "@path",
    "content-digest",
    "shuqiao-purpose",
    "shuqiao-end-user",
    "shuqiao-grant",
)
ORACLES = {
    "ed25519": oracle.algorithms.ED25519,
    "ecdsa-p256-sha256": oracle.algorithms.ECDSA_P256_SHA256,
}


@dataclass
class Message:
    """A request as the independent library wants it."""

    headers: dict[str, str]
    method: str = "GET"
    url: str = f"http://{HOST}{PATH}"


@dataclass
class OneKey(oracle.HTTPSignatureKeyResolver):
    """Answers with the one key of the test."""

    key: object

    def resolve_private_key(self, key_id: str):
        return self.key

    def resolve_public_key(self, key_id: str):
        return self.key.public_key()


@pytest.fixture
def health(city) -> System:
    """The health department's system."""
    return System(enrolled("app-health-catalogue", HEALTH))


def refusal(response) -> tuple[int, str]:
    """Status and code of a refusal, which is always a problem."""
    assert response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert said["status"] == response.status_code and said["type"] == f"urn:shuqiao:problem:{said['code']}"
    return response.status_code, said["code"]


@pytest.mark.parametrize("algorithm", ORACLES)
def test_what_another_library_signs_is_answered(city, algorithm: str) -> None:
    key = enrolled("app-health-catalogue", HEALTH, algorithm)
    message = Message(
        {
            "host": HOST,
            "content-digest": content_digest(b""),
            "shuqiao-purpose": "auto",
            "shuqiao-end-user": "chen",
            "shuqiao-grant": "auto",
        }
    )
    oracle.HTTPMessageSigner(signature_algorithm=ORACLES[algorithm], key_resolver=OneKey(key)).sign(
        message,
        key_id=keys.key_id(key.public_key()),
        created=dt.datetime.fromtimestamp(int(time.time()), dt.UTC),
        nonce="n" * 22,
        label="sq",
        include_alg=False,
        use_existing_digest=True,
        covered_component_ids=COMPONENTS,
    )
    headers = {name.lower(): value for name, value in message.headers.items()}
    assert System(key).send("GET", PATH, b"", headers).status_code == 200


def test_a_request_without_a_signature_is_refused(health: System) -> None:
    for method, place in (("GET", ""), ("PUT", "/units"), ("GET", "/units/draft")):
        assert refusal(health.send(method, PATH + place, b"{}")) == (401, "signature_missing")


def test_a_signature_is_answered_once(health: System) -> None:
    headers = health.headers("GET", PATH)
    assert health.send("GET", PATH, b"", headers).status_code == 200
    assert refusal(health.send("GET", PATH, b"", headers)) == (401, "signature_replayed")


def test_a_refused_write_can_not_be_sent_again(health: System) -> None:
    path, body = f"{PATH}/units", b"not json"
    headers = health.headers("PUT", path, body)
    assert refusal(health.send("PUT", path, body, headers)) == (400, "body_not_json")
    assert refusal(health.send("PUT", path, body, headers)) == (401, "signature_replayed")


@pytest.mark.parametrize("off_s", [-301, 360, -86_400])
def test_the_time_of_a_signature_is_now(health: System, off_s: int) -> None:
    stale = health.get("/entries", created=int(time.time()) + off_s)
    assert refusal(stale) == (401, "signature_stale")
    assert UsedSignature.objects.count() == 0
    assert health.get("/entries", created=int(time.time()) - 290).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"shuqiao-end-user": "gong"},
        {"shuqiao-purpose": "other"},
        {"shuqiao-grant": "other"},
        {"host": "localhost"},
    ],
)
def test_no_signed_header_can_be_changed(health: System, changed: dict[str, str]) -> None:
    headers = health.headers("GET", PATH) | changed
    assert refusal(health.send("GET", PATH, b"", headers)) == (401, "signature_invalid")
    assert UsedSignature.objects.count() == 0


def test_neither_path_nor_method_nor_body_can_be_changed(health: System) -> None:
    headers = health.headers("GET", PATH)
    assert refusal(health.send("GET", f"{BASE}/vocabulary", b"", headers)) == (401, "signature_invalid")
    path = f"{PATH}/units"
    signed = health.headers("PUT", path, b'{"entry":{}}')
    assert refusal(health.send("GET", path, b"", signed)) == (401, "signature_invalid")
    assert refusal(health.send("PUT", path, b'{"entry":{"scope":"x"}}', signed)) == (400, "digest_mismatch")
    assert UsedSignature.objects.count() == 0 == Compilation.objects.count()


def test_nothing_that_writes_stands_outside_the_signature(health: System) -> None:
    path = f"{PATH}/units"
    body = b'{"entry":{}}'
    refused = health.send("PUT", f"{path}?dry_run=1", body, health.headers("PUT", path, body))
    assert refusal(refused) == (400, "request_malformed")


@pytest.mark.parametrize("name", ["content-digest", "shuqiao-end-user", "shuqiao-grant", "shuqiao-purpose"])
def test_no_signed_header_may_be_missing(health: System, name: str) -> None:
    headers = health.headers("GET", PATH)
    del headers[name]
    assert refusal(health.send("GET", PATH, b"", headers)) == (400, "request_malformed")


def test_unknown_inactive_and_portal_applications_are_one_refusal(health: System, city) -> None:
    stranger = System(keys.generate_signing_key())
    portal = System(enrolled("app-health-portal", HEALTH, portal=True))
    said = {stranger.get("/entries").content, portal.get("/entries").content}
    Application.objects.filter(id="app-health-catalogue").update(active=False)
    said.add(health.get("/entries").content)
    assert len(said) == 1 and b"signature_invalid" in next(iter(said))


@pytest.mark.parametrize("user", ["hou", "nobody", "-", "wu", "zheng", "Chen", "%E9%99%88"])
def test_writing_needs_a_person_of_the_department_who_may(health: System, user: str) -> None:
    refused = health.put("units", complete_entry(), user=user)
    assert refused.status_code in (400, 403)
    assert refusal(refused)[1] == "end_user_refused"
    assert Compilation.objects.count() == 0


def test_reading_needs_no_person_but_no_wrong_one(health: System) -> None:
    assert health.get("/entries", user="-").status_code == 200
    assert refusal(health.get("/entries", user="hou")) == (403, "end_user_refused")
    Account.objects.filter(username="chen").update(is_active=False)
    assert refusal(health.get("/entries")) == (403, "end_user_refused")


def test_other_methods_and_addresses_are_told(health: System) -> None:
    refused = health.send("POST", PATH)
    assert refusal(refused) == (405, "method_not_allowed") and refused.headers["allow"] == "GET"
    assert health.send("DELETE", f"{PATH}/units").headers["allow"] == "GET, PUT"
    assert refusal(health.send("GET", "/api/v1/nonsense")) == (404, "entry_not_found")


def test_used_signatures_are_forgotten_when_their_window_is_over(health: System) -> None:
    health.get("/entries")
    assert forget_used_signatures() == 0 and UsedSignature.objects.count() == 1
    UsedSignature.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert forget_used_signatures() == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.sampled_from(["signature", "signature-input", "content-digest", "shuqiao-end-user", "host"]),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
)
def test_no_junk_in_a_header_gets_in_or_breaks(health: System, header: str, value: str) -> None:
    headers = health.headers("GET", PATH) | {header: value}
    assert health.send("GET", PATH, b"", headers).status_code in (400, 401, 403)
