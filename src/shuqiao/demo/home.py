"""The folder of a city on one machine: where everything lies, and the secrets made at the first start.

As root, what other system users must reach lies in /var/lib/shuqiao/<hash of the folder>, because they may
not be able to enter a home of mode 700; `run/state.json` records the place.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from shuqiao.embedded import hub
from shuqiao.embedded.postgres import PostgresServer
from shuqiao.embedded.processes import is_root
from shuqiao.security.keys import random_secret_file


def with_database(url: str, database: str, role: str | None = None, password: str = "") -> str:
    """The same server's URL for another database and, where given, another role."""
    parts = urlsplit(url)
    if role is None:
        return urlunsplit(parts._replace(path=f"/{database}"))
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(
        parts._replace(path=f"/{database}", netloc=f"{role}:{quote(password, safe='')}@{place}")
    )


MAX_SOCKET_PATH = 90
"""A Unix socket's path may have 107 characters; the server adds its file name to the folder's."""


@dataclass(frozen=True)
class Home:
    """All places of one city, drawn from `SHUQIAO_HOME`."""

    root: Path
    external_database: str | None = None

    @classmethod
    def from_environment(cls) -> "Home":
        """The home that `SHUQIAO_HOME` names, or `.shuqiao` in the working folder.

        `DATABASE_URL`, a superuser's, puts the hub's and the vault's databases on a server of one's own.
        """
        root = Path(os.environ.get("SHUQIAO_HOME", ".shuqiao")).resolve()
        return cls(root, os.environ.get("DATABASE_URL") or None)

    @property
    def data(self) -> Path:
        """Folder of the servers' data; reachable by the servers' own users."""
        return self._shared if is_root() else self.root / "data"

    @property
    def sockets(self) -> Path:
        """Folder of Unix sockets; short enough for their paths."""
        place = (self._shared if is_root() else self.root) / "run"
        if len(str(place)) <= MAX_SOCKET_PATH:
            return place
        return Path(tempfile.gettempdir()) / f"shuqiao-{os.getuid()}-{self._hash}"

    @property
    def secrets(self) -> Path:
        """Folder of keys and passwords, mode 0700."""
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        """Folder of the processes' logs."""
        return self.root / "log"

    @property
    def state_file(self) -> Path:
        """What runs now: process numbers, ports, addresses. Mode 0600: one address holds a password."""
        return self.root / "run" / "state.json"

    @property
    def credentials_file(self) -> Path:
        """The demonstration's accounts and applications."""
        return self.root / "demo" / "credentials.json"

    @property
    def vault_socket(self) -> Path:
        """Where the vault listens."""
        return self.sockets / "vault" / "vault.sock"

    @property
    def hub_server(self) -> PostgresServer:
        """The hub's PostgreSQL."""
        return PostgresServer(
            self.data / "hub" / "pg", self.sockets / "hub", self.data / "hub" / "pg.log", self.password("hub")
        )

    @property
    def departments_server(self) -> PostgresServer:
        """The PostgreSQL in which the sample departments keep their own databases."""
        place = self.data / "departments"
        return PostgresServer(
            place / "pg", self.sockets / "departments", place / "pg.log", self.password("departments")
        )

    def password(self, name: str) -> str:
        """The password called `name`, made when first asked for."""
        return random_secret_file(self.secrets / "passwords" / name, 24).hex()

    @property
    def locked_data(self) -> list[Path]:
        """Folders of data that are there while their password is not: nobody can open them any more."""
        if self.external_database is None:
            servers = {"hub": self.data / "hub" / "pg", "departments": self.data / "departments" / "pg"}
        else:
            servers = {"departments": self.data / "departments" / "pg"}
        passwords = self.secrets / "passwords"
        return [
            place
            for name, place in servers.items()
            if (place / "PG_VERSION").exists() and not (passwords / name).exists()
        ]

    def hub_superuser_url(self, database: str = "postgres") -> str:
        """The superuser's URL of one of the hub's databases."""
        if self.external_database is None:
            return self.hub_server.url(database)
        return with_database(self.external_database, database)

    def hub_url(self, role: str, database: str = "shuqiao") -> str:
        """URL of the hub's database for one process's role."""
        if self.external_database is None:
            return self.hub_server.url(database, role, self.password(role))
        return with_database(self.external_database, database, role, self.password(role))

    def make(self) -> None:
        """Create the folders; the shared ones may be entered by everybody but read only by their owners."""
        for folder, mode in (
            (self.root, 0o755),
            (self.secrets, 0o700),
            (self.logs, 0o755),
            (self.root / "run", 0o755),
            (self.root / "demo", 0o700),
            (self.data, 0o711),
            (self.sockets, 0o711),
        ):
            if not folder.exists():
                folder.mkdir(parents=True, mode=mode)
        if is_root():
            # mkdir's mode is narrowed by the umask; the servers' users must be able to pass.
            for folder in (self.data.parent, self.data, self.sockets):
                folder.chmod(0o711)
        for role in hub.ROLES:
            self.password(role)

    def write_state(self, state: dict[str, Any]) -> None:
        """Replace the state file in one step."""
        part = self.state_file.with_suffix(".part")
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        part.write_text(json.dumps(state, indent=1), encoding="utf-8")
        part.replace(self.state_file)

    def read_state(self) -> dict[str, Any]:
        """What `write_state` wrote last, or an empty dict."""
        try:
            state: dict[str, Any] = json.loads(self.state_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return state

    @property
    def _hash(self) -> str:
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:12]

    @property
    def _shared(self) -> Path:
        return Path("/var/lib/shuqiao") / self._hash
