"""The commands `shuqiao backup` and `shuqiao restore`, for the city of this folder or any other database."""

from __future__ import annotations

import argparse
import os
import sys

import psycopg

from shuqiao.demo.home import Home
from shuqiao.embedded import backup
from shuqiao.security.at_rest import FileRefused
from shuqiao.security.suites import read_suite

DATABASES = {"hub": "shuqiao", "vault": "shuqiao_vault"}
URL = "BACKUP_DATABASE_URL"


def backup_command(arguments: argparse.Namespace) -> int:
    """Make a backup; of the city of this folder unless BACKUP_DATABASE_URL names another database."""
    name = arguments.database
    url = os.environ.get(URL) or Home.from_environment().hub_superuser_url(DATABASES[name])
    try:
        suite = read_suite(os.environ)
        head = backup.back_up(_place(url), name, arguments.out, arguments.key_file, suite)
    except (backup.BackupFailed, OSError, ValueError) as error:
        return _failed(error)
    size = arguments.out.stat().st_size
    print(f"{head.database} of {head.at}: {size:,} bytes, {suite.cipher_name}, in {arguments.out}")
    return 0


def restore_command(arguments: argparse.Namespace) -> int:
    """Restore a backup into the database of BACKUP_DATABASE_URL, or read it to its end."""
    try:
        if arguments.check:
            head = backup.check(arguments.file, arguments.key_file)
            print(f"whole: {head.database} of {head.at}")
            return 0
        url = os.environ.get(URL)
        if not url:
            raise backup.BackupFailed(f"{URL} must name the empty database to restore into")
        head = backup.restore(_place(url), arguments.file, arguments.key_file)
    except (backup.BackupFailed, FileRefused, OSError, psycopg.Error) as error:
        return _failed(error)
    print(f"restored: {head.database} of {head.at}")
    return 0


def _place(url: str) -> backup.Place:
    return backup.Place(url, backup.programs_folder(os.environ.get("SHUQIAO_PG_PROGRAMS", "")))


def _failed(error: Exception) -> int:
    print(error, file=sys.stderr)
    return 1
