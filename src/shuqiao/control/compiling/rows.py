"""The rows of the catalogue that an entry becomes when it is published; nothing here reads or writes."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

from shuqiao.control.catalogue.entries import entry_json
from shuqiao.control.catalogue.models import Item, Resource, Sharing, SharingOrigin
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.compiling.models import Compilation
from shuqiao.rules.entries import Entry, EntryItem, is_shared
from shuqiao.rules.procedures import latest_until
from shuqiao.rules.regulation import SETTING, Regulation

CATEGORY_DIGITS = 3
"""类 and 项: what a classification is called by."""


@dataclass(frozen=True)
class Publishing:
    """One case about to be published: what it says, the entry it changes, and the number it gets."""

    case: Compilation
    entry: Entry
    rules: Regulation
    held: Resource | None
    code: str
    version: int
    at: dt.datetime
    ruled: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether the entry stands in the sharing catalogue: by a ruling, or something of it is shared."""
        return self.ruled or is_shared(self.entry, self.rules)


def whole_entry(entry: Entry, rules: Regulation, on: dt.date) -> Entry:
    """The entry as it comes into force: with the last day of its sharing period."""
    if entry.shared_until is not None:
        return entry
    return replace(entry, shared_until=latest_until(on, rules.entry_months))


def resource_row(one: Publishing) -> Resource:
    """The row of an entry, new or changed; the columns of search are written apart."""
    entry, case = one.entry, one.case
    row = one.held or Resource(id=case.resource, list_key=case.resource)
    if one.held is None:
        row.article = one.rules.citations.get("catalogue_entry", SETTING)
        row.regulation = case.regulation
        row.region = case.resource[1:7]
    if one.held is None or row.subject != entry.subject:
        category = vocabulary().subjects[entry.subject[:CATEGORY_DIGITS]]
        row.category_zh, row.category_en = category.zh, category.en
    row.code, row.subject = one.code, entry.subject
    row.name_zh, row.name_en = entry.name_zh, entry.name_en
    row.summary_zh, row.summary_en = entry.summary_zh, entry.summary_en
    row.department_id = entry.department
    row.record_key, row.modes = entry.record_key, list(entry.modes)
    row.library_kind, row.library, row.format = entry.library_kind, entry.library, entry.format
    row.update_cycle, row.platform_zh, row.scope_zh = entry.update_cycle, entry.platform, entry.scope
    row.share_type, row.shared = entry.share_type, one.is_shared
    row.open_to_public = bool(entry.open_to_public)
    row.city_entry_id = entry.city_entry or None
    if entry.shared_until is None:
        raise ValueError("an entry comes into force with a sharing period")
    row.shared_until = entry.shared_until
    row.content = entry_json(entry)
    row.state, row.version, row.published_at = "published", one.version, one.at
    return row


@dataclass(frozen=True)
class ItemRows:
    """The items of an entry: rows to add, rows to bring up to date, and rows that a version leaves out."""

    added: list[Item]
    kept: list[Item]
    removed: list[Item]


def item_rows(one: Publishing, old: Mapping[str, Item]) -> ItemRows:
    """The rows of an entry's items; `old` are those it has or has had, by field.

    An item keeps its place in the law as long as the order stays and new ones follow behind.
    """
    current = [item for item in old.values() if item.removed_in is None]
    known = [item.field for item in sorted(current, key=lambda item: (item.number, item.part))]
    given = [item.field for item in one.entry.items]
    kept_order = [field for field in known if field in set(given)]
    keeps_places = given[: len(kept_order)] == kept_order and len(kept_order) > 0
    last = max((item.number for item in current), default=0)
    added: list[Item] = []
    kept: list[Item] = []
    for at, item in enumerate(one.entry.items):
        row = old.get(item.field)
        is_new = row is None
        row = row or Item(resource_id=one.case.resource, field=item.field)
        if not keeps_places:
            row.number, row.part, row.part_of_zh = at + 1, 0, ""
        elif item.field not in known:
            row.number, row.part, row.part_of_zh = last + at - len(kept_order) + 1, 0, ""
        _fill(row, item, one, is_new=is_new)
        (added if is_new else kept).append(row)
    removed = [item for item in current if item.field not in set(given)]
    for row in removed:
        row.removed_in = one.version
    return ItemRows(added, kept, removed)


def _fill(row: Item, item: EntryItem, one: Publishing, *, is_new: bool) -> None:
    kept_as = vocabulary().storage_types.get(item.data_type, "string")
    if kept_as == "string" and item.codes:
        kept_as = "code"
    if is_new or row.data_type != item.data_type or bool(row.codes) != bool(item.codes):
        row.type = kept_as
    row.zh, row.en, row.length = item.zh, item.en, item.length
    row.data_type, row.identity, row.kind = item.data_type, item.identity, item.kind
    row.sensitivity, row.business_secret = item.sensitivity, item.business_secret
    row.is_key, row.is_timestamp, row.required = item.key, item.timestamp, item.required
    row.is_key = row.is_key or item.field == one.entry.record_key
    row.standard, row.code_list = item.standard[:60], item.code_list[:60]
    row.codes = dict(item.codes) if item.codes else None
    confined = item.sensitivity >= one.rules.verify_only_from_sensitivity or row.type == "image"
    row.modes = [mode for mode in one.entry.modes if mode == "verify" or not confined]
    row.removed_in = None


def sharing_rows(
    one: Publishing, items: Mapping[tuple[str, str], int], current: Mapping[str, Sharing], set_by: int
) -> tuple[list[Sharing], list[Sharing]]:
    """The choices of share type to add and to end; `current` are those in force, by item ("" the entry).

    `items` are the keys of items by entry and field, of all entries in which an item differs.
    """
    entry, types = one.entry, one.rules.share_types
    wanted: dict[str, Sharing] = {}
    if types.named(entry.share_type) is not None:
        row = _sharing(one, entry.share_type, set_by)
        row.ground, row.ground_rank, row.conditions = entry.ground, entry.ground_rank, entry.conditions
        row.departments, row.relations = list(entry.shared_with), list(entry.relations)
        wanted[""] = row
    for item in entry.items:
        if item.share_type and item.share_type != entry.share_type and types.named(item.share_type):
            row = _sharing(one, item.share_type, set_by)
            row.item_id = items[one.case.resource, item.field]
            row.ground, row.ground_rank, row.conditions = entry.ground, entry.ground_rank, entry.conditions
            wanted[item.field] = row
    added = [row for key, row in wanted.items() if not _is_same(row, current.get(key))]
    ended = [row for key, row in current.items() if key not in wanted or not _is_same(wanted[key], row)]
    return added, ended


def _sharing(one: Publishing, share_type: str, set_by: int) -> Sharing:
    named = one.rules.share_types.named(share_type)
    return Sharing(
        resource_id=one.case.resource,
        regulation=one.rules.id,
        share_type=share_type,
        openness=named.openness if named else 0,
        origin=SharingOrigin.PROVIDER,
        version=one.version,
        set_by_id=set_by,
        set_at=one.at,
    )


def _is_same(new: Sharing, old: Sharing | None) -> bool:
    if old is None:
        return False
    names = ("share_type", "ground", "ground_rank", "conditions", "departments", "relations")
    return all(getattr(new, name) == getattr(old, name) for name in names)
