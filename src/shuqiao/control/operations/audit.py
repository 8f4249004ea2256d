"""The audit list as a viewer may see it, and the proof that one entry is in the log."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.actors import actor_refs
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.models import Account
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.operations import fact_values, labels
from shuqiao.control.operations.queries import (
    AuditFilters,
    AuditPage,
    AuditProof,
    AuditRow,
    Check,
    Sibling,
)
from shuqiao.control.operations.tree import stored_hashes
from shuqiao.control.organisations.models import Application
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.queries import ArticleRef, matter_ref
from shuqiao.control.texts import Text
from shuqiao.rules import checkpoint, merkle
from shuqiao.rules.errors import RequestMalformed
from shuqiao.security import keys

PAGE_SIZE = 50
MAX_MEANT = 20
"""So many persons or systems of one name are looked for."""
_SHOWN = (
    "id, occurred_at, event, department, provider, actor, resource_id, record_id, grant_id, case_no, outcome"
)
_COLUMNS = (
    "e.id, l.position, e.occurred_at, e.event, e.department, e.actor, e.resource_id, e.record_id,"
    " e.grant_id, e.case_no, e.outcome"
)
# Which matters an event rests on besides the security of the log.
_MATTERS = {
    "request_submitted": ("first_request",),
    "request_decided": ("first_request",),
    "grant_issued": ("first_request",),
    "verify": ("identity_apart",),
    "query": ("identity_apart",),
}


def may_read_audit(viewer: Viewer) -> bool:
    """Tell whether the viewer's role reads the log at all, its own part or the whole."""
    return viewer.can(Capability.AUDIT_VIEW) or viewer.can(Capability.AUDIT_VIEW_ALL)


def audit_page(viewer: Viewer, filters: AuditFilters, before: str = "") -> AuditPage:
    """Return a page of the log, newest first; a search is recorded before its result is read.

    A department sees what it did and what was done with its information; supervision sees all.
    """
    if not may_read_audit(viewer):
        raise NotFound
    if filters != AuditFilters():
        _record_search(viewer, filters)
    found = _find(viewer, filters, before)
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(size), 0) FROM audit.checkpoint")
        total = cursor.fetchone()
    departments = department_refs()
    rows = _seen_rows(viewer, found[:PAGE_SIZE], departments)
    more = len(found) > PAGE_SIZE
    return AuditPage(
        rows=rows,
        filters=filters,
        total_integrated=int(total[0]) if total else 0,
        events=tuple(labels.EVENTS.items()),
        departments=tuple(departments.values()),
        next_before=f"{rows[-1].at.isoformat()}_{rows[-1].id}" if more else "",
    )


def entries_about(
    viewer: Viewer, records: Sequence[UUID], filters: AuditFilters, search: UUID
) -> tuple[AuditRow, ...]:
    """Return the newest entries about some records, as the viewer may see them, also of copies they are in.

    Only entries in which the viewer may know the record: those about information of the own department, and
    for supervision all. The caller has recorded the search, by which the database gives the copies.
    """
    if not may_read_audit(viewer):
        raise NotFound
    owned = [] if viewer.can(Capability.AUDIT_VIEW_ALL) else ["e.provider = %(own)s"]
    conditions, values = _conditions(filters, "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT exchange.entries_with(%s, %s)", [search, list(records)])
        copies = [row[0] for row in cursor.fetchall()]
    sides = [
        [about, *owned, *conditions] for about in ("e.record_id = ANY(%(records)s)", "e.id = ANY(%(copies)s)")
    ]
    own = {"records": list(records), "copies": copies, "own": viewer.department.code}
    found = _select(sides, values | own)
    return _seen_rows(viewer, found[:PAGE_SIZE], department_refs())


def _find(viewer: Viewer, filters: AuditFilters, before: str) -> list[tuple[object, ...]]:
    """Find one row more than a page: what a department did, and what was done with its own."""
    conditions, values = _conditions(filters, before)
    sees_all = viewer.can(Capability.AUDIT_VIEW_ALL)
    if sees_all and not filters.department:
        return _select([conditions], values)
    if not sees_all and filters.department:
        conditions.append("(e.department = %(department)s OR e.provider = %(department)s)")
    side = filters.department if sees_all else viewer.department.code
    sides = [[f"e.{column} = %(side)s", *conditions] for column in ("department", "provider")]
    return _select(sides, values | {"side": side, "department": filters.department})


