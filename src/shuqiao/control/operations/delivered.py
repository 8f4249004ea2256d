"""What was delivered with one call: the values of the version it read, and where that version came from.

With it stands in what else the same record was given: other calls, copies, parts of feeds, browsed pages.
For the two departments of a call only, and each sees of the rest what it gave or got. The database hands the
values out and writes that it did in the same statement; identity items stay in the vault and are named only.
Source: guangzhou-2016 art. 47; our choice, decisions 21 and 22.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.catalogue.models import Item
from shuqiao.control.operations import labels
from shuqiao.control.operations.audit import audit_proof
from shuqiao.control.operations.queries import AuditRow
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.texts import Text

MAX_REASON_CHARS = 300
MAX_OTHERS = 100
DELIVERIES = frozenset({"verify", "query"})
_COPY = Text("批量副本", "Bulk copy")


@dataclass(frozen=True)
class OtherDelivery:
    """Another way in which the same record was given; `entry` is where the log says so.

    `contained` is None where it can't be said; with `gone` a part of a feed told that the record had left the
    grant. `up_to` is the last batch a copy had read, `fetched` the entry of its first download.
    """

    kind: Text
    entry: str
    at: datetime | None
    department: DepartmentRef | None
    version: int | None
    contained: bool | None
    gone: bool
    number: int | None
    up_to: int | None
    fetched: str
    fetched_at: datetime | None
    values: tuple[tuple[Text, str | None], ...]


@dataclass(frozen=True)
class Delivery:
    """What an answer was made of. `withheld`: the reader compared and was told no value.

    `line` is that of the log of a department's own node, which answered with `items`; there is no value of it
    here. With `more` there are more other deliveries than are listed.
    """

    found: bool
    withheld: bool
    values: tuple[tuple[Text, str | None], ...]
    in_vault: tuple[Text, ...]
    version: int | None
    identity_version: int | None
    source: DepartmentRef | None
    source_system: str
    batch_sequence: int | None
    received_at: datetime | None
    replaced_at: datetime | None
    others: tuple[OtherDelivery, ...]
    more: bool
    line: int | None
    line_digest: str
    items: tuple[Text, ...]


def delivery_row(viewer: Viewer, entry: str) -> AuditRow:
    """Return the entry of a call the viewer's department made or answered; raises `NotFound` for others."""
    row = audit_proof(viewer, entry).row
    if row.event not in DELIVERIES or row.outcome != "answered" or not is_party(viewer, row.id):
        raise NotFound
    return row


def is_party(viewer: Viewer, entry: str) -> bool:
    """Tell whether the viewer's department made or answered a call about a record, kept here or by a node."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.department, e.provider FROM audit.entry e WHERE e.id = %s AND (e.record_id IS NOT NULL"
            " OR EXISTS (SELECT FROM exchange.resource r WHERE r.id = e.resource_id"
            " AND r.spec ->> 'kept' = 'node'))",
            [UUID(entry)],
        )
        return viewer.department.code in (cursor.fetchone() or ())


@transaction.atomic
def show_delivery(viewer: Viewer, entry: str, reason: str) -> Delivery:
    """Show what was delivered, once it stands in the log who looked and why.

    Raises `NotFound` for whoever is no party to the call, and `FormRefused` without a reason.
    """
    row = delivery_row(viewer, entry)
    words = reason.strip()[:MAX_REASON_CHARS]
    if not words or not words.isprintable():
        raise FormRefused((Fault("reason", "reason_required", Text("请写明查看理由", "Say why you look")),))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT exchange.delivered(%s, %s, %s, %s)",
            [UUID(row.id), viewer.department.code, f"account:{viewer.username}", words],
        )
        found = (cursor.fetchone() or (None,))[0]
    if found is None:
        raise NotFound
    return _delivery(row.resource, json.loads(found) if isinstance(found, str) else found)


def _delivery(resource: str, seen: dict[str, Any]) -> Delivery:
    names = {item.field: item.name for item in Item.every.filter(resource_id=resource)}
    departments = department_refs()
    others = seen.get("others") or []
    return Delivery(
        found=bool(seen.get("found")),
        withheld=bool(seen.get("withheld")),
        values=_values(seen["values"], names),
        in_vault=tuple(names.get(name, Text(name, name)) for name in seen.get("in_vault") or ()),
        version=seen.get("version"),
        identity_version=seen.get("identity_version"),
        source=departments.get(str(seen.get("source_department"))),
        source_system=str(seen.get("source_system") or ""),
        batch_sequence=seen.get("batch_sequence"),
        received_at=_moment(seen.get("received_at")),
        replaced_at=_moment(seen.get("replaced_at")),
        others=tuple(_other(one, names, departments) for one in others[:MAX_OTHERS]),
        more=len(others) > MAX_OTHERS,
        line=seen.get("line"),
        line_digest=str(seen.get("line_digest") or ""),
        items=tuple(names.get(name, Text(name, name)) for name in seen.get("items") or ()),
    )


def _other(
    seen: dict[str, Any], names: dict[str, Text], departments: dict[str, DepartmentRef]
) -> OtherDelivery:
    is_copy = seen["event"] == "bulk_prepared"
    return OtherDelivery(
        kind=_COPY if is_copy else labels.label(labels.EVENTS, str(seen["event"])),
        entry=str(seen["entry"]),
        at=_moment(seen["at"]),
        department=departments.get(str(seen["department"])),
        version=seen["version"],
        contained=seen["contained"],
        gone=bool(seen["gone"]),
        number=seen["number"],
        up_to=seen["up_to"],
        fetched=str(seen["fetched"] or ""),
        fetched_at=_moment(seen["fetched_at"]),
        values=_values(seen["values"] or {}, names),
    )


def _values(values: dict[str, str | None], names: dict[str, Text]) -> tuple[tuple[Text, str | None], ...]:
    return tuple((names.get(name, Text(name, name)), value) for name, value in sorted(values.items()))


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
