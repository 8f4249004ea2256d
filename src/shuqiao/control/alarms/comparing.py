"""Alarms where the platform's log and that of a department's node differ, or the node's has not come.

The loader holds each stretch of a node's log against the platform's when it comes; here what it found is
looked at. Source: our choice, decision "data that stay with the department"; shenyang-2016 art. 16.
"""

from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Min

from shuqiao.control import clock
from shuqiao.control.alarms.models import UsageDay
from shuqiao.control.alarms.watching import raise_alarm
from shuqiao.rules.usage import Finding, Kind

OVERDUE_DAYS = 2
"""A node brings its log once a day; calls of earlier days than these should be compared by now."""
LOOKED_BACK_DAYS = 30

_DIFFERENT = """
SELECT resource_id, since, until, cardinality(missing) + cardinality("unknown") + cardinality(other)
FROM exchange.node_report
WHERE compared_at >= %s AND cardinality(missing) + cardinality("unknown") + cardinality(other) > 0
ORDER BY compared_at
"""
_COMPARED = """
SELECT r.id, (
    SELECT min(upper(stretch)) FROM (
        SELECT unnest(range_agg(tstzrange(n.since, n.until))) AS stretch
        FROM exchange.node_report n WHERE n.resource_id = r.id
    ) AS stretches)
FROM exchange.resource r WHERE r.active AND r.spec ->> 'kept' = 'node' ORDER BY r.id
"""
"""Up to when each log has come without a gap: what comes after one does not make up for it."""


def watch_node_logs() -> int:
    """Raise alarms over logs that differ or have not come; return how many. Safe late, twice, at once."""
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENT, [clock.now() - timedelta(days=LOOKED_BACK_DAYS)])
        different = cursor.fetchall()
        cursor.execute(_COMPARED)
        compared = cursor.fetchall()
    raised = 0
    for resource, since, until, count in different:
        about = f"{resource}/{since.isoformat()}"
        raised += raise_alarm(Finding(Kind.LOG, count, 0), clock.legal_day(until), resource, about=about)
    return raised + sum(_overdue(resource, until) for resource, until in compared)


def _overdue(resource: str, until: datetime | None) -> int:
    """Raise an alarm once a day where calls wait too long for the node's log."""
    today = clock.today()
    waiting = UsageDay.objects.filter(
        resource=resource, calls__gt=0, day__lt=today - timedelta(days=OVERDUE_DAYS)
    )
    if until is not None:
        waiting = waiting.filter(day__gt=clock.legal_day(until))
    oldest = waiting.aggregate(day=Min("day"))["day"]
    if oldest is None:
        return 0
    found = Finding(Kind.LOG, (today - oldest).days, OVERDUE_DAYS)
    return raise_alarm(found, today, resource, about=f"{resource}/overdue")
