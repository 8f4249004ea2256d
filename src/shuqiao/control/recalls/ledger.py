"""What was handed out under grants, recalls and receipts, as the contract schema holds them.

Positions in the ledger are numbers of batches, which no clock moves.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

from shuqiao.wire.recalls import MAX_HELD, Held

FEED, FILES, MEDIUM = "feed", "files", "medium"

# One row for each feed of an application, with what of it was handed out; the newest feed is the one applied.
# A feed may have a hundred thousand parts: of the newest alone the manifest is read.
_FEEDS = """
SELECT s.application, s.id::text, given.parts, given.rows, given.up_to,
       coalesce(encode(sha256(convert_to(newest.manifest, 'UTF8')), 'hex'), '')
FROM exchange.subscription s
CROSS JOIN LATERAL (
    SELECT count(*) AS parts, coalesce(sum(j.rows), 0) AS rows, coalesce(max(j.to_sequence), 0) AS up_to,
           max(j.number) AS number
    FROM exchange.bulk_job j WHERE j.subscription = s.id
        AND (j.number <= s.taken_number OR EXISTS (SELECT FROM exchange.bulk_delivery d WHERE d.job = j.id))
) given
LEFT JOIN exchange.bulk_job newest ON newest.subscription = s.id AND newest.number = given.number
WHERE s.grant_id = ANY(%(grants)s) AND (s.taken_number > 0 OR given.parts > 0)
ORDER BY s.started_at DESC
"""
_COPIES = """
SELECT j.application, j.id::text, count(DISTINCT d.part), coalesce(j.rows, 0), coalesce(j.to_sequence, 0),
       coalesce(encode(sha256(convert_to(j.manifest, 'UTF8')), 'hex'), '')
FROM exchange.bulk_job j JOIN exchange.bulk_delivery d ON d.job = j.id
WHERE j.subscription IS NULL AND j.grant_id = ANY(%(grants)s)
GROUP BY j.id ORDER BY j.asked_at DESC
"""
_FILES = """
SELECT DISTINCT ON (application, version) split_part(e.actor, '/', 1) AS application,
       split_part(e.body, E'\\n', 2)::jsonb ->> 'version_id' AS version, v.name
FROM audit.entry e
JOIN exchange.file_version v ON v.id = (split_part(e.body, E'\\n', 2)::jsonb ->> 'version_id')::uuid
WHERE e.department = %(holder)s AND e.event = 'file_delivered' AND e.grant_id = ANY(%(grants)s)
  AND e.body IS NOT NULL
"""
_RECALLS = """
SELECT r.number, r.grant_id, r.resource_id, r.department, r.provider, r.application, r.kind, r.reason,
       r.regulation, r.held::text, r.left_out, r.called_at, r.ended_on, r.due_on, r.entry, r.told_over,
       d.entry, d.at, d.by, d.actor, d.statement, d.signature, d.node_key
FROM exchange.recall r LEFT JOIN exchange.deletion d ON d.recall = r.number
"""


@dataclass(frozen=True)
class HeldBy:
    """What one application holds of one kind; `left_out` counts what a recall has no room for."""

    application: str
    kind: str
    held: tuple[Held, ...]
    left_out: int


@dataclass(frozen=True)
class Receipt:
    """A receipt of deletion, word for word."""

    entry: UUID
    at: datetime
    by: str
    actor: str
    statement: str
    signature: str
    node_key: bytes | None


@dataclass(frozen=True)
class RecallRow:
    """One recall, with its receipt where there is one."""

    number: str
    grant: str
    resource: str
    holder: str
    provider: str
    application: str
    kind: str
    reason: str
    regulation: str
    held: tuple[Held, ...]
    left_out: int
    called_at: datetime
    ended_on: date
    due_on: date
    entry: UUID
    told_over: datetime | None
    receipt: Receipt | None


def held_under(grants: Sequence[str], holder: str, *, has_files: bool) -> list[HeldBy]:
    """What was handed out to a department's applications under these grants."""
    given = {"grants": list(grants), "holder": holder}
    feeds: dict[str, list[Held]] = defaultdict(list)
    files: dict[str, list[Held]] = defaultdict(list)
    for application, key, parts, rows, up_to, digest in _rows(_FEEDS, given):
        feeds[application].append(Held("feed", key, "", int(rows), parts, up_to, digest))
    for application, key, parts, rows, up_to, digest in _rows(_COPIES, given):
        files[application].append(Held("copy", key, "", int(rows), parts, up_to, digest))
    for application, key, name in _rows(_FILES, given) if has_files else ():
        files[application].append(Held("file", key, name))
    found = [HeldBy(one, FEED, (_newest(held),), 0) for one, held in sorted(feeds.items())]
    return found + [bounded(one, FILES, held) for one, held in sorted(files.items())]


