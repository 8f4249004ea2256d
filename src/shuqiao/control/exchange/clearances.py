"""Reviews that must stand before data are provided: which are demanded, signed, missing and ending.

A review is signed by a named person of the department for one entry, one version of its mapping and a period.
The loader refuses a batch without them; a changed structure voids them, another mapping is not covered.
Source: guangzhou-2019 art. 18, 20(2); shenyang-2016 art. 17; guangzhou-2016 art. 8(1), 8(4); ING-04, COL-09.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID, uuid4

import msgspec
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.models import Account
from shuqiao.control.accounts.notices import notify
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.exchange.access import may_clear, scope_of
from shuqiao.control.exchange.readings import read_nodes
from shuqiao.control.exchange.screening import HeldHere, held_of
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import latest_until
from shuqiao.rules.regulation import Review
from shuqiao.wire.node_state import MappingColumns

WARNED_DAYS = 30
"""A review that ends sooner is told of."""

_STANDING = """
SELECT id, resource_id, kind, mapping_version, valid_from, valid_until, signed_by, signed_at
FROM exchange.clearance
WHERE resource_id = ANY(%s) AND voided_at IS NULL ORDER BY signed_at DESC
"""
_PAST = """
SELECT kind, mapping_version, valid_from, valid_until, signed_by, signed_at, voided_at, void_reason
FROM exchange.clearance WHERE resource_id = %s AND (voided_at IS NOT NULL OR valid_until < %s)
ORDER BY signed_at DESC LIMIT 50
"""
VOIDED = {
    "schema": Text("目录结构已变", "The entry's structure changed"),
    "replaced": Text("已重新签署", "Signed anew"),
    "withdrawn": Text("已撤回", "Taken back"),
    None: Text("已期满", "Its period is over"),
}


@dataclass(frozen=True)
class Standing:
    """A signed review."""

    id: UUID
    resource: str
    kind: str
    mapping: str
    valid_from: date
    valid_until: date
    signed_by: str
    signed_at: datetime


@dataclass(frozen=True)
class ReviewRow:
    """One review that the regulation demands: the one that stands for the mapping in use, or none."""

    key: str
    words: Text
    article: ArticleRef
    standing: Standing | None
    name: str
    is_ending: bool
    longest: date


@dataclass(frozen=True)
class PastReview:
    """A review that stands no more, and why."""

    words: Text
    mapping: str
    valid_from: date
    valid_until: date
    name: str
    signed_at: datetime
    why: Text


@dataclass(frozen=True)
class ItemRow:
    """One item of the entry and where the mapping in use takes it from, as the node has told.

    `column` is empty where the mapping leaves the item out; `is_fixed`: every row has the same value.
    """

    words: Text
    column: str
    is_fixed: bool
    is_coded: bool


@dataclass(frozen=True)
class ClearancePage:
    """What is signed and what has to be, for one entry and the mapping its node uses."""

    department: str
    resource: str
    name: Text
    mapping: str
    items: tuple[ItemRow, ...]
    table: str
    held: int
    held_rows: tuple[HeldHere, ...]
    rows: tuple[ReviewRow, ...]
    past: tuple[PastReview, ...]
    may_clear: bool
    today: date

    @property
    def is_cleared(self) -> bool:
        """Batches are taken now."""
        return all(row.standing is not None for row in self.rows)


def clearance_page(viewer: Viewer, department: str, resource: str) -> ClearancePage:
    """Return the reviews of one entry; raises `NotFound` for another department's."""
    if scope_of(viewer) not in (None, department):
        raise NotFound
    entry = Resource.objects.filter(pk=resource, department_id=department).first()
    if entry is None:
        raise NotFound
    mapping = mapping_of(department, resource)
    read = columns_of(department, resource, mapping)
    fields = Item.objects.filter(resource=entry).order_by("number").values_list("field", "zh", "en")
    names = {field: Text(zh, en or zh) for field, zh, en in fields}
    held, held_rows = held_of(department, resource, names)
    return ClearancePage(
        department=department,
        resource=resource,
        name=Text(entry.name_zh, entry.name_en or entry.name_zh),
        mapping=mapping,
        items=tuple(_item(field, words, read) for field, words in names.items()),
        table="" if read is None else f"{read.system} · {read.table}",
        held=held,
        held_rows=held_rows,
        rows=review_rows({resource: mapping})[resource],
        past=_past(resource),
        may_clear=may_clear(viewer, department),
        today=clock.today(),
    )


