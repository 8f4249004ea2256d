"""Writing to the audit log from the control's actions."""

import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection

from shuqiao.wire.messages import new_entry_id


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
    entry = Entry(
        event, actor, at, outcome, department, provider, resource_id, grant_id, case_no, dict(facts or {})
    )
    entry_id = new_entry_id(at)
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, _arguments(entry_id, entry))
    return entry_id


@dataclass(frozen=True)
class Entry:
    """What `append_entry` takes, for many at once."""

    event: str
    actor: str
    at: dt.datetime
    outcome: str
    department: str | None = None
    provider: str | None = None
    resource_id: str | None = None
    grant_id: str | None = None
    case_no: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


def append_entries(entries: Sequence[Entry]) -> list[uuid.UUID]:
    """Append many entries in the current transaction, in one round trip; otherwise like `append_entry`.

    The ids stand in the order of the entries.
    """
    ids = [new_entry_id(entry.at) for entry in entries]
    if entries:
        with connection.cursor() as cursor:
            cursor.executemany(
                _APPEND, [_arguments(key, entry) for key, entry in zip(ids, entries, strict=True)]
            )
    return ids


_APPEND = "SELECT audit.append(%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)"


def _arguments(entry_id: uuid.UUID, entry: Entry) -> list[uuid.UUID | dt.datetime | str | None]:
    body: dict[str, object] = {
        "event": entry.event,
        "id": str(entry_id),
        "at": entry.at.astimezone(dt.UTC).isoformat(),
        "department": entry.department,
        "provider": entry.provider,
        "actor": entry.actor,
        "resource": entry.resource_id,
        "grant": entry.grant_id,
        "case": entry.case_no,
        "outcome": entry.outcome,
    }
    repeated = body.keys() & entry.facts.keys()
    if repeated:
        raise ValueError(f"facts repeat fields of the entry: {sorted(repeated)}")
    body |= entry.facts
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return [
        entry_id,
        entry.at,
        entry.event,
        entry.department,
        entry.provider,
        entry.actor,
        entry.resource_id,
        None,
        entry.grant_id,
        entry.case_no,
        entry.outcome,
        text,
    ]
