"""A driver's process that dies: the node says so, starts another, and loses or doubles nothing."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from shuqiao.edge.capture import Capture, Pace
from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.connectors import odbc as connector
from shuqiao.edge.connectors.odbc import OdbcSource, dialect_of
from shuqiao.edge.connectors.odbc_process import ReaderGone, connection_string
from shuqiao.edge.cover import Cover
from shuqiao.edge.mapping import Way
from shuqiao.edge.quarantine import Quarantine
from shuqiao.edge.screening import RulesInForce, Screening
from shuqiao.edge.spool import Spool
from tests.edge import followed
from tests.edge.test_connectors import everything, mapping
from tests.plugins.departments import through_odbc

ROWS = 600


@pytest.fixture
def address(empty_database: str, tmp_path: Path) -> str:
    """A table behind a driver."""
    made = through_odbc(empty_database, tmp_path)
    with psycopg.connect(empty_database, autocommit=True) as link:
        link.execute("CREATE TABLE births (bh varchar(20) PRIMARY KEY, xm text, rq date, gxsj timestamp)")
        link.execute(
            "INSERT INTO births SELECT to_char(n, 'FM00000'), '样例' || n, '2020-01-01',"
            f" '2026-01-01'::timestamp + n * interval '1 second' FROM generate_series(1, {ROWS}) n"
        )
        # Each row of this one takes its time.
        link.execute("CREATE VIEW slow AS SELECT bh, xm || pg_sleep(0.005)::text AS xm, rq, gxsj FROM births")
    return made


@pytest.fixture
async def source(address: str) -> AsyncIterator[OdbcSource]:
    """Its connector."""
    made = OdbcSource(address, 1)
    yield made
    await made.close()


def readers() -> list[int]:
    """The processes that drivers run in, children of this one."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (place / "cmdline").read_bytes().split(b"\0")
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
            if b"shuqiao.edge.connectors.odbc_reader" in words and int(parent) == os.getpid():
                found.append(int(place.name))
    return found


def shown_to_all(number: int) -> bytes:
    """What lists of processes show of one, and its environment."""
    return b"".join(Path(f"/proc/{number}/{name}").read_bytes() for name in ("cmdline", "environ"))


async def test_a_reader_killed_at_any_time_loses_and_doubles_nothing(source: OdbcSource) -> None:
    """Pages are asked for again behind the last one that came, as the node does."""
    chance = random.Random(44)
    table = mapping(table="slow", changed="", way=Way("ranges", 60.0))
    rows: list[SourceRow] = []
    deaths = 0

    async def strike() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.2, 1.5))
            for number in readers():
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)

    killer = asyncio.create_task(strike())
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                page = await source.read_all(table, rows[-1].key if rows else None, 50)
            except SourceError as error:
                deaths += 1
                assert "the ODBC driver's process ended (SIGKILL); another one is started" in str(error)
                if deaths == 3:
                    killer.cancel()
                continue
            rows += page
            if len(page) < 50:
                break
    finally:
        killer.cancel()
    assert deaths >= 3
    assert [row.key for row in rows] == [f"{number:05}" for number in range(1, ROWS + 1)]
    assert len(readers()) <= 1, "no process is left behind"


def capture_of(source: OdbcSource, spool: Spool, folder: Path) -> Capture:
    """The node's part that reads a table into its spool."""
    made, cover = followed.mapping(way=Way("ranges", 60.0, remove_share=1.0)), Cover(folder / "cover.key")
    place = Quarantine(folder / "quarantine.sqlite", cover, 100)
    screening = Screening(made, followed.SPEC, cover, place, RulesInForce(folder / "screening.json"))
    pace = Pace(40, 0.1, 1.0, 2**30)
    hub = cast(Any, None)
    return Capture(made, followed.SPEC, source, spool, cover, followed.SENDER, hub, pace, screening)