def _select(sides: list[list[str]], values: dict[str, Any]) -> list[tuple[object, ...]]:
    order = f"ORDER BY occurred_at DESC, id DESC LIMIT {PAGE_SIZE + 1}"
    parts = [
        f"(SELECT {_SHOWN} FROM audit.entry e WHERE {' AND '.join(side) or 'true'} {order})" for side in sides
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS}, e.provider FROM (SELECT * FROM ({' UNION '.join(parts)}) u {order}) e"
            " LEFT JOIN audit.leaf l ON l.entry_id = e.id ORDER BY e.occurred_at DESC, e.id DESC",
            values,
        )
        return list(cursor.fetchall())


def _seen_rows(
    viewer: Viewer, found: list[tuple[object, ...]], departments: dict[str, DepartmentRef]
) -> tuple[AuditRow, ...]:
    shown = _rows([row[:11] for row in found], departments)
    return tuple(
        row if _sees_record(viewer, stored[11]) else replace(row, record="")
        for row, stored in zip(shown, found, strict=True)
    )


@transaction.atomic
def _record_search(viewer: Viewer, filters: AuditFilters) -> None:
    asked = {field.name: str(getattr(filters, field.name)) for field in fields(filters)}
    append_entry(
        "audit_searched",
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome="searched",
        department=viewer.department.code,
        provider=viewer.department.code,
        facts={"filters": {name: value for name, value in asked.items() if value not in ("", "None")}},
    )


def _conditions(filters: AuditFilters, before: str) -> tuple[list[str], dict[str, Any]]:
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if filters.since:
        conditions.append("e.occurred_at >= %(since)s")
        values["since"] = datetime.combine(filters.since, time(), clock.LEGAL_ZONE)
    if filters.until and filters.until < date.max:
        conditions.append("e.occurred_at < %(until)s")
        values["until"] = datetime.combine(filters.until + timedelta(days=1), time(), clock.LEGAL_ZONE)
    if filters.actor:
        meant, systems = _actors_meant(filters.actor)
        # A system alone stands for all its end users.
        named = [f"starts_with(e.actor, %(system{at})s)" for at in range(len(systems))]
        conditions.append(f"({' OR '.join(['e.actor = ANY(%(actors)s)', *named])})")
        values |= {"actors": meant} | {f"system{at}": f"{one}/" for at, one in enumerate(systems)}
    for name, column in (("resource", "resource_id"), ("event", "event"), ("case", "case_no")):
        if getattr(filters, name):
            conditions.append(f"e.{column} = %({name})s")
            values[name] = getattr(filters, name)
    if filters.entry:
        conditions.append("e.id = %(entry)s")
        values["entry"] = _entry_id(filters.entry)
    if before:
        conditions.append("(e.occurred_at, e.id) < (%(before_at)s, %(before_id)s)")
        values["before_at"], values["before_id"] = _position(before)
    return conditions, values


def _actors_meant(words: str) -> tuple[list[str], list[str]]:
    """Return the actors and the systems that words may mean: as the log has them, or by name."""
    persons = Account.objects.filter(Q(username=words) | Q(display_name=words))[:MAX_MEANT]
    systems = Application.objects.filter(Q(name_zh=words) | Q(name_en=words))[:MAX_MEANT]
    prefixes = [words, *(one.id for one in systems)]
    meant = list(prefixes)
    for person in persons:
        meant.append(f"account:{person.username}")
        own = Application.objects.filter(department_id=person.department_id)
        meant += [f"{key}/{person.username}" for key in own.values_list("id", flat=True)]
    return meant, prefixes


def _visible(viewer: Viewer) -> tuple[list[str], dict[str, Any]]:
    if viewer.can(Capability.AUDIT_VIEW_ALL):
        return [], {}
    return ["(e.department = %(own)s OR e.provider = %(own)s)"], {"own": viewer.department.code}


def _position(before: str) -> tuple[datetime, UUID]:
    at, _, entry = before.rpartition("_")
    try:
        return datetime.fromisoformat(at), UUID(entry)
    except ValueError as error:
        raise RequestMalformed(part="before") from error


def _entry_id(text: str) -> UUID:
    try:
        return UUID(text.strip())
    except ValueError:
        # Not an entry's number: then nothing is found, as for any other unknown one.
        return UUID(int=0)


def _rows(found: list[tuple[object, ...]], departments: dict[str, DepartmentRef]) -> tuple[AuditRow, ...]:
    resources = {str(row[6]) for row in found if row[6]}
    names = {r.id: r.name for r in Resource.objects.filter(id__in=resources)}
    actors = actor_refs(str(row[5]) for row in found)
    return tuple(replace(_row(row, departments, names), who=actors.get(str(row[5]))) for row in found)


