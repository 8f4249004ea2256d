"""Values no source should hold and some do: read rightly, or a fault of one row, by every connector."""

from __future__ import annotations

import gc
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import dbf
import openpyxl
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pymysql
import pytest

from shuqiao.edge.connectors import Source, SourceRow
from shuqiao.edge.connectors.kept import Keeping
from shuqiao.edge.connectors.opening import open_source
from shuqiao.edge.convert import convert
from shuqiao.edge.cover import Cover
from shuqiao.edge.mapping import ColumnSource, TableMapping, Way
from shuqiao.wire.schemas import ItemSpec, ItemType, ResourceSpec
from tests.edge.test_folder import put
from tests.plugins.departments import Department, through_odbc

LARGE = 17 * 1024 * 1024
NUL, DAMAGED, TOO_LONG, NO_DATE = "item_type", "text_unreadable", "item_too_long", "date_impossible"
Write = Callable[[Path, Sequence[Any]], None]


@dataclass(frozen=True)
class Fault:
    """What is wrong with the value, by its code."""

    code: str


@dataclass(frozen=True)
class Case:
    """A value as its source writes it, the type of its column and item, and what becomes of it."""

    name: str
    type: str
    value: Any
    item: ItemType
    wanted: Any
    good: Any = None
    """A value of the rows around it, where a column of the type has another than the text `x`."""


def spec(item: ItemType) -> ResourceSpec:
    """A resource of a number and one item."""
    number = ItemSpec("number", "号", "Number", "string", identity=True, kind="document", required=True)
    return ResourceSpec("number", ("query",), (number, ItemSpec("v", "值", "Value", item)))


def mapping(table: str = "t", **changed: Any) -> TableMapping:
    """The mapping of the table of a case."""
    # Names in DBF files are in capitals.
    key, value = ("BH", "V") if table.endswith(".dbf") else ("bh", "v")
    items = {"number": ColumnSource(key), "v": ColumnSource(value)}
    # A connector takes a resource for one table.
    named = {"resource": f"r440100{table:a<10}", "system": "s", "table": table, "key": key, "changed": ""}
    named |= {"items": items, "version": table, "path": Path("t.yaml"), "way": Way("ranges", 60.0)}
    return TableMapping(**(named | changed))


def outcome(rows: Sequence[SourceRow], item: ItemType) -> Any:
    """What becomes of the second of three rows; the others come through whatever it holds."""
    rows = sorted(rows, key=lambda row: str(row.values[0]))
    assert [row.values[0] for row in rows] == ["1", "2", "3"]
    made = convert(rows, mapping(), spec(item))
    assert made.identity.column(0).to_pylist() == ["1", "2", "3"]
    first, second, third = made.plain.column(0).to_pylist()
    assert first is not None and third is not None, made.faults
    if made.faults:
        (fault,) = made.faults
        assert (fault.row, fault.item, second) == (1, "v", None)
        return Fault(fault.code)
    return second


async def found_in(source: Source, table: TableMapping) -> list[SourceRow]:
    """Read a list or table, in pages so small that the value stands alone, and in one."""
    await source.clock(table)
    whole = await source.read_range(table, None, None, 10)
    paged: list[SourceRow] = []
    while page := await source.read_range(table, paged[-1].key if paged else None, None, 1):
        paged += page
    # A NaN is not itself.
    assert repr(paged) == repr(whole)
    return whole


