"""What every connector keeps to, held against a real database of each kind."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shuqiao.edge.connectors import WEIGHTS, RangeSum, Source, SourceError, SourceRow
from shuqiao.edge.connectors.kept import Keeping
from shuqiao.edge.connectors.opening import UnknownSource, open_source, open_tables
from shuqiao.edge.cover import Cover
from shuqiao.edge.mapping import ColumnSource, TableMapping, Way
from tests.plugins.departments import Department, in_mariadb

SECRET = "张样例"
COVER = Cover(Path(tempfile.mkdtemp()) / "cover.key")


def mapping(**changed: object) -> TableMapping:
    """The mapping of the sample table, with what a test changes."""
    named = {
        "resource": "r440100aaaaaaaaaa",
        "system": "sample",
        "table": "births",
        "key": "bh",
        "changed": "gxsj",
        "items": {"name": ColumnSource("xm"), "born": ColumnSource("rq")},
        "version": "1",
        "path": Path("births.yaml"),
    }
    return TableMapping(**(named | changed))  # type: ignore[arg-type]


def opened(url: str) -> Source:
    """The connector of a database, which needs to keep nothing."""
    return open_source(url, Keeping(Path("/nowhere"), COVER))


def fill(department: Department, rows: int) -> None:
    """Make the sample table; row n is n seconds past ten o'clock, its number a text with a leading zero."""
    department.run(
        f"CREATE TABLE births (bh varchar(20) PRIMARY KEY, id bigint, xm varchar(50), rq date,"
        f" sum decimal(30,4), gxsj {department.moment})"
    )
    for number in range(rows):
        department.run(
            f"INSERT INTO births VALUES ('0{number:04}', {2**53 + number}, '{SECRET}{number}', '1999-02-28',"
            f" 12345678901234567890.1234, '2026-01-01 10:{number // 60:02}:{number % 60:02}.250000')"
        )


async def everything(source: Source, table: TableMapping, limit: int) -> list[SourceRow]:
    """Read a table page by page."""
    rows: list[SourceRow] = []
    while True:
        page = await source.read_all(table, rows[-1].key if rows else None, limit)
        rows += page
        if len(page) < limit:
            return rows


@pytest.fixture
async def source(department: Department):
    """The connector of the department's database."""
    made = opened(department.url)
    yield made
    await made.close()


async def test_all_rows_come_once_in_order_of_the_key(department: Department, source: Source) -> None:
    fill(department, 25)
    await source.check(mapping())
    for limit in (1, 7, 25, 100):
        rows = await everything(source, mapping(), limit)
        assert [row.key for row in rows] == [f"0{number:04}" for number in range(25)]
    assert rows[3].values[0] == f"{SECRET}3"
    assert str(rows[3].values[1]) == "1999-02-28" and isinstance(rows[3].values[1], date | str)


async def test_a_key_of_large_numbers_is_compared_as_numbers(department: Department, source: Source) -> None:
    fill(department, 12)
    rows = await everything(source, mapping(key="id"), 5)
    assert [int(row.key) for row in rows] == [2**53 + number for number in range(12)]


async def test_changes_come_in_order_from_a_time_on_and_behind_a_row(
    department: Department, source: Source
) -> None:
    fill(department, 10)
    department.run("UPDATE births SET gxsj = '2026-01-01 10:00:04.250000' WHERE bh IN ('00007', '00002')")
    since = "2026-01-01 10:00:04.250000"
    rows: list[SourceRow] = []
    while page := await source.read_changed(mapping(), since, rows[-1] if rows else None, 2):
        rows += page
    assert [row.key for row in rows] == ["00002", "00004", "00007", "00005", "00006", "00008", "00009"]
    assert rows[0].changed == since
    later = source.earlier(rows[-1].changed, -1)
    assert await source.read_changed(mapping(), later, None, 10) == []
    assert source.earlier("2026-01-01 00:00:00.500000", 1) == "2025-12-31 23:59:59.500000"


async def test_a_row_without_a_time_is_in_the_full_load_only(department: Department, source: Source) -> None:
    fill(department, 2)
    department.run("UPDATE births SET gxsj = NULL WHERE bh = '00001'")
    assert [row.changed != "" for row in await everything(source, mapping(), 10)] == [True, False]
    assert [row.key for row in await source.read_changed(mapping(), "2000-01-01 00:00:00.0", None, 9)] == [
        "00000"
    ]


async def test_what_is_written_now_lies_not_before_the_clock(department: Department, source: Source) -> None:
    fill(department, 1)
    now = {"postgresql": "localtimestamp", "mysql": "now(6)", "sqlite": "strftime('%Y-%m-%d %H:%M:%f')"}
    before = await source.clock(mapping())
    department.run(f"UPDATE births SET gxsj = {now[department.kind]}")
    rows = await source.read_changed(mapping(), source.earlier(before, 0.001), None, 10)
    assert [row.key for row in rows] == ["00000"]
    after = await source.clock(mapping())
    assert await source.read_changed(mapping(), source.earlier(after, -1), None, 10) == []


