"""What the platform itself knows of a system's ways: its key, the department's node, calls and batches."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from shuqiao.control.interconnection.models import BusinessSystem
from shuqiao.control.organisations.models import Application
from shuqiao.rules.interconnection import Ways

_ADMITTED = "SELECT n.active FROM exchange.node n WHERE n.department = %s"
_HEARD = (
    "SELECT n.active AND s.heard_at IS NOT NULL AND s.silent_since IS NULL"
    " FROM exchange.node n LEFT JOIN exchange.node_state s USING (department) WHERE n.department = %s"
)
# Only what another department shares proves that the system can share with others.
_CALL = """
SELECT id, occurred_at FROM audit.entry
WHERE department = %(department)s AND occurred_at >= %(since)s AND provider <> department
  AND event IN ('verify', 'query', 'interface_answered', 'bulk_delivered', 'feed_taken', 'file_delivered')
  AND outcome IN ('answered', 'delivered', 'taken') AND (actor = %(system)s OR actor LIKE %(users)s)
ORDER BY occurred_at DESC, id LIMIT 1
"""
_BATCH = """
SELECT id, occurred_at FROM audit.entry
WHERE department = %(department)s AND occurred_at >= %(since)s AND resource_id = %(resource)s
  AND event = 'batch_merged' AND (split_part(body, E'\\n', 1)::jsonb ->> 'accepted')::bigint > 0
ORDER BY occurred_at DESC, id LIMIT 1
"""


@dataclass(frozen=True)
class Passed:
    """A test that a system has passed on one of its ways: the entry of the call or batch itself."""

    way: str
    entry: uuid.UUID
    at: datetime


def ways_of(system: BusinessSystem) -> Ways:
    """Say which ways a system has and whether each works now: what is asked when it is connected."""
    return Ways(_key_works(system), _node(system, _HEARD))


def ways_kept(system: BusinessSystem) -> Ways:
    """Say which ways a connected system still has.

    A node that is silent for a while is told of elsewhere and ends nothing: it works for days by itself.
    """
    return Ways(_key_works(system), _node(system, _ADMITTED))


def _key_works(system: BusinessSystem) -> bool | None:
    if not system.application:
        return None
    own = Application.objects.filter(id=system.application, department_id=system.department_id)
    return own.filter(active=True).exists()


def _node(system: BusinessSystem, asked: str) -> bool | None:
    if system.brings_id is None:
        return None
    row = _one(asked, [system.department_id])
    return bool(row and row[0])


def find_tests(system: BusinessSystem, since: datetime) -> tuple[Passed, ...]:
    """Find the newest call answered to the system, and the newest batch it brought, since a time."""
    given = {
        "department": system.department_id,
        "since": since,
        "system": system.application,
        # An id has no character that means something to LIKE.
        "users": f"{system.application}/%",
        "resource": system.brings_id,
    }
    found = []
    if system.application and (row := _one(_CALL, given)):
        found.append(Passed("calls", row[0], row[1]))
    if system.brings_id and (row := _one(_BATCH, given)):
        found.append(Passed("brings", row[0], row[1]))
    return tuple(found)


def _one(sql: str, given: Any) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row
