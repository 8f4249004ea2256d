"""The quality of each data set that is delivered: five indicators, from what the platform has recorded.

Rows, faults and updates are those of the last thirty days. Values are counted in the list as it is now, of a
large one in a sample; those of identity lie in the vault and are not counted. Agreement with the source is
that of the last reconciliation. Days of batches and cycles are real ones, as those of the ledger are.
Source: guangzhou-2016 art. 8(3), 42(2); guangzhou-2019 art. 18; UPD-06.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import takewhile

import msgspec
from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.clocks.models import Clock
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.standards.conformity import ListConformity, conformity
from shuqiao.control.texts import Text
from shuqiao.control.updating import ledger
from shuqiao.control.updating.access import scope_of
from shuqiao.control.updating.changes import KIND
from shuqiao.control.updating.duties import duties_of
from shuqiao.control.updating.models import DataChange, MissedCycle, Supply
from shuqiao.control.updating.schedule import delivered_entries, ended_periods
from shuqiao.rules.batch_errors import DuplicateKey
from shuqiao.rules.quality import KINDS, Share, share_without, weakest

DAYS = 30
SHOWN = 100
"""So many lists are counted for a page."""
SAMPLE_ROWS = 5_000
SHOWN_ITEMS = 3
WORDS = {
    "completeness": Text("完整性", "Completeness"),
    "validity": Text("规范性", "Validity"),
    "uniqueness": Text("唯一性", "Uniqueness"),
    "consistency": Text("一致性", "Consistency"),
    "timeliness": Text("及时性", "Timeliness"),
}
MEANINGS = {
    "completeness": Text(
        "平台现有记录中有值的信息项（身份信息项另存，不计）",
        "Values that the records on the platform hold; those of identity lie apart and are not counted",
    ),
    "validity": Text(
        "类型、长度、代码和格式均合标准的行", "Rows that meet type, length, code list and format"
    ),
    "uniqueness": Text("主键不重复的行", "Rows that double no other's key"),
    "consistency": Text(
        "最近一次对账与来源一致的记录", "Records that agreed with their source when last compared"
    ),
    "timeliness": Text("按期完成的更新和按周期的提供", "Updates and cycles that came in time"),
}
_FILLED = "SELECT r, exchange.filled_items(r, %s)::text FROM unnest(%s::text[]) AS r"
_COMPARED = """
SELECT DISTINCT ON (resource_id) resource_id, found, greatest(source_rows, shared_rows)
FROM exchange.reconciliation WHERE resource_id = ANY (%s::text[]) AND state IN ('agreed', 'differs')
ORDER BY resource_id, finished_at DESC
"""


@dataclass(frozen=True)
class Empty:
    """An item of which values are missing."""

    name: Text
    filled: Share


@dataclass(frozen=True)
class QualityRow:
    """One data set: its indicators in the order of `KINDS`, None where nothing says; the emptiest items."""

    resource: str
    name: Text
    department: DepartmentRef
    shares: dict[str, Share | None]
    emptiest: tuple[Empty, ...]

    @property
    def weakest(self) -> str:
        """The indicator that is worst, empty where all are whole."""
        return weakest(self.shares)

    @property
    def lowest(self) -> float:
        """The lowest rate; above all rates where none is known."""
        return min((one.rate for one in self.shares.values() if one and one.rate is not None), default=101.0)


def quality_rows(viewer: Viewer) -> tuple[QualityRow, ...]:
    """The data sets whose quality the viewer sees, the weakest first; raises `NotFound` as `scope_of`."""
    entries = delivered_entries(department=scope_of(viewer))[:SHOWN]
    refs, today = department_refs(), ledger.real_day()
    first = today - timedelta(days=DAYS - 1)
    delivered = {
        one.resource: one
        for department in conformity(first, today + timedelta(days=1), {one.department_id for one in entries})
        for one in department.lists
    }
    ids = [one.id for one in entries]
    filled, compared, timely = _filled(ids), _compared(ids), _timely(entries, first, today)
    rows = []
    for entry in entries:
        values, emptiest = filled.get(entry.id, (None, ()))
        validity, uniqueness = _delivered(delivered.get(entry.id))
        known = (values, validity, uniqueness, compared.get(entry.id), timely.get(entry.id))
        shares = dict(zip(KINDS, known, strict=True))
        rows.append(QualityRow(entry.id, entry.name, refs[entry.department_id], shares, emptiest))
    return tuple(sorted(rows, key=lambda row: (row.lowest, row.department.code, row.resource)))


def _delivered(one: ListConformity | None) -> tuple[Share | None, Share | None]:
    if one is None:
        return None, None
    doubled = sum(fault.count for fault in one.faults if fault.code == DuplicateKey.code)
    return share_without(one.figures.against, one.figures.rows), share_without(doubled, one.figures.rows)


def _filled(resources: Collection[str]) -> dict[str, tuple[Share | None, tuple[Empty, ...]]]:
    """Completeness of each list with records, and its emptiest items."""
    names = {(one.resource_id, one.field): one.name for one in Item.objects.filter(resource__in=resources)}
    with connection.cursor() as cursor:
        cursor.execute(_FILLED, [SAMPLE_ROWS, list(resources)])
        found = {key: msgspec.json.decode(text) for key, text in cursor.fetchall() if text}
    rows: dict[str, tuple[Share | None, tuple[Empty, ...]]] = {}
    for resource, counted in found.items():
        items, whole = counted["items"], counted["rows"]
        if not items or not whole:
            continue
        empty = [
            Empty(names.get((resource, item), Text(item, item)), Share(number, whole))
            for item, number in sorted(items.items(), key=lambda pair: pair[1])
            if number < whole
        ]
        rows[resource] = Share(sum(items.values()), whole * len(items)), tuple(empty[:SHOWN_ITEMS])
    return rows


def _compared(resources: Collection[str]) -> dict[str, Share]:
    with connection.cursor() as cursor:
        cursor.execute(_COMPARED, [list(resources)])
        return {key: share_without(found, whole or 0) for key, found, whole in cursor.fetchall()}


def _timely(entries: Collection[Resource], first: date, today: date) -> dict[str, Share]:
    """Of changes and cycles that came due between two days, those that came in time.

    A cycle that a recorded force majeure kept from coming counts neither way.
    """
    ids = [one.id for one in entries]
    due, late = _changes_due(ids)
    watched = dict(Supply.objects.filter(resource__in=ids).values_list("resource_id", "watched_from"))
    missed = MissedCycle.objects.filter(resource__in=ids, due_on__range=(first, today))
    late += Counter(missed.filter(hindrance=None).values_list("resource_id", flat=True))
    hindered = Counter(missed.exclude(hindrance=None).values_list("resource_id", flat=True))
    duties = duties_of(entries, today)
    for entry in entries:
        if entry.id in watched:
            over = ended_periods(entry, duties.get(entry.id), watched[entry.id], today)
            number = sum(1 for _ in takewhile(lambda one: one.last >= first, over))
            due[entry.id] += max(0, number - hindered[entry.id])
    return {key: share_without(late[key], number) for key, number in due.items() if number}


def _changes_due(resources: Collection[str]) -> tuple[Counter[str], Counter[str]]:
    """How many changes of each list came, or should have, and how many of them late or not yet."""
    today = clock.today()
    days = (today - timedelta(days=DAYS - 1), today)
    due: Counter[str] = Counter()
    late: Counter[str] = Counter()

    def count(resource: str, until: date, done: date | None) -> None:
        is_late = (done or today) > until
        due[resource] += done is not None or is_late
        late[resource] += is_late

    changes = DataChange.objects.filter(resource__in=resources)
    for change in changes.filter(deadline="", due_on__range=days):
        if change.due_on is not None:
            count(change.resource_id, change.due_on, change.done_on)
    of = dict(changes.exclude(deadline="").values_list("number", "resource_id"))
    for term in Clock.objects.filter(kind=KIND, number__in=of, due_on__range=days):
        count(of[term.number], term.due_on, term.ended_on)
    return due, late
