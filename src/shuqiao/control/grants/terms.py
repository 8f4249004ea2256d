"""The terms of a grant as they are kept, and in words for pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from shuqiao.control.accounts.access import Fault
from shuqiao.control.catalogue.labels import CHANNELS, MODES, label
from shuqiao.control.catalogue.models import Item
from shuqiao.control.catalogue.offering import is_held, masked
from shuqiao.control.files.granting import file_words
from shuqiao.control.grants.models import Grant
from shuqiao.control.interfaces.granting import operation_words
from shuqiao.control.organisations.queries import ApplicationRef, application_ref
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.rows import Row
from shuqiao.rules.terms import TermFault
from shuqiao.wire import grant as wire
from shuqiao.wire.grant import decode_grant

MAX_SHOWN = 10


@dataclass(frozen=True)
class TermsView:
    """The terms in words: ways, conditions on rows, what is given unmasked and what stays masked.

    `match` is how a verification answers, empty where nobody has said it yet; `case_required` is None there.
    """

    channels: tuple[Text, ...]
    rows: tuple[Text, ...]
    unmasked: tuple[Text, ...]
    masked: tuple[Text, ...]
    pseudonyms: bool = False
    signed_calls: bool = False
    mode: Text | None = None
    match: str = ""
    case_required: bool | None = None
    operations: tuple[Text, ...] = ()
    files: tuple[Text, ...] = ()


@dataclass(frozen=True)
class GrantView:
    """Every term of a grant, or of one that is proposed, as it is shown to whoever decides on it.

    `is_held` tells that the data stay with the provider, whose node answers.
    """

    items: tuple[Text, ...]
    terms: TermsView
    purpose: str
    applications: tuple[ApplicationRef, ...]
    valid_from: date | None
    valid_until: date | None
    article: ArticleRef
    is_held: bool = False


def grant_view(grant: Grant) -> GrantView:
    """Show a signed grant, in the rules that it was given under."""
    document, rules = decode_grant(grant.document), named(grant.regulation)
    known = {item.field: item for item in Item.every.filter(resource_id=grant.resource_id)}
    return GrantView(
        items=tuple(_name_of(field, known) for field in document.items),
        terms=terms_of_grant(document, known.values(), rules),
        purpose=document.purpose,
        applications=tuple(application_ref(one) for one in grant.applications.all()),
        valid_from=document.valid_from,
        valid_until=document.valid_until,
        article=article_ref(rules.citations["marked_items"], rules.id),
        is_held=is_held(grant.resource),
    )


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
        unmasked=tuple(one.name for one in hidden if one.field in document.unmasked),
        masked=tuple(one.name for one in hidden if one.field not in document.unmasked),
        pseudonyms=document.pseudonyms,
        signed_calls=document.signed_calls,
        mode=label(MODES, document.mode),
        match=document.match if document.mode == "verify" else "",
        case_required=document.case_required,
        operations=operation_words(document.resource, document.operations),
        files=file_words(document.resource, document.files),
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


def _name_of(field: str, items: Mapping[str, Item]) -> Text:
    return items[field].name if field in items else Text(field, field)


def _row_words(row: Row, item: Item | None) -> Text:
    name = item.name if item is not None else Text(row.field, row.field)
    codes = (item.codes or {}) if item is not None else {}
    values = [f"{one} {codes[one]}" if codes.get(one, one) != one else one for one in row.values]
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
