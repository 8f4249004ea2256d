"""Publishing: what has passed its procedure comes into force in the resource and in the sharing catalogue.

Both catalogues change in one transaction with the audit entries, however many entries are published together;
every department is told once (CAT-14). Source: guangzhou-2016 art. 30(2), 31; guangzhou-2019-165 art. 11.
"""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from django.db import connection
from django.db.models import F

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.notices import ToTell, notify_all
from shuqiao.control.audit.actions import Entry as AuditEntry
from shuqiao.control.audit.actions import append_entries
from shuqiao.control.catalogue import search
from shuqiao.control.catalogue.entries import entry_from, entry_json
from shuqiao.control.catalogue.history import sharing_change
from shuqiao.control.catalogue.inserting import columns_of, insert_rows
from shuqiao.control.catalogue.models import (
    Item,
    Resource,
    ResourceVersion,
    Service,
    Sharing,
    SharingChange,
    SharingOrigin,
    SharingVersion,
)
from shuqiao.control.catalogue.services import refresh_tables
from shuqiao.control.catalogue.words import search_text
from shuqiao.control.compiling.models import Compilation, CompilationKind
from shuqiao.control.compiling.rows import (
    Publishing,
    item_rows,
    resource_row,
    sharing_rows,
    whole_entry,
)
from shuqiao.control.onesource.register import take_in
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import named
from shuqiao.rules.entries import entry_code
from shuqiao.rules.errors import EntryChanged, ShuqiaoError
from shuqiao.rules.regulation import SETTING

BATCH = 1000
_BESIDE = 20_000
"""Added to the place of an item while its neighbours move: two never stand in one place meanwhile."""
_CHANGED = [name for name in columns_of(Resource) if name not in ("id", "list_key")]
_ITEM_CHANGED = [name for name in columns_of(Item) if name not in ("resource_id", "field")]


def obstacles(cases: Sequence[Compilation]) -> dict[str, ShuqiaoError]:
    """Why some of these cases can't be published now, by number; locks the entries they change.

    An entry that has changed since its case began is not overwritten; nor do two cases meet in one entry.
    """
    changed = [case.resource for case in cases if case.kind != CompilationKind.NEW]
    held = _locked(changed)
    there = set(Resource.objects.filter(id__in=[c.resource for c in cases]).values_list("id", flat=True))
    found: dict[str, ShuqiaoError] = {}
    seen: set[str] = set()
    for case in cases:
        row = held.get(case.resource)
        if case.kind == CompilationKind.NEW:
            fits = case.resource not in there
        else:
            fits = row is not None and row.version == case.base_version and row.state == "published"
        if not fits or case.resource in seen:
            rules = named(case.regulation)
            article = rules.cite(rules.citations.get("catalogue_entry", SETTING))
            found[case.number] = EntryChanged(entry=case.name_zh or case.resource, rule=article)
        seen.add(case.resource)
    return found


def publish(cases: Sequence[Compilation], by: Viewer) -> None:
    """Bring these cases into force, in the caller's transaction; `obstacles` has found none.

    The number of statements doesn't grow with the cases, apart from those whose data are offered as tables.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a publication is written in the transaction of its step")
    if not cases:
        return
    now = clock.now()
    taken_out = [case for case in cases if case.kind == CompilationKind.WITHDRAWAL]
    brought_in = [case for case in cases if case.kind != CompilationKind.WITHDRAWAL]
    held = _locked([case.resource for case in cases])
    changes = Counter[str]()
    if brought_in:
        changes += _bring_in(_publishings(brought_in, held, now), by)
    if taken_out:
        changes += _take_out(taken_out, held, now, by)
    take_in(case.resource for case in cases)
    _tell_all(cases, changes)


def _locked(ids: Iterable[str]) -> dict[str, Resource]:
    """These entries, locked in the order of their ids."""
    rows = Resource.objects.select_for_update(of=("self",)).filter(id__in=sorted(set(ids)))
    return {row.id: row for row in rows.order_by("id")}


def _publishings(
    cases: Sequence[Compilation], held: Mapping[str, Resource], at: dt.datetime
) -> list[Publishing]:
    today = clock.legal_day(at)
    entries = {}
    for case in cases:
        rules = named(case.regulation)
        entries[case.number] = whole_entry(entry_from(case.content), rules, today)
    codes = _codes(cases, {number: entry.subject for number, entry in entries.items()}, held)
    rulings = Sharing.objects.filter(resource_id__in=held, origin=SharingOrigin.RULING, ended_at=None)
    ruled = set(rulings.values_list("resource_id", flat=True))
    return [
        Publishing(
            case,
            entries[case.number],
            named(case.regulation),
            held.get(case.resource),
            codes[case.number],
            (held[case.resource].version if case.resource in held else 0) + 1,
            at,
            case.resource in ruled,
        )
        for case in cases
    ]


def _codes(
    cases: Sequence[Compilation], subjects: Mapping[str, str], held: Mapping[str, Resource]
) -> dict[str, str]:
    """The official code of each case: the one it has, or the next of its classification.

    Classifications are locked in their order, so that no number is given twice and nobody waits in a circle.
    """
    found: dict[str, str] = {}
    wanting: dict[str, list[str]] = {}
    for case in cases:
        row = held.get(case.resource)
        if row is not None and row.subject == subjects[case.number]:
            found[case.number] = row.code
        else:
            wanting.setdefault(subjects[case.number], []).append(case.number)
    for subject in sorted(wanting):
        numbers = wanting[subject]
        last = _reserve(subject, len(numbers))
        for place, number in enumerate(numbers):
            found[number] = entry_code(subject, last - len(numbers) + 1 + place)
    return found


def _reserve(subject: str, count: int) -> int:
    """Take so many numbers of a classification and return the last; its row is locked until the end."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO catalogue_subjectsequence AS s (subject, last) VALUES (%s, %s)"
            " ON CONFLICT (subject) DO UPDATE SET last = s.last + excluded.last RETURNING last",
            [subject, count],
        )
        row = cursor.fetchone()
    if row is None:
        raise RuntimeError("an upsert gave no row back")
    return int(row[0])


