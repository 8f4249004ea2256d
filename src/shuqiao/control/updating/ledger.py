"""What the ledger of batches, files and feeds says of an entry: what came, who holds it, who has taken it.

Ledger and nodes live in real time; positions in them are numbers of batches, which no clock moves.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.clock import LEGAL_ZONE
from shuqiao.control.grants.models import IN_USE, Grant, Handover
from shuqiao.control.texts import Text

FEED, COPY, FILE, OFFLINE = "feed", "copy", "file", "offline"
WAYS = {
    FEED: Text("订阅", "feed"),
    COPY: Text("副本", "copy"),
    FILE: Text("文件", "file"),
    OFFLINE: Text("离线交付", "handed over offline"),
}

_POSITION = """
SELECT coalesce(max(sequence), 0) FROM exchange.batch
WHERE department = %s AND resource_id = %s AND (%s::timestamptz IS NULL OR merged_at < %s)
"""
_FIRST_CHANGE = """
SELECT sequence, merged_at FROM exchange.batch
WHERE department = %s AND resource_id = %s AND sequence > %s AND inserted + updated + removed > 0
ORDER BY sequence LIMIT 1
"""
_NEWEST = """
SELECT e.resource, coalesce(moved.sequence, 0), last.merged_at
FROM unnest(%s::text[], %s::text[]) e(resource, department)
CROSS JOIN LATERAL (SELECT b.merged_at FROM exchange.batch b WHERE b.department = e.department
    AND b.resource_id = e.resource ORDER BY b.sequence DESC LIMIT 1) last
LEFT JOIN LATERAL (SELECT b.sequence FROM exchange.batch b WHERE b.department = e.department
    AND b.resource_id = e.resource AND b.inserted + b.updated + b.removed > 0
    ORDER BY b.sequence DESC LIMIT 1) moved ON true
"""
_FILES = """
SELECT f.resource_id, max(v.stored_at) FROM exchange.file f JOIN exchange.file_version v ON v.file = f.id
WHERE f.resource_id = ANY(%s) GROUP BY f.resource_id
"""
_HOLDERS = """
SELECT DISTINCT 'feed', s.department FROM exchange.subscription s
WHERE s.resource_id = %(resource)s AND s.ended_at IS NULL AND s.taken_number > 0
  AND s.grant_id = ANY(%(grants)s)
UNION SELECT DISTINCT 'copy', j.department
FROM exchange.bulk_job j JOIN exchange.bulk_delivery d ON d.job = j.id
WHERE j.subscription IS NULL AND j.grant_id = ANY(%(grants)s)
UNION SELECT DISTINCT 'file', e.department FROM audit.entry e
WHERE e.provider = %(provider)s AND e.event = 'file_delivered' AND e.grant_id = ANY(%(grants)s)
  AND EXISTS (SELECT FROM exchange.file f WHERE f.resource_id = %(resource)s)
"""
_RECEIPT = """
SELECT min(reached), (array_agg(entry ORDER BY reached))[1] FROM (
    SELECT s.id, coalesce(max(j.to_sequence), -1) AS reached,
           (array_agg(r.entry ORDER BY r.number DESC) FILTER (WHERE r.entry IS NOT NULL))[1] AS entry
    FROM exchange.subscription s
    LEFT JOIN exchange.subscription_receipt r ON r.subscription = s.id
    LEFT JOIN exchange.bulk_job j ON j.subscription = s.id AND j.number = r.number
    WHERE s.resource_id = %s AND s.department = %s AND s.ended_at IS NULL AND s.taken_number > 0
    GROUP BY s.id) fed
"""


@dataclass(frozen=True)
class Newest:
    """The newest batch of an entry that changed rows, and when anything came last."""

    sequence: int
    came_at: datetime


def position(department: str, resource: str, before: datetime | None) -> int:
    """The newest batch of an entry merged before a moment, or until now; 0 where there is none."""
    return int(_rows(_POSITION, [department, resource, before, before])[0][0])


def first_change(department: str, resource: str, after: int) -> tuple[int, datetime] | None:
    """The first batch after a position that inserted, updated or removed rows."""
    found = _rows(_FIRST_CHANGE, [department, resource, after])
    return (int(found[0][0]), found[0][1]) if found else None


def newest(entries: Collection[Resource]) -> dict[str, Newest]:
    """What came last of these entries from their departments; each is looked up by the ledger's own order."""
    given = [[one.id for one in entries], [one.department_id for one in entries]]
    return {resource: Newest(int(sequence), at) for resource, sequence, at in _rows(_NEWEST, given)}


def newest_files(resources: Collection[str]) -> dict[str, datetime]:
    """When a version of a file of these entries was stored last."""
    return dict(_rows(_FILES, [list(resources)]))


def holders(provider: str, resource: str) -> dict[str, tuple[str, ...]]:
    """The departments that obtained an entry under a grant in force, each with the ways in which it did."""
    grants = list(Grant.objects.filter(resource_id=resource, phase=IN_USE).values_list("number", flat=True))
    given = {"resource": resource, "provider": provider, "grants": grants}
    found = defaultdict(set)
    for way, department in _rows(_HOLDERS, given) if grants else ():
        found[department].add(way)
    offline = Handover.objects.filter(grant_id__in=grants).values_list("grant__consumer_id", flat=True)
    for department in offline.distinct():
        found[department].add(OFFLINE)
    return {department: tuple(sorted(ways)) for department, ways in sorted(found.items())}


def receipt_of(resource: str, department: str) -> tuple[int, UUID] | None:
    """The batch up to which every feed of a department is signed for, with the entry of that receipt."""
    reached, entry = _rows(_RECEIPT, [resource, department])[0]
    return (int(reached), entry) if entry is not None else None


def real_day() -> date:
    """The legal day by the database's clock."""
    moment: datetime = _rows("SELECT clock_timestamp()", [])[0][0]
    return moment.astimezone(LEGAL_ZONE).date()


def _rows(sql: str, given: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return list(cursor.fetchall())
