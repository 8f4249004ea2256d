"""Keeping the register of sources in step with the entries in force, set by set.

Whoever publishes or withdraws entries calls `take_in` in the same transaction.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from django.db import connection, transaction

from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.onesource.models import (
    LEAF,
    MAX_NAME_CHARS,
    Claim,
    ClaimKind,
    ClaimState,
    Source,
    SourceRole,
)
from shuqiao.rules.datum_names import name_key
from shuqiao.rules.onesource import FAMILY_DIGITS

CHUNK = 2000
"""So many entries are taken in by one statement."""

ELEMENT = "e:"
"""Before the key of a data element where it stands among names: no name holds a colon."""


@dataclass(frozen=True)
class _Row:
    """An item of an entry in force as it goes into the register."""

    resource: str
    field: str
    name: str
    key: str
    subject: str
    department: str
    standard: str
    role: str


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(dict.fromkeys(ids))
    while chunk := list(islice(waiting, CHUNK)):
        yield chunk


@transaction.atomic
def take_in(resources: Iterable[str]) -> None:
    """Bring the register up to date with these entries: published ones stand in it, others don't.

    Safe to repeat. An item that somebody else is responsible for is contested, unless it was declared joint,
    explained as another datum or decided, or the law's list lies on platforms of two levels, each of which
    collects it for its own.
    """
    with connection.cursor() as cursor:
        # Two publications at once would wait for each other's data in different orders.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('sources'))")
    for ids in _chunks(resources):
        freed = _clear(ids)
        rows = list(_rows(ids))
        _give_way(rows)
        _insert(rows)
        _promote(freed)


def take_in_missing() -> int:
    """Take in the published entries that the register doesn't know; return how many there were.

    For a catalogue that was built by other means; safe late and twice.
    """
    return _take_in_those(
        "SELECT r.id FROM catalogue_resource r WHERE r.state = 'published'"
        " AND EXISTS (SELECT 1 FROM catalogue_item i WHERE i.resource_id = r.id AND i.removed_in IS NULL)"
        " AND NOT EXISTS (SELECT 1 FROM onesource_source s WHERE s.resource_id = r.id)"
        " ORDER BY r.published_at, r.code"
    )


def keep_in_step() -> int:
    """Bring entries whose sharing period has ended, and those never taken in, into step; return how many."""
    ended = _take_in_those(
        "SELECT r.id FROM catalogue_resource r WHERE r.state <> 'published'"
        " AND EXISTS (SELECT 1 FROM onesource_source s WHERE s.resource_id = r.id)"
    )
    return ended + take_in_missing()


def _take_in_those(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        ids = [row[0] for row in cursor.fetchall()]
    for chunk in _chunks(ids):
        take_in(chunk)
    return len(ids)


@lru_cache(maxsize=100_000)
def key_of(name: str) -> str:
    """The written form of a name, as long as the register keeps it; names repeat."""
    return name_key(name)[:MAX_NAME_CHARS]


def _clear(ids: list[str]) -> list[tuple[str, str]]:
    """Take the entries out; return the data that have lost their source by it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM onesource_source WHERE resource_id = ANY(%s) RETURNING key, leaf, role", [ids]
        )
        return [(key, leaf) for key, leaf, role in cursor.fetchall() if role == SourceRole.RESPONSIBLE]


def _rows(ids: list[str]) -> Iterator[_Row]:
    entries = Resource.objects.filter(id__in=ids, state="published")
    about = {row[0]: row[1:] for row in entries.values_list("id", "subject", "department_id")}
    order = {key: at for at, key in enumerate(ids)}
    settled = _settled(ids)
    items = Item.objects.filter(resource_id__in=list(about)).order_by()
    found = items.values_list("resource_id", "field", "zh", "standard", "number", "part")
    for resource, field, zh, standard, *_ in sorted(found, key=lambda row: (order[row[0]], *row[4:])):
        subject, department = about[resource]
        role = settled.get((resource, field), SourceRole.RESPONSIBLE)
        key = key_of(zh)
        if key:
            yield _Row(resource, field, zh, key, subject, department, standard, str(role.value))


def _settled(ids: Collection[str]) -> Mapping[tuple[str, str], SourceRole]:
    """As what items stand that have answered a conflict."""
    claims = Claim.objects.filter(resource__in=ids).select_related("decision").order_by("changed_at", "id")
    found: dict[tuple[str, str], SourceRole] = {}
    for claim in claims:
        role = _role_of(claim)
        if role is not None:
            found[claim.resource, claim.field] = role
    lost = Claim.objects.filter(held_resource__in=ids, state=ClaimState.DECIDED).select_related("decision")
    won = [claim for claim in lost if claim.decision.lead_id == claim.department_id]
    # Before the claimant's entry is in force the holder is still the only source.
    in_force = Resource.objects.filter(id__in={claim.resource for claim in won}, state="published")
    there = set(in_force.values_list("id", flat=True))
    for claim in won:
        if claim.resource in there:
            role = SourceRole.JOINT if claim.decision.together else SourceRole.CONTESTED
            found[claim.held_resource_id, claim.held_field] = role
    return found