def _bring_in(publishings: Sequence[Publishing], by: Viewer) -> Counter[str]:
    # Read before the rows are changed: what is held becomes what is published.
    was_shared = {one.case.resource: one.held is not None and one.held.shared for one in publishings}
    rows = [resource_row(one) for one in publishings]
    insert_rows(rows, unique=("id",), changed=_CHANGED)
    _write_items(publishings)
    _write_joint(publishings)
    _write_sharing(publishings, _record(publishings, by))
    changes = _write_versions(publishings, was_shared)
    _index(rows, publishings)
    refresh_tables(one.held for one in publishings if one.held is not None)
    return changes


def _write_items(publishings: Sequence[Publishing]) -> None:
    """Write the items of all entries, those that a version leaves out too."""
    old: dict[str, dict[str, Item]] = {}
    changed = [one.case.resource for one in publishings if one.held is not None]
    for item in Item.every.filter(resource_id__in=changed):
        old.setdefault(item.resource_id, {})[item.field] = item
    made = (item_rows(one, old.get(one.case.resource, {})) for one in publishings)
    # In their places they could meet on the way from one order to another.
    Item.every.filter(resource_id__in=changed).update(number=F("number") + _BESIDE)
    insert_rows(
        (row for rows in made for row in (*rows.removed, *rows.kept, *rows.added)),
        unique=("resource_id", "field"),
        changed=_ITEM_CHANGED,
    )


def _write_joint(publishings: Sequence[Publishing]) -> None:
    """The departments that collect an entry together, the provider included."""
    link = Resource.joint_departments.through
    changed = [one.case.resource for one in publishings if one.held is not None]
    link.objects.filter(resource_id__in=changed).delete()
    insert_rows(
        link(resource_id=one.case.resource, department_id=code)
        for one in publishings
        for code in dict.fromkeys((one.entry.department, *one.entry.joint))
    )


def _record(publishings: Sequence[Publishing], by: Viewer) -> list[uuid.UUID]:
    return append_entries(
        [
            AuditEntry(
                "entry_published",
                f"account:{by.username}",
                one.at,
                "published",
                by.department.code,
                one.entry.department,
                one.case.resource,
                case_no=one.case.number,
                facts={
                    "version": one.version,
                    "kind": one.case.kind,
                    "code": one.code,
                    "regulation": one.case.regulation,
                    "items": len(one.entry.items),
                    "shared": one.is_shared,
                    "articles": [one.rules.cite(one.rules.citations.get("catalogue_entry", SETTING))],
                },
            )
            for one in publishings
        ]
    )


def _write_sharing(publishings: Sequence[Publishing], entries: Sequence[uuid.UUID]) -> None:
    """Bring the share types in force in step; a ruling stays beside what the department says."""
    current: dict[str, dict[str, Sharing]] = {}
    changed = [one.case.resource for one in publishings if one.held is not None]
    rows = Sharing.objects.filter(resource_id__in=changed, ended_at=None).exclude(origin=SharingOrigin.RULING)
    for row in rows.select_related("item"):
        current.setdefault(row.resource_id, {})[row.item.field if row.item else ""] = row
    differing = [one.case.resource for one in publishings if any(item.share_type for item in one.entry.items)]
    items = {(i.resource_id, i.field): i.pk for i in Item.objects.filter(resource_id__in=differing)}
    added: list[Sharing] = []
    ended: list[int] = []
    for one, entry in zip(publishings, entries, strict=True):
        resource, set_by = one.case.resource, one.case.submitted_by_id or one.case.compiler_id
        new, old = sharing_rows(one, items, current.get(resource, {}), set_by)
        for row in new:
            row.entry_id = entry
        added += new
        ended += [row.pk for row in old]
    if ended:
        Sharing.objects.filter(pk__in=ended).update(ended_at=clock.now())
    insert_rows(added)


