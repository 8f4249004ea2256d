"""What a database's log must be able to do, what is said where it can't, and when a table is read anew."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shuqiao.edge import following as following_module
from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.log import ChangeLog, LogChange, LogLost
from shuqiao.edge.connectors.opening import open_log
from shuqiao.edge.convert import fits
from shuqiao.edge.mapping import ColumnSource, MappingError
from shuqiao.wire.schemas import ItemSpec
from tests.edge.followed import RESOURCE, TABLE, Target, begun_spool, fill, following, mapping
from tests.edge.test_following import live, until_same
from tests.plugins.departments import in_mariadb
from tests.plugins.logged import LoggedSource
from tests.plugins.mysql import MysqlServer
from tests.plugins.server import TestServer

LONG = "x" * 20 + "".join(f"{number:x}" for number in range(9000))


@pytest.fixture
async def log(logged_source: LoggedSource) -> Any:
    """The log of the table, from its beginning on."""
    fill(logged_source.run, 3)
    made = open_log(logged_source.url, mapping())
    await made.resume(await made.begin())
    yield made
    await made.give_up()
    await made.close()


async def changes(log: ChangeLog, count: int) -> list[LogChange]:
    """Return so many changes."""
    found: list[LogChange] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            await log.ready(0.5)
            found += (await log.read(count - len(found))).changes
    return found


def shown(change: LogChange) -> tuple[Any, ...]:
    """A change in short."""
    return (change.row.key, "gone") if change.row.removed else (change.row.key, str(change.row.values[1]))


async def test_changes_come_as_they_were_committed(logged_source: LoggedSource, log: ChangeLog) -> None:
    logged_source.run("CREATE TABLE other (id int PRIMARY KEY)")
    first, second = logged_source.connect(), logged_source.connect()
    first.cursor().execute("UPDATE t SET step = 7 WHERE id = 'k000000'")
    second.cursor().execute("INSERT INTO t VALUES ('new', 8, NULL, 1)")
    second.commit()
    second.cursor().execute("DELETE FROM t WHERE id = 'k000001'")
    second.rollback()
    second.cursor().execute("INSERT INTO other VALUES (1)")
    second.commit()
    first.cursor().execute("UPDATE t SET id = 'moved' WHERE id = 'k000002'")
    first.cursor().execute("DELETE FROM t WHERE id = 'new'")
    first.commit()
    first.close()
    second.close()
    found = await changes(log, 5)
    assert [shown(one) for one in found] == [
        ("new", "8"),
        ("k000000", "7"),
        ("k000002", "gone"),
        ("moved", "0"),
        ("new", "gone"),
    ]
    assert len({one.transaction for one in found}) == 2


async def test_reading_goes_on_in_the_midst_of_a_transaction(
    logged_source: LoggedSource, log: ChangeLog
) -> None:
    logged_source.run("UPDATE t SET step = step + 1")
    page = await log.read(1)
    async with asyncio.timeout(60):
        while not page.changes:
            await log.ready(0.5)
            page = await log.read(1)
    await log.resume(page.position)
    rest = await changes(log, 2)
    assert {one.row.key for one in (*page.changes, *rest)} == {"k000000", "k000001", "k000002"}


async def test_a_large_value_that_did_not_change_is_there(
    logged_source: LoggedSource, log: ChangeLog
) -> None:
    logged_source.run("UPDATE t SET note = %s WHERE id = %s", [(LONG, "k000001")])
    logged_source.run("UPDATE t SET step = 5 WHERE id = 'k000001'")
    logged_source.run("UPDATE t SET id = 'moved' WHERE id = 'k000001'")
    found: list[LogChange] = []
    while not found or found[-1].row.key != "moved":
        found += await changes(log, 1)
    assert found[-1].row.values[2] == LONG
    # A row that has moved on since is left out, or whole: the log says more of it.
    assert all(one.row.removed or one.row.values[2] == LONG for one in found)


async def test_a_page_and_the_log_give_the_same_values(logged_source: LoggedSource, log: ChangeLog) -> None:
    logged_source.run("UPDATE t SET step = step + 1, amount = -0.10")
    found = {one.row.key: one.row for one in await changes(log, 3)}
    page = await log.read_table(None, 10)
    assert {row.key: row for row in page.rows} == found
    assert [row.key for row in (await log.read_table("k000000", 1)).rows] == ["k000001"]


async def test_an_emptied_table_is_said(logged_source: LoggedSource, log: ChangeLog) -> None:
    logged_source.run("TRUNCATE TABLE t")
    broken = ""
    async with asyncio.timeout(60):
        while not broken:
            await log.ready(0.5)
            broken = (await log.read(10)).broken
    assert "emptied" in broken


async def test_an_emptied_table_is_empty_at_the_target(logged_source: LoggedSource, tmp_path: Path) -> None:
    fill(logged_source.run, 120)
    spool, target = begun_spool(tmp_path), Target()
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    assert len(target.rows) == 120
    logged_source.run("TRUNCATE TABLE t")
    logged_source.run("INSERT INTO t VALUES ('only', 3, 'x', 1)")
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    assert set(target.rows) == {"only"} and target.ends == 1
    spool.close()


async def test_a_log_that_is_lost_is_said_and_the_table_read_anew(
    logged_source: LoggedSource, tmp_path: Path
) -> None:
    fill(logged_source.run, 60)
    spool, target = begun_spool(tmp_path), Target()
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    logged_source.run("DELETE FROM t WHERE id < 'k000010'")
    lose_log(logged_source)
    made = following(logged_source.url, spool, tmp_path)
    position = spool.state(RESOURCE).position.watermark
    log = open_log(logged_source.url, mapping())
    with pytest.raises(LogLost):
        await log.resume(position)
    await log.close()
    await until_same(logged_source, made, spool, target)
    assert len(target.rows) == 50 and target.ends == 1
    spool.close()


def lose_log(source: LoggedSource) -> None:
    """Take away what was not read yet, as a restored server or a hasty administrator does."""
    if source.department.kind == "mysql":
        # What is still being sent to the node that has ended is not removed.
        source.run("DO SLEEP(2.5)")
        source.run("FLUSH BINARY LOGS")
        last = source.rows("SHOW BINARY LOGS")[-1][0]
        source.run(f"PURGE BINARY LOGS TO '{last}'")
    else:
        of_this = "FROM pg_replication_slots WHERE database = current_database()"
        source.run(f"SELECT pg_terminate_backend(active_pid, 30000) {of_this} AND active")
        source.run(f"SELECT pg_drop_replication_slot(slot_name) {of_this}")


async def test_a_slot_that_keeps_too_much_is_given_up(
    logged_source: LoggedSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if logged_source.department.kind == "mysql":
        pytest.skip("MariaDB keeps its log for as long as it is set to")
    monkeypatch.setattr(following_module, "_WATCH_S", 0.2)
    fill(logged_source.run, 30)
    spool, target = begun_spool(tmp_path), Target()
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    made = following(logged_source.url, spool, tmp_path, log_max_bytes=4 * 1024**2)
    made.state.paused = True
    task = asyncio.ensure_future(made.run())
    logged_source.run("CREATE TABLE other AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    async with asyncio.timeout(60):
        while made.state.log_lost is None:  # noqa: ASYNC110 - a state in a status file tells nobody.
            await asyncio.sleep(0.05)
    assert "NODE_LOG_BYTES" in made.state.log_lost
    assert (
        logged_source.rows("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")
        == []
    )
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    made.state.paused = False
    await until_same(logged_source, made, spool, target)
    assert target.ends == 1
    spool.close()


async def test_what_others_write_is_not_kept_for_this_table(
    logged_source: LoggedSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if logged_source.department.kind == "mysql":
        pytest.skip("MariaDB keeps its log for as long as it is set to")
    monkeypatch.setattr(following_module, "_WATCH_S", 0.2)
    fill(logged_source.run, 30)
    spool, target = begun_spool(tmp_path), Target()
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    logged_source.run("CREATE TABLE other AS SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    made = following(logged_source.url, spool, tmp_path)
    sql = (
        "SELECT pg_current_wal_lsn() - confirmed_flush_lsn FROM pg_replication_slots"
        " WHERE database = current_database()"
    )
    assert int(logged_source.rows(sql)[0][0]) > 10 * 1024**2
    await live(made, 2.0)
    assert int(logged_source.rows(sql)[0][0]) < 1024**2
    spool.close()


@pytest.mark.parametrize("contract", ["", "evolve"])
async def test_a_column_that_goes_stops_reading_or_stays_empty(
    logged_source: LoggedSource, tmp_path: Path, contract: str
) -> None:
    fill(logged_source.run, 20)
    spool, target = begun_spool(tmp_path), Target()
    named = {"on_change": contract}
    made = following(logged_source.url, spool, tmp_path, **named)
    await until_same(logged_source, made, spool, target)
    logged_source.run("UPDATE t SET step = 2 WHERE id = 'k000001'")
    logged_source.run("ALTER TABLE t DROP COLUMN note")
    logged_source.run("UPDATE t SET step = 3 WHERE id = 'k000002'")
    made = following(logged_source.url, spool, tmp_path, **named)
    if contract == "":
        await live(made, 2.0)
        target.play(spool)
        assert made.state.frozen and "gone: note" in (made.state.fault or "")
        assert target.rows["k000002"][1] == "0"
    else:
        task = asyncio.ensure_future(made.run())
        async with asyncio.timeout(60):
            while target.rows["k000002"][1] != "3":
                await asyncio.sleep(0.1)
                target.play(spool)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await made.close()
        await made._source.close()
        assert target.rows["k000002"][2] is None and target.rows["k000001"][1] == "2"
    spool.close()


async def test_a_refused_batch_is_read_from_the_log_again(
    logged_source: LoggedSource, tmp_path: Path
) -> None:
    fill(logged_source.run, 100)
    spool, target = begun_spool(tmp_path), Target()
    while len(spool.unsent(RESOURCE, 3)) < 3:
        await live(following(logged_source.url, spool, tmp_path, rows=30), 0.5)
    # Two of the full load are receipted, the third is refused.
    for batch in spool.unsent(RESOURCE, 2):
        target.take(spool, batch)
    assert spool.rewind(RESOURCE, 3)
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    made = following(logged_source.url, spool, tmp_path, rows=30)
    task = asyncio.ensure_future(made.run())
    for number in range(3):
        logged_source.run(f"UPDATE t SET step = {number + 1} WHERE id = 'k00000{number}'")
        logged_source.run(f"DELETE FROM t WHERE id = 'k00001{number}'")
        await asyncio.sleep(0.3)
    first = spool.first(RESOURCE)
    assert first is not None and spool.rewind(RESOURCE, first.sequence)
    await asyncio.sleep(0.5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert made.state.log_lost is None
    await made.close()
    await made._source.close()
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    assert len(target.rows) == 97 and target.ends == 0
    spool.close()


async def test_a_transaction_open_since_before_the_load_arrives(
    logged_source: LoggedSource, tmp_path: Path
) -> None:
    fill(logged_source.run, 40)
    spool, target = begun_spool(tmp_path), Target()
    early = logged_source.connect()
    early.cursor().execute("UPDATE t SET step = 9 WHERE id = 'k000001'")
    early.cursor().execute("DELETE FROM t WHERE id = 'k000002'")
    made = following(logged_source.url, spool, tmp_path)
    task = asyncio.ensure_future(made.run())
    await asyncio.sleep(0.7)
    early.commit()
    early.close()
    await asyncio.sleep(0.3)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await made.close()
    await made._source.close()
    await until_same(logged_source, following(logged_source.url, spool, tmp_path), spool, target)
    assert target.rows["k000001"][1] == "9" and "k000002" not in target.rows
    spool.close()


async def said(url: str, **changed: Any) -> str:
    """Return what is said where a log can't be read."""
    log = open_log(url, mapping(**changed))
    with pytest.raises(SourceError) as caught:
        await log.begin()
    await log.close()
    return str(caught.value)


