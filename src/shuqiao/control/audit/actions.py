"""Writing to the audit log from the control's actions."""

import datetime as dt
import json
import uuid
from collections.abc import Mapping

from django.db import connection


def append_entry(
    event: str,
    *,
    actor: str,
    at: dt.datetime,
    outcome: str,
    department: str | None = None,
    provider: str | None = None,
    resource_id: str | None = None,
    grant_id: str | None = None,
    case_no: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> uuid.UUID:
    """Append one entry in the current transaction and return its id.

    `department` acts, `provider` owns what is acted on; both may see the entry. `facts` are further JSON
    values of the body and hold no personal data. The entry becomes durable with the transaction, so the
    caller's change and its entry stand or fall together.

    Raises ValueError when `facts` name a field of the entry.
    """
    entry_id = uuid.uuid4()
    body: dict[str, object] = {
        "event": event,
        "id": str(entry_id),
        "at": at.astimezone(dt.UTC).isoformat(),
        "department": department,
        "provider": provider,
        "actor": actor,
        "resource": resource_id,
        "grant": grant_id,
        "case": case_no,
        "outcome": outcome,
    }
    repeated = body.keys() & (facts or {}).keys()
    if repeated:
        raise ValueError(f"facts repeat fields of the entry: {sorted(repeated)}")
    body |= facts or {}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    arguments = (
        entry_id,
        at,
        event,
        department,
        provider,
        actor,
        resource_id,
        None,
        grant_id,
        case_no,
        outcome,
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit.append(%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)", [*arguments, text])
    return entry_id