def _write_versions(publishings: Sequence[Publishing], was_shared: Mapping[str, bool]) -> Counter[str]:
    """Keep what each entry says now, and what that does to the sharing catalogue (CAT-03, CAT-14)."""
    versions = dict(
        insert_rows(
            (
                ResourceVersion(
                    resource_id=one.case.resource,
                    version=one.version,
                    content=entry_json(one.entry),
                    note_zh=f"{CompilationKind(one.case.kind).label}（{one.case.number}）",
                    note_en=f"{_KINDS_EN[one.case.kind]} ({one.case.number})",
                    published_at=one.at,
                    compilation=one.case.number,
                )
                for one in publishings
            ),
            returning=("resource_id", "id"),
        )
    )
    rows = [
        SharingVersion(
            resource_id=one.case.resource,
            of_id=versions[one.case.resource],
            change=change,
            published_at=one.at,
        )
        for one in publishings
        if (change := sharing_change(was_shared[one.case.resource], one.is_shared)) is not None
    ]
    insert_rows(rows)
    return Counter(str(row.change) for row in rows)


_KINDS_EN = {
    "new": "New entry",
    "change": "Change of the entry",
    "correction": "Correction of wording",
    "withdrawal": "Taken out",
}


def _index(rows: Sequence[Resource], publishings: Sequence[Publishing]) -> None:
    names = {
        department.code: (department.name_zh, department.short_zh, department.name_en)
        for department in Department.objects.all()
    }
    for at in range(0, len(rows), BATCH):
        texts = {}
        for row, one in zip(rows[at : at + BATCH], publishings[at : at + BATCH], strict=True):
            bodies = dict.fromkeys((one.entry.department, *one.entry.joint))
            others = [row.summary_zh, row.summary_en, row.category_zh]
            others += [name for code in bodies for name in names.get(code, ())]
            items = [(item.zh, item.en) for item in one.entry.items]
            texts[row.id] = search_text(row.name_zh, row.name_en, items, others)
        search.store_search_texts(texts)


def _take_out(
    cases: Sequence[Compilation], held: Mapping[str, Resource], now: dt.datetime, by: Viewer
) -> Counter[str]:
    """Take entries out of both catalogues; what they said stays in their history."""
    leaving = [(case, held[case.resource]) for case in cases]
    versions = dict(
        insert_rows(
            (
                ResourceVersion(
                    resource_id=row.id,
                    version=row.version + 1,
                    content=row.content,
                    note_zh=f"{CompilationKind.WITHDRAWAL.label}（{case.number}）",
                    note_en=f"{_KINDS_EN['withdrawal']} ({case.number})",
                    published_at=now,
                    compilation=case.number,
                    withdrawn=True,
                )
                for case, row in leaving
            ),
            returning=("resource_id", "id"),
        )
    )
    gone = [
        SharingVersion(
            resource_id=row.id, of_id=versions[row.id], change=SharingChange.REMOVED, published_at=now
        )
        for _, row in leaving
        if row.shared
    ]
    insert_rows(gone)
    _close([row.id for _, row in leaving], now)
    append_entries([_withdrawn(case, row, now, by) for case, row in leaving])
    return Counter({SharingChange.REMOVED.value: len(gone)})


def _close(ids: list[str], now: dt.datetime) -> None:
    """End the entries, what serves them, and the answers of the plane."""
    Resource.objects.filter(id__in=ids).update(state="withdrawn", version=F("version") + 1, shared=False)
    Service.objects.filter(resource_id__in=ids, ended_at=None).update(ended_at=now)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE exchange.resource SET active = false WHERE id = ANY(%s) AND active", [ids])


def _withdrawn(case: Compilation, row: Resource, now: dt.datetime, by: Viewer) -> AuditEntry:
    rules = named(case.regulation)
    return AuditEntry(
        "entry_withdrawn",
        f"account:{by.username}",
        now,
        "withdrawn",
        by.department.code,
        row.department_id,
        row.id,
        case_no=case.number,
        facts={
            "version": row.version + 1,
            "code": row.code,
            "regulation": case.regulation,
            "articles": [rules.cite(rules.citations.get("catalogue_change", SETTING))],
        },
    )


def _tell_all(cases: Sequence[Compilation], changes: Counter[str]) -> None:
    """Tell every department of the platform once what has changed in the sharing catalogue (CAT-14)."""
    if not changes:
        return
    first = cases[0]
    notify_all(
        ToTell(
            code,
            "catalogue_published",
            first.resource,
            occasion=first.number,
            params={
                "count": sum(changes.values()),
                "added": changes[SharingChange.ADDED],
                "changed": changes[SharingChange.CHANGED],
                "removed": changes[SharingChange.REMOVED],
                "name_zh": first.name_zh,
                "number": first.number,
            },
        )
        for code in Department.objects.filter(active=True).values_list("code", flat=True)
    )
