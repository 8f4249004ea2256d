"""What an entry of the catalogue says, and how two versions of it differ.

Source: guangzhou-2016 art. 30(1); guangzhou-2019-165 art. 11(3); xiamen-2015 art. 7;
shenyang-2016 art. 11(3); the core metadata of the guide for compiling catalogues (2017), GB/T 21063.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import date

from shuqiao.rules.regulation import Regulation
from shuqiao.rules.sharing import Openness


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryItem:
    """One item (信息项). `codes` are (value, meaning); `code_list` and `standard` are keys of standards."""

    field: str
    zh: str
    en: str = ""
    data_type: str = "C"
    length: int | None = None
    standard: str = ""
    code_list: str = ""
    codes: tuple[tuple[str, str], ...] = ()
    sensitivity: int = 0
    business_secret: bool = False
    identity: bool = False
    kind: str = "plain"
    required: bool = False
    key: bool = False
    timestamp: bool = False
    share_type: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Everything an entry says, in the words of `standards/catalogue-metadata.yaml`.

    `subject` is 类, 项, 目 and 细目 as digits; `department` provides, `collecting` and `verifying` are other
    departments where they differ, `joint` those that collect together. `shared_until` and
    `open_to_public` are None while nobody has said them.
    """

    name_zh: str = ""
    name_en: str = ""
    summary_zh: str = ""
    summary_en: str = ""
    subject: str = ""
    department: str = ""
    joint: tuple[str, ...] = ()
    collecting: str = ""
    verifying: str = ""
    unit: str = ""
    system: str = ""
    origin: str = ""
    forms: tuple[str, ...] = ()
    format: str = ""
    format_detail: str = ""
    library_kind: str = ""
    library: str = ""
    share_type: str = ""
    ground: str = ""
    ground_rank: str = ""
    conditions: str = ""
    shared_with: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()
    manner: tuple[str, ...] = ()
    scope: str = ""
    use: str = ""
    open_to_public: bool | None = None
    open_conditions: str = ""
    update_cycle: str = ""
    timeliness: str = ""
    platform: str = ""
    shared_until: date | None = None
    modes: tuple[str, ...] = ()
    record_key: str = ""
    duty: int | None = None
    legal_ground: str = ""
    obliged_by: str = ""
    digitisation: str = ""
    superior_system: str = ""
    return_flow: str = ""
    matters: str = ""
    related: tuple[str, ...] = ()
    city_entry: str = ""
    not_secret: bool = False
    storage_gb: int | None = None
    records: int | None = None
    items: tuple[EntryItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which two versions differ; None is absent."""

    path: str
    before: object
    after: object


def entry_code(subject: str, sequence: int) -> str:
    """The official code of an entry: its classification, "/" and its number within it."""
    return f"{subject}/{sequence:06d}"


def is_shared(entry: Entry, regulation: Regulation) -> bool:
    """Whether an entry stands in the sharing catalogue too: something of it is shared at all (CAT-03).

    Where a regulation names no share types, or none has been chosen, what is in the resource catalogue is
    shared by its procedure. Source: guangzhou-2019-165 art. 5(2), 11(1).
    """
    keys = (entry.share_type, *(item.share_type for item in entry.items))
    chosen = [one for key in keys if (one := regulation.share_types.named(key)) is not None]
    return not chosen or any(one.openness > Openness.NOT_SHARED for one in chosen)


def differences(old: Entry, new: Entry) -> tuple[Difference, ...]:
    """Where two versions differ, in the order of the form; items are told apart by their field."""
    found = [
        Difference(one.name, getattr(old, one.name), getattr(new, one.name))
        for one in fields(Entry)
        if one.name != "items" and getattr(old, one.name) != getattr(new, one.name)
    ]
    before, after = ({item.field: item for item in entry.items} for entry in (old, new))
    for key in dict.fromkeys([*before, *after]):
        found += _item_differences(key, before.get(key), after.get(key))
    common = [key for key in before if key in after]
    if common != [key for key in after if key in before]:
        found.append(Difference("items", tuple(before), tuple(after)))
    return tuple(found)


WORDING = frozenset(
    {"name_en", "summary_zh", "summary_en", "unit", "system", "matters", "platform", "note", "en"}
)
"""What a correction of wording may touch; the content itself goes through the whole procedure (CAT-11)."""


def only_wording(found: Iterable[Difference]) -> bool:
    """Whether nothing but wording differs, so that a correction may go the short way."""
    return all(one.path.rpartition(".")[2] in WORDING for one in found)


def _item_differences(key: str, old: EntryItem | None, new: EntryItem | None) -> Iterator[Difference]:
    if old is None or new is None:
        yield Difference(f"items.{key}", old, new)
        return
    for one in fields(EntryItem):
        before, after = getattr(old, one.name), getattr(new, one.name)
        if before != after:
            yield Difference(f"items.{key}.{one.name}", before, after)
