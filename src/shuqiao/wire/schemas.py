"""What a resource consists of, and the Arrow columns in which its rows travel.

A resource's items fall in two parts that never share a table: plain items go to the base table, identity
items to the vault. Both parts of a batch have the same number of rows in the same order.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pyarrow as pa

from shuqiao.rules.small_domain import Trait

ItemType = Literal["string", "text", "code", "date", "datetime", "image"]
ItemKind = Literal["name", "citizen_id", "credit_code", "document", "contact", "address", "picture", "plain"]
FieldName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$")]

ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "text": pa.string(),
    "code": pa.string(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "image": pa.binary(),
}


class OnlyWith(msgspec.Struct, frozen=True):
    """A plain item may have a value only where another plain item of the row has one of these."""

    field: FieldName
    values: tuple[str, ...]


class ItemSpec(msgspec.Struct, frozen=True):
    """One item of a resource as the catalogue describes it; `identity` items live in the vault only.

    `length` is the most characters a value may have. A `masked` item is given out masked unless a grant names
    it (SEC-18); which ones are is settled by the regulation's sensitivity and the mark of a business secret.
    `small_domain` is what the provider says of an item whose few values a comparison would read out; without
    it `rules.small_domain` decides.
    """

    field: FieldName
    zh: str
    en: str
    type: ItemType
    identity: bool = False
    kind: ItemKind = "plain"
    sensitivity: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
    required: bool = False
    codes: tuple[str, ...] | None = None
    length: int | None = None
    only_with: OnlyWith | None = None
    masked: bool = False
    small_domain: bool | None = None


class ResourceSpec(msgspec.Struct, frozen=True):
    """The items of a resource, the item that is its record key, and the modes in which it is offered.

    `kept` says where its records are: with the platform, or with the department, whose node answers.
    Source: shenyang-2016 art. 16.
    """

    record_key: FieldName
    modes: tuple[str, ...]
    items: Annotated[tuple[ItemSpec, ...], msgspec.Meta(min_length=1, max_length=200)]
    kept: Literal["hub", "node"] = "hub"


def traits_of(items: tuple[ItemSpec, ...]) -> dict[str, Trait]:
    """Return what the rules of small domain look at, by field."""
    return {
        item.field: Trait(
            item.type, item.kind, None if item.codes is None else len(item.codes), item.small_domain
        )
        for item in items
    }


def plain_items(spec: ResourceSpec) -> tuple[ItemSpec, ...]:
    """Return the items kept in the base table, in catalogue order."""
    return tuple(item for item in spec.items if not item.identity)


def identity_items(spec: ResourceSpec) -> tuple[ItemSpec, ...]:
    """Return the items kept in the vault, in catalogue order."""
    return tuple(item for item in spec.items if item.identity)


def arrow_schema(items: tuple[ItemSpec, ...]) -> pa.Schema:
    """Return the Arrow schema of one part: a nullable column for each item, in the order given."""
    return pa.schema([pa.field(item.field, ARROW_TYPES[item.type]) for item in items])