BY_RANGES = Way("ranges", 60.0)


async def test_a_range_holds_the_keys_behind_one_up_to_another(
    department: Department, source: Source
) -> None:
    fill(department, 12)
    table = mapping(changed="", way=BY_RANGES)
    await source.check(table)
    for after, until, wanted in (
        (None, None, range(12)),
        ("00003", None, range(4, 12)),
        (None, "00003", range(4)),
        ("00003", "00007", range(4, 8)),
        ("00007", "00007", ()),
    ):
        rows = await source.read_range(table, after, until, 100)
        assert [row.key for row in rows] == [f"0{number:04}" for number in wanted], (after, until)
    assert [row.key for row in await source.read_range(table, "00003", "00009", 2)] == ["00004", "00005"]
    assert rows == [] or rows[0].changed == ""
    numbers = mapping(key="id", changed="", way=BY_RANGES, resource="r440100bbbbbbbbbb")
    rows = await source.read_range(numbers, str(2**53 + 1), str(2**53 + 10), 100)
    assert [int(row.key) for row in rows] == [2**53 + number for number in range(2, 11)]


async def test_the_sum_of_a_range_is_the_sum_of_its_rows_and_tells_every_change(
    department: Department, source: Source
) -> None:
    fill(department, 12)
    table = mapping(changed="", way=BY_RANGES)
    rows = await source.read_range(table, "00002", "00008", 100)
    found = await source.checksum(table, "00002", "00008")
    if found is None:
        assert all(row.weight is None for row in rows)
        return
    assert found == RangeSum(6, sum(row.weight or 0 for row in rows) % WEIGHTS)
    assert await source.checksum(table, "00008", "00008") == RangeSum(0, 0)
    sums = {found}
    for change in (
        f"UPDATE births SET xm = '{SECRET}x' WHERE bh = '00004'",
        "UPDATE births SET xm = '' WHERE bh = '00004'",
        "UPDATE births SET xm = NULL WHERE bh = '00004'",
        "UPDATE births SET xm = '1999-02-28', rq = NULL WHERE bh = '00004'",
        "DELETE FROM births WHERE bh = '00005'",
        "UPDATE births SET bh = '00005' WHERE bh = '00006'",
    ):
        department.run(change)
        sums.add(await source.checksum(table, "00002", "00008") or found)
    assert len(sums) == 7
    # What the mapping doesn't read doesn't count, nor what lies outside.
    before = await source.checksum(table, "00002", "00008")
    department.run("UPDATE births SET id = 7 WHERE bh = '00004'")
    department.run("DELETE FROM births WHERE bh = '00010'")
    assert await source.checksum(table, "00002", "00008") == before


async def test_numbers_and_texts_keep_every_digit_and_sign(department: Department, source: Source) -> None:
    fill(department, 1)
    department.run("UPDATE births SET xm = '𠮷''; DROP TABLE births; --%s`\"'")
    columns = {"name": ColumnSource("xm"), "sum": ColumnSource("sum"), "big": ColumnSource("id")}
    row = (await source.read_all(mapping(items=columns), None, 10))[0]
    assert row.values[0] == "𠮷'; DROP TABLE births; --%s`\""
    assert row.values[2] == 2**53
    if department.kind != "sqlite":  # It keeps a number with a fraction as a double, whatever the type says.
        assert row.values[1] == Decimal("12345678901234567890.1234")


async def test_one_row_is_found_by_a_column_the_newest_first(department: Department, source: Source) -> None:
    fill(department, 5)
    department.run(f"UPDATE births SET xm = '{SECRET}' WHERE bh IN ('00001', '00003')")
    found = await source.read_one(mapping(), "xm", [SECRET, "nobody"], 5)
    assert found is not None and found.key == "00003"
    assert await source.read_one(mapping(), "xm", ["nobody"], 5) is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"table": "deaths"}, "no table 'deaths'"),
        ({"key": "nummer"}, "no column 'nummer'"),
        ({"items": {"name": ColumnSource("mc")}}, "no column 'mc'"),
    ],
)
async def test_a_wrong_mapping_is_told_by_name(
    department: Department, source: Source, changed: dict[str, object], said: str
) -> None:
    fill(department, 1)
    with pytest.raises(SourceError, match=said):
        await source.check(mapping(**changed))


async def test_a_column_of_changes_must_hold_times(department: Department, source: Source) -> None:
    fill(department, 1)
    if department.kind == "sqlite":
        await source.check(mapping(changed="id"))  # Seconds since 1970 are a time here.
    else:
        with pytest.raises(SourceError, match="'id' of changes is not a timestamp"):
            await source.check(mapping(changed="id"))