def _row(row: tuple[object, ...], departments: dict[str, DepartmentRef], names: dict[str, Text]) -> AuditRow:
    entry, position, at, event, department, actor, resource, record, grant, case, outcome = row
    if not isinstance(at, datetime):
        raise TypeError("audit.entry.occurred_at is a time")
    return AuditRow(
        id=str(entry),
        position=int(str(position)) if position is not None else None,
        at=at,
        event=str(event),
        event_label=labels.label(labels.EVENTS, str(event)),
        department=departments.get(str(department)),
        actor=str(actor),
        who=None,
        resource=str(resource or ""),
        resource_name=names.get(str(resource)),
        record=str(record or ""),
        grant=str(grant or ""),
        case=str(case or ""),
        outcome=str(outcome),
        outcome_label=labels.outcome_label(str(outcome), str(event)),
    )


def audit_proof(viewer: Viewer, entry: str) -> AuditProof:
    """Compute the proof of one entry against the newest checkpoint; nothing of it is remembered.

    Raises `NotFound` for an entry that isn't there or that the viewer may not see.
    """
    if not may_read_audit(viewer):
        raise NotFound
    conditions, values = _visible(viewer)
    where = " AND ".join([*conditions, "e.id = %(entry)s"])
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS}, e.provider, e.body, e.salt, e.digest, l.hash FROM audit.entry e"
            f" LEFT JOIN audit.leaf l ON l.entry_id = e.id WHERE {where}",
            values | {"entry": _entry_id(entry)},
        )
        found = cursor.fetchone()
        cursor.execute(
            "SELECT c.size, c.root, c.signed_at, c.key_id, c.signature, k.public_key FROM audit.checkpoint c"
            " LEFT JOIN exchange.signing_key k ON k.id = c.key_id AND k.purpose = 'log'"
            " ORDER BY c.size DESC LIMIT 1"
        )
        newest = cursor.fetchone()
    if found is None:
        raise NotFound
    proof = _proof(_rows([found[:11]], department_refs())[0], found[12:], newest)
    return proof if _sees_record(viewer, found[11]) else _as_the_caller_may_know(proof)


def _sees_record(viewer: Viewer, provider: object) -> bool:
    """Say whether the viewer may know which record an entry is about: its owner and supervision may."""
    return provider == viewer.department.code or viewer.can(Capability.AUDIT_VIEW_ALL)


def _as_the_caller_may_know(proof: AuditProof) -> AuditProof:
    """Withhold what an answer withholds: whether there is a record, and single results answered together.

    The checks were made over the whole body; its salt stays back too, or what is withheld could be tried out.
    """
    if proof.row.event != "verify":
        return proof
    first = proof.body.partition("\n")[0]
    try:
        together = json.loads(first).get("match") == "all"
    except ValueError:
        together = True
    # Of somebody who isn't there no plain item was compared, so the comparisons alone would tell.
    keys_hidden = {"found", "record", "version", "identity_version", "matches"}
    hidden = {labels.FACTS.get(key, Text(key, key)) for key in keys_hidden}
    if together:
        hidden.add(labels.FACTS["identity"])
    facts = tuple(fact for fact in proof.facts if fact[0] not in hidden)
    return replace(proof, row=replace(proof.row, record=""), body="", salt="", facts=facts)


_Stored = tuple[str | None, bytes, bytes, bytes | None]
_Newest = tuple[int, bytes, datetime, str, bytes, bytes | None]


def _proof(row: AuditRow, stored: _Stored, newest: _Newest | None) -> AuditProof:
    body, salt, digest, leaf = stored[0] or "", bytes(stored[1]), bytes(stored[2]), stored[3]
    covered = newest is not None and row.position is not None and row.position < newest[0]
    own_leaf = merkle.leaf_hash(digest)
    path = _path(row.position, newest[0]) if covered and newest and row.position is not None else []
    siblings = _siblings(own_leaf, row.position or 0, newest[0], path) if covered and newest else ()
    checks = _checks(
        row, (body, salt, digest, bytes(leaf) if leaf else None), newest if covered else None, path
    )
    return AuditProof(
        row=row,
        facts=_facts(body, row),
        body=body,
        digest=digest.hex(),
        salt=salt.hex(),
        leaf_hash=own_leaf.hex(),
        path=siblings,
        size=newest[0] if newest else None,
        root=bytes(newest[1]).hex() if newest else "",
        signed_at=newest[2] if newest else None,
        key_id=newest[3] if newest else "",
        articles=_rests_on(row.event),
        checks=checks,
        proved=all(check.passed for check in checks),
    )


