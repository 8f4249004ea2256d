"""Calls that are answered: what comes back, and what the log keeps."""

import pytest

from shuqiao.client.plane import PlaneAnswer
from shuqiao.security.http_signatures import CallContext
from tests.plane.conftest import RESOURCE, City
from tests.vault import births

RIGHT = {
    "mother_name": "样例母亲3",
    "mother_citizen_id_number": births.citizen_number(3, "19700101"),
    "sex_code": "2",
}


def ask(city: City, claims: dict[str, str], **call: str) -> PlaneAnswer:
    """Verify birth 3."""
    with city.client() as client:
        return client.verify(
            RESOURCE, births.certificate(3), claims, case="GZF-2026-7", context=CallContext(**call)
        )


@pytest.mark.requirement("MOD-02")
def test_a_verification_answers_per_item_and_nothing_else(city: City) -> None:
    city.issue()
    answer = ask(city, RIGHT | {"mother_name": "别的人"})
    assert answer.status == 200
    assert answer.body.keys() == {"result", "entry", "at"}
    assert answer.body["result"] == {
        "mother_name": False,
        "mother_citizen_id_number": True,
        "sex_code": True,
    }