CHINA = "2026-01-01T08:30:00+08:00"
COMMON = [
    Case("before 1900", "date", "'1880-03-01'", "date", date(1880, 3, 1), "'2020-01-01'"),
    Case("exact", "numeric(30,4)", "12345678901234567890.1234", "string", "12345678901234567890.1234"),
    Case("small", "numeric(20,10)", "0.0000000001", "string", "0.0000000001"),
    Case("no exponent", "double precision", "1e22", "string", "1" + "0" * 22),
    Case("astral", "text", "'𠮷'", "string", "𠮷"),
]
POSTGRESQL = [
    *COMMON,
    Case("large", "text", f"repeat('x', {LARGE})", "text", Fault(TOO_LONG)),
    Case("large Chinese", "text", f"repeat('样', {LARGE // 3})", "text", Fault(TOO_LONG)),
    Case(
        "large bytes", "bytea", f"decode(repeat('00', {LARGE}), 'hex')", "image", Fault(TOO_LONG), "'\\x00'"
    ),
    Case("nan", "double precision", "'NaN'", "string", Fault(NUL)),
    Case("infinity", "double precision", "'-Infinity'", "string", Fault(NUL)),
    Case("numeric nan", "numeric", "'NaN'", "string", Fault(NUL)),
    Case(
        "zoned",
        "timestamptz",
        "'2026-01-01 00:30:00+00'",
        "datetime",
        datetime(2026, 1, 1, 0, 30, tzinfo=UTC),
    ),
    Case("plain", "timestamp", "'2026-01-01 08:30:00'", "datetime", datetime(2026, 1, 1, 0, 30, tzinfo=UTC)),
    Case("before Christ", "date", "'0044-03-15 BC'", "date", Fault(NO_DATE), "'2020-01-01'"),
]
OF_KIND: dict[str, list[Case]] = {
    "odbc": [
        # Of the year 44 before Christ the driver makes 44 after, of infinity today: nobody can see that here.
        *(case for case in POSTGRESQL if case.name != "before Christ"),
    ],
    "postgresql": [
        *POSTGRESQL,
        Case("infinite", "date", "'infinity'", "date", Fault(NO_DATE), "'2020-01-01'"),
        Case("far", "timestamp", "'294000-01-01'", "datetime", Fault(NO_DATE), "'2020-01-01'"),
        Case("far zoned", "timestamptz", "'4000-01-01 BC'", "datetime", Fault(NO_DATE), "'2020-01-01'"),
    ],
    "mysql": [
        *COMMON,
        Case("large", "longtext", f"REPEAT('x', {LARGE})", "text", Fault(TOO_LONG)),
        Case("large bytes", "longblob", f"REPEAT('x', {LARGE})", "image", Fault(TOO_LONG)),
        Case("nul", "text", "CONCAT('a', CHAR(0), 'b')", "string", Fault(NUL)),
        Case("zero", "date", "'0000-00-00'", "date", Fault(NO_DATE), "'2020-01-01'"),
        Case("half", "date", "'2020-02-00'", "date", Fault(NO_DATE), "'2020-01-01'"),
        Case("zero moment", "datetime", "'0000-00-00 00:00:00'", "datetime", Fault(NO_DATE), "'2020-01-01'"),
        Case("long time", "time", "'30:00:00'", "string", "30:00:00", "'01:00:00'"),
        Case(
            "zoned",
            "timestamp NULL",
            "FROM_UNIXTIME(1767227400)",
            "datetime",
            datetime(2026, 1, 1, 0, 30, tzinfo=UTC),
        ),
    ],
    "sqlite": [
        *(case for case in COMMON if case.name not in ("exact", "small")),
        Case("large", "text", f"replace(hex(zeroblob({LARGE // 2})), '00', 'xx')", "text", Fault(TOO_LONG)),
        Case("large bytes", "blob", f"zeroblob({LARGE})", "image", Fault(TOO_LONG), "x'00'"),
        Case("nul", "text", "'a' || char(0) || 'b'", "string", Fault(NUL)),
        Case("damaged", "text", "CAST(x'61FF62' AS TEXT)", "string", Fault(DAMAGED)),
        Case("infinity", "real", "9e999", "string", Fault(NUL)),
        Case("zero", "date", "'0000-00-00'", "date", Fault(NO_DATE), "'2020-01-01'"),
    ],
}


def _good(case: Case) -> str:
    if case.good is not None:
        return str(case.good)
    plain = {"numeric": "1", "double": "1", "real": "1", "date": "'2020-01-01'", "timestamp": "'2020-01-01'"}
    return next((good for start, good in plain.items() if case.type.startswith(start)), "'x'")


