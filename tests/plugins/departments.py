"""Databases of departments of the kinds a node reads beside PostgreSQL."""

from __future__ import annotations

import ctypes.util
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.plugins.mariadb import is_installed, running_mariadb
from tests.plugins.mysql import mysql_server


@dataclass(frozen=True)
class Department:
    """A department's own database: its address for the node, and a way to run SQL in it."""

    kind: str
    url: str
    run: Callable[..., Any]
    moment: str
    """The type of a time without a zone."""

    def rename(self, table: str, column: str, name: str, kind: str) -> None:
        """Give a column another name, in words that old servers know."""
        change = f"CHANGE {column} {name} {kind}" if self.kind == "mysql" else f"RENAME {column} TO {name}"
        self.run(f"ALTER TABLE {table} {change}")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """A MariaDB server for all tests, by its address."""
    if not is_installed():
        pytest.skip("MariaDB is not installed: sudo apt-get install mariadb-server-core mariadb-client-core")
    with running_mariadb() as url:
        yield url


@pytest.fixture(scope="session")
def oracle_mysql() -> Iterator[str]:
    """A MySQL server for all tests, by its address."""
    # One value may be a tenth of its redo log.
    with mysql_server(("--innodb-log-file-size=96M",)) as server:
        yield server.url


ODBC_DRIVERS = sorted(Path("/usr/lib").glob("*/odbc/psqlodbcw.so"))
"""PostgreSQL's own driver, as Debian has it."""


def through_odbc(url: str, folder: Path) -> str:
    """Return the address by which a node reads a PostgreSQL database with an ODBC driver."""
    if not ODBC_DRIVERS or ctypes.util.find_library("odbc") is None:
        pytest.skip("no ODBC driver is installed: sudo apt-get install libodbc2 odbc-postgresql")
    known = psycopg.conninfo.conninfo_to_dict(url)
    words = {
        "Driver": ODBC_DRIVERS[0],
        "Server": known.get("host", "localhost"),
        "Port": known.get("port", 5432),
        "Database": known["dbname"],
        "Uid": known.get("user", ""),
        "Pwd": known.get("password", ""),
    }
    file = folder / "source.odbc"
    file.write_text("\n".join(f"{name}={value}" for name, value in words.items()))
    file.chmod(0o600)
    return f"odbc://{file}"


@contextmanager
def in_mariadb(server: str) -> Iterator[Department]:
    """A new database on the server, dropped in the end."""
    name = f"d{uuid.uuid4().hex[:12]}"
    socket = server.partition("unix_socket=")[2]
    admin = pymysql.connect(unix_socket=socket, user="root", autocommit=True, charset="utf8mb4")

    def run(sql: str, rows: Sequence[Sequence[Any]] | None = None) -> None:
        try:
            admin.ping()
        except pymysql.MySQLError:
            # A test has killed the server meanwhile.
            admin.close()
            admin.connect()
            admin.select_db(name)
        with admin.cursor() as cursor:
            if rows is None:
                cursor.execute(sql)
            else:
                cursor.executemany(sql, rows)

    run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    run(f"USE {name}")
    try:
        yield Department("mysql", server.replace("/?", f"/{name}?"), run, "datetime(6)")
    finally:
        run(f"DROP DATABASE {name}")
        admin.close()
