"""Backups: encrypted from the first byte that reaches a disk, restored whole or not at all."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from shuqiao.embedded import backup, hub
from shuqiao.security.at_rest import FileRefused
from shuqiao.security.suites import SUITES
from tests.plugins.hubs import drop
from tests.plugins.server import TestServer

MARKER = "样例标记-" + secrets.token_hex(16)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The operator's key."""
    return _key(tmp_path / "keys" / "backup.key")


def _key(path: Path) -> Path:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(secrets.token_bytes(32))
    path.chmod(0o400)
    return path


@pytest.fixture
def empty(pg_server: TestServer):
    """An empty database to restore into."""
    name = f"sq_restored_{secrets.token_hex(4)}"
    hub.create_database(pg_server.superuser(), name, "shuqiao_owner")
    yield name
    drop(pg_server.superuser(), name)


def _place(server: TestServer, database: str) -> backup.Place:
    return backup.Place(server.superuser(database), server.programs)


def _mark(server: TestServer, database: str) -> None:
    with psycopg.connect(server.superuser(database), autocommit=True) as connection:
        connection.execute("CREATE TABLE public.sample (words text)")
        # Many unlike rows, so that there are several pieces.
        connection.execute(
            "INSERT INTO public.sample SELECT %s || md5(n::text) || md5((n * 7)::text) || md5((n * 11)::text)"
            " FROM generate_series(1, 20000) n",
            [MARKER],
        )


def _counts(server: TestServer, database: str) -> dict[str, int]:
    with psycopg.connect(server.superuser(database)) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"
            " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        ).fetchall()
        found = {}
        for (table,) in tables:
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]
            found[table] = row[0] if row else -1
        return found


@pytest.mark.requirement("SEC-01")
@pytest.mark.parametrize("suite", sorted(SUITES))
def test_a_hub_is_restored_as_it_was_and_its_backup_shows_nothing(
    pg_server: TestServer, hub_database, key: Path, empty: str, tmp_path: Path, suite: str
) -> None:
    name = hub_database.name
    _mark(pg_server, name)
    file = tmp_path / "hub.backup"
    head = backup.back_up(_place(pg_server, name), "hub", file, key, SUITES[suite])
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["hub.backup"]
    content = file.read_bytes()
    assert MARKER.encode() not in content
    assert b"PGDMP" not in content and b"CREATE TABLE" not in content, "no archive in clear either"
    assert backup.check(file, key) == head
    assert backup.restore(_place(pg_server, empty), file, key) == head
    before, after = _counts(pg_server, name), _counts(pg_server, empty)
    assert before == after and len(before) > 100
    with psycopg.connect(pg_server.superuser(empty)) as connection:
        row = connection.execute("SELECT count(*) FROM public.sample WHERE words LIKE %s", [MARKER + "%"])
        assert row.fetchone() == (20000,)


def test_an_altered_or_cut_backup_restores_nothing(
    pg_server: TestServer, hub_database, key: Path, empty: str, tmp_path: Path
) -> None:
    _mark(pg_server, hub_database.name)
    file = tmp_path / "hub.backup"
    backup.back_up(_place(pg_server, hub_database.name), "hub", file, key)
    whole = file.read_bytes()
    middle, piece = len(whole) // 2, 256 * 1024 + 16
    line = whole.index(b"}\n") + 2
    assert len(whole) > line + 2 * piece
    for altered in (
        whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        whole[:-1],
        whole[: line + piece],
        whole.replace(b'"database":"hub"', b'"database":"hut"', 1),
        whole[:line] + whole[line + piece :],
    ):
        file.write_bytes(altered)
        with pytest.raises(FileRefused):
            backup.check(file, key)
        with pytest.raises(FileRefused):
            backup.restore(_place(pg_server, empty), file, key)
        assert _counts(pg_server, empty) == {}
    file.write_bytes(whole)
    with pytest.raises(FileRefused):
        backup.restore(_place(pg_server, empty), file, _key(tmp_path / "keys" / "other.key"))
    with pytest.raises(backup.BackupFailed, match="not empty"):
        backup.restore(_place(pg_server, hub_database.name), file, key)


def test_a_dump_that_fails_leaves_no_file(pg_server: TestServer, key: Path, tmp_path: Path) -> None:
    there = _place(pg_server, "postgres")
    away = backup.Place(pg_server.url(f"sq_none_{secrets.token_hex(4)}"), there.programs)
    with pytest.raises(backup.BackupFailed, match="does not exist"):
        backup.back_up(away, "hub", tmp_path / "hub.backup", key)
    key.chmod(0o644)
    with pytest.raises(backup.BackupFailed, match="chmod 0400"):
        backup.back_up(there, "hub", tmp_path / "hub.backup", key)
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_the_commands_work_and_no_command_line_holds_a_password(
    pg_server: TestServer, hub_database, key: Path, empty: str, tmp_path: Path
) -> None:
    _mark(pg_server, hub_database.name)
    file = tmp_path / "hub.backup"
    watched = tmp_path / "programs"
    watched.mkdir()
    for name in ("pg_dump", "pg_restore"):
        # Notes its command line and becomes the program.
        script = watched / name
        script.write_text(
            f'#!/bin/sh\necho "$0 $@" >>{tmp_path}/lines\nexec {pg_server.programs}/{name} "$@"\n'
        )
        script.chmod(0o755)
    url, into = pg_server.superuser(hub_database.name), pg_server.superuser(empty)
    for address, arguments in (
        (url, ("backup", "hub", "--out", str(file), "--key-file", str(key))),
        (into, ("restore", str(file), "--key-file", str(key), "--check")),
        (into, ("restore", str(file), "--key-file", str(key))),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "shuqiao.cli", *arguments],
            env=os.environ | {"BACKUP_DATABASE_URL": address, "SHUQIAO_PG_PROGRAMS": str(watched)},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    password = psycopg.conninfo.conninfo_to_dict(url)["password"]
    lines = (tmp_path / "lines").read_text()
    assert "pg_dump" in lines and "pg_restore" in lines
    assert str(password) not in lines
    assert _counts(pg_server, empty) == _counts(pg_server, hub_database.name)
