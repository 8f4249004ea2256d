"""A worker that is killed in the middle of a workbook leaves nothing behind, and the next one does it all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection

from shuqiao.control.compiling.models import Compilation
from shuqiao.control.compiling.workbook import actions, jobs
from shuqiao.control.compiling.workbook.models import CatalogueImport, ImportedEntry
from shuqiao.control.documents.actions import FileInput
from tests.compiling.conftest import entry
from tests.compiling.workbooks import checked, faults, workbook_of

WORK = """
import django
django.setup()
from shuqiao.control.compiling.workbook.jobs import work_on
work_on({})
"""
ENTRIES = 1200


def _book(viewer):
    return workbook_of(viewer, *((str(n), entry(name_zh=f"公租房第{n}号信息")) for n in range(ENTRIES)))


@contextmanager
def _worker(key: int):
    """A process that works on a workbook until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", WORK.format(key)], stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        process.stderr.close()


def _wait(process: subprocess.Popen, until: Callable[[], bool]) -> None:
    for _ in range(1200):
        if until():
            return
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.05)
    raise AssertionError("it did not come so far")


def _free(key: int) -> bool:
    """Whether the server has noticed that the worker is gone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s", [key])
        return cursor.fetchone() == (0,)


def _someone_waits_to_delete() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE%'"
        )
        return cursor.fetchone() != (0,)


def _until_free(key: int) -> None:
    for _ in range(600):
        if _free(key):
            return
        time.sleep(0.05)
    raise AssertionError("the lock is still held")


def test_killed_while_it_checks(committed):
    hou = committed("guangzhou-2016").viewer("hou")
    key = actions.upload(hou, FileInput("目录.xlsx", _book(hou)))
    found = CatalogueImport.objects.filter(pk=key)
    with _worker(key) as worker:
        _wait(worker, lambda: ImportedEntry.objects.exists())
        jobs.work_on(key)
        assert found.get().state == "waiting", "no second worker begins on it"
    _until_free(key)
    assert found.get().state == "waiting" and 0 < ImportedEntry.objects.count() < ENTRIES
    assert jobs.work_on_workbooks(timestamp=0) == 1
    assert (found.get().state, found.get().new_entries, found.get().fault_count) == ("checked", ENTRIES, 0)
    assert ImportedEntry.objects.count() == ENTRIES
    assert not Compilation.objects.exists()


@pytest.mark.requirement("CAT-18")
def test_killed_while_it_takes_over(committed):
    hou = committed("guangzhou-2016").viewer("hou")
    found = checked(hou, _book(hou))
    assert faults(found) == {}
    actions.take_over(hou, found.pk)
    place = os.environ["SHUQIAO_DATABASE_URL"]
    with psycopg.connect(place) as other, _worker(found.pk) as worker:
        # It can't remove what waited before this lets go, and has written every draft by then.
        other.execute("SELECT 1 FROM control.workbook_importedentry LIMIT 1 FOR UPDATE").fetchall()
        _wait(worker, _someone_waits_to_delete)
        worker.send_signal(signal.SIGKILL)
        worker.wait(timeout=60)
        other.rollback()
    _until_free(found.pk)
    found.refresh_from_db()
    assert found.state == "taking" and not Compilation.objects.exists()
    assert jobs.work_on_workbooks(timestamp=0) == 1
    found.refresh_from_db()
    assert found.state == "taken"
    assert Compilation.objects.count() == ENTRIES
    assert Compilation.objects.values("resource").distinct().count() == ENTRIES
    assert jobs.work_on_workbooks(timestamp=0) == 0


def test_what_ends_every_worker_is_given_up(committed):
    hou = committed("guangzhou-2016").viewer("hou")
    key = actions.upload(hou, FileInput("目录.xlsx", workbook_of(hou, ("1", entry()))))
    CatalogueImport.objects.filter(pk=key).update(attempts=jobs.MAX_ATTEMPTS)
    jobs.work_on(key)
    found = CatalogueImport.objects.get(pk=key)
    assert (found.state, faults(found)) == ("checked", {"": "workbook_failed"})
