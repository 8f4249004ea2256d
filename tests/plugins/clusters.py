"""PostgreSQL's data folder with a migrated hub in it, made once and copied for each server of the tests.

Kept under `$SHUQIAO_HOME/tests`, by the server's version and by everything a migration is made of; what is
not newest there is cleared away. The copy has its maker's passwords until whoever starts it sets new ones.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shuqiao.embedded import postgres
from tests.plugins.places import new_folder

ROOT = Path(__file__).parents[2]
TEMPLATE = "sq_template"
"""The database to copy hubs from, on a server that began as a copy."""

KEPT = 4
"""So many clusters stay: two versions of PostgreSQL, before and after a change."""

SOURCES = (
    "requirements.lock",
    "src/shuqiao/embedded/*.py",
    "src/shuqiao/control/settings.py",
    "src/shuqiao/control/**/apps.py",
    "src/shuqiao/control/**/models.py",
    "src/shuqiao/control/**/migrations/*.py",
    "src/shuqiao/control/**/*.sql",
    "tests/plugins/*.py",
)
"""What a migrated hub is made of; a test holds the imports of the migrations against it."""

Fill = Callable[[postgres.PostgresServer], None]


@dataclass(frozen=True)
class Clusters:
    """The folder of the clusters, and how one is filled that is not there yet."""

    folder: Path
    fill: Fill

    def copy(self, programs: Path, target: Path) -> str:
        """Put a cluster for the server of these programs at `target`, a new folder; return its password."""
        made = self.folder / _key(programs)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                self._make(programs, made)
            os.utime(made)
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(made / "data", target)
        return (made / "password").read_text(encoding="ascii")

    def _make(self, programs: Path, made: Path) -> None:
        part = self.folder / f".{made.name}-{secrets.token_hex(4)}"
        part.mkdir(mode=0o700)
        password = secrets.token_hex(16)
        (part / "password").touch(mode=0o600)
        (part / "password").write_text(password, encoding="ascii")
        place = new_folder("sqt-")
        server = postgres.PostgresServer(place / "pg" / "data", place / "s", place / "pg.log", password)
        try:
            process = postgres.start(server, programs=programs, durable=False)
            try:
                self.fill(server)
            finally:
                postgres.stop(process)
            _copy(server.data, part / "data")
        finally:
            shutil.rmtree(place, ignore_errors=True)
        part.rename(made)
        self._clear_away()

    def _clear_away(self) -> None:
        found = sorted(self.folder.glob("[!.]*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in (*found[KEPT:], *self.folder.glob(".?*-*")):
            shutil.rmtree(old, ignore_errors=True)


def _copy(data: Path, target: Path) -> None:
    """Copy with owners and modes, which PostgreSQL looks at."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(data), str(target)], check=True)


def _key(programs: Path) -> str:
    """Name what a cluster depends on: the server's version, and the content of all sources."""
    version = subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True).stdout
    digest = hashlib.sha256(version)
    for file in sorted({file for pattern in SOURCES for file in ROOT.glob(pattern)}):
        digest.update(f"\n{file.relative_to(ROOT)}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:24]


def home() -> Path:
    """Give the folder where clusters stay between runs."""
    return Path(os.environ.get("SHUQIAO_HOME") or ROOT / ".shuqiao") / "tests" / "clusters"
