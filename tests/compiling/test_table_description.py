"""The structure of a real table is read in the department's database, and no value of it leaves."""

import json
import os
import re
import subprocess
import sys

import msgspec
import psycopg
import pytest

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.postgresql_tables import PostgresqlTables
from shuqiao.wire.tables import (
    MAX_DESCRIPTION_BYTES,
    PATTERNS,
    DescriptionUnreadable,
    TableDescription,
    read_description,
)

SCHEMA = """
CREATE SCHEMA yw;
CREATE TABLE yw.jg (jgdm varchar(12) PRIMARY KEY, jgmc varchar(100));
INSERT INTO yw.jg VALUES ('JG1', '样例医院');
CREATE TABLE yw."csyxzm Lb" (
  zsbh char(10) PRIMARY KEY, xm varchar(50) NOT NULL, sfzh varchar(18) UNIQUE, csrq date, xb char(1),
  sj text, je numeric(12,2), bz text, gxsj timestamptz NOT NULL, jgdm varchar(12) REFERENCES yw.jg, zp bytea,
  rq char(8), yx boolean, n integer);
COMMENT ON TABLE yw."csyxzm Lb" IS '出生医学证明';
COMMENT ON COLUMN yw."csyxzm Lb".xm IS '姓名（新生儿）';
INSERT INTO yw."csyxzm Lb"
  SELECT 'Z' || lpad(i::text, 9, '0'), '样例甲' || chr(x'4e00'::int + i % 50),
    '11010519491231' || lpad(i::text, 4, '0'), date '2020-01-01' + i, (i % 2)::text,
    '1380013' || lpad(i::text, 4, '0'), i * 1.5,
    CASE WHEN i % 4 = 0 THEN '秘密备注' || i END, now(), 'JG1', NULL, '20200101', true, i
  FROM generate_series(1, 1234) i;
ANALYZE yw."csyxzm Lb";
"""


