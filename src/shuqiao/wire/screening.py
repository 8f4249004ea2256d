"""Rules of screening as they travel and lie on disk, and how a batch's columns are looked through by them.

Node and loader call the same function on the same columns; the rules themselves are in `rules.screening`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from shuqiao.rules.errors import PersonalUndeclared, SecrecyMarked
from shuqiao.rules.screening import BETWEEN, Rule, Rules, Screen, faults_of
from shuqiao.wire.schemas import ItemSpec

_FILE = "screening.yaml"
MAX_RULES_BYTES = 64 * 1024


class RulesRefused(Exception):
    """Rules can't be read or put into force; the message names the fields at fault, no values."""


@dataclass(frozen=True)
class Caught:
    """A row whose value of an item is caught by a rule."""

    row: int
    item: str
    rule: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rules: tuple[Rule, ...]


def encode_rules(rules: Rules) -> bytes:
    """Return rules as JSON."""
    return msgspec.json.encode(rules)


def decode_rules(data: bytes) -> Rules:
    """Read rules from JSON and check that they can be put into force; raises RulesRefused."""
    if len(data) > MAX_RULES_BYTES:
        raise RulesRefused("too large")
    try:
        found = msgspec.json.decode(data, type=Rules)
    except msgspec.MsgspecError:
        raise RulesRefused("unreadable") from None
    return _checked(found)


@cache
def shipped_rules() -> Rules:
    """Return the rules that are in force until the office says others: those of the standards' folder."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "standards", package.parents[1] / "standards"):
        if (folder / _FILE).is_file():
            content = yaml.safe_load((folder / _FILE).read_text(encoding="utf-8"))
            return _checked(Rules(0, msgspec.convert(content, _File).rules))
    raise FileNotFoundError(_FILE)


def _checked(rules: Rules) -> Rules:
    faults = faults_of(rules.rules)
    if faults:
        raise RulesRefused("; ".join(f"{one.key} {one.field}: {one.code}" for one in faults[:20]))
    return rules


def code_of(screen: Screen, rule: str) -> str:
    """Return the stable code of a row that is caught by a rule."""
    found = screen.rule(rule)
    return SecrecyMarked.code if found is None or found.kind == "mark" else PersonalUndeclared.code


def caught(
    screen: Screen, resource: str, rows: pa.RecordBatch, items: Sequence[ItemSpec]
) -> Iterator[Caught]:
    """Look through the columns of these items, in catalogue order as the schema has them."""
    for item, column in zip(items, rows.columns, strict=True):
        looked_for = screen.of_item(resource, item.field, item.kind)
        if looked_for is None or not pa.types.is_string(column.type) or not len(column):
            continue
        for row in looked_for.suspects(_bytes_of(column), len(column)):
            if value := column[row].as_py():
                yield from _found(row, item.field, looked_for.find(value))


def _found(row: int, item: str, rules: Iterable[str]) -> Iterator[Caught]:
    for rule in rules:
        yield Caught(row, item, rule)


def _bytes_of(column: pa.Array) -> bytes:
    """Return what stands in a column of texts, with a mark between the values."""
    whole = pa.ListArray.from_arrays(pa.array([0, len(column)], pa.int32()), column.fill_null(""))
    joined: bytes = pc.binary_join(whole.cast(pa.list_(pa.binary())), BETWEEN)[0].as_py()
    return joined
