"""What was delivered with one call: the values of the version it read, and where that version came from.

For the two departments of a call only. The database hands the values out and writes that it did in the same
statement; identity items stay in the vault and are named, not shown.
Source: guangzhou-2016 art. 47; our choice, decision 21.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.catalogue.models import Item
from shuqiao.control.operations.audit import audit_proof
from shuqiao.control.operations.queries import AuditRow
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.texts import Text

MAX_REASON_CHARS = 300
DELIVERIES = frozenset({"verify", "query"})


@dataclass(frozen=True)
class Delivery:
    """What an answer was made of. `withheld`: the reader compared and was told no value."""

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


def delivery_row(viewer: Viewer, entry: str) -> AuditRow:
    """Return the entry of a call the viewer's department made or answered; raises `NotFound` for others."""
    row = audit_proof(viewer, entry).row
    if row.event not in DELIVERIES or row.outcome != "answered" or not is_party(viewer, row.id):
        raise NotFound
    return row


def is_party(viewer: Viewer, entry: str) -> bool:
    """Tell whether the viewer's department made or answered a call about a record of the platform."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT department, provider FROM audit.entry WHERE id = %s AND record_id IS NOT NULL",
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
    return Delivery(
        found=bool(seen.get("found")),
        withheld=bool(seen.get("withheld")),
        values=tuple(
            (names.get(name, Text(name, name)), value) for name, value in sorted(seen["values"].items())
        ),
        in_vault=tuple(names.get(name, Text(name, name)) for name in seen.get("in_vault") or ()),
        version=seen.get("version"),
        identity_version=seen.get("identity_version"),
        source=department_refs().get(str(seen.get("source_department"))),
        source_system=str(seen.get("source_system") or ""),
        batch_sequence=seen.get("batch_sequence"),
        received_at=_moment(seen.get("received_at")),
        replaced_at=_moment(seen.get("replaced_at")),
    )


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