async def test_a_source_that_lacks_something_is_told_what(logged_source: LoggedSource) -> None:
    logged_source.run(TABLE)
    assert "no table 'absent'" in await said(logged_source.url, table="absent")
    missing = {"number": ColumnSource("id"), "step": ColumnSource("none")}
    assert "no column 'none'" in await said(logged_source.url, items=missing)


async def test_a_table_whose_deletions_would_not_be_said_is_refused(logged_source: LoggedSource) -> None:
    if logged_source.department.kind == "mysql":
        logged_source.run(TABLE)
        logged_source.run(
            "CREATE TABLE u (id varchar(20) PRIMARY KEY, step int, note text, amount int,"
            " FOREIGN KEY (id) REFERENCES t (id) ON DELETE CASCADE)"
        )
        assert "cascade" in await said(logged_source.url, table="u")
        logged_source.run("CREATE TABLE m (id varchar(20), step int, note text, amount int) ENGINE = MyISAM")
        assert "no transactions" in await said(logged_source.url, table="m")
        return
    logged_source.run("CREATE TABLE t (id varchar(20), step int, note text, amount int)")
    assert "REPLICA IDENTITY FULL" in await said(logged_source.url)
    # Nothing was made: a publication would have stopped the department's own updates.
    assert logged_source.rows("SELECT pubname FROM pg_publication") == []
    logged_source.run("UPDATE t SET step = 1")
    logged_source.run("ALTER TABLE t REPLICA IDENTITY FULL")
    log = open_log(logged_source.url, mapping())
    await log.resume(await log.begin())
    logged_source.run("INSERT INTO t VALUES ('a', 1, 'x', 1)")
    logged_source.run("UPDATE t SET id = 'b'")
    logged_source.run("DELETE FROM t")
    assert [shown(one) for one in await changes(log, 4)] == [
        ("a", "1"),
        ("a", "gone"),
        ("b", "1"),
        ("b", "gone"),
    ]
    await log.give_up()
    await log.close()


