"""Feeds that systems follow: how far each is, its parts with the consumer's receipts, and their ending."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.exchange.access import sees_all
from shuqiao.control.exchange.readings import GRANT_STATE
from shuqiao.control.exchange.receipts import ReceiptReading, read_receipts
from shuqiao.control.grants.access import grants_visible
from shuqiao.control.organisations.models import Application
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.texts import Text

PAGE_SIZE = 30
MOST_PARTS = 200
EVENT = "feed_ended"
OUTCOMES = {True: "feed_rests", False: "feed_begins_anew"}

REASONS: Mapping[str, Text] = {
    "value_unfit": Text("值放不进该列", "The column can't hold a value"),
    "constraint_broken": Text("违反表的约束", "A rule of the table is broken"),
    "key_conflict": Text("唯一值重复", "A unique value is there already"),
    "row_refused": Text("触发器拒绝", "A trigger refuses it"),
}
"""Why a row didn't fit, by the codes of the node."""

_FEEDS = f"""
SELECT s.id, s.department, s.provider, s.resource_id, s.grant_id, s.application, s.format, s.started_at,
       s.last_number, s.taken_number, s.taken_at, s.ended_at, s.rests,
       coalesce(newest.sequence, 0), coalesce(taken.to_sequence, 0), waiting.since,
       left(encode(sha256(s.recipient), 'hex'), 16),
       {GRANT_STATE}
FROM exchange.subscription s
LEFT JOIN LATERAL (SELECT b.sequence FROM exchange.batch b WHERE b.department = s.provider
    AND b.resource_id = s.resource_id ORDER BY b.sequence DESC LIMIT 1) newest ON true
LEFT JOIN exchange.bulk_job taken ON taken.subscription = s.id AND taken.number = s.taken_number
LEFT JOIN LATERAL (SELECT min(j.ready_at) AS since FROM exchange.bulk_job j
    WHERE j.subscription = s.id AND j.number > s.taken_number AND j.state = 'ready') waiting ON true
WHERE (%(scope)s::text IS NULL OR s.department = %(scope)s OR s.provider = %(scope)s)
  AND (%(feed)s::uuid IS NULL OR s.id = %(feed)s::uuid)
ORDER BY s.ended_at IS NOT NULL, s.started_at DESC, s.id LIMIT %(most)s OFFSET %(after)s
"""
_COUNT = """
SELECT count(*) FROM exchange.subscription s
WHERE %(scope)s::text IS NULL OR s.department = %(scope)s OR s.provider = %(scope)s
"""
_PARTS = """
SELECT j.number, j.from_sequence, j.to_sequence, j.rows, j.state, j.ready_at,
       encode(sha256(convert_to(j.manifest, 'UTF8')), 'hex')
FROM exchange.bulk_job j WHERE j.subscription = %(feed)s ORDER BY j.number DESC LIMIT %(most)s
"""
_LOGGED = "SELECT id::text, split_part(body, E'\\n', 1) FROM audit.entry WHERE id = ANY(%(entries)s::uuid[])"


@dataclass(frozen=True)
class FeedRow:
    """One feed: how many batches it lacks, and since when a part waits to be fetched.

    `recipient` is the id of the key to which its parts are sealed; None where the platform keeps their keys.
    """

    id: UUID
    consumer: DepartmentRef
    provider: DepartmentRef
    resource: str
    name: Text
    grant: str
    system: Text
    format: str
    started_at: datetime
    last_number: int
    taken_number: int
    taken_at: datetime | None
    ended_at: datetime | None
    rests: bool
    behind: int
    waits_since: datetime | None
    recipient: str | None = None
    grant_state: str | None = None

    @property
    def state(self) -> str:
        """Going on, waiting for its consumer or its grant, resting as its consumer wants, or over."""
        if self.ended_at is not None:
            return "rests" if self.rests else "ended"
        if self.grant_state is not None:
            return self.grant_state
        return "waits" if self.waits_since is not None else "up"


@dataclass(frozen=True)
class PartRow:
    """A part and the receipt for it; `reasons` count the rows that the receipt names as not fitting.

    `verdict` is `holds` where the receipt is about this part and the log says the same, `withheld` where the
    log's words are pruned, `broken` otherwise.
    """

    number: int
    after: int
    up_to: int | None
    rows: int | None
    state: str
    ready_at: datetime | None
    receipt: ReceiptReading | None
    reasons: tuple[tuple[Text, int], ...]
    verdict: str


@dataclass(frozen=True)
class FeedList:
    """A page of feeds, those that go on first."""

    rows: tuple[FeedRow, ...]
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class FeedPage:
    """One feed with its newest parts, and whether the viewer may end it and open its grant."""

    row: FeedRow
    parts: tuple[PartRow, ...]
    may_end: bool
    may_restart: bool
    sees_grant: bool


def sees_feeds(viewer: Viewer) -> bool:
    """Tell whether the viewer has to do with feeds: either side's, or who watches over all."""
    own = (Capability.NODES_WATCH, Capability.AUDIT_VIEW, Capability.GRANT_USE, Capability.DATA_CLEAR)
    return sees_all(viewer) or any(viewer.can(one) for one in own)


