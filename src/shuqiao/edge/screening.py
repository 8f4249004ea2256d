"""Looking through each batch before it leaves: rows that the rules catch stay here, their key goes alone.

The rules come from the hub with the answers to the node's state and lie in its folder; until then those that
are shipped are in force. A rule that stops lets nothing of the page out until a person has decided.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from shuqiao.edge import quarantine
from shuqiao.edge.connectors import SourceError, SourceRow
from shuqiao.edge.convert import Columns, key_text
from shuqiao.edge.cover import Cover
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.quarantine import Found, Held, Quarantine
from shuqiao.rules.normalise import normalise_value
from shuqiao.rules.screening import Rules, Screen
from shuqiao.security.replacing import replace_file
from shuqiao.wire.package import HeldRow, ReleasedRow, RowFault
from shuqiao.wire.schemas import ResourceSpec, arrow_schema, identity_items, plain_items
from shuqiao.wire.screening import (
    Caught,
    RulesRefused,
    caught,
    code_of,
    decode_rules,
    encode_rules,
    shipped_rules,
)

RELEASED_AT_ONCE = 500
"""Rows that are sent together after they were released."""


class ScreeningStopped(SourceError):
    """A rule stopped the table until a person of the department has decided."""


class RulesInForce:
    """The rules the node works by, and the file that outlives a restart."""

    def __init__(self, path: Path) -> None:
        """Read the file, or take the rules that are shipped."""
        self._path = path
        try:
            self.screen = Screen(decode_rules(path.read_bytes()))
        except (FileNotFoundError, RulesRefused):
            self.screen = Screen(shipped_rules())

    def follow(self, rules: Rules) -> None:
        """Put the hub's rules into force; raises RulesRefused for what can't be. Blocks on the disk."""
        data = encode_rules(rules)
        self.screen = Screen(decode_rules(data))
        replace_file(self._path, data, mode=0o600)


@dataclass(frozen=True)
class Looked:
    """A page that was looked through: what may leave, and what stays.

    `hides_key`: a record key itself was caught, so nobody is told whose row stays here.
    """

    columns: Columns
    held: tuple[HeldRow, ...] = ()
    released: tuple[ReleasedRow, ...] = ()
    kept: tuple[quarantine.Caught, ...] = ()
    hides_key: bool = False


class Screening:
    """Looks through the pages of one table."""

    def __init__(
        self, mapping: TableMapping, spec: ResourceSpec, cover: Cover, place: Quarantine, rules: RulesInForce
    ) -> None:
        """Put the parts together."""
        self._mapping = mapping
        self._spec = spec
        self._cover = cover
        self._rules = rules
        self._key_item = next(item for item in spec.items if item.field == spec.record_key)
        columns = mapping.source_columns()
        self._key_place = columns.index(mapping.key) if mapping.key in columns else None
        self.place = place

    def look(self, rows: Sequence[SourceRow], columns: Columns) -> Looked:
        """Look through a page; rows that are gone say nothing but their key and pass."""
        found = self._found(rows, columns)
        if not found:
            return Looked(columns)
        held: list[HeldRow] = []
        released: list[ReleasedRow] = []
        kept: list[quarantine.Caught] = []
        faults: list[RowFault] = []
        for row, ones in found.items():
            mark = self.mark_of(rows[row])
            digests = {one: self._digest(mark, one, columns) for one in ones}
            said = self.place.decisions(self._mapping.resource, digests.values())
            if all(digest in said for digest in digests.values()):
                released += [
                    ReleasedRow(row, one.item, one.rule, mark, said[digest].by, said[digest].reason)
                    for one, digest in digests.items()
                ]
                continue
            held += [HeldRow(row, one.item, one.rule, mark) for one in ones]
            faults += [RowFault(row, one.item, code_of(self._rules.screen, one.rule)) for one in ones]
            kept.append(self._kept(row, mark, digests, columns))
        if not held:
            return Looked(columns, released=tuple(released))
        hidden = {one.row for one in held if one.item == self._spec.record_key}
        bare = self._bare(columns, {one.row for one in held}, hidden, faults)
        return Looked(bare, tuple(held), tuple(released), tuple(kept), bool(hidden))

    def _found(self, rows: Sequence[SourceRow], columns: Columns) -> dict[int, list[Caught]]:
        screen, resource = self._rules.screen, self._mapping.resource
        parts = (
            (columns.plain, plain_items(self._spec)),
            (columns.identity, identity_items(self._spec)),
        )
        found: dict[int, list[Caught]] = {}
        for part, items in parts:
            for one in caught(screen, resource, part, items):
                if not rows[one.row].removed:
                    found.setdefault(one.row, []).append(one)
        return found

    def _kept(
        self, row: int, mark: str, digests: Mapping[Caught, str], columns: Columns
    ) -> quarantine.Caught:
        rules = [self._rules.screen.rule(one.rule) for one in digests]
        return quarantine.Caught(
            mark,
            tuple(Found(one.item, one.rule, digest) for one, digest in digests.items()),
            Columns(
                columns.plain.slice(row, 1),
                columns.identity.slice(row, 1),
                tuple(_alone(fault) for fault in columns.faults if fault.row == row),
            ),
            any(rule is not None and rule.action == "stop" for rule in rules),
        )

    def mark_of(self, row: SourceRow) -> str:
        """Return the pseudonym of a row's key, which this node alone can make."""
        key = None
        if not row.removed and self._key_place is not None:
            key = key_text(row.values[self._key_place], self._key_item)
        item = self._key_item
        text = normalise_value(item.kind, item.type, key or row.key)
        return self._cover.mark(f"held/{self._mapping.resource}", text).hex()

    def _digest(self, mark: str, one: Caught, columns: Columns) -> str:
        """Return what a decision is about: this value, at this item, of this row, by this rule."""
        value = _value(columns, one)
        text = hashlib.sha256(f"{mark}\0{one.item}\0{one.rule}\0{value}".encode()).hexdigest()
        return self._cover.mark(f"released/{self._mapping.resource}", text).hex()

    def _bare(self, columns: Columns, held: set[int], hidden: set[int], faults: list[RowFault]) -> Columns:
        """Return the page with nothing of the held rows but their keys, and not those that were caught."""

        def without(part: pa.RecordBatch) -> pa.RecordBatch:
            arrays = [
                _emptied(column, hidden if name == self._spec.record_key else held)
                for name, column in zip(part.schema.names, part.columns, strict=True)
            ]
            return pa.record_batch(arrays, schema=part.schema)

        others = tuple(fault for fault in columns.faults if fault.row not in held)
        return Columns(without(columns.plain), without(columns.identity), (*others, *faults))

    def settle(self, rows: Sequence[SourceRow], kept: Sequence[quarantine.Caught]) -> None:
        """Hold what was caught and forget what passes now; raises ScreeningStopped where nothing may go."""
        resource = self._mapping.resource
        there = self.place.waiting(resource).count
        if not kept and not there:
            return
        marks = {one.mark for one in kept}
        passed = {self.mark_of(row) for row in rows} - marks if there else set()
        self.place.keep(resource, self._mapping.version, kept, passed)
        stops = sum(one.stops for one in kept)
        if stops:
            raise ScreeningStopped(f"{resource}: {stops} rows stop the table until somebody has decided")

    def released(self, limit: int) -> tuple[Looked | None, list[Held]]:
        """Return rows that were released and are to be sent, and what they are called here.

        None where one can't be read any more, or the resource consists of other items now: then the table
        must be read anew.
        """
        resource = self._mapping.resource
        found = self.place.released(resource, self._mapping.version, limit)
        if not found:
            return None, []
        schemas = tuple(arrow_schema(part(self._spec)) for part in (plain_items, identity_items))
        contents: list[Columns] = []
        for one in found:
            content = self.place.content(resource, one.mark)
            if content is None or (content.plain.schema, content.identity.schema) != schemas:
                return None, found
            contents.append(content)
        released = [one for row, held in enumerate(found) for one in self._said(row, held)]
        columns = Columns(
            _joined([one.plain for one in contents]),
            _joined([one.identity for one in contents]),
            tuple(RowFault(row, f.item, f.code) for row, one in enumerate(contents) for f in one.faults),
        )
        return Looked(columns, released=tuple(released)), found

    def _said(self, row: int, held: Held) -> list[ReleasedRow]:
        said = self.place.decisions(self._mapping.resource, [one.digest for one in held.found])
        return [
            ReleasedRow(row, one.item, one.rule, held.mark, said[one.digest].by, said[one.digest].reason)
            for one in held.found
            if one.digest in said
        ]


def _alone(fault: RowFault) -> RowFault:
    """Return a fault of a row that stands alone now."""
    return RowFault(0, fault.item, fault.code)


def _value(columns: Columns, one: Caught) -> str:
    for part in (columns.plain, columns.identity):
        if one.item in part.schema.names:
            return str(part.column(one.item)[one.row].as_py())
    raise KeyError(one.item)


def _emptied(column: pa.Array, rows: set[int]) -> pa.Array:
    if not rows:
        return column
    mask = pa.array([row in rows for row in range(len(column))])
    return pc.if_else(mask, pa.scalar(None, type=column.type), column)


def _joined(rows: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(rows) == 1 or not rows[0].num_columns:
        return rows[0]
    return pa.Table.from_batches(rows).combine_chunks().to_batches()[0]
