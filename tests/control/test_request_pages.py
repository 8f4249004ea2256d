"""The pages of a request as a browser asks for them, on a real PostgreSQL."""

import re

import pytest
from django.test import Client

from shuqiao.control.accounts.models import Account
from shuqiao.control.grants.models import Grant
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.models import Request


@pytest.fixture
def reviewer(city) -> Client:
    """A browser in which a reviewer of the health department has signed in."""
    client = Client()
    client.force_login(Account.objects.get(username="chen"))
    return client


def answer(number: str, **changes: str) -> tuple[str, dict[str, object]]:
    """Address and fields of an answer that grants both items."""
    fields = {
        "decision": "grant",
        "granted": ["mother_name", "mother_citizen_id_number"],
        "mode": "verify",
        "match": "each",
        "applications": ["app-housing-portal"],
        "valid_from": "2026-11-11",
        "valid_until": "2027-11-11",
    }
    return f"/requests/{number}/answer", fields | changes


@pytest.mark.parametrize("day", ["2026-02-30", "11/12/2026", "明天", ""])
@pytest.mark.parametrize("name", ["valid_from", "valid_until"])
def test_a_day_that_cannot_be_read_is_asked_for_again_at_its_field(city, reviewer, name, day):
    number = submit_request(city.viewer("lin"), city.wanted())
    address, fields = answer(number, **{name: day})
    page = reviewer.post(address, fields)
    assert page.status_code == 422
    text = page.content.decode()
    described = re.search(rf'<input[^>]*name="{name}"[^>]*>', text)
    assert described is not None and 'aria-invalid="true"' in described.group()
    assert "请填写日期" in text
    assert not Grant.objects.exists()
    assert Request.objects.get(number=number).state == "submitted"


def test_an_answer_with_both_days_is_stored_and_a_refusal_needs_none(city, reviewer):
    number = submit_request(city.viewer("lin"), city.wanted())
    address, fields = answer(number)
    assert reviewer.post(address, fields).status_code == 302
    assert str(Grant.objects.get().valid_from) == "2026-11-11"

    other = submit_request(city.viewer("lin"), city.wanted(items={"father_name": "核对家庭成员关系"}))
    address, fields = answer(
        other, decision="refuse", refusal_reason="样例理由", valid_from="", valid_until=""
    )
    assert reviewer.post(address, fields).status_code == 302
    assert Request.objects.get(number=other).state == "refused"


@pytest.mark.parametrize("duty", ["9" * 5000, "9" * 20, "一", "-1"])
def test_a_duty_that_is_no_key_of_a_row_is_none(city, duty):
    lin = Client()
    lin.force_login(Account.objects.get(username="lin"))
    address = f"/requests/new/?resource={city.wanted().resource}&step=2"
    assert lin.post(address, {"duty": duty}).status_code == 302
    assert Request.objects.get().duty is None
