"""The rows a reviewer goes through: what is proposed beside what is in force, field by field."""

from collections.abc import Mapping
from dataclasses import dataclass

from shuqiao.control.compiling.fields import GROUPS
from shuqiao.control.compiling.wording import Piece, Wording, pieces
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.entry_faults import demanded_fields
from shuqiao.rules.regulation import Regulation

NOT_THERE = Text("（无）", "(none)")


@dataclass(frozen=True)
class MarkView:
    """What a reviewer has found of a row so far."""

    accepted: bool
    remark: str
    by: str


@dataclass(frozen=True)
class ReviewRow:
    """One field or item; `change` is same, new, changed or gone. Without an entry in force all is new."""

    path: str
    label: str
    detail: str
    before: tuple[Piece, ...]
    after: tuple[Piece, ...]
    change: str
    article: ArticleRef | None
    mark: MarkView | None
    demanded: bool

    @property
    def key(self) -> str:
        """Return an id for the page: a path with its dot replaced."""
        return self.path.replace(".", "-")


@dataclass(frozen=True)
class ReviewGroup:
    """Rows under one heading."""

    key: str
    title: Text
    rows: tuple[ReviewRow, ...]


@dataclass(frozen=True)
class Sides:
    """What is compared, and the marks made at the present step."""

    base: Entry | None
    entry: Entry
    regulation: Regulation
    words: Wording
    marks: Mapping[str, MarkView]
    places: frozenset[str]


def field_groups(sides: Sides) -> tuple[ReviewGroup, ...]:
    """The fields that say something on either side, by group."""
    demanded = demanded_fields(sides.regulation)
    found = []
    for group in GROUPS:
        rows = [_field_row(sides, spec.name, spec.label, demanded) for spec in group.fields]
        shown = tuple(row for row in rows if row is not None)
        if shown:
            found.append(ReviewGroup(group.key, group.title, shown))
    return tuple(found)


def _field_row(sides: Sides, name: str, label: Text, demanded: Mapping[str, str]) -> ReviewRow | None:
    now, before = getattr(sides.entry, name), getattr(sides.base, name) if sides.base else None
    empty = (None, "", ())
    if now in empty and before in empty and name not in sides.places:
        return None
    new = str(sides.words.value(name, now))
    old = str(sides.words.value(name, before)) if sides.base else ""
    changed = sides.base is not None and now != before
    was, comes = pieces(old, new) if changed else (_whole(old), _whole(new))
    article = article_ref(demanded[name]) if name in demanded else None
    return ReviewRow(
        path=name,
        label=str(label),
        detail="",
        before=was,
        after=comes,
        change="changed" if changed else "same" if sides.base else "new",
        article=article,
        mark=sides.marks.get(name),
        demanded=name in sides.places,
    )


def item_rows(sides: Sides) -> tuple[ReviewRow, ...]:
    """The items of both sides in the order proposed; what would go stands at the end."""
    before = {item.field: item for item in sides.base.items} if sides.base else {}
    now = {item.field: item for item in sides.entry.items}
    gone = [item for key, item in before.items() if key not in now]
    rows = [_item_row(sides, before.get(key), item) for key, item in now.items()]
    return (*rows, *(_item_row(sides, item, None) for item in gone))


def _item_row(sides: Sides, old: EntryItem | None, new: EntryItem | None) -> ReviewRow:
    item = new or old
    if item is None:
        raise ValueError("an item stands on one side at least")
    said = [_said(one, sides.words) for one in (old, new)]
    if old == new or sides.base is None:
        change = "same" if sides.base else "new"
        was, comes = _whole(said[0]), _whole(said[1])
    else:
        change = "new" if old is None else "gone" if new is None else "changed"
        was, comes = pieces(said[0], said[1]) if change == "changed" else _one_sided(said, change)
    path = f"items.{item.field}"
    return ReviewRow(
        path=path,
        label=item.zh,
        detail=item.field,
        before=was,
        after=comes,
        change=change,
        article=None,
        mark=sides.marks.get(path),
        demanded=path in sides.places,
    )


def _one_sided(said: list[str], change: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """An item that only one side has; that the other has none is no text to mark."""
    if change == "gone":
        return (Piece(said[0], "gone"),), _whole(said[1])
    return _whole(said[0]), (Piece(said[1], "come"),)


def _whole(text: str) -> tuple[Piece, ...]:
    return (Piece(text),)


def _said(item: EntryItem | None, words: Wording) -> str:
    if item is None:
        return str(NOT_THERE)
    name = "" if not item.en else f" {item.en}"
    return f"{item.zh}{name} · {words.item(item)}"