def columns_of(department: str, resource: str, mapping: str) -> MappingColumns | None:
    """Return what this version of a mapping reads; None where its node has not told yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT columns::text FROM exchange.mapping WHERE department = %s AND resource_id = %s"
            " AND version = %s",
            [department, resource, mapping],
        )
        row = cursor.fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=MappingColumns)


def _item(field: str, words: Text, read: MappingColumns | None) -> ItemRow:
    found = next((one for one in read.items if one.item == field), None) if read else None
    if found is None:
        return ItemRow(words, "", is_fixed=False, is_coded=False)
    return ItemRow(words, found.column, is_fixed=not found.column, is_coded=found.coded)


def review_rows(mappings: Mapping[str, str]) -> dict[str, tuple[ReviewRow, ...]]:
    """Return for each entry the reviews that are demanded, with those that stand for its mapping."""
    reviews, today = regulation().reviews, clock.today()
    found = {
        (one.resource, one.kind): one
        for one in standing_of(*mappings)
        if one.mapping == mappings[one.resource] and one.valid_from <= today <= one.valid_until
    }
    names = _names({one.signed_by for one in found.values()})
    return {
        resource: tuple(_row(review, found.get((resource, review.key)), names, today) for review in reviews)
        for resource in mappings
    }


def _row(review: Review, standing: Standing | None, names: Mapping[str, str], today: date) -> ReviewRow:
    return ReviewRow(
        key=review.key,
        words=Text(review.zh, review.en),
        article=article_ref(review.article),
        standing=standing,
        name=names.get(standing.signed_by, standing.signed_by) if standing else "",
        is_ending=standing is not None and (standing.valid_until - today).days < WARNED_DAYS,
        longest=longest(review, today),
    )


def longest(review: Review, today: date) -> date:
    """The last day for which a review may be signed today."""
    return latest_until(today, review.months)


def standing_of(*resources: str) -> list[Standing]:
    """Return the reviews of entries that nobody has taken back and nothing voided, the newest first."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [list(resources)])
        return [Standing(*row) for row in cursor.fetchall()]


def mapping_of(department: str, resource: str) -> str:
    """The version of the mapping that the department's node says it uses; empty where it said nothing yet."""
    return next(
        (
            line.mapping
            for node in read_nodes(department)
            if node.state
            for line in node.state.lines
            if line.resource == resource
        ),
        "",
    )


@transaction.atomic
def sign_reviews(
    viewer: Viewer, department: str, resource: str, kinds: tuple[str, ...], mapping: str, until: date | None
) -> None:
    """Sign these reviews for the mapping that was shown, until a day. Raises `NotFound` or `FormRefused`."""
    if not may_clear(viewer, department):
        raise NotFound
    if not Resource.objects.filter(pk=resource, department_id=department).exists():
        raise NotFound
    chosen = [review for review in regulation().reviews if review.key in kinds]
    faults = _faults(chosen, mapping, mapping_of(department, resource), until)
    if faults or until is None:
        raise FormRefused(tuple(faults))
    for review in chosen:
        sign(resource, review.key, mapping, until, viewer.username)


def sign(resource: str, kind: str, mapping: str, until: date, username: str) -> UUID:
    """Write one signed review; belongs in a transaction of who has checked that the person may."""
    key = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT exchange.sign_clearance(%s, %s, %s, %s, %s, %s, %s, %s)",
            (key, resource, kind, mapping, clock.today(), until, username, clock.now()),
        )
    return key