def bounded(application: str, kind: str, held: Sequence[Held]) -> HeldBy:
    """As much of what is held as one recall names."""
    return HeldBy(application, kind, tuple(held[:MAX_HELD]), max(0, len(held) - MAX_HELD))


def _newest(feeds: Sequence[Held]) -> Held:
    """The feed that is applied; those before it were replaced by it."""
    earlier = tuple(one.id for one in feeds[1 : MAX_HELD + 1])
    return msgspec.structs.replace(feeds[0], earlier=earlier)


def recalls(where: str, given: Mapping[str, object], tail: str = "") -> list[RecallRow]:
    """Read recalls; `where` and `tail` are this module's callers' own SQL, values come as parameters."""
    return [_recall(row) for row in _rows(f"{_RECALLS} WHERE {where} {tail}", given)]


def count(where: str, given: Mapping[str, object]) -> int:
    """Count recalls."""
    sql = (
        "SELECT count(*) FROM exchange.recall r LEFT JOIN exchange.deletion d ON d.recall = r.number"
        f" WHERE {where}"
    )
    return int(_rows(sql, given)[0][0])


def lock(number: str) -> bool:
    """Lock a recall for the transaction; False where there is none."""
    sql = "SELECT 1 FROM exchange.recall WHERE number = %(number)s FOR UPDATE"
    return bool(_rows(sql, {"number": number}))


def insert_recall(row: RecallRow) -> None:
    """Keep a new recall."""
    _run(
        "INSERT INTO exchange.recall (number, grant_id, resource_id, department, provider, application, kind,"
        " reason, regulation, held, left_out, called_at, ended_on, due_on, entry) VALUES"
        " (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            row.number,
            row.grant,
            row.resource,
            row.holder,
            row.provider,
            row.application,
            row.kind,
            row.reason,
            row.regulation,
            written(row.held),
            row.left_out,
            row.called_at,
            row.ended_on,
            row.due_on,
            row.entry,
        ],
    )


def update_held(number: str, held: HeldBy) -> None:
    """Name more in a recall that has no receipt yet."""
    _run(
        "UPDATE exchange.recall SET held = %s, left_out = %s WHERE number = %s",
        [written(held.held), held.left_out, number],
    )


def set_due(number: str, due_on: date) -> None:
    """Move a due date, as the calendar has changed."""
    _run("UPDATE exchange.recall SET due_on = %s WHERE number = %s", [due_on, number])


def set_told(number: str, at: datetime) -> None:
    """Note that it was told that the due date has passed."""
    _run("UPDATE exchange.recall SET told_over = %s WHERE number = %s", [at, number])


def insert_receipt(number: str, receipt: Receipt) -> None:
    """Keep what a person states."""
    _run(
        "INSERT INTO exchange.deletion (recall, entry, at, by, actor, statement)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [number, receipt.entry, receipt.at, receipt.by, receipt.actor, receipt.statement],
    )


def node_keys(departments: Sequence[str]) -> dict[str, bytes]:
    """The keys of departments' nodes in use."""
    found = _rows(
        "SELECT department, public_key FROM exchange.node WHERE department = ANY(%(departments)s) AND active",
        {"departments": list(departments)},
    )
    return {department: bytes(key) for department, key in found}


def statements_logged(entries: Sequence[UUID]) -> dict[UUID, str]:
    """What the log says was stated, by entry; nothing for what is withheld."""
    found = _rows("SELECT id, body FROM audit.entry WHERE id = ANY(%(entries)s)", {"entries": list(entries)})
    return {entry: _stated(body) for entry, body in found if body}


def _stated(body: str) -> str:
    said: dict[str, Any] = {}
    # Not `splitlines`: names may hold other ends of lines, which JSON leaves as they are.
    for line in body.split("\n")[:2]:
        said |= msgspec.json.decode(line)
    return str(said.get("statement", ""))


def written(held: Sequence[Held]) -> str:
    """Write what is held as JSON."""
    return msgspec.json.encode(held).decode()


def _recall(row: Sequence[Any]) -> RecallRow:
    words, text, rest, said = row[:9], row[9], row[10:16], row[16:]
    held = msgspec.json.decode(text, type=tuple[Held, ...])
    receipt = None
    if said[0] is not None:
        entry, at, by, actor, statement, signature, key = said
        receipt = Receipt(entry, at, by, actor, statement, signature, bytes(key) if key else None)
    number, grant, resource, holder, provider, application, kind, reason, regulation = words
    left_out, called_at, ended_on, due_on, entry, told_over = rest
    return RecallRow(
        number,
        grant,
        resource,
        holder,
        provider,
        application,
        kind,
        reason,
        regulation,
        held,
        left_out,
        called_at,
        ended_on,
        due_on,
        entry,
        told_over,
        receipt,
    )


def _rows(sql: str, given: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return list(cursor.fetchall())


def _run(sql: str, given: Sequence[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
