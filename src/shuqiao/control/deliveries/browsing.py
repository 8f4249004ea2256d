"""Online browse: a page of records with a watermark; nothing can be taken along, and each view is recorded.

Filters are posted, not put in the address: an address is kept by browsers and servers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import Item
from shuqiao.control.catalogue.offering import masked
from shuqiao.control.deliveries.access import BROWSE, access_to_use
from shuqiao.control.deliveries.portal import check, through_plane
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text

PAGE_ROWS = 25
MAX_PAGES = 400
MAX_VALUE = 200
MAX_FILTERS = 8
COUNTED = 10_000
MARKS = 40
"""How often the watermark is repeated over a page."""


@dataclass(frozen=True)
class BrowseColumn:
    """A column: whether it can be filtered and sorted by, and what is filtered by now.

    `choices` are the codes of an item with their meanings.
    """

    field: str
    name: Text
    type: str
    is_open: bool
    choices: tuple[tuple[str, str], ...]
    value: str
    low: str
    high: str

    @property
    def is_range(self) -> bool:
        """Tell whether it is filtered from and to."""
        return self.type in ("date", "datetime")


@dataclass(frozen=True)
class BrowsePage:
    """One page of records, and the watermark that stands over it."""

    number: str
    resource_name: Text
    columns: tuple[BrowseColumn, ...]
    records: tuple[tuple[str | None, ...], ...]
    total: int
    more: bool
    page: int
    pages: int
    sort: str
    descending: bool
    entry: str
    watermark: str
    marks: range
    at: datetime
    case: str
    asks_case: bool


@dataclass(frozen=True)
class Wanted:
    """What the reader asks to see."""

    values: Mapping[str, str]
    sort: str
    descending: bool
    page: int


def browse_page(viewer: Viewer, number: str, wanted: Wanted) -> BrowsePage:
    """Read one page through the plane; raises `NotFound` and `PlaneRefused`.

    Where each use must name its case, nothing is read before the reader has named it.
    """
    found = access_to_use(viewer, number, BROWSE)
    grant = found.grant
    items = {item.field: item for item in Item.every.filter(resource_id=grant.resource_id)}
    page = max(1, min(wanted.page, MAX_PAGES))
    case = _value(wanted.values, "case")
    asked = _asked(wanted, items, page, case)
    if found.case_required and not case:
        answer: dict[str, Any] = {"fields": list(grant.fields), "records": [], "total": 0, "entry": ""}
    else:
        with through_plane(viewer, found) as (bulk, context):
            answer = check(bulk.browse(grant.resource_id, asked, context)).body
    open_fields = _open_fields(grant.document, items)
    columns = tuple(
        _column(items[field], wanted.values, is_open=field in open_fields) for field in answer["fields"]
    )
    now = clock.now()
    return BrowsePage(
        number=number,
        resource_name=grant.resource.name,
        columns=columns,
        records=_records(columns, answer["records"]),
        total=min(int(answer["total"]), COUNTED),
        more=int(answer["total"]) > COUNTED,
        page=page,
        pages=max(1, min(MAX_PAGES, -(-int(answer["total"]) // PAGE_ROWS))),
        sort=wanted.sort,
        descending=wanted.descending,
        entry=str(answer["entry"]),
        watermark=watermark(viewer, now),
        marks=range(MARKS),
        at=now,
        case=case,
        asks_case=found.case_required,
    )


def _asked(wanted: Wanted, items: Mapping[str, Item], page: int, case: str) -> dict[str, object]:
    """What the plane is asked for: one page, filtered and sorted by items of the entry."""
    asked: dict[str, object] = {
        "filters": _filters(wanted.values, items),
        "offset": (page - 1) * PAGE_ROWS,
        "limit": PAGE_ROWS,
        "case": case,
    }
    if wanted.sort in items:
        asked |= {"sort": wanted.sort, "descending": wanted.descending}
    return asked


def watermark(viewer: Viewer, at: datetime) -> str:
    """Who looks, and when: it stands over everything that is shown."""
    return f"{viewer.display_name} {viewer.department} {_minute(at)}"


def _records(
    columns: tuple[BrowseColumn, ...], records: Sequence[Sequence[str | None]]
) -> tuple[tuple[str | None, ...], ...]:
    """The values to read: codes by their meanings, all else as it is."""
    meanings = [dict(column.choices) for column in columns]
    return tuple(
        tuple(
            meaning.get(value, value) if value is not None else None
            for meaning, value in zip(meanings, record, strict=True)
        )
        for record in records
    )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(clock.LEGAL_ZONE):%Y-%m-%d %H:%M}"


def _filters(values: Mapping[str, str], items: Mapping[str, Item]) -> list[dict[str, object]]:
    filters: list[dict[str, object]] = []
    for field, item in items.items():
        if item.type in ("date", "datetime"):
            low, high = _value(values, f"from.{field}"), _value(values, f"to.{field}")
            if low or high:
                # The last day counts to its end, whatever follows the day in the written form.
                end = f"{high}~" if high and item.type == "datetime" else high
                filters.append({"field": field, "op": "range", "values": [low, end]})
        elif value := _value(values, f"is.{field}"):
            filters.append({"field": field, "op": "eq", "values": [value]})
    return filters[:MAX_FILTERS]


def _value(values: Mapping[str, str], name: str) -> str:
    return values.get(name, "").strip()[:MAX_VALUE]


def _open_fields(document: str, items: Mapping[str, Item]) -> frozenset[str]:
    """The items that are given as they are, by which one may filter and sort; the plane checks it again."""
    unmasked = frozenset(json.loads(document).get("unmasked", ()))
    rules = regulation()
    return frozenset(
        field
        for field, item in items.items()
        if not item.identity and (not masked(item, rules) or field in unmasked)
    )


def _column(item: Item, values: Mapping[str, str], *, is_open: bool) -> BrowseColumn:
    return BrowseColumn(
        item.field,
        item.name,
        item.type,
        is_open,
        tuple((item.codes or {}).items()) if is_open else (),
        _value(values, f"is.{item.field}"),
        _value(values, f"from.{item.field}"),
        _value(values, f"to.{item.field}"),
    )
