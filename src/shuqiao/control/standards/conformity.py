"""How far the data that departments deliver agree with the standards, from what is recorded of batches.

A row counts as conforming where none of its items fails a check of type, length, code list or format; a row
refused for another reason, an empty required item or a doubled key, is told apart. A row sent again in a
later batch is delivered again. Source: guangzhou-2016 art. 29(1), 42(2); guangzhou-2019 art. 15(2); STD-02.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.texts import Text

MONTHS_SHOWN = 24
SEE = Text("查看标准符合率", "See conformity with the standards")

KINDS = {
    "type": Text("数据类型", "Data type"),
    "length": Text("长度", "Length"),
    "code": Text("代码表", "Code list"),
    "form": Text("格式", "Format"),
    "other": Text("其他数据质量", "Other faults of quality"),
}
"""The kinds of faults; all but the last are against a standard."""

_KIND_OF = {
    "item_type": "type",
    "item_too_long": "length",
    "item_code_unknown": "code",
    "identifier_check_digit": "form",
    "date_impossible": "form",
}


@dataclass(frozen=True)
class Figures:
    """Rows delivered, those stored, and those with a fault against a standard."""

    rows: int
    accepted: int
    against: int

    @property
    def rate(self) -> float | None:
        """The conformity rate in percent, cut off to two places; None where nothing was delivered."""
        return (self.rows - self.against) * 10000 // self.rows / 100 if self.rows else None

    def __add__(self, other: "Figures") -> "Figures":
        """Both together."""
        return Figures(self.rows + other.rows, self.accepted + other.accepted, self.against + other.against)


@dataclass(frozen=True)
class FaultRow:
    """So many values of an item were refused for one reason."""

    item: str
    name: Text
    code: str
    kind: str
    count: int


@dataclass(frozen=True)
class ListConformity:
    """One list of a department."""

    resource: str
    name: Text
    figures: Figures
    faults: tuple[FaultRow, ...]


@dataclass(frozen=True)
class DepartmentConformity:
    """One department with its lists; `by_kind` counts the faults of each kind."""

    department: str
    figures: Figures
    lists: tuple[ListConformity, ...]
    by_kind: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Month:
    """A calendar month in Asia/Shanghai."""

    year: int
    month: int

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def next(self) -> "Month":
        """The month after it."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def before(self) -> "Month":
        """The month before it."""
        return Month(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    def __str__(self) -> str:
        """Write it as `2026-11`."""
        return f"{self.year:04d}-{self.month:02d}"


@dataclass(frozen=True)
class ConformityPage:
    """A month's figures of the departments that the viewer may see; `chosen` is the one shown in full."""

    month: Month
    months: tuple[Month, ...]
    whole: Figures
    departments: tuple[tuple[DepartmentRef, DepartmentConformity], ...]
    chosen: tuple[DepartmentRef, DepartmentConformity] | None
    everyone: bool


def month_of(text: str) -> Month:
    """Read a month such as `2026-11`; anything else is the current one."""
    year, _, month = text.partition("-")
    if len(text) == 7 and (year + month).isascii() and (year + month).isdigit() and 1 <= int(month) <= 12:
        return Month(int(year), int(month)) if 2000 <= int(year) <= 2999 else this_month()
    return this_month()


def this_month() -> Month:
    """The month of today."""
    today = clock.today()
    return Month(today.year, today.month)


def conformity_page(viewer: Viewer, month: Month, department: str) -> ConformityPage:
    """Show a month: everyone's to those who supervise or review the catalogue, otherwise one's own."""
    require(viewer, Capability.CATALOGUE_SEARCH, SEE)
    everyone = viewer.can(Capability.AUDIT_VIEW_ALL)
    among = None if everyone else [viewer.department.code]
    found = conformity(month.first, month.next.first, among)
    refs = department_refs()
    rows = tuple((refs[one.department], one) for one in found if one.department in refs)
    chosen = next((row for row in rows if row[1].department == department), None)
    return ConformityPage(
        month=month,
        months=_months(),
        whole=sum((one.figures for one in found), Figures(0, 0, 0)),
        departments=rows,
        chosen=chosen or (rows[0] if len(rows) == 1 else None),
        everyone=everyone,
    )


def conformity(
    first: date, end: date, departments: Iterable[str] | None = None
) -> tuple[DepartmentConformity, ...]:
    """The figures of each department for batches merged from a legal day on and before another.

    Departments that delivered nothing are absent; the lowest rate comes first. For the evaluation.
    """
    given = [_start(first), _start(end), None if departments is None else list(departments)]
    faults = _faults(given)
    lists: dict[str, list[ListConformity]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, [list(_KIND_OF), *given])
        for department, resource, zh, en, accepted, refused, against in cursor.fetchall():
            figures = Figures(accepted + refused, accepted, against)
            lists[department].append(
                ListConformity(resource, Text(zh, en), figures, faults.get((department, resource), ()))
            )
    found = [_department(code, rows) for code, rows in lists.items()]
    return tuple(sorted(found, key=lambda one: (one.figures.rate or 0.0, one.department)))


def _department(code: str, lists: list[ListConformity]) -> DepartmentConformity:
    counts = dict.fromkeys(KINDS, 0)
    for one in lists:
        for fault in one.faults:
            counts[fault.kind] += fault.count
    ordered = sorted(lists, key=lambda one: (one.figures.rate or 0.0, one.resource))
    whole = sum((one.figures for one in lists), Figures(0, 0, 0))
    return DepartmentConformity(code, whole, tuple(ordered), tuple(counts.items()))


def _faults(given: list[datetime | list[str] | None]) -> dict[tuple[str, str], tuple[FaultRow, ...]]:
    found: dict[tuple[str, str], list[FaultRow]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_FAULTS, given)
        for department, resource, item, zh, en, code, count in cursor.fetchall():
            name = Text(zh or item, en or item)
            row = FaultRow(item, name, code, _KIND_OF.get(code, "other"), count)
            found[department, resource].append(row)
    return {key: tuple(rows) for key, rows in found.items()}


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), clock.LEGAL_ZONE).astimezone(UTC)


