"""Databases of departments, one of each kind the node reads."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.edge.mariadb import is_installed, running_mariadb


@dataclass(frozen=True)
class Department:
    """A department's own database: its address for the node, and a way to run SQL in it."""

    kind: str
    url: str
    run: Callable[..., Any]
    moment: str
    """The type of a time without a zone."""


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """A MariaDB server for all tests, by its address."""
    if not is_installed():
        pytest.skip("MariaDB is not installed: sudo apt-get install mariadb-server-core")
    with running_mariadb() as url:
        yield url


@pytest.fixture(params=["postgresql", "mysql", "sqlite"])
def department(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Department]:
    """An empty database of each kind in turn."""
    if request.param == "postgresql":
        url = request.getfixturevalue("empty_database")

        def run(sql: str) -> None:
            with psycopg.connect(url, autocommit=True) as link:
                link.execute(sql)

        yield Department("postgresql", url, run, "timestamp")
    elif request.param == "mysql":
        with in_mariadb(request.getfixturevalue("mariadb")) as made:
            yield made
    else:
        file = tmp_path / "源.db"

        def write(sql: str) -> None:
            with sqlite3.connect(file) as link:
                link.execute(sql)
            link.close()

        write("PRAGMA user_version = 1")
        yield Department("sqlite", f"sqlite://{file}", write, "datetime")


@contextmanager
def in_mariadb(server: str) -> Iterator[Department]:
    """A new database on the server, dropped in the end."""
    name = f"d{uuid.uuid4().hex[:12]}"
    socket = server.partition("unix_socket=")[2]
    admin = pymysql.connect(unix_socket=socket, user="root", autocommit=True, charset="utf8mb4")

    def run(sql: str) -> None:
        with admin.cursor() as cursor:
            cursor.execute(sql)

    run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    run(f"USE {name}")
    try:
        yield Department("mysql", server.replace("/?", f"/{name}?"), run, "datetime(6)")
    finally:
        run(f"DROP DATABASE {name}")
        admin.close()
