"""A standby of a server of a test's own: copied with pg_basebackup, fed by streaming replication."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from shuqiao.embedded import postgres
from shuqiao.embedded.processes import is_root, system_user
from tests.plugins.places import new_folder
from tests.plugins.server import Hub, TestServer


@dataclass
class Standby:
    """A hot standby; its replay can be held up, as on a line that is down."""

    server: postgres.PostgresServer
    programs: Path
    process: subprocess.Popen[bytes] | None = None

    def url(self, hub: Hub, role: str | None = None) -> str:
        """The URL of a hub's database here."""
        return self.server.url(hub.name, role or postgres.SUPERUSER)

    def hold_up(self) -> None:
        """Apply nothing more of what comes."""
        self._say("SELECT pg_wal_replay_pause()")

    def go_on(self) -> None:
        """Catch up."""
        self._say("SELECT pg_wal_replay_resume()")

    def resume(self) -> None:
        """Start it, for the first time or again."""
        self.process = postgres.start(self.server, programs=self.programs, durable=False)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=60)

    def _say(self, statement: str) -> None:
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def running_standby(primary: TestServer) -> Iterator[Standby]:
    """Copy a running server and follow it."""
    folder = new_folder("sqs-")
    source = primary.embedded
    server = postgres.PostgresServer(folder / "pg" / "data", folder / "s", folder / "pg.log", source.password)
    standby = Standby(server, primary.programs)
    _copy(primary, server)
    standby.resume()
    try:
        yield standby
    finally:
        standby.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _copy(primary: TestServer, server: postgres.PostgresServer) -> None:
    place = server.data.parent
    place.mkdir()
    account = system_user(postgres.SYSTEM_USER) if is_root() else None
    if account is not None:
        os.chown(place, account.pw_uid, account.pw_gid)
    source = primary.embedded
    done = subprocess.run(
        [
            str(primary.programs / "pg_basebackup"),
            *("-h", str(source.socket), "-U", postgres.SUPERUSER, "-D", str(server.data)),
            *("--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"),
        ],
        env={"PGPASSWORD": source.password, "PATH": os.defpath, "LC_ALL": "C"},
        cwd=place,
        user=account.pw_uid if account is not None else None,
        group=account.pw_gid if account is not None else None,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
