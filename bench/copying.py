"""Programs that copy tables between databases: peers of the exchange, installed for the benchmark only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.peers import PeerMissing, install

_PATIENCE_S = 900
_DLT = """
import sys, dlt
from dlt.sources.sql_database import sql_table
source, target, table, folder = sys.argv[1:]
pipeline = dlt.pipeline("bench", pipelines_dir=folder, dataset_name="public",
                        destination=dlt.destinations.postgres(target))
source = source.replace("postgresql:", "postgresql+psycopg2:")
rows = sql_table(source, table=table, schema="public", backend="pyarrow", chunk_size=50_000)
pipeline.run(rows, write_disposition="replace")
"""


@dataclass(frozen=True)
class Copier:
    """A program: what is installed for it, and the command that copies one table."""

    name: str
    packages: tuple[str, ...]
    command: Callable[[Path, str, str, str], list[str]]

    def copy(self, folder: Path, addresses: tuple[str, str], table: str) -> None:
        """Copy a table; raises `PeerMissing`."""
        home = folder / self.name
        install(self.packages, "pip", home)
        source, target = map(_address, addresses)
        quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DISABLE_TELEMETRY": "true", "HOME": str(home)}
        done = subprocess.run(
            self.command(home, source, target, table),
            env=os.environ | quiet,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        if done.returncode:
            raise PeerMissing((done.stderr or done.stdout).strip()[-300:])


def _address(url: str) -> str:
    """A server's address behind a socket, as these programs take it."""
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[0]}@localhost{parts.path}?{parts.query}"


def _dlt(home: Path, source: str, target: str, table: str) -> list[str]:
    return [str(home / "venv/bin/python"), "-c", _DLT, source, target, table, str(home / "state")]


def _ingestr(home: Path, source: str, target: str, table: str) -> list[str]:
    name = f"public.{table}"
    return [
        *(str(home / "venv/bin/ingestr"), "ingest", "--yes", "--progress", "log"),
        *("--source-uri", source, "--source-table", name, "--dest-uri", target, "--dest-table", name),
    ]


COPIERS = (
    Copier("dlt", ("dlt[postgres]==1.31.*", "sqlalchemy>=2", "psycopg2-binary", "pyarrow"), _dlt),
    Copier("ingestr", ("ingestr<0.15",), _ingestr),
)
