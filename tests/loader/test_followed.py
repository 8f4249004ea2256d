"""A department's table followed by its database's log, through every real process."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.loader.line import BIRTHS, Line, wait_for
from tests.loader.test_emptied import order, told
from tests.loader.test_kills import receipted
from tests.loader.test_other_sources import copy_births
from tests.plugins.departments import Department, in_mariadb
from tests.plugins.logged import in_logged
from tests.plugins.mariadb import MariaServer

pytestmark = pytest.mark.database

SEED = int(os.environ.get("SHUQIAO_TEST_SEED", random.randrange(10**6)))


@pytest.fixture
def department(line: Line, logged_embedded: object, request: pytest.FixtureRequest) -> Iterator[Department]:
    """The department's database on a server with a logical log; the line reads it."""
    with in_logged(request.getfixturevalue("logged_embedded")) as made:
        line.source = made.url
        yield made
        for child in line.children.values():
            child.end()


def follow(line: Line) -> None:
    """Let the node follow the births by the log."""
    path = line.node_home / "mappings" / "birth.yaml"
    path.write_text(path.read_text() + "capture: {by: log, remove_at_most: 100%}\n")


async def test_a_table_is_loaded_and_followed_with_its_deletions(line: Line, department: Department) -> None:
    rows = await line.set_up(people=1500)
    follow(line)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the full load")
    assert line.base_checksum() == line.source_checksum()
    department.run("UPDATE csyxzm SET jkzk = '3' WHERE zsbh IN (SELECT zsbh FROM csyxzm LIMIT 7)")
    department.run("DELETE FROM csyxzm WHERE zsbh IN (SELECT max(zsbh) FROM csyxzm)")
    department.run(
        "UPDATE csyxzm SET zsbh = 'X' || substr(zsbh, 2) WHERE zsbh IN (SELECT min(zsbh) FROM csyxzm)"
    )
    wait_for(lambda: line.base_checksum() == line.source_checksum(), what="the changes")
    assert line.count() == rows - 1


async def test_a_mariadb_is_followed_by_its_log(line: Line, logged_mariadb: MariaServer) -> None:
    with in_mariadb(logged_mariadb.url) as department:
        rows = await line.set_up(people=800)
        follow(line)
        copy_births(line, department)
        line.children["node"].environment["NODE_SOURCE_URL"] = department.url
        line.start("loader", "node")
        wait_for(lambda: line.count() == rows and receipted(line), what="the full load")
        assert line.base_checksum() == line.source_checksum()
        department.run("DELETE FROM csyxzm ORDER BY zsbh LIMIT 3")
        department.run("UPDATE csyxzm SET jkzk = '3' WHERE jkzk <> '3' LIMIT 5")
        worse = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE version = 2 AND health_status_code = '3'"
        wait_for(lambda: line.ask(worse) == [{"n": 5}], what="the five changes")
        wait_for(lambda: line.count() == rows - 3, what="the three that are gone")
        assert all(entry["rejected"] == [] for entry in line.ledger())
        line.children["node"].end()


async def test_a_node_that_is_killed_while_all_is_written_loses_nothing(
    line: Line, department: Department
) -> None:
    chance = random.Random(SEED)
    line.node_settings = {"NODE_BATCH_ROWS": "60"}
    await line.set_up(people=3000)
    follow(line)
    stop = threading.Event()
    writer = threading.Thread(target=write, args=(department.url, stop, SEED))
    writer.start()
    line.start("loader", "node")
    for _ in range(6):
        await asyncio.sleep(chance.uniform(0.6, 2.5))
        line.children["node"].kill()
        line.start("node")
    stop.set()
    writer.join()
    wait_for(
        lambda: line.base_checksum() == line.source_checksum() and receipted(line),
        60,
        what=f"source and base are equal (seed {SEED})",
    )
    ledger = line.ledger()
    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert all(entry["rejected"] == [] for entry in ledger)
    assert line.ask("SELECT count(*) AS n FROM exchange.batch_refusal") == [{"n": 0}]


def write(url: str, stop: threading.Event, seed: int) -> None:
    """Change, remove and add rows, and move some to other keys, until told to stop."""
    chance = random.Random(seed)
    with psycopg.connect(url) as link:
        keys = [row[0] for row in link.execute("SELECT zsbh FROM csyxzm").fetchall()]
        while not stop.is_set():
            key, other = chance.choice(keys), chance.choice(keys)
            way = chance.random()
            if way < 0.6:
                link.execute("UPDATE csyxzm SET jkzk = %s WHERE zsbh = %s", (chance.choice("123"), key))
            elif way < 0.8:
                link.execute("DELETE FROM csyxzm WHERE zsbh = %s", (key,))
            else:
                link.execute(
                    "UPDATE csyxzm SET zsbh = %s WHERE zsbh = %s"
                    " AND NOT EXISTS (SELECT 1 FROM csyxzm WHERE zsbh = %s)",
                    (other, key, other),
                )
            if chance.random() < 0.2:
                link.rollback() if chance.random() < 0.2 else link.commit()
            time.sleep(0.002)
        link.commit()


async def test_deletions_that_are_too_many_stay_in_the_log_until_a_word(
    line: Line, department: Department
) -> None:
    line.node_settings["NODE_STATE_SECONDS"] = "0.2"
    rows = await line.set_up(people=600)
    path = line.node_home / "mappings" / "birth.yaml"
    path.write_text(path.read_text() + "capture: {by: log}\n")
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the full load")
    department.run("DELETE FROM csyxzm WHERE zsbh IN (SELECT zsbh FROM csyxzm ORDER BY zsbh LIMIT 12)")
    wait_for(lambda: line.count() == rows - 12, what="what may leave")
    department.run("DELETE FROM csyxzm WHERE xb = 'F'")
    department.run(
        "UPDATE csyxzm SET jkzk = '3' WHERE zsbh = (SELECT max(zsbh) FROM csyxzm WHERE jkzk <> '3')"
    )
    wait_for(lambda: told(line)["state"] == "held_back", what="the hold")
    # A page of the log may hold the first rows of a deletion; no more than the share has left.
    assert rows - line.count() <= rows // 5 and rows - told(line)["held_of"] <= rows // 5
    line.children["node"].kill()
    line.start("node")

    def let() -> bool:
        """A word about the number that is shown, given again where it has changed meanwhile."""
        if told(line)["state"] == "held_back":
            order(line, "let-through", told(line)["held_back"])
        return line.base_checksum() == line.source_checksum()

    wait_for(let, what="the removals")
    wait_for(lambda: line.base_checksum() == line.source_checksum(), what="the removals")
