"""The terms of a grant as the plane enforces them: modes, ways, rows, masks, pseudonyms, small domains."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shuqiao.client.plane import PlaneAnswer
from shuqiao.rules import rows as language
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.grant import Row
from tests.plane.conftest import OTHER_APP, RESOURCE, VERIFY_ITEMS, City
from tests.vault import births

AUTO = CallContext()
NAMED = {"mother_name": "样例母亲3", "sex_code": "2"}
MOTHER_NUMBER = births.citizen_number(3, "19700101")
GIRLS = (Row(field="sex_code", op="eq", values=("2",)),)
MASKED_ITEMS = ("newborn_name", "mother_name", "mother_citizen_id_number", "sex_code")


def verify(city: City, serial: int | str, claims: dict[str, str], context: CallContext = AUTO) -> PlaneAnswer:
    """Verify a birth by its serial number, or whatever stands for one."""
    subject = births.certificate(serial) if isinstance(serial, int) else serial
    with city.client() as client:
        return client.verify(RESOURCE, subject, claims, context=context)


def query(city: City, serial: int | str, *items: str, application: str = "") -> PlaneAnswer:
    """Query a birth."""
    subject = births.certificate(serial) if isinstance(serial, int) else serial
    with city.client(application) if application else city.client() as client:
        return client.query(RESOURCE, subject, list(items), context=AUTO)


@pytest.mark.requirement("MOD-01")
@pytest.mark.parametrize("mode", ["verify", "query", "bulk"])
def test_a_grant_of_one_mode_answers_in_no_other(city: City, mode: str) -> None:
    channels = ("download",) if mode == "bulk" else ("interface",)
    city.issue(mode=mode, items=(*VERIFY_ITEMS, "newborn_name"), channels=channels)
    verified = verify(city, 3, NAMED)
    queried = query(city, 3)
    assert verified.code == (None if mode == "verify" else "not_available")
    assert queried.code == (None if mode == "query" else "not_available")


@pytest.mark.requirement("MOD-01")
def test_a_mode_the_provider_did_not_publish_is_not_answered_whatever_a_grant_says(city: City) -> None:
    city.issue(mode="query", items=("newborn_name",))
    assert query(city, 3).status == 200
    change = "UPDATE exchange.resource SET spec = jsonb_set(spec, '{modes}', %s) WHERE id = %s"
    city.admin.execute(change, ['["verify"]', RESOURCE])
    try:
        assert query(city, 3).code == "not_available"
    finally:
        city.admin.execute(change, ['["verify","query"]', RESOURCE])


@pytest.mark.requirement("MOD-05")
def test_a_grant_for_another_way_is_named_and_not_used(city: City) -> None:
    grant = city.issue(channels=("offline",))
    answer = verify(city, 3, NAMED)
    assert (answer.status, answer.code) == (403, "channel_not_granted")
    assert grant.id in answer.body["detail"] and "offline" in answer.body["detail"]
    assert city.entries()[-1]["grant_id"] == grant.id


@pytest.mark.requirement("MOD-05")
def test_a_record_outside_the_conditions_is_as_if_it_were_not_there(city: City) -> None:
    city.issue(rows=GIRLS)
    city.issue(mode="query", items=("newborn_name", "sex_code"), rows=GIRLS)
    claims = {"mother_name": "样例母亲4"}
    assert verify(city, 3, {"mother_name": "样例母亲3"}).body["result"] == {"mother_name": True}
    outside, unknown = verify(city, 4, claims), verify(city, "X999999999", claims)
    assert outside.body["result"] == unknown.body["result"] == {"mother_name": False}
    assert query(city, 3).body["data"]["sex_code"] == "2"
    hidden, absent = query(city, 4), query(city, "X999999999")
    assert hidden.body == absent.body and hidden.code == "not_available"
    found = [(entry["event"], entry["seen"]["found"]) for entry in city.entries()]
    assert found == [
        ("verify", True),
        ("verify", False),
        ("verify", False),
        ("query", True),
        ("query", False),
        ("query", False),
    ]
    # Nor does the log tell that the vault knew the name.
    assert city.entries()[1]["seen"]["identity"] == {"mother_name": False}


@pytest.mark.requirement("MOD-05")
@pytest.mark.parametrize(
    "changes",
    [
        {"rows": (Row(field="mother_name", op="eq", values=("x",)),)},
        {"rows": (Row(field="no_such_item", op="null"),)},
        {"rows": (Row(field="sex_code", op="range", values=("", "")),)},
        {"operations": ("GET /births",)},
    ],
)
def test_a_grant_whose_terms_can_not_be_enforced_is_not_used(city: City, changes: dict[str, Any]) -> None:
    city.issue(**changes)
    assert verify(city, 3, NAMED).code == "not_available"
    city.issue()
    assert verify(city, 3, NAMED).status == 200


_words = st.sampled_from(["", "1", "2", "10", "2020-01-01", "2021-06-30", "女", "é", "e", "Z", "a", None])
_conditions = st.lists(
    st.one_of(
        st.builds(language.Row, st.sampled_from("abc"), st.just("null")),
        st.builds(
            language.Row,
            st.sampled_from("abc"),
            st.just("eq"),
            st.tuples(_words.filter(lambda w: w is not None)),
        ),
        st.builds(
            language.Row,
            st.sampled_from("abc"),
            st.just("in"),
            st.lists(_words.filter(lambda w: w is not None), min_size=1, max_size=3).map(tuple),
        ),
        st.builds(
            language.Row,
            st.sampled_from("abc"),
            st.just("range"),
            st.tuples(*[_words.filter(lambda w: w is not None)] * 2),
        ),
    ),
    max_size=4,
)


@pytest.mark.requirement("MOD-05")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=st.fixed_dictionaries(dict.fromkeys("abc", _words)), conditions=_conditions)
def test_the_database_reads_conditions_as_the_rules_do(
    city: City, record: dict[str, str | None], conditions: list[language.Row]
) -> None:
    written = json.dumps([{"field": row.field, "op": row.op, "values": row.values} for row in conditions])
    [(held,)] = city.admin.execute(
        "SELECT exchange.fulfils(%s::json, %s::jsonb)", [json.dumps(record), written]
    ).fetchall()
    assert held == language.holds(conditions, record)


@pytest.mark.requirement("SEC-18")
def test_a_sensitive_item_is_masked_unless_the_grant_names_it(city: City) -> None:
    grant = city.issue(mode="query", items=MASKED_ITEMS)
    answer = query(city, 3)
    assert answer.body["data"] == {
        "newborn_name": "样例新生3",
        "mother_name": "样****3",
        "mother_citizen_id_number": f"440****{MOTHER_NUMBER[-2:]}",
        "sex_code": "2",
    }
    assert set(answer.body["masked"]) == {"mother_name", "mother_citizen_id_number"}
    assert MOTHER_NUMBER not in json.dumps(answer.body) and "样例母亲3" not in json.dumps(answer.body)
    assert set(city.entries()[-1]["said"]["masked"]) == set(answer.body["masked"])
    city.revoke(grant)
    city.issue(mode="query", items=MASKED_ITEMS, unmasked=("mother_name",))
    named = query(city, 3)
    assert named.body["data"]["mother_name"] == "样例母亲3"
    assert named.body["masked"] == ["mother_citizen_id_number"]


@pytest.mark.requirement("SEC-18")
def test_a_plain_item_marked_sensitive_is_masked_too(city: City) -> None:
    change = (
        "UPDATE exchange.resource SET spec = jsonb_set(spec, '{items,2,masked}', to_jsonb(%s)) WHERE id = %s"
    )
    city.admin.execute(change, [True, RESOURCE])
    try:
        city.issue(mode="query", items=("sex_code",))
        answer = query(city, 3)
        assert (answer.body["data"], answer.body["masked"]) == ({"sex_code": "****"}, ["sex_code"])
    finally:
        city.admin.execute(change, [False, RESOURCE])


@pytest.mark.requirement("SEC-18")
def test_pseudonyms_are_stable_for_a_consumer_and_differ_between_consumers(city: City) -> None:
    city.issue(mode="query", items=MASKED_ITEMS, pseudonyms=True)
    city.issue(
        mode="query",
        items=MASKED_ITEMS,
        pseudonyms=True,
        department="440100-education",
        applications=(OTHER_APP,),
    )
    ours = [query(city, 3), query(city, 3), query(city, 5)]
    other = query(city, 3, application=OTHER_APP)
    tokens = [answer.body["data"]["mother_citizen_id_number"] for answer in (*ours, other)]
    assert tokens[0] == tokens[1] and len(set(tokens)) == 3
    assert all(token.startswith("px-") and len(token) == 35 for token in tokens)
    assert other.body["pseudonyms"] == ["mother_citizen_id_number"]
    assert "mother_name" in other.body["masked"]
    assert MOTHER_NUMBER not in json.dumps(other.body)


@pytest.mark.requirement("MOD-02")
def test_an_item_of_few_values_is_not_read_out_by_comparing_it(city: City) -> None:
    city.issue()
    for claims in ({"sex_code": "2"}, {"sex_code": "2", "mother_citizen_id_number": MOTHER_NUMBER}):
        answer = verify(city, 3, claims)
        assert (answer.status, answer.code) == (403, "query_grant_needed")
        assert "sex_code" in answer.body["detail"]
        assert city.entries()[-1]["outcome"] == "query_grant_needed"


@pytest.mark.requirement("MOD-02")
def test_an_item_of_few_values_is_answered_only_beside_a_matched_name(city: City) -> None:
    city.issue()
    assert verify(city, 3, NAMED).body["result"] == {"mother_name": True, "sex_code": True}
    for sex in ("1", "2"):
        wrong = verify(city, 3, {"mother_name": "别的人", "sex_code": sex})
        assert wrong.body["result"] == {"mother_name": False, "sex_code": False}
        # The log, which the caller may read, knows no more.
        assert city.entries()[-1]["seen"]["matches"] is None
    number = NAMED | {"mother_citizen_id_number": births.citizen_number(4, "19700101")}
    assert verify(city, 3, number).body["result"]["sex_code"] is False


@pytest.mark.requirement("MOD-03")
def test_a_query_answers_about_the_one_subject_with_granted_items_only(city: City) -> None:
    city.issue(mode="query", items=("newborn_name", "sex_code"))
    body = query(city, 5).body
    assert body["data"].keys() == {"newborn_name", "sex_code"}
    assert body["data"]["newborn_name"] == "样例新生5"
    refused = query(city, 5, "newborn_name", "mother_name")
    assert (refused.status, refused.code) == (403, "item_not_granted")
    body = json.dumps({"subject": [births.certificate(5), births.certificate(6)]}).encode()
    headers = city.signed(body, operation="query")
    response = httpx.post(
        f"{city.url}/v1/resources/{RESOURCE}/query", content=body, headers=headers, trust_env=False
    )
    assert response.json()["code"] == "request_malformed"


def test_an_item_that_is_gone_is_left_out_and_refused_by_name(city: City) -> None:
    city.issue(mode="query", items=("newborn_name", "an_item_of_before"))
    assert query(city, 5).body["data"] == {"newborn_name": "样例新生5"}
    assert query(city, 5, "an_item_of_before").code == "item_not_granted"
