"""How an entry is used and how good its data are: calls, departments, last arrival, rows refused."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.catalogue.models import EntryUse, Resource

USE_DAYS = 30
COUNT_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Use:
    """Figures of the last 30 days; `rejected_percent` is None where nothing was received in them."""

    calls: int = 0
    departments: int = 0
    last_received_at: datetime | None = None
    rejected_percent: float | None = None


NO_USE = Use()


def use_of(resources: Iterable[Resource]) -> dict[str, Use]:
    """Return the figures of several entries, by their ids: two queries, however many they are."""
    ids = [resource.id for resource in resources]
    providers = list({resource.department_id for resource in resources})
    counted = {row.resource_id: row for row in EntryUse.objects.filter(resource_id__in=ids)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT resource_id, max(merged_at), sum(accepted) FILTER (WHERE merged_at >= %(since)s),"
            " sum(jsonb_array_length(rejected)) FILTER (WHERE merged_at >= %(since)s) FROM exchange.batch"
            " WHERE resource_id = ANY(%(ids)s) AND department = ANY(%(providers)s) GROUP BY resource_id",
            {"since": _since(), "ids": ids, "providers": providers},
        )
        received = {row[0]: row[1:] for row in cursor.fetchall()}
    return {rid: _use(counted.get(rid), received.get(rid)) for rid in ids}


def _use(counted: EntryUse | None, received: tuple[datetime, int | None, int | None] | None) -> Use:
    at, accepted, rejected = received or (None, None, None)
    rows = int(accepted or 0) + int(rejected or 0)
    return Use(
        calls=counted.calls if counted else 0,
        departments=counted.departments if counted else 0,
        last_received_at=at,
        rejected_percent=round(100 * int(rejected or 0) / rows, 1) if rows else None,
    )


def _since() -> datetime:
    return clock.now() - timedelta(days=USE_DAYS)


@transaction.atomic
def count_use() -> int:
    """Count anew who called what in the last 30 days; return how many entries have another figure.

    Does nothing where the last count is younger than an hour, so that a worker may ask often.
    """
    now = clock.now()
    if EntryUse.objects.filter(counted_at__gt=now - COUNT_EVERY).exists():
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('count_use'))")
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(
            "WITH counted AS (SELECT e.resource_id, count(*) AS calls,"
            " count(DISTINCT e.department) AS departments FROM audit.entry e"
            " JOIN catalogue_resource r ON r.id = e.resource_id"
            " WHERE e.occurred_at >= %(since)s AND e.event IN ('verify', 'query') GROUP BY e.resource_id),"
            " gone AS (DELETE FROM catalogue_entryuse u"
            " WHERE NOT EXISTS (SELECT FROM counted c WHERE c.resource_id = u.resource_id) RETURNING 1),"
            " kept AS (INSERT INTO catalogue_entryuse AS u SELECT resource_id, calls, departments, %(now)s"
            " FROM counted ON CONFLICT (resource_id) DO UPDATE SET calls = excluded.calls,"
            " departments = excluded.departments, counted_at = excluded.counted_at RETURNING 1)"
            " SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM kept)",
            {"since": _since(), "now": now},
        )
        return int(cursor.fetchone()[0])
