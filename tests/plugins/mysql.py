"""Oracle's MySQL 5.6, started for the tests and gone after them: npm has it for one kind of machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hatch_build import MYSQL

from tests.plugins.mariadb import MariaServer, kept, started
from tests.plugins.places import new_folder

PROGRAMS = Path(__file__).resolve().parents[2] / MYSQL
LOGGED = (
    "--log-bin=log",
    "--server-id=1",
    "--binlog-format=ROW",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency",
    "--log-slave-updates",
    "--innodb-flush-log-at-trx-commit=1",
)
"""Settings of a server whose log can be read, and which loses nothing when it is killed."""


class MysqlServer(MariaServer):
    """A server of its own on a socket, which a test may kill and start again."""

    def install(self) -> None:
        """Make its data: the package has them as a new installation leaves them."""
        shutil.copytree(PROGRAMS / "data" / "mysql", self.folder / "data")
        (self.folder / "own").mkdir()
        # The server's own name in the log, which each makes for itself.
        (self.folder / "data" / "auto.cnf").unlink()

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = [
            "--no-defaults",
            f"--basedir={PROGRAMS}",
            f"--lc-messages-dir={PROGRAMS / 'share'}",
            f"--datadir={self.folder}/data",
            f"--tmpdir={self.folder}/own",
            "--performance-schema=OFF",
            "--innodb-log-file-size=4M",
            "--innodb-buffer-pool-size=32M",
            "--character-set-server=utf8mb4",
            *(["--user=root"] if os.geteuid() == 0 else []),
        ]
        # A library that it needs and that newer systems call otherwise lies beside it.
        environment = os.environ | {"LD_LIBRARY_PATH": str(PROGRAMS)}
        self.process = started(self, [str(PROGRAMS / "mysqld"), *settings], environment)


@contextmanager
def mysql_server(settings: Sequence[str] = ()) -> Iterator[MysqlServer]:
    """Start a server; it is gone in the end."""
    if not (PROGRAMS / "mysqld").exists():
        pytest.skip("MySQL's server is not here; npm has it for x86-64: python hatch_build.py")
    with kept(MysqlServer(new_folder("sqy-"), settings)) as server:
        yield server
