"""What was on its way when a grant ended is named in its recall, however many grants end together."""

from datetime import timedelta

from shuqiao.control import clock
from shuqiao.control.grants.actions import revoke_grant
from shuqiao.control.grants.ending import call_back_late

from .conftest import NOW
from .test_recalls import copied, granted, recalls


def test_a_grant_that_ended_before_many_others_has_its_turn(city, monkeypatch):
    monkeypatch.setattr("shuqiao.control.grants.ending.BATCH", 1)
    first = granted(city)
    revoke_grant(city.viewer("chen"), first, "不再需要")
    with clock.fixed(NOW + timedelta(hours=1)):
        revoke_grant(city.viewer("chen"), granted(city), "不再需要")
        late = copied(first)
        # That none of sixty runs takes one of two grants would be a chance of one in 10^18.
        assert any(call_back_late() for _ in range(60))
    assert {one.id for one in recalls(first)["files"].held} == {late}
