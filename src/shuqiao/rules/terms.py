"""The terms of a request and of a grant: channels, rows, items given unmasked; never wider than the offer.

A sensitive item is masked unless the grant names it. Source: xiamen-2015 art. 12(2), 13; shenyang-2016
art. 20(4)¶2, 21, 28; guangzhou-2016 art. 5(2), 35(1).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

from shuqiao.rules.channels import OF_MODE
from shuqiao.rules.rows import MAX_CONDITIONS, Row, fault_of


@dataclass(frozen=True, slots=True)
class Offer:
    """What an entry offers: modes, channels, its plain items with their types, and its masked items.

    `channel_article` is cited where the law leaves the entry only one channel; `codes` are those of items
    that have a code list.
    """

    modes: frozenset[str]
    channels: tuple[str, ...]
    types: Mapping[str, str]
    masked: frozenset[str]
    channel_article: str = ""
    codes: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for or given beside the items themselves; `unmasked` items are given as they are."""

    mode: str
    channels: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    unmasked: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class TermFault:
    """One thing that can't be asked for or given: the form's field, a code, what to do, the article."""

    field: str
    code: str
    zh: str
    en: str
    article: str = ""


def is_masked(sensitivity: int, limit: int, *, business_secret: bool) -> bool:
    """Whether an item is given out masked by default: `limit` is the regulation's."""
    return business_secret or sensitivity >= limit


def term_faults(terms: Terms, offer: Offer, fields: Collection[str]) -> tuple[TermFault, ...]:
    """What of these terms goes beyond the offer, or can't be; `fields` are the items asked for or given."""
    found = [*_channel_faults(terms, offer), *_row_faults(terms, offer)]
    if not terms.unmasked <= set(fields) & offer.masked:
        zh, en = (
            "只有所选的敏感项可以申请不脱敏",
            "Only sensitive items that are chosen can be given unmasked",
        )
        found.append(TermFault("unmasked", "unmasked_unknown", zh, en))
    if terms.unmasked and terms.mode == "verify":
        zh, en = "核验不给原值，不必申请不脱敏", "A verification gives no values: nothing is to be unmasked"
        found.append(TermFault("unmasked", "unmasked_in_verification", zh, en))
    return tuple(found)


def _channel_faults(terms: Terms, offer: Offer) -> list[TermFault]:
    if not terms.channels:
        zh, en = "请选择提供途径", "Choose a channel"
        return [TermFault("channels", "field_required", zh, en)]
    if not set(terms.channels) <= set(offer.channels):
        if offer.channel_article:
            zh, en = "此条目只能以接口交换提供", "This entry is given by interface exchange only"
            return [TermFault("channels", "interface_only", zh, en, offer.channel_article)]
        zh, en = "此条目不以所选途径提供", "The entry isn't given in this way"
        return [TermFault("channels", "channel_unknown", zh, en)]
    if not set(terms.channels) <= set(OF_MODE.get(terms.mode, ())):
        zh, en = "下载和浏览只用于批量方式", "Only a bulk copy is downloaded or browsed"
        return [TermFault("channels", "channel_mode", zh, en)]
    return []


_ROW_WORDS = {
    "row_field_unknown": (
        "条件只能用本条目中不属于身份信息的项",
        "Only plain items of the entry can be used",
    ),
    "row_operator_unknown": ("请选择比较方式", "Choose how it is compared"),
    "row_values_wrong": ("请填写条件的值", "Give the values of the condition"),
    "row_value_unknown": ("填写的值不是此项的代码或日期", "Not one of the item's codes, or no date"),
    "row_range_impossible": ("此项不能用起止范围", "This item can't be between two values"),
}


def _row_faults(terms: Terms, offer: Offer) -> list[TermFault]:
    if len(terms.rows) > MAX_CONDITIONS:
        zh, en = f"最多 {MAX_CONDITIONS} 个条件", f"At most {MAX_CONDITIONS} conditions"
        return [TermFault("rows", "too_many", zh, en)]
    found = []
    for at, row in enumerate(terms.rows):
        code = fault_of(row, offer.types) or _value_fault(row, offer)
        if code is not None:
            zh, en = _ROW_WORDS[code]
            found.append(TermFault(f"rows.{at}", code, zh, en))
    return found


def _value_fault(row: Row, offer: Offer) -> str | None:
    """A value that the item can't have would let nobody through, or nobody out."""
    given = [value for value in row.values if value]
    known = offer.codes.get(row.field)
    if known is not None and not known.issuperset(given):
        return "row_value_unknown"
    if offer.types[row.field] == "date" and not all(map(_is_day, given)):
        return "row_value_unknown"
    return None


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def needs_review(terms: Terms, offer: Offer, fields: Collection[str]) -> bool:
    """Whether these terms keep a request from being granted at once.

    What is masked is never given as it is without a reviewer; a condition on an item that is not given, or
    is masked, would tell its value all the same.
    """
    open_fields = set(fields) - offer.masked
    return bool(terms.unmasked) or any(row.field not in open_fields for row in terms.rows)


def covers(held: Terms, wanted: Terms) -> bool:
    """Whether what is held gives all that is wanted: no fewer ways, no stricter rows, nothing more masked."""
    return (
        held.mode == wanted.mode
        and set(wanted.channels) <= set(held.channels)
        and set(held.rows) <= set(wanted.rows)
        and wanted.unmasked <= held.unmasked
    )
