"""Calls about many subjects: one signature, an answer and an entry for each, all or nothing in their form."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from shuqiao.auditlog.entries import COLUMNS, StoredEntry, entry_fault
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.batch_messages import MAX_SUBJECTS, subject_entry_id
from shuqiao.wire.grant import Row
from tests.plane.conftest import APP, RESOURCE, City
from tests.plane.test_call import home, shuqiao
from tests.vault import births

__all__ = ["home"]

AUTO = CallContext()
UNKNOWN = "X999999999"


def send(
    city: City, operation: str, content: object, headers: dict[str, str] | None = None
) -> httpx.Response:
    """Sign a body, or take headers as they are, and send."""
    body = json.dumps(content, ensure_ascii=False).encode()
    signed = headers or city.signed(body, operation=operation)
    url = f"{city.url}/v1/resources/{RESOURCE}/{operation}"
    return httpx.post(url, content=body, headers=signed, trust_env=False, timeout=30)


def named(*serials: int) -> list[dict[str, Any]]:
    """Subjects whose mother's name is claimed rightly."""
    return [{"subject": births.certificate(n), "claims": {"mother_name": f"样例母亲{n}"}} for n in serials]


@pytest.mark.requirement("MOD-02")
def test_each_subject_is_answered_and_has_an_entry_of_its_own(city: City) -> None:
    city.issue()
    subjects = [(one["subject"], one["claims"]) for one in named(1, 2, 3)]
    subjects[1] = (subjects[1][0], {"mother_name": "别的人"})
    subjects.append((UNKNOWN, {"mother_name": "样例母亲1"}))
    with city.client() as client:
        answer = client.verify_batch(RESOURCE, subjects, case="GZF-1", context=AUTO)
    results = answer.body["results"]
    words = [result["result"]["mother_name"] for result in results]
    assert words == [True, False, True, False]
    # Who is not there can't be told from who was claimed wrongly.
    assert results[1].keys() == results[3].keys() == {"entry", "digest", "result"}
    entries = {str(entry["id"]): entry for entry in city.entries()}
    assert [result["entry"] for result in results] == [
        str(subject_entry_id(uuid.UUID(results[0]["entry"]), place)) for place in range(4)
    ]
    assert [entries[result["entry"]]["said"].get("place", 0) for result in results] == [0, 1, 2, 3]
    assert {entry["case_no"] for entry in entries.values()} == {"GZF-1"} and len(entries) == 4
    digests = city.admin.execute(
        "SELECT encode(digest, 'hex') FROM audit.entry WHERE id = ANY(%s)",
        [[uuid.UUID(result["entry"]) for result in results]],
    ).fetchall()
    assert {digest for (digest,) in digests} == {result["digest"] for result in results}
    # The one promise is about the whole body, and with it about every entry it names.
    assert answer.promise is not None and str(answer.promise.entry) == results[0]["entry"]
    rows = city.admin.execute(f"SELECT {COLUMNS} FROM audit.entry").fetchall()
    assert {entry_fault(StoredEntry(*row)) for row in rows if row[0] not in city.seen_before} == {None}


@pytest.mark.requirement("MOD-03")
def test_many_subjects_are_queried_with_the_granted_items_only(city: City) -> None:
    city.issue(mode="query", items=("newborn_name", "mother_name"))
    with city.client() as client:
        answer = client.query_batch(RESOURCE, [births.certificate(5), UNKNOWN], [], context=AUTO)
    first, second = answer.body["results"]
    assert first["data"] == {"newborn_name": "样例新生5", "mother_name": "样****5"}
    assert answer.body["masked"] == ["mother_name"]
    assert (second.get("data"), second["code"]) == (None, "not_available")