def feed_list(viewer: Viewer, page: int) -> FeedList:
    """List the feeds that the viewer's department follows or serves, or all."""
    scope = _scope(viewer)
    total = int(_rows(_COUNT, {"scope": scope})[0][0])
    pages = max(1, -(-total // PAGE_SIZE))
    number = max(1, min(page, pages))
    return FeedList(_feeds(scope, None, (number - 1) * PAGE_SIZE), number, pages, total)


def feed_page(viewer: Viewer, feed: UUID) -> FeedPage:
    """Return one feed; raises `NotFound` for whoever has nothing to do with it."""
    scope = _scope(viewer)
    found = _feeds(scope, feed, 0)
    if not found:
        raise NotFound
    row = found[0]
    receipts = {one.number: one for one in read_receipts(scope, str(feed))}
    logged = dict(_rows(_LOGGED, {"entries": [one.entry for one in receipts.values()]}))
    parts = tuple(
        _part(one, receipts.get(one[0]), logged)
        for one in _rows(_PARTS, {"feed": str(feed), "most": MOST_PARTS})
    )
    own = may_end(viewer, row.consumer.code)
    return FeedPage(
        row,
        parts,
        may_end=own and row.ended_at is None,
        may_restart=own and (row.ended_at is None or row.rests),
        sees_grant=grants_visible(viewer).filter(number=row.grant).exists(),
    )


def may_end(viewer: Viewer, consumer: str) -> bool:
    """Tell whether the viewer ends or begins feeds of a department anew: its own technicians."""
    return viewer.department.code == consumer and viewer.can(Capability.NODES_WATCH)


@transaction.atomic
def end_feed(viewer: Viewer, feed: UUID, *, rests: bool) -> bool:
    """End a feed: it rests, or its node begins anew with everything there is; raises `NotFound`.

    False where it is so already. Source: our choice, decision 42.
    """
    found = _feeds(_scope(viewer), feed, 0)
    if not found or not may_end(viewer, found[0].consumer.code):
        raise NotFound
    row = found[0]
    done = _rows(
        "SELECT exchange.end_feed_of(%(feed)s::uuid, %(own)s, %(rests)s)",
        {"feed": str(feed), "own": row.consumer.code, "rests": rests},
    )
    if not done[0][0]:
        return False
    append_entry(
        EVENT,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=OUTCOMES[rests],
        department=row.consumer.code,
        provider=row.provider.code,
        resource_id=row.resource,
        grant_id=row.grant,
        facts={"subscription": str(feed), "taken": row.taken_number},
    )
    return True


def _scope(viewer: Viewer) -> str | None:
    if not sees_feeds(viewer):
        raise NotFound
    return None if sees_all(viewer) else viewer.department.code


def _feeds(scope: str | None, feed: UUID | None, after: int) -> tuple[FeedRow, ...]:
    given = {
        "scope": scope,
        "feed": str(feed) if feed else None,
        "most": PAGE_SIZE,
        "after": after,
        "today": clock.today(),
    }
    found = _rows(_FEEDS, given)
    refs = department_refs()
    names = {one.pk: one.name for one in Resource.objects.filter(pk__in={row[3] for row in found})}
    systems = {
        one.pk: Text(one.name_zh, one.name_en)
        for one in Application.objects.filter(pk__in={row[5] for row in found})
    }
    return tuple(
        FeedRow(
            row[0],
            refs[row[1]],
            refs[row[2]],
            row[3],
            names[row[3]],
            row[4],
            systems.get(row[5], Text(row[5], row[5])),
            *(*row[6:13], max(0, row[13] - row[14]), *row[15:]),
        )
        for row in found
    )


def _part(row: tuple[Any, ...], receipt: ReceiptReading | None, logged: Mapping[str, str]) -> PartRow:
    reasons = Counter(why for _, why in receipt.unfit) if receipt else Counter[str]()
    number, after, up_to, rows, state, ready_at, digest = row
    return PartRow(
        number,
        after,
        up_to,
        rows,
        state,
        ready_at,
        receipt=receipt,
        reasons=tuple((REASONS.get(why, Text(why, why)), count) for why, count in reasons.most_common()),
        verdict=_verdict(receipt, digest, logged) if receipt else "",
    )


def _verdict(receipt: ReceiptReading, manifest_digest: str | None, logged: Mapping[str, str]) -> str:
    """Hold a receipt against the part it is about, and against what the log says was signed."""
    if receipt.entry not in logged or receipt.manifest_digest != manifest_digest:
        return "broken"
    if not logged[receipt.entry]:
        return "withheld"
    said = json.loads(logged[receipt.entry]).get("receipt", {})
    told = (said.get("manifest_digest"), said.get("applied"), said.get("gone"), said.get("dead"))
    held = (receipt.manifest_digest, receipt.applied, receipt.gone, receipt.dead)
    return "holds" if told == held else "broken"


def _rows(sql: str, given: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return list(cursor.fetchall())