@pytest.fixture
def department(empty_database: str) -> str:
    """A department's database with one table of invented people."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
    return empty_database


async def described(url: str, table: str = "yw.csyxzm Lb") -> TableDescription:
    return await PostgresqlTables(url).describe(table)


async def test_columns_types_lengths_keys_and_comments(department: str) -> None:
    found = await described(department)
    assert (found.schema, found.table, found.comment) == ("yw", "csyxzm Lb", "出生医学证明")
    assert found.rows == 1200
    seen = {c.name: (c.data_type, c.length, c.scale, c.required, c.key, c.unique) for c in found.columns}
    assert seen == {
        "zsbh": ("C", 10, None, True, True, True),
        "xm": ("C", 50, None, True, False, False),
        "sfzh": ("C", 18, None, False, False, True),
        "csrq": ("D", None, None, False, False, False),
        "xb": ("C", 1, None, False, False, False),
        "sj": ("M", None, None, False, False, False),
        "je": ("N", 12, 2, False, False, False),
        "bz": ("M", None, None, False, False, False),
        "gxsj": ("T", None, None, True, False, False),
        "jgdm": ("C", 12, None, False, False, False),
        "zp": ("G", None, None, False, False, False),
        "rq": ("C", 8, None, False, False, False),
        "yx": ("L", None, None, False, False, False),
        "n": ("I", None, None, False, False, False),
    }
    own = {c.name: c for c in found.columns}
    assert own["xm"].comment == "姓名（新生儿）"
    assert own["jgdm"].refers_to == "yw.jg.jgdm"


async def test_figures_tell_the_class_of_the_content(department: str) -> None:
    own = {c.name: c.profile for c in (await described(department)).columns}
    assert {name: own[name].pattern for name in ("sfzh", "sj", "rq", "xm", "je", "n", "zsbh")} == {
        "sfzh": "citizen_id_18",
        "sj": "mobile_11",
        "rq": "date_8",
        "xm": "han_short",
        "je": "decimal",
        "n": "integer",
        "zsbh": "",
    }
    assert (own["bz"].null_share, own["bz"].distinct, own["xb"].distinct) == (0.75, 310, 2)
    assert (own["zp"].null_share, own["zp"].pattern, own["sfzh"].longest) == (1.0, "", 18)


async def test_no_value_leaves_the_database(department: str) -> None:
    def words(value: object) -> list[str]:
        if isinstance(value, dict):
            return [w for one in value.values() for w in words(one)]
        if isinstance(value, list):
            return [w for one in value for w in words(one)]
        return [str(value)]

    said = " ".join(words(msgspec.to_builtins(await described(department))))
    with psycopg.connect(department) as connection:
        for row in connection.execute('SELECT zsbh, xm, sfzh, sj, bz, rq FROM yw."csyxzm Lb"').fetchall():
            assert not [value for value in row if value and value in said]


async def test_a_handful_of_rows_has_no_figures(department: str) -> None:
    assert [c.profile for c in (await described(department, "yw.jg")).columns] == [None, None]


@pytest.mark.parametrize("table", ["nowhere", "yw.nowhere", 'yw."x"; DROP TABLE yw.jg; --', "a.b.c.d"])
async def test_an_unknown_table_is_told_and_nothing_runs(department: str, table: str) -> None:
    with pytest.raises(SourceError):
        await described(department, table)
    assert (await described(department, "yw.jg")).table == "jg"


def test_the_command_writes_what_control_reads(department: str, tmp_path) -> None:
    out = tmp_path / "table.json"
    command = [sys.executable, "-m", "shuqiao.cli", "node", "describe", "yw.csyxzm Lb", "--out", str(out)]
    done = subprocess.run(
        command, env=os.environ | {"NODE_SOURCE_URL": department}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "14 columns" in done.stdout
    assert len(read_description(out.read_bytes()).columns) == 14
    for environment, code in (({"NODE_SOURCE_URL": "oracle://x/y"}, 2), ({"NODE_SOURCE_URL": department}, 1)):
        wrong = [*command[:5], "nowhere"]
        done = subprocess.run(wrong, env=os.environ | environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == code and "Traceback" not in done.stderr and done.stderr


COLUMN = {"name": "xm", "type": "text", "data_type": "C"}
GOOD = {
    "version": 1, "database": "postgresql", "schema": "s", "table": "t", "comment": "", "rows": 1,
    "columns": [COLUMN],
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not json", "not_json"),
        (b"[" * 100_000, "not_a_description"),
        (b'{"columns":' + b"[" * 100_000, "not_a_description"),
        (b"[]", "not_a_description"),
        (b"\xff\xfe", "not_json"),
        (b" " * (MAX_DESCRIPTION_BYTES + 1), "too_large"),
        (GOOD | {"version": 2}, "other_version"),
        (GOOD | {"values": ["x"]}, "not_a_description"),
        (GOOD | {"columns": [COLUMN | {"sample": "x"}]}, "not_a_description"),
        (GOOD | {"columns": []}, "columns_out_of_bounds"),
        (GOOD | {"columns": [COLUMN | {"name": f"c{i}"} for i in range(501)]}, "columns_out_of_bounds"),
        (GOOD | {"columns": [COLUMN, COLUMN]}, "column_twice"),
        (GOOD | {"comment": "x" * 1001}, "out_of_bounds"),
        (GOOD | {"columns": [COLUMN | {"comment": "a\0b"}]}, "out_of_bounds"),
        (GOOD | {"columns": [COLUMN | {"name": "a\nb"}]}, "out_of_bounds"),
        (GOOD | {"columns": [COLUMN | {"length": -1}]}, "out_of_bounds"),
        (GOOD | {"rows": 10**30}, "out_of_bounds"),
    ],
)
def test_a_description_that_is_none_is_refused(content: bytes | dict, reason: str) -> None:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(DescriptionUnreadable) as refused:
        read_description(raw)
    assert refused.value.reason == reason


def test_a_good_description_is_read() -> None:
    assert read_description(json.dumps(GOOD).encode()).columns[0].name == "xm"
    assert all(re.compile(pattern) for pattern in PATTERNS.values())
