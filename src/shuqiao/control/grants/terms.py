"""The terms of a grant as they are kept, and in words for pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shuqiao.control.accounts.access import Fault
from shuqiao.control.catalogue.labels import CHANNELS, label
from shuqiao.control.catalogue.models import Item
from shuqiao.control.catalogue.offering import masked
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.rows import Row
from shuqiao.rules.terms import TermFault
from shuqiao.wire import grant as wire

MAX_SHOWN = 10


@dataclass(frozen=True)
class TermsView:
    """The terms in words: ways, conditions on rows, what is given unmasked and what stays masked."""

    channels: tuple[Text, ...]
    rows: tuple[Text, ...]
    unmasked: tuple[Text, ...]
    masked: tuple[Text, ...]
    pseudonyms: bool = False
    signed_calls: bool = False


def rows_of(document: wire.Grant) -> tuple[Row, ...]:
    """The conditions on rows of a signed grant."""
    return tuple(Row(row.field, row.op, row.values) for row in document.rows)


def terms_of_grant(document: wire.Grant, items: Iterable[Item], regulation: Regulation) -> TermsView:
    """Word the terms of a signed grant; `items` are those of its entry."""
    known = {item.field: item for item in items}
    kept = [known[field] for field in document.items if field in known]
    hidden = [one for one in kept if masked(one, regulation) and document.mode != "verify"]
    return TermsView(
        channels=channel_words(document.channels),
        rows=row_words(rows_of(document), known),
        unmasked=tuple(_name(one) for one in hidden if one.field in document.unmasked),
        masked=tuple(_name(one) for one in hidden if one.field not in document.unmasked),
        pseudonyms=document.pseudonyms,
        signed_calls=document.signed_calls,
    )


def fault_of_term(fault: TermFault, name: str = "") -> Fault:
    """Word what the rules find wrong with terms as a fault of a form, with the rule by its name."""
    words = Text(fault.zh, fault.en)
    if fault.article:
        cite = article_ref(fault.article).cite
        words = Text(f"{fault.zh}（依据：{cite.zh}）", f"{fault.en} (rule: {cite.en})")
    return Fault(name or fault.field, fault.code, words)


def channel_words(channels: Iterable[str]) -> tuple[Text, ...]:
    """Name channels."""
    return tuple(label(CHANNELS, one) for one in channels)


def row_words(rows: Iterable[Row], items: Mapping[str, Item]) -> tuple[Text, ...]:
    """Say each condition in words, codes with their meaning."""
    return tuple(_row_words(row, items.get(row.field)) for row in rows)


def _row_words(row: Row, item: Item | None) -> Text:
    name = _name(item) if item is not None else Text(row.field, row.field)
    codes = (item.codes or {}) if item is not None else {}
    values = [f"{value} {codes[value]}" if value in codes else value for value in row.values]
    match row.op:
        case "eq":
            return Text(f"“{name.zh}”为 {values[0]}", f"{name.en} is {values[0]}")
        case "in":
            shown = values[:MAX_SHOWN]
            more = len(values) - len(shown)
            zh, en = "、".join(shown), ", ".join(shown)
            if more:
                zh, en = f"{zh} 等 {len(values)} 个值", f"{en} and {more} more"
            return Text(f"“{name.zh}”为下列之一：{zh}", f"{name.en} is one of: {en}")
        case "range":
            return _between(name, *values)
        case _:
            return Text(f"“{name.zh}”没有值", f"{name.en} has no value")


def _between(name: Text, low: str, high: str) -> Text:
    if not high:
        return Text(f"“{name.zh}”自 {low} 起", f"{name.en} from {low}")
    if not low:
        return Text(f"“{name.zh}”至 {high} 止", f"{name.en} up to {high}")
    return Text(f"“{name.zh}”自 {low} 至 {high}", f"{name.en} from {low} to {high}")


def _name(item: Item) -> Text:
    return item.name
