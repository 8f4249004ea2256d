"""What the structure of a table most likely means in an entry; every guess says what it rests on.

Nothing is certain but what the database itself says: types, lengths, keys and what may be empty. The clerk
looks at every guess. Source: shenyang-2016 art. 11(2); our choice, decision 18
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from shuqiao.control.standards.contents import Content
from shuqiao.control.standards.queries import ElementIndex
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.entry_faults import RESERVED_FIELDS, is_plain
from shuqiao.wire.tables import ColumnDescription, TableDescription


class Basis(StrEnum):
    """What a guess rests on, the stronger first."""

    STRUCTURE = "structure"
    COMMENT = "comment"
    STANDARD = "standard"
    NAME = "name"
    CONTENT = "content"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Guess:
    """One value that was not given but guessed: where it stands, what it is, and what it rests on."""

    path: str
    value: str
    basis: Basis


@dataclass(frozen=True)
class Guessed:
    """The proposed entry and every guess in it, in the order of the form."""

    entry: Entry
    guesses: tuple[Guess, ...]


_FIRST_CLAUSE = re.compile(r"[，,。；;：:\n\t（(【\[]")
_LENGTHS = (1, 2, 4, 6, 8, 10, 18, 20, 30, 50, 60, 100, 120, 200, 500, 1000, 2000, 4000)
_UNBOUNDED = frozenset({"text", "character varying"})
_PATTERN_NAMES = {
    "citizen_id_18": "公民身份号码",
    "credit_code_18": "统一社会信用代码",
    "mobile_11": "手机号码",
    "email": "电子邮箱",
}
_PATTERN_KINDS = {"citizen_id_18": "citizen_id", "credit_code_18": "credit_code", "mobile_11": "contact"}
_FORMAT_KINDS = {"citizen_id": "citizen_id", "credit_code": "credit_code", "document_number": "document"}
_ELEMENT_KINDS = {
    "person_name": "name",
    "address_of_person": "address",
    "photo": "picture",
    "mobile_phone": "contact",
    "contact": "contact",
    "email": "contact",
}
_PERSONAL = 1
_CHANGED_AT = "record_changed_at"


def guess_entry(found: TableDescription, department: str, index: ElementIndex) -> Guessed:
    """Propose an entry for a table: its names, types, keys and standards; nothing else is made up."""
    guesses: list[Guess] = []
    items: list[EntryItem] = []
    for at, column in enumerate(found.columns):
        item, made = _guess_item(column, index, {item.field for item in items}, {item.zh for item in items})
        items.append(item)
        guesses += [replace(guess, path=f"items[{at}].{guess.path}") for guess in made]
    name = _first_clause(found.comment)
    keys = [item.field for item in items if item.key]
    entry = Entry(
        name_zh=name or _plain(found.table, 100),
        department=department,
        origin="system",
        forms=("structured",),
        format="database",
        format_detail=found.database if found.database.isascii() else "",
        library_kind="business",
        digitisation="database",
        records=found.rows or None,
        # With several key columns none alone tells the records apart, so none is proposed.
        record_key=keys[0] if len(keys) == 1 else "",
        items=tuple(items),
    )
    whole = [
        Guess("name_zh", entry.name_zh, Basis.COMMENT if name else Basis.NOTHING),
        Guess("origin", entry.origin, Basis.STRUCTURE),
        Guess("format", entry.format, Basis.STRUCTURE),
        Guess("library_kind", entry.library_kind, Basis.NOTHING),
        Guess("digitisation", entry.digitisation, Basis.STRUCTURE),
    ]
    if entry.records is not None:
        whole.append(Guess("records", str(entry.records), Basis.STRUCTURE))
    if entry.record_key:
        whole.append(Guess("record_key", entry.record_key, Basis.STRUCTURE))
    return Guessed(entry, (*whole, *guesses))


def _guess_item(
    column: ColumnDescription, index: ElementIndex, fields: set[str], names: set[str]
) -> tuple[EntryItem, Iterator[Guess]]:
    standard, how = _guess_element(column, index)
    content = index.elements.get(standard)
    zh, named = _guess_name(column, content, how)
    data_type, typed = _guess_type(column)
    length, measured = _guess_length(column, data_type)
    kind, known = _guess_kind(column, standard, content)
    sensitivity = (content.sensitivity or 0) if content else (_PERSONAL if kind != "plain" else 0)
    item = EntryItem(
        field=_unused(_field(column.name), fields),
        zh=_unused(zh, names, between=""),
        en=content.en[:160] if content else "",
        data_type=data_type,
        length=length,
        standard=standard,
        code_list=content.code_list if content else "",
        sensitivity=sensitivity,
        identity=kind != "plain",
        kind=kind,
        required=column.required,
        key=column.key,
        timestamp=data_type == "T" and standard == _CHANGED_AT,
    )
    return item, _item_guesses(item, (named, typed, measured, how, known))


def _item_guesses(item: EntryItem, bases: tuple[Basis, Basis, Basis, Basis, Basis]) -> Iterator[Guess]:
    named, typed, measured, standardised, known = bases
    yield Guess("zh", item.zh, named)
    yield Guess("data_type", item.data_type, typed)
    if item.length is not None:
        yield Guess("length", str(item.length), measured)
    if item.standard:
        yield Guess("standard", item.standard, standardised)
    if item.kind != "plain":
        yield Guess("kind", item.kind, known)
    if item.sensitivity:
        yield Guess("sensitivity", str(item.sensitivity), standardised if item.standard else known)
    if item.key:
        yield Guess("key", item.field, Basis.STRUCTURE)
    if item.timestamp:
        yield Guess("timestamp", item.field, standardised)


def _guess_element(column: ColumnDescription, index: ElementIndex) -> tuple[str, Basis]:
    """Tell which data element a column is, by its comment, its name, then its content."""
    comment = _first_clause(column.comment)
    if comment and (found := index.guess(comment, column.data_type)):
        return found, Basis.COMMENT
    if not comment and (found := index.guess(column.name, column.data_type)):
        return found, Basis.NAME
    named = _PATTERN_NAMES.get(_pattern(column))
    if named and (found := index.guess(named, column.data_type)):
        return found, Basis.CONTENT
    return "", Basis.NOTHING


def _guess_name(column: ColumnDescription, content: Content | None, how: Basis) -> tuple[str, Basis]:
    comment = _first_clause(column.comment)
    if comment:
        return comment, Basis.COMMENT
    if content is not None:
        return content.zh[:100], how
    return _plain(column.name, 100), Basis.NOTHING


def _guess_type(column: ColumnDescription) -> tuple[str, Basis]:
    pattern, own = _pattern(column), column.data_type
    if own in "CM" and pattern in ("date_8", "date_10"):
        return "D", Basis.CONTENT
    if own == "M" and _content_length(column) is not None:
        return "C", Basis.CONTENT
    return own, Basis.STRUCTURE


def _guess_length(column: ColumnDescription, data_type: str) -> tuple[int | None, Basis]:
    if column.length is not None:
        return column.length, Basis.STRUCTURE
    if data_type != "C":
        return None, Basis.STRUCTURE
    found = _content_length(column)
    return (found, Basis.CONTENT) if found else (_LENGTHS[-1], Basis.NOTHING)


def _content_length(column: ColumnDescription) -> int | None:
    """Return a length that holds the content with room to spare, for columns that have none of their own."""
    profile = column.profile
    if profile is None or column.type not in _UNBOUNDED or not 0 < profile.longest <= 200:
        return None
    return next(size for size in _LENGTHS if size >= profile.longest)


def _guess_kind(column: ColumnDescription, standard: str, content: Content | None) -> tuple[str, Basis]:
    by_content = _PATTERN_KINDS.get(_pattern(column))
    if by_content:
        return by_content, Basis.CONTENT
    if content is not None:
        names = (standard, content.broader)
        kind = next((_ELEMENT_KINDS[name] for name in names if name in _ELEMENT_KINDS), "")
        kind = kind or _FORMAT_KINDS.get(content.format, "")
        if kind:
            return kind, Basis.STANDARD
    return "plain", Basis.NOTHING


def _pattern(column: ColumnDescription) -> str:
    return column.profile.pattern if column.profile else ""


def _first_clause(comment: str) -> str:
    """Return what comes before the first mark or bracket of a comment: its name for the thing."""
    folded = unicodedata.normalize("NFC", comment).strip()
    return _plain(_FIRST_CLAUSE.split(folded, maxsplit=1)[0], 100)


def _plain(text: str, limit: int) -> str:
    cleaned = "".join(c for c in text if c.isprintable()).strip()[:limit]
    return cleaned if is_plain(cleaned) else ""


def _field(name: str) -> str:
    """Make a field of a column's name: lower-case ASCII letters, digits and underscores."""
    folded = unicodedata.normalize("NFKC", name).lower()
    made = re.sub(r"[^a-z0-9]+", "_", folded, flags=re.ASCII).strip("_")[:58]
    if not made or not made[0].isalpha():
        made = f"c_{made}".rstrip("_")
    return f"{made}_1" if made in RESERVED_FIELDS else made


def _unused(wanted: str, taken: Iterable[str], between: str = "_") -> str:
    """Return the name, with a number behind it where another item of the entry has it."""
    if wanted not in taken or not wanted:
        return wanted
    return next(made for number in range(2, 1000) if (made := f"{wanted[:95]}{between}{number}") not in taken)
