"""From a department's MariaDB to the base table and the vault, through every real process."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from tests.loader.line import BIRTHS, Line, wait_for
from tests.plugins.departments import Department, in_mariadb

pytestmark = pytest.mark.database

_TABLE = """
CREATE TABLE csyxzm (
    zsbh varchar(10) PRIMARY KEY, xsexm varchar(60), xb char(1), jkzk char(1), mqxm varchar(60),
    mqsfzh varchar(18), fqxm varchar(60), fqsfzh varchar(18), csrq date, qfsj timestamp(6) NULL,
    qfjg varchar(120), gxsj datetime(6) DEFAULT now(6), KEY (gxsj, zsbh))"""
_COLUMNS = "zsbh, xsexm, xb, jkzk, mqxm, mqsfzh, fqxm, fqsfzh, csrq, qfsj, qfjg"


def copy_births(line: Line, department: Department) -> None:
    """Put the rows of the line's own source into the department's database, times of issue in their zone."""
    department.run("SET time_zone = '+00:00'")
    department.run(_TABLE)
    shown = _COLUMNS.replace("qfsj", "qfsj AT TIME ZONE 'UTC'")
    with psycopg.connect(line.source) as link:
        rows = link.execute(f"SELECT {shown} FROM csyxzm").fetchall()
    places = ", ".join(["%s"] * len(rows[0]))
    department.run(f"INSERT INTO csyxzm ({_COLUMNS}) VALUES ({places})", rows)
    department.run("SET time_zone = @@global.time_zone")


def node_status(line: Line) -> subprocess.CompletedProcess[str]:
    """Ask the node on the command line how it is."""
    command = [sys.executable, "-m", "shuqiao.cli", "node", "status", "--home", str(line.node_home)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.requirement("ING-14")
async def test_a_mariadb_is_loaded_in_full_and_then_followed(line: Line, mariadb: str) -> None:
    with in_mariadb(mariadb) as department:
        rows = await line.set_up(people=1500)
        copy_births(line, department)
        line.children["node"].environment["NODE_SOURCE_URL"] = department.url
        line.start("loader", "node")
        wait_for(lambda: line.count() == rows, what="the full load")
        assert line.base_checksum() == line.source_checksum()
        department.run("UPDATE csyxzm SET jkzk = '3', gxsj = now(6) WHERE jkzk <> '3' LIMIT 5")
        worse = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE version = 2 AND health_status_code = '3'"
        wait_for(lambda: line.ask(worse) == [{"n": 5}], what="the five changes")
        assert line.count() == rows
        assert all(entry["rejected"] == [] for entry in line.ledger())
        wait_for(lambda: f"{BIRTHS}  up: " in node_status(line).stdout, what="the state on the command line")
        assert node_status(line).returncode == 0
        line.children["node"].end()
