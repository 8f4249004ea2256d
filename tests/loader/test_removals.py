"""Rows that are gone at the source leave the hub's list: through every real process, whatever is killed."""

from __future__ import annotations

import asyncio
import csv
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from tests.loader.line import BIRTHS, HEALTH, Line, wait_for
from tests.loader.test_kills import receipted
from tests.loader.test_other_sources import copy_births
from tests.loader.test_stepping_back import poison, poisoned_key, set_apart
from tests.plugins.departments import in_mariadb

pytestmark = pytest.mark.database

RANGES = "capture:\n  by: ranges\n  compare_every: 1s\n  remove_at_most: 100%\n"
BOTH = "capture:\n  by: changes\n  compare_every: 1s\n  remove_at_most: 100%\n"


def capture(line: Line, words: str, *, changed: bool = True) -> None:
    """Add words to the mapping of the births, and take its column of changes away if told."""
    (path,) = (line.node_home / "mappings").glob("*birth*.yaml")
    text = path.read_text()
    path.write_text((text if changed else text.replace("  changed: gxsj\n", "")) + words)


def removed(line: Line) -> int:
    """How many rows the ledger says have left the list."""
    sql = "SELECT coalesce(sum(removed), 0)::int AS n FROM exchange.batch WHERE resource_id = %s"
    return int(line.ask(sql, BIRTHS)[0]["n"])


def versions(line: Line) -> list[dict[str, Any]]:
    """The versions of each record that has more than one, in order."""
    return line.ask(
        f"SELECT array_agg(version ORDER BY version) AS v FROM (SELECT record_id, version FROM base.{BIRTHS}"
        f" UNION ALL SELECT record_id, version FROM base_history.{BIRTHS}) x"
        " GROUP BY record_id HAVING count(*) > 1 ORDER BY 1"
    )


def equals_source(line: Line) -> bool:
    """Say whether the list holds what the department's table holds."""
    return line.base_checksum() == line.source_checksum()


def is_gapless(line: Line) -> bool:
    """Say whether the ledger's sequences follow one another."""
    sequences = [entry["sequence"] for entry in line.ledger()]
    return sequences == list(range(1, len(sequences) + 1))


@pytest.mark.parametrize(("words", "changed"), [(RANGES, False), (BOTH, True)])
async def test_deleted_rows_leave_the_list_and_come_back_as_the_same_records(
    line: Line, words: str, changed: bool
) -> None:
    rows = await line.set_up(people=5000)
    capture(line, words, changed=changed)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the full load")
    line.change_source("CREATE TABLE kept AS SELECT * FROM csyxzm ORDER BY md5(zsbh) LIMIT 20")
    line.change_source("DELETE FROM csyxzm WHERE zsbh IN (SELECT zsbh FROM kept)")
    line.change_source(
        "UPDATE csyxzm SET jkzk = '3', gxsj = clock_timestamp()"
        " WHERE zsbh IN (SELECT min(zsbh) FROM csyxzm WHERE jkzk <> '3')"
    )
    wait_for(lambda: line.count() == rows - 20 and equals_source(line), what="the removal")
    assert removed(line) == 20
    gone = line.ask(
        f"SELECT count(*) AS n, count(DISTINCT h.replaced_at = d.removed_at) AS same FROM exchange.removal d"
        f" JOIN base_history.{BIRTHS} h USING (record_id, version) WHERE d.resource_id = %s",
        BIRTHS,
    )
    assert gone == [{"n": 20, "same": 1}]
    # A row that comes back is the same record, and its versions go on.
    line.change_source("UPDATE kept SET gxsj = clock_timestamp()")
    line.change_source("INSERT INTO csyxzm SELECT * FROM kept")
    wait_for(lambda: line.count() == rows and equals_source(line), what="the rows that came back")
    assert [one["v"] for one in versions(line)] == [[1, 2]] * 21
    # Inserted and deleted between two comparisons, or not: the list is what the table is.
    line.change_source("CREATE TABLE brief AS SELECT * FROM kept LIMIT 1")
    line.change_source("UPDATE brief SET zsbh = 'O900000001', gxsj = clock_timestamp()")
    line.change_source("INSERT INTO csyxzm SELECT * FROM brief")
    await asyncio.sleep(0.7)
    line.change_source("DELETE FROM csyxzm WHERE zsbh = 'O900000001'")
    wait_for(lambda: line.count() == rows and equals_source(line), what="the short-lived row's end")
    said = line.ask(
        "SELECT count(*) AS n FROM audit.entry WHERE event = 'batch_merged' AND body ~ '\"removed\": 20'"
    )
    assert said == [{"n": 1}]
    assert is_gapless(line)


