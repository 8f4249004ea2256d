"""Verifying from the pages where it may not be done, or the plane is not there; the city tells the rest."""

from dataclasses import replace

import pytest

from shuqiao.control.accounts.access import NotFound
from shuqiao.control.grants.actions import revoke_grant
from shuqiao.control.grants.keys import portal_key_file
from shuqiao.control.grants.models import Grant
from shuqiao.control.grants.verification import CallRefused, verify_through_plane
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.settings import CONFIG
from shuqiao.security import keys

CLAIMS = {"mother_name": "李示例"}


@pytest.fixture
def grant(city, tmp_path, settings) -> str:
    """A grant that housing can use from the pages; nobody listens where the plane should be."""
    settings.CONFIG = replace(CONFIG, portal_keys=tmp_path / "portal", plane_url="http://127.0.0.1:1")
    keys.load_or_create_signing_key(portal_key_file("app-housing-portal"))
    number = submit_request(city.viewer("lin"), city.wanted())
    return answer_request(city.viewer("chen"), number, city.answer()) or ""


def test_a_plane_that_cannot_be_reached_is_said_and_nothing_is_answered(city, grant):
    with pytest.raises(CallRefused) as refused:
        verify_through_plane(city.viewer("lin"), grant, "Z440000001", CLAIMS, "GZF-1")
    assert (refused.value.code, refused.value.status, refused.value.entry) == ("unavailable", 503, None)
    assert "李示例" not in repr(refused.value) + str(refused.value.message)


@pytest.mark.parametrize("username", ["hou", "tan", "chen", "zhao", "zhou"])
def test_only_clerks_of_the_holder_verify_under_a_grant(city, grant, username):
    with pytest.raises(NotFound):
        verify_through_plane(city.viewer(username), grant, "Z440000001", CLAIMS, "GZF-1")


def test_an_ended_grant_is_not_even_tried(city, grant):
    revoke_grant(city.viewer("chen"), grant, "用途已改变")
    with pytest.raises(NotFound):
        verify_through_plane(city.viewer("lin"), grant, "Z440000001", CLAIMS, "GZF-1")


def test_without_the_pages_own_application_a_grant_is_used_by_systems_only(city, grant):
    Grant.objects.get(number=grant).applications.remove("app-housing-portal")
    with pytest.raises(NotFound):
        verify_through_plane(city.viewer("lin"), grant, "Z440000001", CLAIMS, "GZF-1")
