"""Test calls: decided like real ones, answered with invented values, without a trace of a person."""

import pytest

from shuqiao.client.plane import PlaneAnswer
from shuqiao.security.http_signatures import CallContext
from tests.interfaces.conftest import PERMITS, InterfaceCity
from tests.plane import conftest as plane


def tried(city: InterfaceCity, path: str, body: dict[str, object]) -> PlaneAnswer:
    """Make a signed test call."""
    with city.client() as client:
        return client.post(f"/v1/sandbox/resources/{path}", body, CallContext(), is_recorded=False)


@pytest.mark.requirement("MOD-11")
def test_samples_are_read_and_compared_under_the_real_grant_and_nothing_is_recorded(
    city: InterfaceCity,
) -> None:
    city.issue(mode="query", items=plane.QUERY_ITEMS)
    city.issue(mode="verify", items=("sex_code", "mother_name"))
    before = city.admin.execute("SELECT count(*) FROM audit.entry").fetchone()
    read = tried(city, f"{plane.RESOURCE}/query", {"subject": "any"})
    assert read.status == 200 and set(read.body["data"]) == set(plane.QUERY_ITEMS)
    name = tried(
        city, f"{plane.RESOURCE}/verify", {"subject": "any", "claims": {"mother_name": "样例母亲姓名"}}
    )
    assert name.status == 200 and set(name.body["result"]) == {"mother_name"}
    unknown = tried(
        city, f"{plane.RESOURCE}/verify", {"subject": "sample-unknown", "claims": {"mother_name": "x"}}
    )
    assert unknown.body["result"] == {"mother_name": False}
    lost = tried(city, f"{plane.RESOURCE}/query", {"subject": "sample-unknown"})
    assert (lost.status, lost.code) == (404, "not_available")
    assert city.admin.execute("SELECT count(*) FROM audit.entry").fetchone() == before


@pytest.mark.requirement("MOD-11")
def test_an_interface_is_tried_without_asking_the_department(city: InterfaceCity) -> None:
    city.interface_grant()
    answer = tried(city, f"{PERMITS}/interface/getPermit", {"parameters": {"permit_no": "P1"}})
    assert answer.body == {"permit_no": "P00000001", "issued": "2026-01-01", "phone": "139****00"}
    wrong = tried(city, f"{PERMITS}/interface/getPermit", {"parameters": {}})
    assert (wrong.status, wrong.code) == (422, "parameter_refused")
    assert city.api is not None and city.api.seen == []


def test_what_is_not_granted_is_refused_here_too(city: InterfaceCity) -> None:
    city.interface_grant(operations=("searchPermits",))
    refused = tried(city, f"{PERMITS}/interface/getPermit", {"parameters": {"permit_no": "P1"}})
    assert refused.code == "operation_not_granted"
    assert tried(city, f"{plane.RESOURCE}/query", {"subject": "any"}).code == "not_available"


def test_an_unsigned_test_call_is_turned_away(city: InterfaceCity) -> None:
    assert city.status(f"/v1/sandbox/resources/{PERMITS}/query") in (400, 401)
