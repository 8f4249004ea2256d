"""Telling both sides that the columns of a source changed: who provides an entry and who uses it.

The word comes with the signed state of the department's node.
"""

import hashlib

from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import ToTell, notify_all
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.exchange.words import changes_of
from shuqiao.control.grants.models import Grant
from shuqiao.control.organisations.bodies import PLATFORM_AGENCY, bodies_with

_CHANGED = """
SELECT s.department, l ->> 'resource', l ->> 'mapping', l ->> 'changes'
FROM exchange.node_state s CROSS JOIN LATERAL jsonb_array_elements(s.state -> 'lines') l
WHERE coalesce(l ->> 'changes', '') <> ''
"""


@transaction.atomic
def watch_structures() -> int:
    """Tell of changed sources; each change of each version of a mapping once. Return how many there are."""
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED)
        changed = cursor.fetchall()
    names = {one.pk: one for one in Resource.objects.filter(pk__in={row[1] for row in changed})}
    users = _users({row[1] for row in changed})
    told = []
    for department, resource, mapping, changes in changed:
        entry = names.get(resource)
        if entry is None:
            continue
        params = {"name_zh": entry.name_zh, "name_en": entry.name_en}
        occasion = hashlib.sha256(f"{mapping}\n{changes}".encode()).hexdigest()[:16]
        # The names of its columns are the provider's own.
        words = changes_of(changes)
        named = params | {"changes_zh": words.zh, "changes_en": words.en}
        told += [
            ToTell(body, "source_changed", resource, Capability.NODES_WATCH, occasion, named)
            for body in {department, *bodies_with(PLATFORM_AGENCY)}
        ]
        told += [
            ToTell(user, "source_changed_use", resource, "", occasion, params)
            for user in users.get(resource, set())
        ]
    notify_all(told)
    return len(changed)


def _users(resources: set[str]) -> dict[str, set[str]]:
    """Return for each entry the departments that may use it today."""
    today = clock.today()
    found = Grant.objects.filter(
        resource_id__in=resources, phase="granted", valid_from__lte=today, valid_until__gte=today
    ).values_list("resource_id", "consumer_id")
    users: dict[str, set[str]] = {}
    for resource, consumer in found:
        users.setdefault(resource, set()).add(consumer)
    return users
