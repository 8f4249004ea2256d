"""What `shuqiao node check` says beyond columns: keys that are doubled, logs that can't be followed."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import psycopg
import pytest

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.opening import check_log
from shuqiao.edge.source_commands import check_command
from shuqiao.wire.enrolment import Admission, HubKey
from shuqiao.wire.node_home import NodeFiles
from tests.edge.followed import RESOURCE, TABLE, mapping
from tests.edge.test_mapping import SPEC
from tests.plugins.departments import Department
from tests.plugins.logged import LoggedSource

FILE = f"""resource: {RESOURCE}
source: {{system: s, table: births, key: bh}}
capture: {{by: BY}}
items: {{number: bh, sex_code: xb}}
"""


def checked(url: str, home: Path, patch: pytest.MonkeyPatch, by: str = "ranges") -> int:
    """Run the command on a node with one mapping file."""
    admission = Admission("440100-health", "", "", (), HubKey("k", b""), {RESOURCE: SPEC})
    (home / "maps").mkdir(exist_ok=True)
    (home / "maps" / "births.yaml").write_text(FILE.replace("BY", by))
    NodeFiles(home).admission.write_bytes(msgspec.json.encode(admission))
    patch.setenv("NODE_MAPPING", str(home / "maps"))
    patch.setenv("NODE_SOURCE_URL", url)
    return check_command(argparse.Namespace(home=str(home)))


def test_a_key_that_is_doubled_is_said(
    department: Department,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    department.run("CREATE TABLE births (bh varchar(20), xb varchar(2), PRIMARY KEY (bh, xb))")
    for row in ("('01', 'F')", "('02', 'M')", "('03', 'M')"):
        department.run(f"INSERT INTO births VALUES {row}")
    assert checked(department.url, tmp_path, monkeypatch) == 0
    assert "holds the key 'bh' unique (3 rows looked at, none doubled)" in capsys.readouterr().out
    department.run("INSERT INTO births VALUES ('02', 'F')")
    assert checked(department.url, tmp_path, monkeypatch) == 1
    said = capsys.readouterr().out
    assert "the key 'bh' is not unique: of the first 4 rows 1 have" in said and "02" not in said
    monkeypatch.setenv("SHUQIAO_LANGUAGE", "zh")
    assert checked(department.url, tmp_path, monkeypatch) == 1
    assert "键'bh'不唯一" in capsys.readouterr().out
    monkeypatch.delenv("SHUQIAO_LANGUAGE")
    department.run("DROP TABLE births")
    department.run("CREATE TABLE births (bh varchar(20) PRIMARY KEY, xb varchar(2))")
    assert checked(department.url, tmp_path, monkeypatch) == 0
    assert "note:" not in capsys.readouterr().out


def test_a_log_that_cannot_be_followed_is_said_before_the_node_runs(
    empty_database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with psycopg.connect(empty_database, autocommit=True) as link:
        link.execute("CREATE TABLE births (bh text PRIMARY KEY, xb text)")
    assert checked(empty_database, tmp_path, monkeypatch, "log") == 1
    assert "wal_level = logical" in capsys.readouterr().out
    monkeypatch.setenv("SHUQIAO_LANGUAGE", "zh")
    assert checked(empty_database, tmp_path, monkeypatch, "log") == 1
    assert "日志内容不足" in capsys.readouterr().out


async def test_what_following_takes_is_looked_at_and_nothing_is_made(logged_source: LoggedSource) -> None:
    logged_source.run(TABLE)
    await check_log(logged_source.url, mapping())
    if logged_source.department.kind == "mysql":
        logged_source.run(
            "GRANT SELECT, SUPER, REPLICATION CLIENT ON *.* TO looker@localhost IDENTIFIED BY 'r'"
        )
        with pytest.raises(SourceError, match="GRANT REPLICATION SLAVE"):
            await check_log(logged_source.url.replace("root@", "looker:r@"), mapping())
        logged_source.run("DROP USER looker@localhost")
        return
    url = logged_source.url.replace("postgres:logged@", "looker:r@")
    logged_source.run("DROP ROLE IF EXISTS looker")
    logged_source.run("CREATE ROLE looker LOGIN PASSWORD 'r'")
    logged_source.run("GRANT SELECT ON t TO looker")
    with pytest.raises(SourceError, match="CREATE PUBLICATION"):
        await check_log(url, mapping())
    logged_source.run(f"CREATE PUBLICATION shuqiao_{RESOURCE} FOR TABLE t")
    with pytest.raises(SourceError, match="ALTER ROLE … REPLICATION"):
        await check_log(url, mapping())
    logged_source.run("ALTER ROLE looker REPLICATION")
    await check_log(url, mapping())
    assert (
        logged_source.rows("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")
        == []
    )
    logged_source.run("DROP OWNED BY looker")
    logged_source.run("DROP ROLE looker")