def _faults(chosen: list[Review], mapping: str, used: str, until: date | None) -> list[Fault]:
    faults, today = [], clock.today()
    if not chosen:
        words = Text("请选择要签署的审查", "Choose what you sign")
        faults.append(Fault("kinds", "field_required", words))
    if not mapping or mapping != used:
        words = Text(
            "映射已变，请核对现在提供的信息项后再签", "The mapping has changed: look at it again, then sign"
        )
        faults.append(Fault("mapping", "mapping_changed", words))
    if until is None or until < today:
        faults.append(Fault("until", "field_required", Text("请填写有效期", "Say until when it serves")))
    elif chosen and until > (last := min(longest(one, today) for one in chosen)):
        words = Text(f"最迟到 {last.isoformat()}", f"Until {last.isoformat()} at most")
        faults.append(Fault("until", "too_long", words))
    return faults


@transaction.atomic
def withdraw_review(viewer: Viewer, department: str, resource: str, key: UUID) -> bool:
    """Take a review back: batches wait from now on. False where it stands no more; raises `NotFound`."""
    if not may_clear(viewer, department) or key not in {one.id for one in standing_of(resource)}:
        raise NotFound
    if not Resource.objects.filter(pk=resource, department_id=department).exists():
        raise NotFound
    with connection.cursor() as cursor:
        cursor.execute("SELECT exchange.void_clearance(%s, %s, %s)", (key, viewer.username, clock.now()))
        return bool(cursor.fetchone()[0])


@transaction.atomic
def store_demands() -> int:
    """Bring what the regulation in force demands to where the loader asks; the rows that changed."""
    rules = regulation()
    said = {one.key: rules.cite(one.article) for one in rules.reviews}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('exchange.clearance_kind'))")
        cursor.execute("SELECT kind, citation FROM exchange.clearance_kind")
        stored = dict(cursor.fetchall())
        gone = sorted(stored.keys() - said.keys())
        changed = sorted(said.items() - stored.items())
        if gone:
            cursor.execute("DELETE FROM exchange.clearance_kind WHERE kind = ANY(%s)", [gone])
        for kind, citation in changed:
            cursor.execute(
                "INSERT INTO exchange.clearance_kind (kind, citation) VALUES (%s, %s)"
                " ON CONFLICT (kind) DO UPDATE SET citation = excluded.citation",
                (kind, citation),
            )
    return len(gone) + len(changed)


@transaction.atomic
def watch_clearances() -> int:
    """Tell those who sign what is missing or ends soon, each once; return how many. Safe late and twice."""
    told = 0
    for node in read_nodes(None):
        lines = node.state.lines if node.state and node.is_active else ()
        mappings = {line.resource: line.mapping for line in lines}
        entries = Resource.objects.in_bulk(mappings)
        for resource, rows in review_rows({key: mappings[key] for key in entries}).items():
            for row in rows:
                if row.standing is None or row.is_ending:
                    told += _tell(node.department, entries[resource], mappings[resource], row)
    return told


def _tell(department: str, entry: Resource, mapping: str, row: ReviewRow) -> bool:
    until = row.standing.valid_until.isoformat() if row.standing else ""
    return notify(
        department,
        "review_missing" if row.standing is None else "review_ending",
        entry.id,
        capability=Capability.DATA_CLEAR,
        occasion=f"{row.key}/{mapping}/{until}",
        params={
            "name_zh": entry.name_zh,
            "name_en": entry.name_en or entry.name_zh,
            "review_zh": row.words.zh,
            "review_en": row.words.en,
            "until": until,
        },
    )


def _names(usernames: set[str]) -> dict[str, str]:
    found = Account.objects.filter(username__in=usernames)
    return dict(found.values_list("username", "display_name"))


def _past(resource: str) -> tuple[PastReview, ...]:
    with connection.cursor() as cursor:
        cursor.execute(_PAST, (resource, clock.today()))
        found = cursor.fetchall()
    names = _names({row[4] for row in found})
    words = {one.key: Text(one.zh, one.en) for one in regulation().reviews}
    return tuple(
        PastReview(words.get(kind, Text(kind, kind)), mapping, start, end, names.get(by, by), at, VOIDED[why])
        for kind, mapping, start, end, by, at, _, why in found
    )
