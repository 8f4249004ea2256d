"""The sharing catalogue and the bodies of a city as a regulation's data files give them.

Source: guangzhou-2016 art. 9 to 25 (lists), art. 19 (companion items), art. 30(1) (what an entry must hold).
"""

from __future__ import annotations

from dataclasses import dataclass

ITEM_KINDS = ("name", "citizen_id", "credit_code", "document", "contact", "address", "picture", "plain")


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a list with its meaning."""

    value: str
    zh: str


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a list. `number` and `part` are its place in the law; `part_of` the compound it is of.

    `companion` items are not in the list itself; `article` then says what adds them. `only_with` names
    another item and its values: only beside one of them may this item have a value.
    """

    number: int
    part: int
    part_of: str
    field: str
    zh: str
    en: str
    type: str
    length: int | None
    identity: bool
    kind: str
    sensitivity: int
    required: bool
    standard: str
    codes: tuple[Code, ...] | None
    companion: bool
    article: str
    only_with: tuple[str, tuple[str, ...]] | None = None

    @property
    def code_values(self) -> tuple[str, ...] | None:
        """The codes a value must be one of, or None where any value may stand."""
        return None if self.codes is None else tuple(code.value for code in self.codes)


@dataclass(frozen=True, slots=True)
class DataList:
    """One list of the law: an entry of the sharing catalogue.

    `division` is the item that says to which district a record belongs; empty where no item does.
    """

    key: str
    code: str
    zh: str
    en: str
    article: str
    category_zh: str
    category_en: str
    departments: tuple[str, ...]
    library: str
    record_key: str
    update_cycle: str
    modes: tuple[str, ...]
    summary_zh: str
    summary_en: str
    note: str
    items: tuple[Item, ...]
    division: str = ""

    def item(self, field: str) -> Item | None:
        """The item with this field, or None."""
        return next((item for item in self.items if item.field == field), None)


@dataclass(frozen=True, slots=True)
class Duty:
    """A statutory duty of a body; `sample` wording is invented."""

    number: int
    zh: str
    en: str
    ground: str
    sample: bool


@dataclass(frozen=True, slots=True)
class Body:
    """A department: its code word, names, kind, what it does in sharing, and its duties."""

    word: str
    zh: str
    short_zh: str
    en: str
    kind: str
    legal_names: tuple[str, ...]
    roles: tuple[str, ...]
    duties: tuple[Duty, ...]


@dataclass(frozen=True, slots=True)
class Bodies:
    """The departments of one region; `sample` when they are invented."""

    regulation: str
    region: str
    sample: bool
    departments: tuple[Body, ...]

    def body(self, word: str) -> Body | None:
        """The department with this code word, or None."""
        return next((body for body in self.departments if body.word == word), None)