async def test_the_node_goes_on_where_its_reader_was_killed(
    address: str, empty_database: str, tmp_path: Path
) -> None:
    """Each page of a full load is broken into once; what is merged in the end is the table."""
    with psycopg.connect(empty_database, autocommit=True) as link, link.cursor() as cursor:
        cursor.execute(followed.TABLE)
        cursor.execute("INSERT INTO t SELECT 'k' || n, 0, '注' || n, n / 4.0 FROM generate_series(1, 200) n")
        expected = cursor.execute("SELECT id, step::text, note, amount::text FROM t").fetchall()
    source, spool = OdbcSource(address, 1), followed.begun_spool(tmp_path)
    capture, target = capture_of(source, spool, tmp_path), followed.Target()
    deaths = 0
    while (state := spool.state(followed.RESOURCE)) is None or state.position.phase == "full":
        for number in readers():
            os.kill(number, signal.SIGKILL)
        with suppress(SourceError):
            await capture.step()
            continue
        deaths += 1
        await capture.step()
    target.play(spool)
    assert deaths >= 3
    assert sorted(target.rows.values()) == sorted(expected)
    await source.close()
    spool.close()


async def test_a_driver_that_hangs_is_ended(
    address: str, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "TIMEOUT_S", 1)
    with psycopg.connect(empty_database, autocommit=True) as link:
        link.execute("CREATE VIEW hung AS SELECT bh, xm || pg_sleep(60)::text AS xm, rq, gxsj FROM births")
    source = OdbcSource(address, 1)
    with pytest.raises(SourceError, match="doesn't answer in time; its process was ended"):
        await source.read_all(mapping(table="hung", changed="", way=Way("ranges", 60.0)), None, 5)
    assert len(await everything(source, mapping(), 200)) == ROWS
    await source.close()


async def test_the_process_ends_with_the_connector(source: OdbcSource) -> None:
    await source.check(mapping())
    (number,) = readers()
    seen = shown_to_all(number)
    assert b"Driver=" not in seen and b"NODE_" not in seen
    await source.close()
    assert readers() == []


def change(address: str, name: str, value: str) -> None:
    """Write another connection string."""
    file = Path(address.removeprefix("odbc://"))
    kept = [line for line in file.read_text().splitlines() if not line.startswith(f"{name}=")]
    file.write_text("\n".join([*kept, f"{name}={value}", "Application=sesame"]))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Driver", "No Such Driver", "no driver of the name|can't be loaded"),
        ("Driver", "/usr/lib/none.so", "can't be loaded"),
        ("Server", "/nowhere", "can't be reached"),
        ("Database", "none", "can't be reached"),
    ],
)
async def test_what_is_wrong_is_told_by_its_kind(address: str, name: str, value: str, said: str) -> None:
    change(address, name, value)
    source = OdbcSource(address, 1)
    with pytest.raises(SourceError, match=said) as told:
        await source.check(mapping())
    assert "sesame" not in str(told.value) and "nowhere" not in str(told.value)
    await source.close()


def test_a_connection_string_is_for_the_node_alone(tmp_path: Path) -> None:
    file = tmp_path / "s.odbc"
    file.write_text("Driver=x;Pwd=sesame")
    file.chmod(0o644)
    with pytest.raises(SourceError, match=r"s\.odbc can be read by others: chmod 600"):
        connection_string(f"odbc://{file}")
    file.chmod(0o600)
    assert connection_string(f"odbc://{file}") == "Driver=x;Pwd=sesame"
    file.write_text("sesame")
    with pytest.raises(SourceError, match="must hold a connection string") as told:
        connection_string(f"odbc://{file}")
    assert "sesame" not in str(told.value)
    with pytest.raises(SourceError, match="FileNotFoundError"):
        connection_string(f"odbc://{tmp_path}/none")


def test_a_database_nobody_knows_is_told() -> None:
    for name in ("Oracle", "Microsoft SQL Server", "DM Database", "PostgreSQL"):
        assert dialect_of(name).clock.startswith("SELECT ")
    with pytest.raises(SourceError, match="calls itself 'Access'; it must be Dameng"):
        dialect_of("Access")


async def test_an_answer_nobody_understands_ends_the_reader(source: OdbcSource) -> None:
    await source.check(mapping())
    (number,) = readers()
    os.kill(number, signal.SIGSTOP)
    asked = asyncio.create_task(source.read_all(mapping(), None, 5))
    await asyncio.sleep(0.1)
    os.kill(number, signal.SIGKILL)
    with pytest.raises(SourceError, match="SIGKILL"):
        await asked
    assert isinstance(ReaderGone("x"), OSError)
    assert len(await everything(source, mapping(), 200)) == ROWS