async def test_a_table_altered_while_it_is_read_is_told_and_read_again(
    department: Department, source: Source
) -> None:
    fill(department, 1)
    await source.check(mapping())
    department.rename("births", "xm", "name_of_person", "varchar(50)")
    with pytest.raises(SourceError) as told:
        await source.read_all(mapping(), None, 10)
    assert SECRET not in str(told.value)
    department.rename("births", "name_of_person", "xm", "varchar(50)")
    assert len(await source.read_all(mapping(), None, 10)) == 1


async def test_the_node_cannot_write(department: Department, source: Source) -> None:
    fill(department, 1)
    with pytest.raises(SourceError):
        await _write(source)
    assert len(await source.read_all(mapping(), None, 10)) == 1


async def _write(source: Any) -> None:
    """Try to write over the connector's own connection."""
    sql = "DELETE FROM births"
    if hasattr(source, "_fetch"):
        await source._fetch(sql)
    else:
        await source._use(lambda one: one.rows(sql) if hasattr(one, "rows") else one.execute(sql))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody:sesame@127.0.0.1:1/none",
        "mysql://nobody:sesame@127.0.0.1:1/none",
        "sqlite:///nowhere/none.db",
    ],
)
async def test_a_source_that_is_away_is_told_without_its_password(url: str) -> None:
    source = opened(url)
    with pytest.raises(SourceError) as told:
        await source.check(mapping())
    await source.close()
    assert "sesame" not in str(told.value)


@pytest.mark.parametrize("url", ["", "births.db", "oracle://host/x:sesame"])
def test_an_address_of_no_known_database_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(UnknownSource, match="postgresql://…") as told:
        opened(url)
    assert "sesame" not in str(told.value)


async def test_two_pages_are_read_at_once_over_connections_of_their_own(
    department: Department, source: Source
) -> None:
    fill(department, 10)
    pages = await asyncio.gather(*(source.read_all(mapping(), None, number) for number in range(1, 9)))
    assert [len(page) for page in pages] == list(range(1, 9))


async def test_a_table_is_described_without_a_value(department: Department) -> None:
    fill(department, 30)
    department.run("UPDATE births SET xm = NULL WHERE bh < '00015'")
    found = await open_tables(department.url).describe("births")
    columns = {column.name: column for column in found.columns}
    assert [columns[name].data_type for name in ("bh", "id", "rq", "sum", "gxsj")] == [
        "C",
        "I",
        "D",
        "N",
        "T",
    ]
    assert columns["bh"].key and columns["bh"].length == 20 and columns["bh"].unique
    assert (columns["sum"].length, columns["sum"].scale) == (30, 4)
    profile = columns["xm"].profile
    assert profile is not None and profile.null_share == 0.5
    key = columns["bh"].profile
    assert key is not None and (key.pattern, key.pattern_share, key.longest) == ("integer", 1.0, 5)
    assert SECRET not in str(found)
    with pytest.raises(SourceError, match="no table 'deaths'"):
        await open_tables(department.url).describe("deaths")


@pytest.mark.parametrize("server", ["mariadb", "oracle_mysql"])
async def test_time_zones_of_a_server_are_told_apart(server: str, request: pytest.FixtureRequest) -> None:
    """A TIMESTAMP comes in Chinese time whatever the server's zone; DATETIME as it was written."""
    with in_mariadb(request.getfixturevalue(server)) as department:
        await _read_across_zones(department)


async def _read_across_zones(department: Department) -> None:
    department.run("SET GLOBAL time_zone = '+00:00'")
    department.run("SET time_zone = '+00:00'")
    department.run("CREATE TABLE births (bh int PRIMARY KEY, a timestamp(6) NULL, b datetime(6))")
    department.run("INSERT INTO births VALUES (1, '2026-01-01 20:00:00', '2026-01-01 20:00:00')")
    source = opened(department.url)
    columns = {"a": ColumnSource("a"), "b": ColumnSource("b")}
    for changed, day in (("a", "2026-01-02 04"), ("b", "2026-01-01 20")):
        table = mapping(changed=changed, items=columns, resource=f"r440100{changed * 10}")
        row = (await source.read_all(table, None, 10))[0]
        assert row.changed.startswith(day)
        assert row.values == (datetime(2026, 1, 2, 4), datetime(2026, 1, 1, 20))
        department.run(f"UPDATE births SET {changed} = now(6)")
        clock = await source.clock(table)
        assert len(await source.read_changed(table, source.earlier(clock, 60), None, 10)) == 1
        assert await source.read_changed(table, source.earlier(clock, -60), None, 10) == []
        department.run("UPDATE births SET a = '2026-01-01 20:00:00', b = '2026-01-01 20:00:00'")
    await source.close()
