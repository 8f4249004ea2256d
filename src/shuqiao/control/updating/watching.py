"""What the worker does for updates: changes met by batches, days that passed, recipients told."""

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.updating import ledger
from shuqiao.control.updating.changes import count_anew, follow_batches, rule_of, tell_overdue
from shuqiao.control.updating.models import DataChange, Supply, Told
from shuqiao.control.updating.schedule import delivered_entries
from shuqiao.control.updating.told import confirm_by_receipt, tell_holders

BATCH = 2000
"""So many are looked at in one run; the rest comes with the next."""


def follow_updates() -> int:
    """Do all of it; return how many rows have moved. Safe late, twice, and beside another worker."""
    return _follow_changes() + _tell_of_batches() + _confirm_by_receipts()


def _follow_changes() -> int:
    moved = 0
    opened = DataChange.objects.filter(done_on=None).select_related("resource")
    for change in opened.order_by("happened_on", "number")[:BATCH]:
        if follow_batches(change):
            moved += 1
        elif not change.deadline:
            moved += _watch_day(change)
    return moved


@transaction.atomic
def _watch_day(change: DataChange) -> bool:
    """Count the day anew where the calendar decides on it, and tell once that it has passed."""
    rows = DataChange.objects.select_for_update(of=("self",), skip_locked=True).select_related("resource")
    row = rows.filter(pk=change.pk, done_on=None).first()
    if row is None:
        return False
    rule = rule_of(row)
    moved = rule is not None and count_anew(row, rule)
    if moved:
        row.save(update_fields=["due_on", "provisional"])
    is_over = row.due_on is not None and row.due_on < clock.today()
    return (tell_overdue(row) if is_over else False) or moved


def _tell_of_batches() -> int:
    """Tell the holders of each entry whose newest batch changed rows since they were told last."""
    newest = ledger.newest(delivered_entries())
    watched = Supply.objects.filter(pk__in=newest)
    behind = [one.pk for one in watched.order_by("pk") if one.told_sequence < newest[one.pk].sequence]
    return sum(_tell_of(key, newest[key].sequence) for key in behind)


@transaction.atomic
def _tell_of(key: str, sequence: int) -> int:
    row = Supply.objects.select_for_update().select_related("resource").filter(pk=key).first()
    if row is None or row.told_sequence >= sequence:
        return 0
    # What lay there when the watch began is no news.
    is_first, row.told_sequence = row.told_sequence == 0, sequence
    row.save(update_fields=["told_sequence"])
    return 0 if is_first else tell_holders(row.resource, sequence)


def _confirm_by_receipts() -> int:
    waiting = Told.objects.filter(confirmed_at=None, ways=[ledger.FEED])
    return sum(_confirm(key) for key in waiting.order_by("pk").values_list("pk", flat=True)[:BATCH])


@transaction.atomic
def _confirm(key: int) -> bool:
    rows = Told.objects.select_for_update(of=("self",), skip_locked=True).select_related("resource")
    told = rows.filter(pk=key, confirmed_at=None).first()
    return told is not None and confirm_by_receipt(told)
