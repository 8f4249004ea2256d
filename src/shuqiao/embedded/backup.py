"""Backups of a database: what `pg_dump` writes goes encrypted into a file, and never in clear to a disk.

The file says of itself, in one line in clear, which database it holds and from when; the key of its content
stands there too, wrapped under a key of the operator's own. That one lies elsewhere: whoever takes the
backup away has nothing. Hub and vault are two backups under two keys, so that one file alone joins no name
to a record.

Restoring checks every piece before it reaches the database, and is one transaction: a file that was altered
or cut leaves the database as it was.
Source: our choice, decision 31; guangzhou-2016 art. 38(1).
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from shuqiao.embedded import postgres
from shuqiao.security import keys
from shuqiao.security.at_rest import (
    PIECE_BYTES,
    EncryptedFile,
    FileRefused,
    new_key,
    read_pieces,
    unwrap_key,
    wrap_key,
)
from shuqiao.security.replacing import flush_folder
from shuqiao.security.suites import INTERNATIONAL, TAG_BYTES, Suite

_MAGIC = b"shuqiao backup 1\n"
_MAX_HEAD_BYTES = 4096
_SAID_LINES = 3


class BackupFailed(Exception):
    """No backup was made, or nothing was restored; the message says why, and names no content."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself: the database, when it was made (UTC), and its key, wrapped."""

    database: str
    at: str
    key: str


@dataclass(frozen=True, slots=True)
class Place:
    """A database (libpq URL) and the folder of the PostgreSQL programs that fit its server."""

    url: str
    programs: Path

    def __repr__(self) -> str:
        """Leave the address out: it holds a password."""
        return f"Place({self.programs})"


def programs_folder(named: str = "") -> Path:
    """Where `pg_dump` and `pg_restore` are: the folder named, else that of the embedded server."""
    return Path(named) if named else postgres.programs_here()


def back_up(place: Place, database: str, file: Path, key_file: Path, suite: Suite = INTERNATIONAL) -> Head:
    """Write a backup of the database into `file`, which appears complete or not at all."""
    secret, at = _operators_key(key_file), datetime.now(UTC).isoformat(timespec="seconds")
    key = new_key(suite)
    wrapped = wrap_key(secret, key, _wrapping_context(database, at))
    head = Head(database=database, at=at, key=base64.b64encode(wrapped).decode("ascii"))
    line = _MAGIC + msgspec.json.encode(head) + b"\n"
    command = [str(place.programs / "pg_dump"), "--format=custom", "--no-password"]
    out = EncryptedFile(file, key, 0, _context(line), head=line)
    try:
        with _running(command, place, stdout=subprocess.PIPE) as dump:
            assert dump.stdout is not None
            shutil.copyfileobj(dump.stdout, out, PIECE_BYTES)
            _end(dump, "pg_dump")
        out.close()
    finally:
        out.discard()
    flush_folder(file.absolute().parent)
    return head


def read_backup(file: Path, key_file: Path) -> tuple[Head, Iterator[bytes]]:
    """Give what the file says of itself and its content, piece by piece; raises `FileRefused`."""
    head, line = _read_head(file)
    try:
        wrapped = base64.b64decode(head.key, validate=True)
    except ValueError:
        raise FileRefused(f"{file.name} is no backup") from None
    key = unwrap_key(_operators_key(key_file), wrapped, _wrapping_context(head.database, head.at))
    sealed = file.stat().st_size - len(line)
    pieces = -(-sealed // (PIECE_BYTES + TAG_BYTES))
    size = sealed - pieces * TAG_BYTES
    return head, read_pieces(file, key, 0, _context(line), size, head_bytes=len(line))


def check(file: Path, key_file: Path) -> Head:
    """Read a backup to its end; raises `FileRefused` where it is not as written."""
    head, content = read_backup(file, key_file)
    for _ in content:
        pass
    return head


def restore(place: Place, file: Path, key_file: Path) -> Head:
    """Restore a backup into an empty database whose server has the roles; all of it or nothing."""
    head, content = read_backup(file, key_file)
    name = _refuse_used(place.url)
    command = [str(place.programs / "pg_restore"), "--no-password", "--dbname", name]
    command += ["--single-transaction", "--exit-on-error"]
    with _running(command, place, stdin=subprocess.PIPE) as restoring:
        assert restoring.stdin is not None
        try:
            for piece in content:
                restoring.stdin.write(piece)
            restoring.stdin.close()
        except BrokenPipeError:
            # It has ended by itself, and says why.
            pass
        except FileRefused:
            # Before its input ends: what it has read so far must not look complete to it.
            restoring.kill()
            raise
        _end(restoring, "pg_restore")
    return head


def _running(
    command: list[str], place: Place, *, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, env=_environment(place.url)
    )


def _end(process: subprocess.Popen[bytes], name: str) -> None:
    said = b"" if process.stderr is None else process.stderr.read()
    if process.wait():
        lines = said.decode("utf-8", "replace").strip().splitlines()[:_SAID_LINES]
        raise BackupFailed(f"{name} failed: {'; '.join(lines)}")


def _environment(url: str) -> dict[str, str]:
    """Tell libpq through its variables: a command line, with its password, is for all to see."""
    variables = {
        option.keyword.decode(): option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar is not None
    }
    given = {
        variables[name]: str(value) for name, value in conninfo_to_dict(url).items() if name in variables
    }
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"} | given


def _refuse_used(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT current_database(), (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid ="
            " c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')"
        ).fetchone()
    if row is None or row[1]:
        raise BackupFailed("the database to restore into is not empty: make a new one")
    return str(row[0])


def _operators_key(file: Path) -> bytes:
    try:
        return keys.load_secret_file(file)
    except keys.KeyRefusedError as error:
        raise BackupFailed(str(error)) from error


def _read_head(file: Path) -> tuple[Head, bytes]:
    with file.open("rb") as opened:
        line = opened.readline(len(_MAGIC)) + opened.readline(_MAX_HEAD_BYTES)
    if not line.startswith(_MAGIC) or not line.endswith(b"\n"):
        raise FileRefused(f"{file.name} is no backup")
    try:
        return msgspec.json.decode(line[len(_MAGIC) :], type=Head), line
    except msgspec.DecodeError:
        raise FileRefused(f"{file.name} is no backup") from None


def _wrapping_context(database: str, at: str) -> bytes:
    return f"backup/{database}/{at}".encode()


def _context(line: bytes) -> bytes:
    # The whole of what stands in clear is bound to every piece.
    return b"backup/" + hashlib.sha256(line).digest()
