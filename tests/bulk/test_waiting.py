"""Waiting for the next part of a feed, bounded; and receipts, which are about what was given."""

import hashlib
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shuqiao.client.fetching import CopyRefused
from shuqiao.plane.bulk.following import MAX_WAITING_EACH
from shuqiao.wire.bulk import FeedState, Receipt
from tests.bulk.conftest import NO_CONTEXT, PERMITS, CopyCity
from tests.bulk.test_feeds import merge, waiting_part


def test_who_waits_gets_the_next_part_when_it_is_ready(city: CopyCity) -> None:
    city.bulk_grant()
    merge(city, 1, [(uuid.uuid4(), "P1", "1")])
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        first = bulk.feed(feed, NO_CONTEXT, wait_s=20)
        assert first.next is not None
        assert bulk.manifest(first.next).number == 1
        assert [link.number for link in first.next.links] == [1]
        later = threading.Timer(1, merge, [city, 2, [(uuid.uuid4(), "P2", "1")]])
        later.start()
        begun = time.monotonic()
        second = bulk.feed(feed, NO_CONTEXT, wait_s=20, after=1)
        assert 0.9 < time.monotonic() - begun < 10
        assert second.next is not None
        assert bulk.manifest(second.next).number == 2
        later.join()
        begun = time.monotonic()
        none = bulk.feed(feed, NO_CONTEXT, wait_s=1, after=2)
        assert none.next is None
        assert 0.9 < time.monotonic() - begun < 15


def test_a_grant_that_ends_while_somebody_waits_ends_the_waiting(city: CopyCity) -> None:
    grant = city.bulk_grant()
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        waiting_part(bulk, feed, 1)
        threading.Timer(0.5, city.admin.execute, [_REVOKE, [grant.id]]).start()
        with pytest.raises(CopyRefused, match="grant_revoked"):
            bulk.feed(feed, NO_CONTEXT, wait_s=3, after=1)


_REVOKE = "UPDATE exchange.\"grant\" SET revoked_at = now(), revoked_reason = '样例' WHERE id = %s"


WAITED_S = 10
"""Longer than a busy machine takes to answer forty calls at once."""


def test_who_waits_beyond_the_bound_is_answered_at_once(city: CopyCity) -> None:
    city.bulk_grant()
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        waiting_part(bulk, feed, 1)
    took: list[float] = []

    def wait() -> None:
        with city.bulk() as own:
            begun = time.monotonic()
            state: FeedState = own.feed(feed, NO_CONTEXT, wait_s=WAITED_S, after=1)
            took.append(time.monotonic() - begun)
            assert state.next is None

    # Two workers share the connections, each with a bound of its own.
    threads = [threading.Thread(target=wait) for _ in range(2 * MAX_WAITING_EACH + 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == len(threads)
    assert len([seconds for seconds in took if seconds >= WAITED_S]) <= 2 * MAX_WAITING_EACH
    assert len([seconds for seconds in took if seconds < WAITED_S]) >= 8


def test_a_receipt_is_about_the_part_that_was_given(city: CopyCity, tmp_path: Path) -> None:
    city.bulk_grant()
    merge(city, 1, [(uuid.uuid4(), "P1", "1")])
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        state = waiting_part(bulk, feed, 1)
        copy = bulk.fetch(str(state.parts[0].job), tmp_path, NO_CONTEXT)
        digest = hashlib.sha256((tmp_path / "manifest.json").read_bytes()).hexdigest()
        with pytest.raises(CopyRefused, match="not_available"):
            bulk.take(
                feed, 1, NO_CONTEXT, receipt(digest.replace(digest[0], "0" if digest[0] != "0" else "1"))
            )
        assert bulk.feed(feed, NO_CONTEXT).taken_number == 0
        bulk.take(feed, 1, NO_CONTEXT, receipt(digest))
        assert bulk.feed(feed, NO_CONTEXT).taken_number == 1
    assert copy.manifest.rows == 1
    (taken,) = city.logged("feed_taken")
    assert taken["said"]["receipt"]["manifest_digest"] == digest
    kept = city.admin.execute(
        "SELECT number, applied, gone, dead FROM exchange.subscription_receipt"
    ).fetchall()
    assert kept == [(1, 1, 0, 0)]


def receipt(digest: str) -> Receipt:
    """A receipt for one row."""
    return Receipt(digest, datetime.now(UTC), 1, 0, 0)