def test_a_thousand_subjects_go_in_one_call_and_no_more(city: City) -> None:
    city.issue()
    answer = send(city, "verify-batch", {"subjects": named(*[n % 20 for n in range(MAX_SUBJECTS)])})
    assert answer.status_code == 200
    assert {one["result"]["mother_name"] for one in answer.json()["results"]} == {True}
    assert len(city.entries()) == MAX_SUBJECTS
    many = send(city, "verify-batch", {"subjects": named(*[3] * (MAX_SUBJECTS + 1))})
    assert many.json()["code"] == "request_malformed"
    assert send(city, "verify-batch", {"subjects": []}).json()["code"] == "request_malformed"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"subject": "T12345"}, "identifier_invalid"),
        ({"claims": {"mother_citizen_id_number": "440103199001011230"}}, "request_malformed"),
        ({"claims": {}}, "request_malformed"),
        ({"claims": {"mother_name": " "}}, "claim_invalid"),
        ({"other": 1}, "request_malformed"),
    ],
)
def test_one_faulty_subject_refuses_the_call_and_nothing_is_read(
    city: City, change: dict[str, Any], code: str
) -> None:
    city.issue()
    subjects = named(1, 2, 3)
    subjects[2] |= change
    response = send(city, "verify-batch", {"subjects": subjects})
    assert response.json()["code"] == code
    assert [(entry["event"], entry["outcome"]) for entry in city.entries()] == [("call_refused", code)]


def test_a_batch_without_a_grant_or_outside_it_is_refused_once(city: City) -> None:
    assert send(city, "verify-batch", {"subjects": named(1, 2)}).json()["code"] == "not_available"
    city.issue(items=("father_name",))
    assert send(city, "verify-batch", {"subjects": named(1, 2)}).json()["code"] == "item_not_granted"
    assert [entry["event"] for entry in city.entries()] == ["call_refused"] * 2


def test_a_replayed_batch_is_answered_once(city: City) -> None:
    city.issue()
    content = {"subjects": named(1, 2, 3)}
    body = json.dumps(content, ensure_ascii=False).encode()
    headers = city.signed(body, operation="verify-batch")
    assert send(city, "verify-batch", content, headers).status_code == 200
    for _ in range(2):
        assert send(city, "verify-batch", content, headers).json()["code"] == "signature_replayed"
    assert [entry["event"] for entry in city.entries()] == ["verify"] * 3 + ["call_refused"]


@pytest.mark.requirement("MOD-02")
def test_guessing_in_one_batch_ends_at_the_budget(city: City) -> None:
    city.issue()
    guesses = [
        {"subject": births.certificate(3), "claims": {"mother_name": f"样例母亲{900 + n}"}} for n in range(29)
    ]
    content = {"subjects": [*guesses, *named(3, 4)]}
    results = send(city, "verify-batch", content).json()["results"]
    codes = [result.get("code") for result in results]
    assert codes == [None] * 10 + ["case_number_demanded"] * 20 + [None]
    assert all("result" not in result for result in results[10:30])
    assert results[30]["result"] == {"mother_name": True}


@pytest.mark.requirement("MOD-05")
def test_rows_and_small_domains_hold_in_batches_too(city: City) -> None:
    city.issue(rows=(Row(field="sex_code", op="eq", values=("2",)),))
    results = send(city, "verify-batch", {"subjects": named(3, 4)}).json()["results"]
    assert [one["result"]["mother_name"] for one in results] == [True, False]
    bare = {"subjects": [{"subject": births.certificate(3), "claims": {"sex_code": "2"}}]}
    assert send(city, "verify-batch", bare).json()["code"] == "query_grant_needed"


def test_the_command_takes_subjects_from_a_file(city: City, home: Path) -> None:
    city.issue()
    file = home / "subjects.csv"
    file.write_text(
        f"subject,mother_name\n{births.certificate(1)},样例母亲1\n{births.certificate(2)},别的人\n",
        encoding="utf-8",
    )
    place = ("--app", APP, "--resource", RESOURCE, "--subjects", str(file))
    done = shuqiao(home, "verify-batch", *place)
    assert done.returncode == 0, done.stderr
    words = [one["result"]["mother_name"] for one in json.loads(done.stdout)["results"]]
    assert words == [True, False]
    file.write_text("number,mother_name\n", encoding="utf-8")
    assert "needs a heading line" in shuqiao(home, "verify-batch", *place).stderr