def _months() -> tuple[Month, ...]:
    found = [this_month()]
    while len(found) < MONTHS_SHOWN:
        found.append(found[-1].before)
    return tuple(found)


_ROWS = """
SELECT b.department, b.resource_id, r.name_zh, r.name_en, sum(b.accepted)::bigint, sum(f.refused)::bigint,
       sum(f.against)::bigint
FROM exchange.batch b JOIN exchange.resource r ON r.id = b.resource_id
CROSS JOIN LATERAL (
    SELECT count(DISTINCT x -> 'row') AS refused,
           count(DISTINCT x -> 'row') FILTER (WHERE x ->> 'code' = ANY (%s::text[])) AS against
    FROM jsonb_array_elements(b.rejected) x) f
WHERE b.merged_at >= %s AND b.merged_at < %s
  AND b.department = ANY (coalesce(%s::text[], ARRAY[b.department]))
GROUP BY 1, 2, 3, 4
"""

_FAULTS = """
SELECT b.department, b.resource_id, x ->> 'item', i.item ->> 'zh', i.item ->> 'en', x ->> 'code', count(*)
FROM exchange.batch b JOIN exchange.resource r ON r.id = b.resource_id
CROSS JOIN LATERAL jsonb_array_elements(b.rejected) x
LEFT JOIN LATERAL (
    SELECT s AS item FROM jsonb_array_elements(r.spec -> 'items') s
    WHERE s ->> 'field' = x ->> 'item' LIMIT 1) i ON true
WHERE b.merged_at >= %s AND b.merged_at < %s
  AND b.department = ANY (coalesce(%s::text[], ARRAY[b.department]))
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 7 DESC, 3, 6
"""