def _rests_on(event: str) -> tuple[ArticleRef, ...]:
    cited = (matter_ref(matter) for matter in (*_MATTERS.get(event, ()), "security"))
    return tuple(dict.fromkeys(ref for ref in cited if ref.article))


def _path(position: int, size: int) -> list[bytes]:
    hashes = stored_hashes(merkle.nodes_for_inclusion(position, size))
    # A hash that is gone makes a proof that fails; it must not make a page that fails.
    return merkle.inclusion_proof(lambda level, at: hashes.get((level, at), bytes(32)), position, size)


def _siblings(leaf: bytes, position: int, size: int, path: list[bytes]) -> tuple[Sibling, ...]:
    """Climb from the leaf to the root and note each step (RFC 9162, 2.1.3.2)."""
    drawn = []
    at, last, computed, level = position, size - 1, leaf, 0
    for sibling in path:
        on_left = at % 2 == 1 or at == last
        while on_left and at % 2 == 0 and at:
            at, last, level = at >> 1, last >> 1, level + 1
        computed = merkle.node_hash(sibling, computed) if on_left else merkle.node_hash(computed, sibling)
        drawn.append(Sibling(level, "left" if on_left else "right", sibling.hex(), computed.hex()))
        at, last, level = at >> 1, last >> 1, level + 1
    return tuple(drawn)


def _checks(
    row: AuditRow, stored: tuple[str, bytes, bytes, bytes | None], newest: _Newest | None, path: list[bytes]
) -> tuple[Check, ...]:
    body, salt, digest, leaf = stored
    unchanged = hashlib.sha256(salt + body.encode()).digest() == digest
    listed = leaf is not None and leaf == merkle.leaf_hash(digest)
    included = (
        newest is not None
        and row.position is not None
        and merkle.verify_inclusion(merkle.leaf_hash(digest), row.position, newest[0], path, bytes(newest[1]))
    )
    short = digest.hex()[:8]
    waiting = Text("尚未编入日志树，通常在一秒内完成", "Not yet in the tree; normally within a second")
    in_tree = Text(f"{len(path)} 个兄弟摘要，算得树根一致", f"{len(path)} sibling hashes lead to the root")
    return (
        Check(
            "content",
            Text("内容未改", "Content unchanged"),
            unchanged,
            Text(f"摘要 {short}… 与条目逐字核对", f"Digest {short}… computed again from the entry"),
        ),
        Check(
            "leaf",
            Text("叶与条目相符", "Leaf belongs to the entry"),
            listed,
            waiting if leaf is None else Text("叶摘要由条目摘要算得", "Leaf hash computed from the digest"),
        ),
        Check("inclusion", Text("确在日志中", "In the log"), included, in_tree if newest else waiting),
        _signature_check(newest),
    )


def _signature_check(newest: _Newest | None) -> Check:
    name = Text("树根有签名", "Root is signed")
    if newest is None:
        return Check("signature", name, False, Text("尚无覆盖此条的检查点", "No checkpoint covers it yet"))
    size, root, signed_at, key_id, signature, public = newest
    text = checkpoint.Checkpoint(settings.CONFIG.log_origin, size, bytes(root), signed_at).text()
    passed = public is not None and keys.verify(
        "ed25519", keys.load_public_der(bytes(public)), bytes(signature), text
    )
    return Check("signature", name, passed, Text(f"Ed25519 · 密钥 {key_id}", f"Ed25519, key {key_id}"))


def _facts(body: str, row: AuditRow) -> tuple[tuple[Text, str], ...]:
    """Show the members of the one or two lines of JSON of a body; the database's line comes second."""
    lines = []
    for line in body.splitlines()[:2]:
        try:
            members = json.loads(line)
        except ValueError:
            continue
        lines.append(members if isinstance(members, dict) else {})
    items = Item.every.filter(resource_id=row.resource) if row.resource else Item.every.none()
    names = fact_values.Names(
        event=row.event,
        departments=department_refs() if lines else {},
        systems=actor_refs(fact_values.systems_in(lines)),
        items={item.field: item.name for item in items},
        resources={row.resource: row.resource_name} if row.resource_name else {},
    )
    return tuple(
        (labels.label(labels.FACTS, str(key)), fact_values.shown(str(key), value, names))
        for line in lines
        for key, value in line.items()
        if value not in (None, "", {}, [])
    )
