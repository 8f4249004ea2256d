"""In the sample city a department's node follows a list: what another changes is in its own table."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from shuqiao.control.operations.sample import FEED_APPLICATION, FEED_TOWNS
from shuqiao.demo import own_copy
from shuqiao.demo.city import Options, control_environment
from shuqiao.demo.home import Home
from shuqiao.demo.people import STORY_MOTHER_NAME
from tests.plugins.city import City

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]
PATIENCE_S = 120.0


FOLLOW_UPDATES = """
import sys, django
django.setup()
from shuqiao.control import clock
from shuqiao.control.grants.models import ENDED, Grant
from shuqiao.control.updating.models import Told
from shuqiao.control.updating.watching import follow_updates
# What other tests gave the department by hand is confirmed by people.
others = Grant.objects.filter(consumer_id=sys.argv[1], mode="bulk").exclude(applications=sys.argv[2])
others.update(phase=ENDED, ended_at=clock.now(), ended_by="sample")
follow_updates()
print(Told.objects.filter(recipient_id=sys.argv[1], receipt__isnull=False).count())
"""


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds."""
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends, f"{what}: not within {PATIENCE_S:.0f} s"
        time.sleep(0.1)


def towns(city: City) -> dict[str, list[str]]:
    """The names of each town in the consumer's own table."""
    with closing(sqlite3.connect(own_copy.database(Home(city.home)))) as own:
        rows = own.execute(f"SELECT jd, xm FROM {own_copy.TABLE}").fetchall()
    found: dict[str, list[str]] = {}
    for town, name in rows:
        found.setdefault(town, []).append(name)
    return found


def unsigned_parts(city: City) -> int:
    """The parts of the feed that the hub has given and holds no receipt of."""
    asked = (
        "SELECT count(*) FILTER (WHERE receipt.number IS NULL), count(receipt.number)"
        " FROM exchange.bulk_job AS part JOIN exchange.subscription AS feed ON feed.id = part.subscription"
        " LEFT JOIN exchange.subscription_receipt AS receipt"
        " ON receipt.subscription = feed.id AND receipt.number = part.number"
        " WHERE feed.application = %s"
    )
    with psycopg.connect(Home(city.home).hub_superuser_url("shuqiao")) as hub:
        left, signed = hub.execute(asked, [FEED_APPLICATION]).fetchone()
    assert signed, "the node has signed for no part at all"
    return int(left)


def updates_confirmed(city: City) -> int:
    """Do the worker's round of updates; count what the consumer's node has confirmed by its receipts."""
    options = Options(plane_port=city.plane_port, port=city.port, nats_port=city.nats_port)
    done = subprocess.run(
        [sys.executable, "-c", FOLLOW_UPDATES, own_copy.COPYING, FEED_APPLICATION],
        env=os.environ | control_environment(Home(city.home), options),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout)


def test_a_change_arrives_in_the_consumers_own_table_and_is_signed_for(city: City) -> None:
    wait_for(lambda: set(towns(city)) == set(FEED_TOWNS), "the first part, of the granted towns alone")
    for town in reversed(FEED_TOWNS):
        done = city.run("move", "--to", town)
        assert done.returncode == 0, done.stdout + done.stderr
        assert STORY_MOTHER_NAME in towns(city)[town]
    wait_for(lambda: unsigned_parts(city) == 0, "a receipt for each part")


def test_who_leaves_the_granted_towns_leaves_the_table(city: City) -> None:
    wait_for(lambda: set(towns(city)) == set(FEED_TOWNS), "the first part")
    try:
        done = city.run("move", "--to", "晨光街道")
        assert done.returncode == 0, done.stdout + done.stderr
        assert not any(STORY_MOTHER_NAME in names for names in towns(city).values())
        assert set(towns(city)) == set(FEED_TOWNS)
    finally:
        assert city.run("move", "--to", FEED_TOWNS[0]).returncode == 0
    assert STORY_MOTHER_NAME in towns(city)[FEED_TOWNS[0]]


@pytest.mark.requirement("UPD-04")
def test_the_receipt_of_a_real_node_confirms_an_update(city: City) -> None:
    wait_for(lambda: set(towns(city)) == set(FEED_TOWNS), "the first part")
    # The first round only notes what lies there; later ones tell each holder at most once in a while.
    updates_confirmed(city)
    try:
        assert city.run("move", "--to", FEED_TOWNS[1]).returncode == 0
        wait_for(lambda: unsigned_parts(city) == 0, "a receipt for each part")
        wait_for(lambda: updates_confirmed(city) > 0, "the update confirmed by a receipt")
    finally:
        assert city.run("move", "--to", FEED_TOWNS[0]).returncode == 0
