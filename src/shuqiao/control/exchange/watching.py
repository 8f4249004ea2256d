"""Telling a department's technicians and the platform agency when a node falls silent, or can't hand over.

Source: shenyang-2016 art. 8; our choice, decision 37.
"""

from datetime import datetime

from django.db import connection, transaction

from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import ToTell, notify, notify_all
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.clock import LEGAL_ZONE
from shuqiao.control.exchange.words import SILENT_AFTER_S, UNACKNOWLEDGED_AFTER_S
from shuqiao.control.organisations.bodies import PLATFORM_AGENCY, bodies_with
from shuqiao.control.organisations.queries import department_refs

# Times of one state are of one clock, the node's, so how long it lasted is right where that clock is wrong.
_UNACKNOWLEDGED = """
SELECT s.department, l ->> 'resource', u ->> 'since', (u ->> 'tries')::bigint
FROM exchange.node_state s JOIN exchange.node n ON n.department = s.department AND n.active
CROSS JOIN LATERAL jsonb_array_elements(s.state -> 'lines') l
CROSS JOIN LATERAL (SELECT l -> 'unacknowledged') x(u)
WHERE jsonb_typeof(u) = 'object'
  AND coalesce(u ->> 'until', s.state ->> 'at')::timestamptz - (u ->> 'since')::timestamptz
      >= make_interval(secs => %s)
"""


@transaction.atomic
def watch_silence() -> int:
    """Notice new silences and tell of them; return how many. Safe late, twice, and beside another."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM exchange.note_silence(make_interval(secs => %s))", [SILENT_AFTER_S])
        silent = cursor.fetchall()
    refs = department_refs()
    for department, heard_at in silent:
        name = refs[department].name
        params = {"name_zh": name.zh, "name_en": name.en}
        told = [(department, Capability.NODES_WATCH)]
        told += [(agency, Capability.NODES_WATCH) for agency in bodies_with(PLATFORM_AGENCY)]
        for body, capability in told:
            notify(
                body,
                "node_silent",
                department,
                capability=capability,
                occasion=heard_at.isoformat(),
                params=params,
            )
    return len(silent)


@transaction.atomic
def watch_unacknowledged() -> int:
    """Tell of batches that the message server does not acknowledge, or did not while a node was silent.

    Each time once for each table; returns how many tables nodes name. Safe late, twice, and beside another.
    """
    with connection.cursor() as cursor:
        cursor.execute(_UNACKNOWLEDGED, [UNACKNOWLEDGED_AFTER_S])
        found = cursor.fetchall()
    named = Resource.objects.filter(pk__in={row[1] for row in found}).values_list("id", "name_zh", "name_en")
    names = {key: {"name_zh": zh, "name_en": english or zh} for key, zh, english in named}
    notify_all(
        ToTell(
            body,
            "batches_unacknowledged",
            resource,
            Capability.NODES_WATCH,
            since,
            names[resource] | {"since": _moment(since), "tries": tries},
        )
        for department, resource, since, tries in found
        for body in {department, *bodies_with(PLATFORM_AGENCY)}
        if resource in names
    )
    return len(found)


def _moment(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(LEGAL_ZONE):%Y-%m-%d %H:%M}"
