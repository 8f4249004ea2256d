"""Verify and query of data that stay with their department, from the application to the table and back."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from shuqiao.cli import main as shuqiao
from shuqiao.security.http_signatures import CallContext
from tests.held.conftest import NOBODY, PERMITS, PROVIDER, HeldCity, number, settle
from tests.loader.line import wait_for
from tests.plane import conftest as plane


@pytest.mark.requirement("ING-09")
@pytest.mark.requirement("MOD-10")
def test_the_department_answers_and_both_logs_tell_of_it(city: HeldCity) -> None:
    grant = city.agreed("query")
    answer = city.ask(grant, number(3), case="案-1")
    assert answer.status == 200, answer.body
    assert answer.body["data"] == {
        "permit_no": "P00000003",
        "issued_on": "2024-05-01",
        "phone": "139****03",
    }
    assert answer.body["masked"] == ["phone"]
    asked = [row for row in city.logged("held_asked") if row["said"].get("case") == "案-1"]
    (entry,) = city.logged("query")
    assert (entry["outcome"], entry["provider"], entry["grant"]) == ("answered", PROVIDER, grant.id)
    assert answer.body["entry"] == str(entry["id"]) == asked[0]["seen"]["call"]
    assert answer.promise is not None and answer.promise.entry == entry["id"]
    (line,) = [row for row in city.lines("answered") if row["grant"] == grant.id]
    assert (line["call"], line["application"], line["case"]) == (entry["id"].hex, plane.APP, "案-1")
    assert line["found"] and entry["seen"]["found"]
    assert entry["seen"]["line_digest"] == line["digest"].hex() and entry["seen"]["line"] == line["number"]
    # Neither log holds a value or a number of a person.
    with city.store() as store:
        bodies = "".join(row[0].decode() for row in store.execute("SELECT body FROM line"))
    for word in (number(3), "P00000003", "2024-05"):
        assert word not in entry["body"] and word not in asked[0]["body"] and word not in bodies


@pytest.mark.requirement("ING-09")
def test_the_platform_keeps_nothing_of_it(city: HeldCity) -> None:
    city.ask(city.agreed("query"), number(4))
    tables = city.admin.execute("SELECT to_regclass(%s)", [f"base.{PERMITS}"]).fetchone()
    assert tables == (None,)
    assert city.admin.execute("SELECT count(*) FROM exchange.batch").fetchone() == (0,)
    delivered = "SELECT exchange.delivered(%s, %s, 'account:chen', '样例')"
    (entry,) = city.logged("query")
    (shown,) = city.admin.execute(delivered, [entry["id"], PROVIDER]).fetchone()
    # What there is to show is where the node's own log says it.
    assert (shown["values"], shown["found"]) == ({}, None)
    assert (shown["line"], shown["line_digest"]) == (entry["seen"]["line"], entry["seen"]["line_digest"])
    records = city.admin.execute("SELECT record_id FROM audit.entry WHERE resource_id = %s", [PERMITS])
    assert {row[0] for row in records} == {None}


def test_claims_are_compared_by_the_department(city: HeldCity) -> None:
    grant = city.agreed(items=("permit_no", "issued_on", "holder_name"), match="each")
    claims = {"permit_no": "Ｐ00000005", "issued_on": "2024年5月1日", "holder_name": "样例甲"}
    answer = city.ask(grant, number(5).lower(), claims)
    assert answer.body["result"] == {"permit_no": True, "issued_on": True, "holder_name": False}
    (entry,) = city.logged("verify")
    # How each claim compared is the department's to know.
    assert entry["seen"].keys() == {"found", "budget", "line", "line_digest", "outcome", "provider"}


@pytest.mark.requirement("MOD-02")
def test_all_together_is_one_word(city: HeldCity) -> None:
    grant = city.agreed(items=("permit_no", "issued_on"), match="all")
    right = {"permit_no": "P00000006", "issued_on": "2024-05-01"}
    assert city.ask(grant, number(6), right).body["result"] is True
    assert city.ask(grant, number(6), right | {"permit_no": "P00000007"}).body["result"] is False
    assert city.ask(grant, number(6), {"permit_no": "P00000006"}).code == "claims_incomplete"


def test_an_item_of_small_domain_is_answered_beside_a_true_name_only(city: HeldCity) -> None:
    grant = city.agreed(items=("kind_code", "holder_name"), match="each")
    code, name = "2" if 7 % 2 else "1", "样例辛"
    assert city.ask(grant, number(7), {"kind_code": code, "holder_name": name}).body["result"] == {
        "kind_code": True,
        "holder_name": True,
    }
    wrong = city.ask(grant, number(7), {"kind_code": code, "holder_name": "样例错"})
    assert wrong.body["result"] == {"kind_code": False, "holder_name": False}
    assert city.ask(grant, number(7), {"kind_code": code}).code == "query_grant_needed"


def test_a_record_outside_the_conditions_looks_like_one_that_is_not_there(city: HeldCity) -> None:
    rows = [{"field": "district", "op": "eq", "values": ["越秀区"]}]
    grant = city.agreed("query", rows=rows)
    assert city.ask(grant, number(8)).status == 200
    outside, unknown = city.ask(grant, number(18)), city.ask(grant, NOBODY)
    assert outside.body == unknown.body
    assert (outside.status, outside.code) == (404, "not_available")
    assert [row["seen"]["found"] for row in city.logged("query")] == [True, False, False]


def test_an_unknown_subject_is_told_no_match(city: HeldCity) -> None:
    grant = city.agreed()
    known, unknown = (city.ask(grant, one, {"permit_no": "P1"}) for one in (number(9), NOBODY))
    assert known.body["result"] == unknown.body["result"]
    assert known.body.keys() == unknown.body.keys() and known.status == unknown.status == 200


def test_a_session_key_does_not_do(city: HeldCity) -> None:
    grant = city.agreed("query")
    with city.client() as client:
        client.use_sessions(city.signer())
        answer = client.query(PERMITS, number(3), [], context=CallContext(grant=grant.id))
    assert (answer.status, answer.code) == (403, "signed_call_needed")


def test_one_subject_for_each_call(city: HeldCity) -> None:
    city.agreed("query")
    with city.client() as client:
        answer = client.query_batch(PERMITS, [number(3)], [], context=CallContext())
    assert (answer.status, answer.code) == (400, "one_subject_only")


def test_a_call_sent_twice_reaches_the_department_once(city: HeldCity) -> None:
    grant = city.agreed("query")
    body = json.dumps({"subject": number(3)}).encode()
    headers = city.signed(body, operation="query", resource=PERMITS, grant=grant.id)
    url = f"{city.url}/v1/resources/{PERMITS}/query"
    answers = [httpx.post(url, content=body, headers=headers, trust_env=False) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 401, 401]
    assert {answer.json()["code"] for answer in answers[1:]} == {"signature_replayed"}
    assert len([row for row in city.lines("answered", "replayed") if row.get("grant") == grant.id]) == 1


@pytest.mark.requirement("MOD-05")
def test_revocation_at_the_platform_ends_it_at_once(city: HeldCity) -> None:
    grant = city.agreed("query")
    city.revoke(grant)
    lines = len(city.lines())
    assert city.ask(grant, number(3)).code == "grant_revoked" and len(city.lines()) == lines


@pytest.mark.requirement("MOD-05")
def test_what_is_revoked_while_the_node_works_is_not_given(city: HeldCity) -> None:
    grant = city.agreed("query")

    def entries(event: str) -> list[dict[str, Any]]:
        return [row for row in city.logged(event) if row["grant"] == grant.id]

    before = len(entries("held_asked"))
    with psycopg.connect(city.source) as source, ThreadPoolExecutor(1) as pool:
        source.execute("LOCK TABLE permits IN ACCESS EXCLUSIVE MODE")
        waiting = pool.submit(city.ask, grant, number(3))
        wait_for(lambda: len(entries("held_asked")) > before, what="the call's way to the node")
        city.revoke(grant)
        source.rollback()
        answer = waiting.result(20)
    assert answer.code == "grant_revoked" and "data" not in answer.body
    refused = entries("call_refused")[-1]
    assert (refused["outcome"], refused["seen"]["fault"]) == ("grant_revoked", "ended")
    assert not entries("query")


@pytest.mark.requirement("MOD-05")
def test_the_department_withdraws_its_word_by_itself(city: HeldCity, capsys: pytest.CaptureFixture) -> None:
    grant, key = city.agreed("query"), city.signer().key_id
    assert city.ask(grant, number(3)).status == 200
    document = city.document(grant)
    assert shuqiao(["node", "withdraw", "--home", str(city.home), grant.id, key, document]) == 0
    assert city.ask(grant, number(3)).code == "grant_not_confirmed"
    (refused,) = city.logged("call_refused")[-1:]
    assert refused["outcome"] == "grant_not_confirmed" and refused["seen"]["fault"] == "unconfirmed"
    capsys.readouterr()
    assert shuqiao(["node", "grants", "--home", str(city.home)]) == 0
    shown = capsys.readouterr().out
    assert f"withdrawn  {grant.id}  key {key}  document {document}" in shown
    assert "permit_no, issued_on, phone" in shown


@pytest.mark.requirement("MOD-05")
def test_a_word_about_one_key_is_none_about_another(city: HeldCity) -> None:
    both = {"applications": (plane.APP, plane.OTHER_APP), "department": "440100-housing"}
    grant = city.agreed("query")
    again = city.held_grant("query", **both)
    assert city.ask(again, number(3)).code == "grant_not_confirmed"
    assert city.ask(grant, number(3)).status == 200


@pytest.mark.requirement("MOD-02")
def test_guessing_ends_with_a_case_number(city: HeldCity) -> None:
    grant = city.agreed()
    wrong = [city.ask(grant, number(10), {"permit_no": f"P9{serial}"}) for serial in range(11)]
    assert [answer.status for answer in wrong] == [200] * 10 + [403]
    assert wrong[-1].code == "case_number_demanded"
    # By what its entry says of the node's line, an alarm over guessing is raised.
    ended = city.admin.execute(
        "SELECT body FROM audit.entry WHERE outcome = 'case_number_demanded'"
    ).fetchall()
    assert len(ended) == 1 and '"line_digest"' in ended[0][0].splitlines()[1]
    # Whether this one is right is not told, and with a case it is.
    assert city.ask(grant, number(10), {"permit_no": "P00000010"}).code == "case_number_demanded"
    assert city.ask(grant, number(10), {"permit_no": "P00000010"}, case="案-9").body["result"] == {
        "permit_no": True
    }


def test_the_departments_database_is_away_for_a_while(city: HeldCity) -> None:
    grant = city.agreed("query")
    with psycopg.connect(city.source, autocommit=True) as source:
        source.execute("ALTER TABLE permits RENAME TO moved")
        try:
            answer = city.ask(grant, number(3))
        finally:
            source.execute("ALTER TABLE moved RENAME TO permits")
    assert (answer.status, answer.code) == (503, "node_refused") and "source" in answer.body["detail"]
    assert city.ask(grant, number(3)).status == 200


def test_a_result_that_is_too_large_is_refused_and_is_no_silence(city: HeldCity) -> None:
    grant = city.agreed("query", items=("permit_no", "district"))
    write = "UPDATE permits SET permit_no = %s, district = %s WHERE holder = %s"
    with psycopg.connect(city.source, autocommit=True) as source:
        # Six bytes each in the answer's JSON.
        source.execute(write, ["\x01" * 60_000, "\x01" * 60_000, number(11).lower()])
        try:
            answers = [city.ask(grant, number(11)) for _ in range(4)]
        finally:
            source.execute(write, ["P00000011", "天河区", number(11).lower()])
    assert {(answer.status, answer.code) for answer in answers} == {(503, "node_refused")}
    assert [row["seen"]["fault"] for row in city.logged("call_refused")[-4:]] == ["too_large"] * 4
    assert not [row for row in city.lines("answered") if row["grant"] == grant.id]
    assert city.ask(grant, number(11)).body["data"]["permit_no"] == "P00000011"


def test_a_node_that_is_away_is_left_alone_and_found_again(city: HeldCity) -> None:
    grant = city.agreed("query")
    city.children["node"].end()
    answers = [city.ask(grant, number(3)) for _ in range(4)]
    assert [(answer.status, answer.code) for answer in answers] == [(504, "node_silent")] * 3 + [
        (503, "node_away")
    ]
    assert [row["outcome"] for row in city.logged("call_refused")[-4:]] == [
        "node_silent", "node_silent", "node_silent", "node_away",
    ]  # fmt: skip
    city.start_node()
    settle(city, grant)
    assert city.ask(grant, number(3)).status == 200


def test_nothing_is_asked_and_nothing_leaves_without_an_entry(city: HeldCity) -> None:
    grant = city.agreed("query")
    for function, reaches in (("ask_node", 0), ("end_node_call", 1)):
        before = len(city.lines())
        city.admin.execute(f"REVOKE EXECUTE ON FUNCTION exchange.{function} FROM shuqiao_plane".encode())
        try:
            answer = city.ask(grant, number(3))
        finally:
            city.admin.execute(f"GRANT EXECUTE ON FUNCTION exchange.{function} TO shuqiao_plane".encode())
        assert (answer.status, answer.code) == (503, "unavailable")
        wait_for(lambda: len(city.lines()) == before + reaches, what="the node's line")  # noqa: B023