async def test_nothing_is_lost_or_doubled_when_the_node_is_killed_while_it_compares(line: Line) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    line.node_settings = {"NODE_BATCH_ROWS": "150"}
    rows = await line.set_up(people=9000)
    capture(line, RANGES, changed=False)
    line.start("loader", "node")
    wait_for(lambda: line.count() > rows / 3, what="a part of the load")
    line.children["node"].kill()
    line.start("node")
    for turn in range(8):
        line.change_source(
            "DELETE FROM csyxzm WHERE zsbh IN (SELECT zsbh FROM csyxzm ORDER BY random() LIMIT 40)"
        )
        line.change_source("UPDATE csyxzm SET qfjg = %s WHERE random() < 0.02", f"样例医院{turn}")
        await asyncio.sleep(chance.uniform(0.1, 2.5))
        line.children["node" if turn % 3 else "loader"].kill()
        line.start("node" if turn % 3 else "loader")
    wait_for(lambda: line.count() == rows - 320 and equals_source(line), 120, what="equality")
    wait_for(lambda: receipted(line), what="all receipts")
    assert is_gapless(line)
    assert line.ask("SELECT count(*) AS n FROM exchange.batch_refusal") == [{"n": 0}]
    total = line.ask(
        "SELECT (sum(inserted) - sum(removed))::int AS n FROM exchange.batch WHERE resource_id = %s", BIRTHS
    )
    assert total == [{"n": rows - 320}]


@pytest.mark.parametrize(("words", "changed"), [("", True), (RANGES, False)])
async def test_what_was_deleted_while_the_node_had_lost_its_memory_is_gone_after_the_full_load(
    line: Line, words: str, changed: bool
) -> None:
    rows = await line.set_up(people=3000)
    capture(line, words, changed=changed)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    line.children["node"].kill()
    shutil.rmtree(line.node_home / "spool")
    with psycopg.connect(line.source, autocommit=True) as source:
        keys = [row[0] for row in source.execute("SELECT zsbh FROM csyxzm ORDER BY md5(zsbh) LIMIT 33")]
        source.execute("DELETE FROM csyxzm WHERE zsbh = ANY (%s)", [keys[:30]])
        # Rows that are there but at fault are not gone: what the hub has of them stays.
        source.execute("UPDATE csyxzm SET xb = 'X' WHERE zsbh = %s", [keys[30]])
        source.execute("UPDATE csyxzm SET mqsfzh = '440105199103089910' WHERE zsbh = %s", [keys[31]])
        source.execute("UPDATE csyxzm SET csrq = 'infinity' WHERE zsbh = %s", [keys[32]])
    line.start("node")
    wait_for(lambda: line.count() == rows - 30, what="the removal")
    wait_for(lambda: receipted(line), what="all receipts")
    assert removed(line) == 30
    last = line.ledger()[-1]
    assert (last["accepted"], last["inserted"], last["updated"], last["unchanged"]) == (30, 0, 0, 0)
    ended = line.ask(
        "SELECT manifest::json ->> 'complete_since' = manifest::json ->> 'generation' AS same"
        " FROM exchange.batch WHERE resource_id = %s ORDER BY sequence DESC LIMIT 1",
        BIRTHS,
    )
    assert ended == [{"same": True}]
    # Another mapping loads in full, too, under a later generation.
    line.children["node"].end()
    line.change_source("DELETE FROM csyxzm WHERE zsbh = %s", keys[32])
    capture(line, "# Changed by a test.\n")
    line.start("node")
    wait_for(lambda: line.count() == rows - 31, what="the second removal")