def _role_of(claim: Claim) -> SourceRole | None:
    """What an answered conflict makes of the claimant's item; None leaves it as any other."""
    match claim.kind, claim.state:
        case ClaimKind.OTHER, ClaimState.EXPLAINED:
            return SourceRole.OTHER
        case ClaimKind.JOINT, ClaimState.AGREED:
            return SourceRole.JOINT
        case ClaimKind.COORDINATION, ClaimState.DECIDED:
            if claim.decision.lead_id == claim.department_id:
                return SourceRole.RESPONSIBLE
            return SourceRole.JOINT if claim.decision.together else None
    return None


def _give_way(rows: list[_Row]) -> None:
    """Where a decision named the claimant the lead source, the earlier holder's item makes room for it."""
    by_item = {(row.resource, row.field): row for row in rows}
    won = Claim.objects.filter(
        resource__in={row.resource for row in rows}, state=ClaimState.DECIDED
    ).select_related("decision")
    for claim in won:
        row = by_item.get((claim.resource, claim.field))
        if row is None or claim.decision.lead_id != claim.department_id:
            continue
        role = SourceRole.JOINT if claim.decision.together else SourceRole.CONTESTED
        held = Source.objects.filter(key=row.key, leaf=row.subject[:LEAF], role=SourceRole.RESPONSIBLE)
        held.exclude(department_id=row.department).update(role=role)


_COLUMNS = "resource_id, field, name, key, subject, leaf, department_id, standard, role"
_GIVEN = (
    "unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],"
    " %s::text[]) WITH ORDINALITY"
    " AS g(resource_id, field, name, key, subject, leaf, department_id, standard, role, place)"
)


def _insert(rows: list[_Row]) -> None:
    """Write the rows: whoever comes first is responsible, others stand beside it as what they are."""
    if not rows:
        return
    values = [
        [row.resource for row in rows],
        [row.field for row in rows],
        [row.name for row in rows],
        [row.key for row in rows],
        [row.subject for row in rows],
        [row.subject[:LEAF] for row in rows],
        [row.department for row in rows],
        [row.standard for row in rows],
        [row.role for row in rows],
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO onesource_source ({_COLUMNS}) SELECT {_COLUMNS} FROM {_GIVEN}"
            " WHERE g.role = 'responsible' ORDER BY g.place"
            " ON CONFLICT (key, leaf) WHERE role = 'responsible' DO NOTHING",
            values,
        )
        cursor.execute(_BESIDE, values)
        places = {(row.key, row.subject[:FAMILY_DIGITS]) for row in rows}
        places |= {(ELEMENT + row.standard, row.subject[:FAMILY_DIGITS]) for row in rows if row.standard}
        cursor.execute(
            "INSERT INTO onesource_datumplace (word, family)"
            " SELECT * FROM unnest(%s::text[], %s::text[]) ON CONFLICT DO NOTHING",
            [[word for word, _ in places], [family for _, family in places]],
        )


_BESIDE = f"""
    INSERT INTO onesource_source ({_COLUMNS})
    SELECT g.resource_id, g.field, g.name, g.key, g.subject, g.leaf, g.department_id, g.standard,
        CASE WHEN g.role <> 'responsible' THEN g.role
             WHEN s.department_id = g.department_id THEN 'repeated'
             WHEN EXISTS (SELECT 1 FROM catalogue_resource a JOIN catalogue_resource b USING (list_key)
                          WHERE a.id = g.resource_id AND b.id = s.resource_id AND a.region <> b.region)
             THEN 'joint'
             WHEN EXISTS (SELECT 1 FROM catalogue_resource_joint_departments j
                          WHERE j.resource_id = s.resource_id AND j.department_id = g.department_id)
              AND EXISTS (SELECT 1 FROM catalogue_resource_joint_departments j
                          WHERE j.resource_id = g.resource_id AND j.department_id = s.department_id)
             THEN 'joint'
             ELSE 'contested' END
    FROM {_GIVEN}
    LEFT JOIN onesource_source s ON s.key = g.key AND s.leaf = g.leaf AND s.role = 'responsible'
    WHERE NOT EXISTS (
        SELECT 1 FROM onesource_source o WHERE o.resource_id = g.resource_id AND o.field = g.field)"""


def _promote(freed: list[tuple[str, str]]) -> None:
    """Make whoever still collects a datum without a source responsible: the first of those beside it."""
    if not freed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE onesource_source SET role = 'responsible' WHERE id IN ("
            " SELECT min(s.id) FROM unnest(%s::text[], %s::text[]) AS f(key, leaf)"
            " JOIN onesource_source s ON s.key = f.key AND s.leaf = f.leaf AND s.role <> 'other'"
            " WHERE NOT EXISTS (SELECT 1 FROM onesource_source r"
            "  WHERE r.key = f.key AND r.leaf = f.leaf AND r.role = 'responsible')"
            " GROUP BY f.key, f.leaf)",
            [[key for key, _ in freed], [leaf for _, leaf in freed]],
        )