async def test_a_role_without_the_rights_is_told_what_to_ask_for(logged_source: LoggedSource) -> None:
    logged_source.run(TABLE)
    if logged_source.department.kind == "mysql":
        more = "REPLICATION CLIENT" if isinstance(logged_source.server, MysqlServer) else "BINLOG MONITOR"
        logged_source.run("GRANT SELECT ON *.* TO reader@localhost IDENTIFIED BY 'r'")
        url = logged_source.url.replace("root@", "reader:r@")
        assert f"GRANT REPLICATION SLAVE, {more} ON *.*" in await said(url)
        logged_source.run(f"GRANT {more} ON *.* TO reader@localhost")
        log = open_log(url, mapping())
        await log.resume(await log.begin())
        with pytest.raises(SourceError, match="GRANT REPLICATION SLAVE"):
            await changes(log, 1)
        await log.close()
        logged_source.run("DROP USER reader@localhost")
        return
    with psycopg.connect(logged_source.url, autocommit=True) as link:
        link.execute("DROP ROLE IF EXISTS reader")
        link.execute("CREATE ROLE reader LOGIN PASSWORD 'r'")
        link.execute("GRANT SELECT ON t TO reader")
    url = logged_source.url.replace("postgres:logged@", "reader:r@")
    assert "CREATE PUBLICATION" in await said(url)
    logged_source.run(f"CREATE PUBLICATION shuqiao_{RESOURCE} FOR TABLE t")
    assert "REPLICATION" in await said(url)
    logged_source.run("ALTER ROLE reader REPLICATION")
    log = open_log(url, mapping())
    await log.resume(await log.begin())
    logged_source.run("INSERT INTO t VALUES ('a', 1, 'x', 1)")
    assert [shown(one) for one in await changes(log, 1)] == [("a", "1")]
    await log.give_up()
    await log.close()
    logged_source.run("DROP OWNED BY reader")
    logged_source.run("DROP ROLE reader")


