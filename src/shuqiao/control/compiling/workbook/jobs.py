"""The worker's part of workbooks: each is worked on by one worker at a time, and again after a crash.

PostgreSQL holds the lock of a workbook for the session that works on it and lets go when that ends, however
it ends. So whatever waits and is not locked is to be done: a job that was killed is found a minute later.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from procrastinate.contrib.django import app

from shuqiao.control.accounts.access import viewer_of
from shuqiao.control.accounts.models import Account
from shuqiao.control.compiling.workbook.checking import TO_DO, check_workbook, give_up
from shuqiao.control.compiling.workbook.models import CatalogueImport, ImportState
from shuqiao.control.compiling.workbook.taking import take_workbook

_LOCK = 0x71776B62
"""The first half of the lock's number: every kind of lock has its own."""

MAX_ATTEMPTS = 5
"""What five workers could not do, or died of, is given up and said. Source: our choice, decision 10."""


def start(key: int) -> None:
    """Let the worker begin once the caller's transaction is committed."""
    work_on_workbook.defer(key=key)


@app.task(name="work_on_workbook")
def work_on_workbook(key: int) -> None:
    """Do what a workbook waits for."""
    work_on(key)


@app.periodic(cron="* * * * *")
@app.task(name="work_on_workbooks", queueing_lock="work_on_workbooks", pass_context=False)
def work_on_workbooks(timestamp: int) -> int:  # noqa: ARG001 - procrastinate passes it
    """Do what was left undone by a worker that ended; return how many workbooks were looked at."""
    keys = list(CatalogueImport.objects.filter(state__in=TO_DO).order_by("pk").values_list("pk", flat=True))
    for key in keys:
        work_on(key)
    return len(keys)


def work_on(key: int) -> None:
    """Check or take over a workbook, unless another worker is at it or nothing is to be done."""
    with _locked(key) as is_ours:
        found = CatalogueImport.objects.filter(pk=key, state__in=TO_DO).first() if is_ours else None
        if found is None:
            return
        found.attempts += 1
        found.save(update_fields=["attempts"])
        if found.attempts > MAX_ATTEMPTS:
            give_up(found)
            return
        viewer = viewer_of(Account.objects.select_related("department").get(pk=found.account_id))
        if found.state == ImportState.TAKING:
            take_workbook(found, viewer)
        if found.state == ImportState.WAITING:
            check_workbook(found, viewer)


@contextmanager
def _locked(key: int) -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, key])
        row = cursor.fetchone()
    is_ours = bool(row and row[0])
    try:
        yield is_ours
    finally:
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, key])
