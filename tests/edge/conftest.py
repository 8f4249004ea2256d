"""One empty database of each kind the node reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.plugins.departments import Department, in_mariadb, through_odbc


@pytest.fixture(params=["postgresql", "mariadb", "mysql", "sqlite", "odbc"])
def department(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Department]:
    """An empty database of each kind in turn."""
    if request.param in ("postgresql", "odbc"):
        url = request.getfixturevalue("empty_database")

        def run(sql: str) -> None:
            with psycopg.connect(url, autocommit=True) as link:
                link.execute(sql)

        seen = through_odbc(url, tmp_path) if request.param == "odbc" else url
        yield Department("postgresql", seen, run, "timestamp")
    elif request.param in ("mariadb", "mysql"):
        name = {"mysql": "oracle_mysql"}.get(request.param, request.param)
        with in_mariadb(request.getfixturevalue(name)) as made:
            yield made
    else:
        file = tmp_path / "源.db"

        def write(sql: str) -> None:
            with sqlite3.connect(file) as link:
                link.execute(sql)
            link.close()

        write("PRAGMA user_version = 1")
        yield Department("sqlite", f"sqlite://{file}", write, "datetime")
