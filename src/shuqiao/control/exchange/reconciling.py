"""Reconciliations by schedule, their results told to both sides, and removals that a node holds back.

How often each table is held against its source is a setting (`SHUQIAO_RECONCILE_DAYS`): no regulation names a
period. Nodes and ledger live in real time. Source: decision 41.
"""

from django.conf import settings
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import ToTell, notify_all
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.bodies import PLATFORM_AGENCY, bodies_with

SILENT_AFTER_H = 24
"""A reconciliation of which nothing was heard for so many hours is given up."""
AT_ONCE = 5
"""So many are asked for by schedule each time, so that nodes are not all busy with it together."""

_DUE = """
SELECT s.department, l ->> 'resource'
FROM exchange.node_state s JOIN exchange.node n ON n.department = s.department AND n.active
CROSS JOIN LATERAL jsonb_array_elements(s.state -> 'lines') l
JOIN exchange.resource r ON r.id = l ->> 'resource' AND r.department = s.department AND r.active
LEFT JOIN LATERAL (
    SELECT max(c.asked_at) AS at FROM exchange.reconciliation c WHERE c.resource_id = r.id) last ON true
WHERE l ->> 'state' = 'up' AND s.silent_since IS NULL
  AND coalesce(last.at, (SELECT min(b.merged_at) FROM exchange.batch b
                         WHERE b.department = s.department AND b.resource_id = r.id))
      < clock_timestamp() - make_interval(days => %(every)s)
ORDER BY last.at NULLS FIRST, r.id LIMIT %(most)s
"""
_ENDED = """
SELECT id::text, department, resource_id,
       CASE WHEN mend_failed_at IS NULL THEN state ELSE 'not_mended' END,
       coalesce(mend_failed_at::text, id::text)
FROM exchange.reconciliation
WHERE told_at IS NULL AND state IN ('agreed', 'differs', 'failed') ORDER BY finished_at LIMIT 200
"""
_HELD = """
SELECT s.department, l ->> 'resource', l ->> 'held_back', o.let_through
FROM exchange.node_state s JOIN exchange.node n ON n.department = s.department AND n.active
CROSS JOIN LATERAL jsonb_array_elements(s.state -> 'lines') l
LEFT JOIN exchange.node_order o ON o.department = s.department AND o.resource_id = l ->> 'resource'
WHERE l ->> 'state' = 'held_back'
"""


@transaction.atomic
def ask_scheduled() -> int:
    """Ask for the reconciliations that are due; return how many. Safe late, twice, and beside another."""
    if settings.RECONCILE_DAYS == 0:
        return 0
    asked = 0
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"every": settings.RECONCILE_DAYS, "most": AT_ONCE})
        for department, resource in cursor.fetchall():
            cursor.execute(
                "SELECT exchange.ask_reconciliation(gen_random_uuid(), %s, %s, 'system:worker', %s)",
                [department, resource, clock.now()],
            )
            asked += cursor.fetchone()[0] is not None
    return asked


@transaction.atomic
def watch_reconciliations() -> int:
    """Give up what nobody answers, and tell both sides of results; return how many."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT exchange.expire_reconciliations(make_interval(hours => %s))", [SILENT_AFTER_H])
        cursor.execute(_ENDED)
        ended = cursor.fetchall()
        names = _names({row[2] for row in ended})
        notify_all(
            ToTell(
                body, f"reconciliation_{what}", resource, Capability.NODES_WATCH, occasion, names[resource]
            )
            for _, department, resource, what, occasion in ended
            for body in {department, *bodies_with(PLATFORM_AGENCY)}
            if resource in names
        )
        cursor.execute(
            "UPDATE exchange.reconciliation SET told_at = %s WHERE id = ANY(%s::uuid[])",
            [clock.now(), [row[0] for row in ended]],
        )
    return len(ended)


@transaction.atomic
def watch_held_removals() -> int:
    """Tell of removals that wait for a person's word, once a day until it is given; return how many wait."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD)
        held = cursor.fetchall()
    names = _names({row[1] for row in held})
    notify_all(
        ToTell(
            body,
            "removals_held",
            resource,
            Capability.NODES_WATCH,
            f"{clock.today().isoformat()}/{let or 0}",
            names[resource] | {"rows": rows},
        )
        for department, resource, rows, let in held
        for body in {department, *bodies_with(PLATFORM_AGENCY)}
        if resource in names
    )
    return len(held)


def _names(resources: set[str]) -> dict[str, dict[str, str | int]]:
    found = Resource.objects.filter(pk__in=resources).values_list("id", "name_zh", "name_en")
    return {key: {"name_zh": zh, "name_en": english or zh} for key, zh, english in found}
