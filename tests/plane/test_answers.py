"""Calls that are answered: what comes back, what the log keeps, and what the promise proves."""

import hashlib
import json
import time

import httpx
import psycopg
import pytest

from shuqiao.auditlog.entries import COLUMNS, StoredEntry, entry_fault
from shuqiao.client.plane import PlaneAnswer
from shuqiao.security.http_signatures import CallContext, KeySigner
from shuqiao.wire.receipt import decode_promise, verify_promise
from tests.plane.conftest import APP, PURPOSE, QUERY_ITEMS, RESOURCE, City, enrol, entry_of
from tests.vault import births

MOTHER_NUMBER = births.citizen_number(3, "19700101")
NAMED = {"mother_name": "样例母亲3", "sex_code": "2"}
RIGHT = {"mother_name": "样例母亲3", "mother_citizen_id_number": MOTHER_NUMBER, "sex_code": "2"}
AUTO = CallContext()


def verify(city: City, claims: dict[str, str], context: CallContext = AUTO) -> PlaneAnswer:
    """Verify birth 3 for the housing department."""
    with city.client() as client:
        return client.verify(RESOURCE, births.certificate(3), claims, case="GZF-2026-7", context=context)


@pytest.mark.requirement("MOD-02")
def test_a_verification_answers_per_item_and_nothing_else(city: City) -> None:
    city.issue()
    answer = verify(city, RIGHT | {"sex_code": "1"})
    assert answer.status == 200
    assert answer.body.keys() == {"result", "entry", "at"}
    assert answer.body["result"] == {
        "mother_name": True,
        "mother_citizen_id_number": True,
        "sex_code": False,
    }
    text = json.dumps(answer.body, ensure_ascii=False)
    assert "样例母亲" not in text and MOTHER_NUMBER not in text


@pytest.mark.parametrize(("claims", "expected"), [(RIGHT, True), (RIGHT | {"sex_code": "1"}, False)])
@pytest.mark.requirement("MOD-02")
def test_a_grant_for_all_together_answers_one_word(
    city: City, claims: dict[str, str], expected: bool
) -> None:
    city.issue(match="all")
    assert verify(city, claims).body["result"] is expected


def test_spelling_does_not_matter(city: City) -> None:
    city.issue()
    wide = MOTHER_NUMBER.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789X"})
    answer = verify(city, {"mother_name": " 样例 母亲３ ", "mother_citizen_id_number": wide.lower()})
    assert answer.body["result"] == {"mother_name": True, "mother_citizen_id_number": True}


def test_a_record_that_is_not_there_agrees_with_nothing(city: City) -> None:
    city.issue()
    with city.client() as client:
        answer = client.verify(RESOURCE, "X999999999", RIGHT, context=AUTO)
    assert answer.status == 200
    assert set(answer.body["result"].values()) == {False}


@pytest.mark.requirement("MOD-03")
def test_a_query_gives_the_granted_items_of_one_record_only(city: City) -> None:
    city.issue(mode="query", items=QUERY_ITEMS)
    with city.client() as client:
        all_granted = client.query(RESOURCE, births.certificate(5), [], context=AUTO)
        one = client.query(RESOURCE, births.certificate(5), ["sex_code"], context=AUTO)
        outside = client.query(RESOURCE, births.certificate(5), ["sex_code", "mother_name"], context=AUTO)
    assert all_granted.body["data"] == {"newborn_name": "样例新生5", "sex_code": "2"}
    assert one.body["data"] == {"sex_code": "2"}
    assert (outside.status, outside.code) == (403, "item_not_granted")


@pytest.mark.requirement("MOD-10")
def test_the_entry_says_who_what_when_for_which_purpose_under_which_grant(city: City) -> None:
    grant = city.issue()
    context = CallContext(PURPOSE, "住建-张三", grant.id)
    answer = verify(city, RIGHT, context)
    [entry] = city.entries()
    assert entry["id"] == entry_of(answer.body)
    columns = ("event", "department", "provider", "actor", "resource_id", "grant_id", "case_no", "outcome")
    assert tuple(entry[name] for name in columns) == (
        "verify",
        "440100-housing",
        births.DEPARTMENT,
        f"{APP}/住建-张三",
        RESOURCE,
        grant.id,
        "GZF-2026-7",
        "answered",
    )
    said = entry["said"]
    assert (said["purpose"], said["end_user"], said["request_no"]) == (
        PURPOSE,
        "住建-张三",
        grant.request_no,
    )
    assert set(said["items"]) == set(RIGHT)
    assert entry["seen"]["identity"] == {"mother_name": True, "mother_citizen_id_number": True}
    assert entry["seen"]["matches"] == {"sex_code": True}
    assert entry["seen"]["record"] == str(entry["record_id"])