Changer = Callable[[str], None]


async def _goes_and_returns(line: Line, rows: int, run: Changer) -> None:
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the full load")
    run("CREATE TABLE kept AS SELECT * FROM csyxzm WHERE xb = 'F'")
    run("DELETE FROM csyxzm WHERE xb = 'F'")
    wait_for(lambda: line.ask(f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE sex_code = '2'") == [{"n": 0}])
    left = line.count()
    assert 0 < left < rows and removed(line) == rows - left
    run("INSERT INTO csyxzm SELECT * FROM kept")
    run("UPDATE csyxzm SET jkzk = '2'")
    wait_for(lambda: line.count() == rows, what="the rows that came back")
    same = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE health_status_code = '2'"
    wait_for(lambda: line.ask(same) == [{"n": rows}], what="the changes")
    assert is_gapless(line)


async def test_rows_deleted_in_mariadb_leave_the_list(line: Line, mariadb: str) -> None:
    with in_mariadb(mariadb) as department:
        rows = await line.set_up(people=3000)
        capture(line, RANGES, changed=False)
        copy_births(line, department)
        line.children["node"].environment["NODE_SOURCE_URL"] = department.url
        await _goes_and_returns(line, rows, department.run)
        line.children["node"].end()


async def test_rows_deleted_in_sqlite_leave_the_list(line: Line, tmp_path: Path) -> None:
    rows = await line.set_up(people=3000)
    capture(line, RANGES, changed=False)
    file = tmp_path / "源.db"
    with psycopg.connect(line.source) as link:
        found = link.execute(
            "SELECT zsbh, xsexm, xb, jkzk, mqxm, mqsfzh, fqxm, fqsfzh, csrq::text,"
            " qfsj::text, qfjg FROM csyxzm"
        ).fetchall()

    def run(sql: str) -> None:
        with closing(sqlite3.connect(file, timeout=30)) as link, link:
            link.execute(sql)

    run(
        "CREATE TABLE csyxzm (zsbh text, xsexm text, xb text, jkzk text, mqxm text, mqsfzh text, fqxm text,"
        " fqsfzh text, csrq text, qfsj text, qfjg text)"
    )
    with closing(sqlite3.connect(file)) as link, link:
        link.executemany(f"INSERT INTO csyxzm VALUES ({', '.join('?' * 11)})", found)
    line.children["node"].environment["NODE_SOURCE_URL"] = f"sqlite://{file}"
    await _goes_and_returns(line, rows, run)


async def test_a_row_that_vanished_from_a_file_leaves_the_list(line: Line, tmp_path: Path) -> None:
    rows = await line.set_up(people=1500)
    (path,) = (line.node_home / "mappings").glob("*birth*.yaml")
    text = path.read_text().replace("  changed: gxsj\n", "").replace("table: csyxzm", "table: '*.csv'")
    path.write_text(text + RANGES)
    with psycopg.connect(line.source) as link:
        cursor = link.execute("SELECT * FROM csyxzm ORDER BY zsbh")
        names = [column.name for column in cursor.description or ()]
        lines = [[str(cell) if cell is not None else "" for cell in row] for row in cursor]

    def write(name: str, some: list[list[str]]) -> None:
        with (tmp_path / "part").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([names, *some])
        (tmp_path / "part").rename(tmp_path / name)

    half = rows // 2
    write("a.csv", lines[:half])
    write("b.csv", lines[half:])
    line.children["node"].environment["NODE_SOURCE_URL"] = f"folder://{tmp_path}"
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the full load")
    write("a.csv", lines[: half - 7])
    wait_for(lambda: line.count() == rows - 7, what="the shorter file")
    # A row may move to another file; a folder without files says nothing at all.
    write("b.csv", lines[half - 2 :])
    wait_for(lambda: line.count() == rows - 5, what="two rows in the other file")
    for file in (tmp_path / "a.csv", tmp_path / "b.csv"):
        file.unlink()
    wait_for(lambda: _state(line)["state"] == "source_away", what="the fault")
    write("b.csv", lines[half:])
    wait_for(lambda: line.count() == rows - half, what="one file of the two")
    # Seven, of which two came back in the other file; then the first file's rows and these two.
    assert removed(line) == 7 + (half - 7) + 2


def _state(line: Line) -> dict[str, Any]:
    status = msgspec.json.decode((line.node_home / "status.json").read_bytes())
    found: dict[str, Any] = status["resources"][BIRTHS]
    return found


async def test_one_row_the_hub_cannot_take_is_set_apart_while_ranges_are_compared(line: Line) -> None:
    rows = await line.set_up(people=1500)
    capture(line, RANGES, changed=False)
    poison(line)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    key = poisoned_key(line)
    line.change_source("UPDATE csyxzm SET jkzk = '7'")
    line.change_source(
        "DELETE FROM csyxzm WHERE zsbh IN"
        " (SELECT zsbh FROM csyxzm WHERE zsbh <> %s ORDER BY md5(zsbh) LIMIT 9)",
        key,
    )
    arrived = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE version = 2"
    wait_for(lambda: line.ask(arrived) == [{"n": rows - 10}], what="the good rows")
    wait_for(lambda: removed(line) == 9 and set_apart(line) and receipted(line), what="the others")
    line.change_source("UPDATE csyxzm SET qfjg = '样例更正医院' WHERE zsbh = %s", key)
    corrected = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE certificate_issuing_unit = '样例更正医院'"
    wait_for(lambda: line.ask(corrected) == [{"n": 1}], what="the corrected row")
    assert line.count() == rows - 9 and is_gapless(line)


@pytest.mark.parametrize("contract", ["freeze", "evolve", "discard_row"])
async def test_a_source_that_changes_in_the_middle_does_as_its_contract_says(
    line: Line, contract: str
) -> None:
    line.node_settings = {"NODE_STATE_SECONDS": "0.2"}
    rows = await line.set_up(people=900)
    capture(line, f"{RANGES}on_change: {contract}\n", changed=False)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    line.change_source("ALTER TABLE csyxzm DROP COLUMN qfjg")
    line.change_source("UPDATE csyxzm SET jkzk = '7' WHERE xb = 'F'")
    told = "SELECT s.state #>> '{lines,0,changes}' AS said FROM exchange.node_state s WHERE department = %s"
    wait_for(lambda: [one["said"] for one in line.ask(told, HEALTH)] == ["gone: qfjg"], what="the word")
    if contract == "freeze":
        wait_for(lambda: _state(line)["state"] == "source_changed", what="the state")
        assert line.ask(f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE version > 1") == [{"n": 0}]
        line.children["node"].end()
        (path,) = (line.node_home / "mappings").glob("*birth*.yaml")
        path.write_text(path.read_text().replace("  certificate_issuing_unit: qfjg\n", ""))
        line.start("node")
    if contract == "discard_row":
        found = "SELECT rejected FROM exchange.batch WHERE rejected <> '[]'"
        wait_for(lambda: line.ask(found), what="the faults")
        codes = {(one["item"], one["code"]) for batch in line.ask(found) for one in batch["rejected"]}
        assert codes == {("certificate_issuing_unit", "source_structure_changed")}
        assert line.count() == rows and removed(line) == 0
        return
    seven = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE sex_code = '2' AND health_status_code <> '7'"
    wait_for(lambda: line.ask(seven) == [{"n": 0}], what="the changes")
    assert line.count() == rows and removed(line) == 0
