"""The embedded PostgreSQL: starts twice, survives a killed parent, touches nothing outside its folder."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from shuqiao.embedded import postgres
from shuqiao.embedded.processes import is_root, runs


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder of its own, as sockets need one."""
    made = Path(tempfile.mkdtemp(prefix="sqe-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def _server(folder: Path, password: str = "") -> postgres.PostgresServer:
    return postgres.PostgresServer(
        folder / "pg" / "data", folder / "s", folder / "pg.log", password or secrets.token_hex(8)
    )


def _assert_answers(server: postgres.PostgresServer) -> None:
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_data_are_kept_over_a_second_start(folder: Path) -> None:
    server, programs = _server(folder), postgres.runtime(folder)
    process = postgres.start(server, programs=programs)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    postgres.stop(process)
    process = postgres.start(server, programs=programs)
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
    postgres.stop(process)


def test_a_wrong_password_opens_nothing(folder: Path) -> None:
    server = _server(folder)
    process = postgres.start(server, programs=postgres.runtime(folder))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url(password="wrong"))
    postgres.stop(process)


PARENT = """
import sys, time
from pathlib import Path
from shuqiao.embedded import postgres
folder = Path(sys.argv[1])
server = postgres.PostgresServer(folder / "pg" / "data", folder / "s", folder / "pg.log", sys.argv[2])
print(postgres.start(server, programs=postgres.runtime(folder)).pid, flush=True)
time.sleep(60)
"""


def test_the_server_ends_when_its_parent_is_killed(folder: Path) -> None:
    server = _server(folder, "parent-secret")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), "parent-secret"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while runs(pid, in_folder=server.data) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(pid, in_folder=server.data)
    process = postgres.start(server, programs=postgres.runtime(folder))
    _assert_answers(server)
    postgres.stop(process)


def test_a_killed_server_starts_again_over_its_stale_pid_file(folder: Path) -> None:
    server, programs = _server(folder), postgres.runtime(folder)
    process = postgres.start(server, programs=programs)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (server.data / "postmaster.pid").exists(), "a killed server leaves its pid file behind"
    again = postgres.start(server, programs=programs)
    _assert_answers(server)
    postgres.stop(again)


def test_a_stranger_with_the_number_of_the_pid_file_is_left_alone(folder: Path) -> None:
    server, programs = _server(folder), postgres.runtime(folder)
    postgres.stop(postgres.start(server, programs=programs))
    stranger = subprocess.Popen(["sleep", "30"])
    (server.data / "postmaster.pid").write_text(f"{stranger.pid}\n{server.data}\n0\n5432\n")
    process = postgres.start(server, programs=programs)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    postgres.stop(process)


@pytest.mark.skipif(not is_root(), reason="only root runs the server as another user")
def test_as_root_the_server_runs_as_its_own_user_from_a_closed_home(folder: Path) -> None:
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    server, programs = _server(folder), postgres.runtime(folder)
    process = postgres.start(server, programs=programs)
    assert Path(f"/proc/{process.pid}").stat().st_uid != 0
    assert closed.stat().st_mode & 0o777 == 0o700
    postgres.stop(process)


def test_memory_for_pages_can_be_set_and_nothing_else_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = _server(folder)
    programs = postgres.runtime(folder)
    monkeypatch.setenv("SHUQIAO_SHARED_BUFFERS", "64MB -c log_statement=all")
    with pytest.raises(ValueError, match="SHUQIAO_SHARED_BUFFERS"):
        postgres.start(server, programs=programs)
    monkeypatch.setenv("SHUQIAO_SHARED_BUFFERS", "64MB")
    process = postgres.start(server, programs=programs)
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SHOW shared_buffers").fetchone() == ("64MB",)
    postgres.stop(process)
