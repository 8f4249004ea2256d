"""The columns of a copy: what the base table gives, what the vault adds, and what leaves masked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from uuid import UUID

import pyarrow as pa

from shuqiao.plane.bulk.rows import KEY, OPERATION, RECORD
from shuqiao.plane.state import HeldGrant, Resource
from shuqiao.rules.bulk import Treatment, treatment
from shuqiao.rules.masking import TOKEN_KINDS, mask
from shuqiao.wire.schemas import ARROW_TYPES, ItemSpec
from shuqiao.wire.vault import RevealCall, VaultClient

RECORDS_AT_ONCE = 2048
HELD_BYTES = 16 * 1024 * 1024
"""How much of identity is held in memory before it is written: pictures make few rows large."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The granted items in catalogue order, and what is done with each."""

    items: tuple[ItemSpec, ...]
    treatment: Treatment
    tokens: frozenset[str]
    grant: str
    consumer: str

    @property
    def plain(self) -> tuple[ItemSpec, ...]:
        """Those the view has."""
        return tuple(item for item in self.items if not item.identity)

    def schema(self, *, is_feed: bool) -> pa.Schema:
        """The schema of the parts; what is masked is text, whatever it was."""
        first = (
            [pa.field(KEY, pa.string(), False), pa.field(OPERATION, pa.string(), False)] if is_feed else []
        )
        return pa.schema([*first, *(pa.field(item.field, self._type(item)) for item in self.items)])

    def _type(self, item: ItemSpec) -> pa.DataType:
        return pa.string() if item.identity or item.field in self.treatment.masked else ARROW_TYPES[item.type]

    def is_masked(self, item: ItemSpec) -> bool:
        """Tell whether an item's values leave masked, or as tokens."""
        return item.field in self.treatment.masked or item.field in self.tokens

    def reveal_call(self) -> RevealCall:
        """What the vault is asked for."""
        identity = self.treatment.identity
        tokens = tuple(field for field in identity if field in self.tokens)
        masked = tuple(
            field for field in identity if field in self.treatment.masked and field not in self.tokens
        )
        return RevealCall("", identity, self.grant, masked, tokens, self.consumer)


def columns_of(resource: Resource, held: HeldGrant) -> Columns:
    """Decide over the columns of a copy under a grant."""
    document = held.document
    items = resource.items
    treated = treatment(
        items,
        frozenset(document.items),
        frozenset(field for field, item in items.items() if item.identity),
        frozenset(field for field, item in items.items() if item.masked),
        frozenset(document.unmasked),
    )
    given = tuple(item for field, item in items.items() if field in held.facts.items)
    tokens = frozenset(
        item.field for item in given if document.pseudonyms and item.identity and item.kind in TOKEN_KINDS
    )
    return Columns(given, treated, tokens, document.id, document.department)


async def completed(
    vault: VaultClient, resource: str, columns: Columns, table: pa.Table, schema: pa.Schema, job: UUID
) -> AsyncIterator[pa.Table]:
    """Bring a table of the view into the schema of the parts, in several where its values are large."""
    if not columns.treatment.identity:
        yield _whole(columns, table, schema, {})
        return
    async for begin, end, identity in _identity(vault, resource, columns, table, job):
        yield _whole(columns, table.slice(begin, end - begin), schema, identity)


def _whole(
    columns: Columns, table: pa.Table, schema: pa.Schema, identity: Mapping[str, pa.ChunkedArray]
) -> pa.Table:
    found = {name: table.column(name) for name in table.column_names if name != RECORD} | dict(identity)
    for item in columns.plain:
        if item.field in columns.treatment.masked:
            found[item.field] = masked_column(item.kind, found[item.field])
    return pa.table([found[name] for name in schema.names], schema=schema)


async def _identity(
    vault: VaultClient, resource: str, columns: Columns, table: pa.Table, job: UUID
) -> AsyncIterator[tuple[int, int, dict[str, pa.ChunkedArray]]]:
    """Give the values of identity for the rows from one place up to another, `HELD_BYTES` or little more."""
    call = columns.reveal_call()
    # What has gone out of a grant has no record id here, and no values.
    ids = [UUID(record) if record else UUID(int=0) for record in table.column(RECORD).to_pylist()]
    pieces: dict[str, list[pa.Array]] = {field: [] for field in call.fields}
    begin = at = held_bytes = 0
    while at < len(ids):
        count, revealed = await vault.reveal_some(resource, ids[at : at + RECORDS_AT_ONCE], call, [job])
        for field, values in zip(call.fields, revealed, strict=True):
            pieces[field].append(pa.array(values, pa.string()))
            held_bytes += pieces[field][-1].nbytes
        at += count
        if held_bytes >= HELD_BYTES or at == len(ids):
            yield begin, at, {name: pa.chunked_array(arrays, pa.string()) for name, arrays in pieces.items()}
            pieces = {field: [] for field in call.fields}
            begin, held_bytes = at, 0


def masked_column(kind: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Mask a column; each different value once."""
    text = column.combine_chunks().cast(pa.string()).dictionary_encode()
    masked = pa.array([mask(kind, value) for value in text.dictionary.to_pylist()], pa.string())
    return pa.chunked_array([masked.take(text.indices)])