@pytest.fixture
def writes(department: Department, request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Runs SQL where a statement may be large and a date impossible."""
    if department.kind != "mysql":
        yield department.run
        return
    department.run("SET GLOBAL max_allowed_packet = 67108864")
    parts = urlsplit(department.url)
    place = {"unix_socket": parse_qs(parts.query)["unix_socket"][0], "database": parts.path[1:]}
    link = pymysql.connect(**place, user="root", autocommit=True, charset="utf8mb4")
    with link, link.cursor() as cursor:
        cursor.execute("SET sql_mode = ''")
        cursor.execute("SET time_zone = '+00:00'")
        yield cursor.execute
    department.run("SET GLOBAL max_allowed_packet = 16777216")


async def test_each_value_of_a_database_is_read_or_a_fault_of_its_row(
    department: Department, writes: Callable[[str], None], tmp_path: Path
) -> None:
    kind = "odbc" if department.url.startswith("odbc:") else department.kind
    source = open_source(department.url, Keeping(tmp_path, Cover(tmp_path / "cover.key")))
    told: dict[str, Any] = {}
    for number, case in enumerate(OF_KIND[kind]):
        table = f"t{number}"
        writes(f"CREATE TABLE {table} (bh varchar(20) PRIMARY KEY, v {case.type})")
        good = _good(case)
        for key, value in (("1", good), ("2", case.value), ("3", good)):
            writes(f"INSERT INTO {table} VALUES ('{key}', {value})")
        told[case.name] = outcome(await found_in(source, mapping(table)), case.item)
    await source.close()
    assert told == {case.name: case.wanted for case in OF_KIND[kind]}


@pytest.fixture(params=["postgresql", "odbc"])
def without_encoding(request: pytest.FixtureRequest, empty_database: str, tmp_path: Path) -> Iterator[str]:
    """The address of a PostgreSQL database that takes any bytes for text, as some old systems have."""
    parts = urlsplit(empty_database)
    name = f"{parts.path[1:]}_bytes"
    with psycopg.connect(empty_database, autocommit=True) as link:
        link.execute(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    url = urlunsplit(parts._replace(path=f"/{name}"))
    with psycopg.connect(url, autocommit=True) as link:
        link.execute("CREATE TABLE t (bh varchar(20) PRIMARY KEY, v text)")
        link.execute(b"INSERT INTO t VALUES ('1', 'x'), ('2', E'a\\xffb'), ('3', 'y')")
    yield through_odbc(url, tmp_path) if request.param == "odbc" else url
    with psycopg.connect(empty_database, autocommit=True) as link:
        link.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_bytes_that_are_no_text_stand_alone(without_encoding: str, tmp_path: Path) -> None:
    source = open_source(without_encoding, Keeping(tmp_path, Cover(tmp_path / "cover.key")))
    assert outcome(await found_in(source, mapping()), "string") == Fault(DAMAGED)
    await source.close()


def _csv(path: Path, values: Sequence[Any]) -> None:
    rows = b"\n".join(
        str(number).encode() + b"," + (value if isinstance(value, bytes) else str(value).encode())
        for number, value in enumerate(values, 1)
    )
    # So much good text that a damaged letter makes it no other encoding.
    path.write_bytes("bh,v,说明这里有许多汉字\n".encode() + rows)


def _gb(path: Path, values: Sequence[Any]) -> None:
    _csv(path, values)
    path.write_bytes(
        path.read_bytes().replace("说明这里有许多汉字".encode(), "说明这里有许多汉字".encode("gbk"))
    )


def _xlsx(path: Path, values: Sequence[Any]) -> None:
    book = openpyxl.Workbook()
    for line in (("bh", "v"), *((str(number), value) for number, value in enumerate(values, 1))):
        book.active.append(list(line))
    book.save(path)


def _xlsx_large(path: Path, values: Sequence[Any]) -> None:
    """Other programs write cells that are longer than Excel's own may be."""
    _xlsx(path, ["x", "LARGE", "x"])
    with zipfile.ZipFile(path) as before:
        parts = {name: before.read(name) for name in before.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as after:
        for name, content in parts.items():
            after.writestr(name, content.replace(b"LARGE", values[1].encode()))


def _parquet(path: Path, values: Any) -> None:
    column = values if isinstance(values, pa.Array) else pa.array(values)
    pq.write_table(pa.table({"bh": ["1", "2", "3"], "v": column}), path)


def _not_text(*values: bytes) -> pa.Array:
    """Bytes that a file calls text."""
    made = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), 3, made.buffers())


def _dbf(field: str) -> Write:
    """A table that another program writes."""

    def write(path: Path, values: Sequence[Any]) -> None:
        with warnings.catch_warnings():
            # The library leaves its file to the collector.
            warnings.simplefilter("ignore", ResourceWarning)
            table = dbf.Table(str(path), f"bh C(10); v {field}", codepage="cp936")
            with table.open(mode=dbf.READ_WRITE):
                for number, value in enumerate(values, 1):
                    table.append((str(number), value))
            del table
            gc.collect()

    return write


def _dbf_raw(field: str, raw: bytes) -> Write:
    """A file in which the second value is written over with bytes."""

    def write(path: Path, values: Sequence[Any]) -> None:
        _dbf(field)(path, values)
        content = bytearray(path.read_bytes())
        header, width = struct.unpack_from("<HH", content, 8)
        start = header + width + 1 + 10
        content[start : start + len(raw)] = raw
        path.write_bytes(content)

    return write


