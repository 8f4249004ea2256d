"""What the pages say of a feed follows its grant: in use, suspended, over."""

from uuid import UUID

from shuqiao.control.exchange.monitor import monitor_page
from shuqiao.control.exchange.subscriptions import feed_list, feed_page
from shuqiao.control.exchange.words import GRANT_STATES
from shuqiao.control.grants.actions import resume_grant, revoke_grant, suspend_grant
from shuqiao.control.recalls.pages import recall_list, recall_page

from .test_recalls import fed, granted


def states(city) -> tuple[str, str]:
    """What the list of feeds and the exchange page say of the only feed."""
    row = feed_list(city.viewer("tan"), 1).rows[0]
    job = next(job for job in monitor_page(city.viewer("tan")).jobs if job.consumer)
    assert job.feed == str(row.id)
    return row.state, job.words.zh


def test_a_feed_says_that_its_grant_is_suspended_or_over(city) -> None:
    grant = granted(city)
    fed(grant)
    running = states(city)
    assert running[0] in ("up", "waits")
    suspend_grant(city.viewer("chen"), grant, "核对用途")
    assert states(city) == ("suspended", GRANT_STATES["suspended"].zh)
    resume_grant(city.viewer("chen"), grant)
    assert states(city) == running
    revoke_grant(city.viewer("chen"), grant, "用途已变")
    assert states(city) == ("over", GRANT_STATES["over"].zh)


def test_the_grant_opens_for_who_may_see_it(city) -> None:
    feed = UUID(fed(granted(city)))
    assert feed_page(city.viewer("tan"), feed).sees_grant
    assert feed_page(city.viewer("chen"), feed).sees_grant
    assert not feed_page(city.viewer("ma"), feed).sees_grant


def test_the_holder_alone_is_told_what_to_do_at_its_node(city) -> None:
    grant = granted(city)
    fed(grant)
    revoke_grant(city.viewer("chen"), grant, "用途已变")
    number = recall_list(city.viewer("tan"), 1).rows[0].number
    assert recall_page(city.viewer("tan"), number).awaits_node
    assert not recall_page(city.viewer("chen"), number).awaits_node
