"""A whole city of real processes, started as a user starts it; one for all tests of a run."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shuqiao.demo.home import Home
from tests.plugins.ports import free_port

PEOPLE = 600
"""A small city; the story's family is always in it."""


@dataclass
class City:
    """A running city and the commands to handle it."""

    home: Path
    port: int
    plane_port: int
    nats_port: int

    @property
    def url(self) -> str:
        """Address of the pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def credentials(self) -> dict:
        """What `$SHUQIAO_HOME/demo/credentials.json` holds."""
        return json.loads((self.home / "demo" / "credentials.json").read_text(encoding="utf-8"))

    @property
    def state(self) -> dict:
        """What runs now."""
        return json.loads((self.home / "run" / "state.json").read_text(encoding="utf-8"))

    def password(self, username: str) -> str:
        """Password of a demonstration account."""
        return next(a["password"] for a in self.credentials["accounts"] if a["username"] == username)

    def run(self, *arguments: str, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
        """Run `shuqiao ARGUMENTS` in this city's home."""
        elsewhere = ("SHUQIAO_", "DATABASE_URL", "NATS_URL")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(elsewhere)}
        return subprocess.run(
            [sys.executable, "-m", "shuqiao.cli", *arguments],
            env=environment | {"SHUQIAO_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def start(self, *more: str) -> str:
        """Start the city and return the line that says it is ready."""
        ports = ["--port", self.port, "--plane-port", self.plane_port, "--nats-port", self.nats_port]
        done = self.run("demo", "--detach", "--people", str(PEOPLE), *map(str, ports), *more)
        logs = "".join(
            f"\n--- {p.name}\n{p.read_text(errors='replace')[-1500:]}"
            for p in (self.home / "log").glob("*.log")
        )
        assert done.returncode == 0, done.stdout + done.stderr + logs
        return next(line for line in done.stdout.splitlines() if line.startswith("ready"))

    def stop(self) -> None:
        """End the city."""
        assert self.run("stop").returncode == 0


@pytest.fixture(scope="session")
def city() -> Iterator[City]:
    """A city that all acceptance tests share; each test makes what it changes its own."""
    with tempfile.TemporaryDirectory(prefix="sqc-") as folder:
        made = City(Path(folder) / "home", free_port(), free_port(), free_port())
        made.start()
        yield made
        made.stop()
        # As root the servers' data lie outside of the home.
        shutil.rmtree(Home(made.home).data)