async def test_a_server_without_such_a_log_says_which_setting(
    empty_database: str, mariadb: str, pg_server: TestServer
) -> None:
    with psycopg.connect(empty_database, autocommit=True) as link:
        link.execute(TABLE)
    assert "wal_level = logical" in await said(empty_database)
    with in_mariadb(mariadb) as department:
        department.run(TABLE)
        assert "log_bin = ON" in await said(department.url)
    with pytest.raises(MappingError):
        open_log("sqlite:///x.db", mapping())


async def test_values_that_are_none_are_faults_in_the_log_as_in_the_table(
    logged_source: LoggedSource,
) -> None:
    logged_source.run(TABLE)
    logged_source.run("ALTER TABLE t ADD COLUMN d date")
    is_maria = logged_source.department.kind == "mysql"
    if is_maria:
        logged_source.run("ALTER TABLE t MODIFY note longtext")
    items = {name: ColumnSource(name) for name in ("id", "d", "note")}
    mapped = {"number": items["id"], "step": items["d"], "note": items["note"]}
    log = open_log(logged_source.url, mapping(items=mapped))
    await log.resume(await log.begin())
    link = logged_source.connect()
    cursor = link.cursor()
    if is_maria:
        cursor.execute("SET sql_mode = ''")
    impossible = "0000-00-00" if is_maria else "0044-03-15 BC"
    cursor.execute("INSERT INTO t VALUES ('a', 1, NULL, 1, '1880-03-01')")
    cursor.execute(f"INSERT INTO t VALUES ('b', 1, NULL, 1, '{impossible}')")
    cursor.execute("INSERT INTO t VALUES ('c', 1, REPEAT('x', 300000), 1, NULL)")
    link.commit()
    link.close()
    found = {change.row.key: change.row.values for change in await changes(log, 3)}
    day, text = ItemSpec("step", "日", "Day", "date"), ItemSpec("note", "注", "Note", "text")
    assert fits(found["a"][1], day) and str(found["a"][1]) == "1880-03-01"
    assert found["b"][1] is not None and not fits(found["b"][1], day)
    assert found["c"][1] is None and not fits(found["c"][2], text)
    await log.give_up()
    await log.close()