LISTS: list[tuple[str, Write, Any, ItemType, Any]] = [
    ("a.csv", _csv, ["x", b"a\xffb", "y"], "string", Fault(DAMAGED)),
    ("a.csv", _gb, ["x", b"a\xff\xffb", "y"], "string", Fault(DAMAGED)),
    ("a.csv", _csv, ["x", "a\0b", "y"], "string", Fault(NUL)),
    ("a.csv", _csv, ["x", "x" * LARGE, "y"], "text", Fault(TOO_LONG)),
    ("a.csv", _csv, ["1", "12345678901234567890.1234", "1"], "string", "12345678901234567890.1234"),
    ("a.csv", _csv, ["2020-01-01", "1880-03-01", "2020-01-01"], "date", date(1880, 3, 1)),
    ("a.csv", _csv, ["2020-01-01", "0000-00-00", "2020-01-01"], "date", Fault(NO_DATE)),
    (
        "a.csv",
        _csv,
        [CHINA, "2026-01-01T00:30:00Z", CHINA],
        "datetime",
        datetime(2026, 1, 1, 0, 30, tzinfo=UTC),
    ),
    ("a.xlsx", _xlsx, ["x", "#N/A", "y"], "string", Fault(NUL)),
    ("a.xlsx", _xlsx, [1, 1e22, 1], "string", "1" + "0" * 22),
    ("a.xlsx", _xlsx, [date(2020, 1, 1), date(1900, 3, 1), date(2020, 1, 1)], "date", date(1900, 3, 1)),
    ("a.xlsx", _xlsx, ["2020-01-01", "1880-03-01", "2020-01-01"], "date", date(1880, 3, 1)),
    ("a.xlsx", _xlsx_large, ["x", "x" * LARGE, "y"], "text", Fault(TOO_LONG)),
    ("a.parquet", _parquet, _not_text(b"x", b"a\xffb", b"y"), "string", Fault(DAMAGED)),
    ("a.parquet", _parquet, ["x", "a\0b", "y"], "string", Fault(NUL)),
    ("a.parquet", _parquet, ["x", "x" * LARGE, "y"], "text", Fault(TOO_LONG)),
    ("a.parquet", _parquet, [1.0, float("nan"), 1.0], "string", Fault(NUL)),
    ("a.parquet", _parquet, [1.0, float("-inf"), 1.0], "string", Fault(NUL)),
    (
        "a.parquet",
        _parquet,
        [Decimal(1), Decimal("1234567890.1234567890"), Decimal(1)],
        "string",
        "1234567890.1234567890",
    ),
    ("a.parquet", _parquet, [date(2020, 1, 1), date(1880, 3, 1), date(2020, 1, 1)], "date", date(1880, 3, 1)),
    ("a.parquet", _parquet, pa.array([0, 10**7, 0], pa.date32()), "date", Fault(NO_DATE)),
    ("a.parquet", _parquet, pa.array([1, 2**62, 1], pa.timestamp("us")), "datetime", Fault(NO_DATE)),
    (
        "a.parquet",
        _parquet,
        pa.array([1, 1767227400 * 10**9 + 1, 1], pa.timestamp("ns", "UTC")),
        "datetime",
        datetime(2026, 1, 1, 0, 30, tzinfo=UTC),
    ),
    ("a.dbf", _dbf("C(40)"), ["x", "样例", "y"], "string", "样例"),
    ("a.dbf", _dbf_raw("C(10)", b"a\xff\xffb"), ["x", "x", "y"], "string", Fault(DAMAGED)),
    ("a.dbf", _dbf_raw("C(10)", b"a\0b"), ["x", "x", "y"], "string", Fault(NUL)),
    ("a.dbf", _dbf_raw("N(19,9)", b"1234567890.12345678"), [1, 1, 1], "string", "1234567890.12345678"),
    ("a.dbf", _dbf_raw("N(10,2)", b"**********"), [1, 1, 1], "string", Fault(NUL)),
    ("a.dbf", _dbf_raw("N(10,2)", b"       NaN"), [1, 1, 1], "string", Fault(NUL)),
    ("a.dbf", _dbf("D"), [date(2020, 1, 1), date(1880, 3, 1), date(2020, 1, 1)], "date", date(1880, 3, 1)),
    ("a.dbf", _dbf_raw("D", b"20200230"), [date(2020, 1, 1)] * 3, "date", Fault(NO_DATE)),
    ("a.dbf", _dbf_raw("D", b"00000000"), [date(2020, 1, 1)] * 3, "date", Fault(NO_DATE)),
]


@pytest.mark.parametrize("case", LISTS, ids=lambda case: f"{case[0]}-{case[4]!s:.30}")
async def test_each_value_of_a_list_is_read_or_a_fault_of_its_row(
    tmp_path: Path, case: tuple[str, Write, Any, ItemType, Any]
) -> None:
    name, write, values, item, wanted = case
    folder = tmp_path / "lists"
    folder.mkdir()
    write(folder / name, values)
    put(folder / name, (folder / name).read_bytes())
    source = open_source(f"folder://{folder}", Keeping(tmp_path / "home", Cover(tmp_path / "cover.key")))
    assert outcome(await found_in(source, mapping(name)), item) == wanted
    await source.close()