def test_the_log_holds_no_value_of_a_person_and_no_digest_of_one(city: City) -> None:
    city.issue()
    city.issue(mode="query", items=QUERY_ITEMS)
    verify(city, RIGHT)
    with city.client() as client:
        client.query(RESOURCE, births.certificate(3), [], context=AUTO)
    body = json.dumps({"subject": births.certificate(3), "claims": RIGHT, "case": "GZF-2026-7"})
    for entry in city.entries():
        for value in (
            births.certificate(3),
            "样例",
            MOTHER_NUMBER,
            hashlib.sha256(body.encode()).hexdigest(),
        ):
            assert value not in entry["body"]


def test_every_column_of_an_entry_repeats_its_body(city: City) -> None:
    grant = city.issue()
    city.issue(mode="query", items=QUERY_ITEMS)
    verify(city, RIGHT, CallContext(PURPOSE, "张三", grant.id))
    with city.client() as client:
        client.query(RESOURCE, births.certificate(3), [], context=AUTO)
        client.query(RESOURCE, births.certificate(3), ["mother_name"], context=AUTO)
        client.query("r440100zzzzzzzzzz", births.certificate(3), [], case="GZF-1", context=AUTO)
    rows = city.admin.execute(
        f"SELECT {COLUMNS} FROM audit.entry WHERE NOT id = ANY(%s) AND event NOT LIKE 'session%%'",
        [list(city.seen_before)],
    ).fetchall()
    assert len(rows) == 4
    assert [entry_fault(StoredEntry(*row)) for row in rows] == [None] * 4


def test_the_promise_covers_the_entry_and_the_answer(city: City) -> None:
    city.issue()
    answer = verify(city, RIGHT)
    assert answer.promise is not None
    [(digest,)] = city.admin.execute(
        "SELECT encode(digest, 'hex') FROM audit.entry WHERE id = %s", [answer.promise.entry]
    ).fetchall()
    assert answer.promise.digest == digest
    key = city.promise_keys()[answer.promise.key_id]
    assert not verify_promise(answer.promise, b"another answer", key)


def test_the_client_notices_a_broken_promise(city: City) -> None:
    city.issue()
    body = '{"subject":"S000000003","claims":{"mother_name":"样例母亲3"}}'.encode()
    response = httpx.post(
        f"{city.url}/v1/resources/{RESOURCE}/verify", content=body, headers=city.signed(body), trust_env=False
    )
    promise = decode_promise(response.headers["shuqiao-promise"])
    key = city.promise_keys()[promise.key_id]
    assert verify_promise(promise, response.content, key)
    assert not verify_promise(promise, response.content.replace(b"true", b"false"), key)


def test_a_session_serves_on_every_worker_and_ends_with_the_application(own_city: City) -> None:
    city = own_city
    city.issue()
    signer = city.signer()
    assert isinstance(signer, KeySigner)
    with city.client() as client:
        session = client.agree_session(signer)
    for _ in range(6):
        # Each client is a new connection, so both workers get some of them.
        with city.client() as fresh:
            fresh._signer = session
            assert fresh.verify(RESOURCE, births.certificate(3), RIGHT, context=AUTO).status == 200
    city.admin.execute("UPDATE exchange.application SET active = false WHERE id = %s", [APP])
    with city.client() as fresh:
        fresh._signer = session
        answer = fresh.verify(RESOURCE, births.certificate(3), RIGHT, context=AUTO)
    assert (answer.status, answer.code) == (401, "signature_invalid")


def test_an_application_with_a_p256_key_is_served(city: City) -> None:
    city.issue(department="440100-education", applications=("app-education-enrol",))
    with city.client("app-education-enrol") as client:
        answer = client.verify(RESOURCE, births.certificate(3), NAMED, context=AUTO)
    assert answer.body["result"] == dict.fromkeys(NAMED, True)


def test_a_new_application_is_known_at_once(city: City) -> None:
    enrol(city, "app-housing-second", "440100-housing", "ed25519")
    city.issue(applications=("app-housing-second",))
    with city.client("app-housing-second") as client:
        # Each worker hears of it by itself, so a call may come to one that has not yet.
        deadline = time.monotonic() + 60
        answer = client.verify(RESOURCE, births.certificate(3), NAMED, context=AUTO)
        while answer.status != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
            answer = client.verify(RESOURCE, births.certificate(3), NAMED, context=AUTO)
    assert answer.body["result"] == dict.fromkeys(NAMED, True)


def test_the_role_of_the_plane_reads_no_base_table_and_no_entry(city: City) -> None:
    with psycopg.connect(city.hub.role("shuqiao_plane"), autocommit=True) as plane:
        for statement in (
            f"SELECT * FROM base.{RESOURCE}",
            f"SELECT * FROM base_history.{RESOURCE}",
            f"SELECT * FROM staging.{RESOURCE}",
            "SELECT * FROM audit.entry",
            "INSERT INTO audit.pending (entry_id, digest) VALUES (gen_random_uuid(), '')",
            "UPDATE exchange.application SET active = true",
            "DELETE FROM exchange.epoch",
            "SELECT audit.append(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                plane.execute(statement)
        assert plane.execute("SELECT value FROM exchange.epoch").fetchone() is not None
