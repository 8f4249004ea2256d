"""The commands `shuqiao node check` and `shuqiao node preview`: is the source as the mapping files say?

Both only read. The preview shows values of the department's own rows on its own terminal, as they would be
sent: mapped, brought into their types and with codes translated; it sends and keeps nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shuqiao.edge.connectors import Source, SourceError, SourceRow
from shuqiao.edge.connectors.kept import Keeping
from shuqiao.edge.connectors.opening import UnknownSource, open_source
from shuqiao.edge.convert import convert
from shuqiao.edge.cover import Cover
from shuqiao.edge.mapping import MappingError, TableMapping, load_mappings
from shuqiao.edge.printing import printable
from shuqiao.rules.errors import BY_CODE
from shuqiao.wire.node_home import load_admission
from shuqiao.wire.schemas import ResourceSpec

MOST_ROWS = 100
_LOOKS, _PAUSE_S = 5, 1.0
"""A list that was put there just now is read at a later look."""


class _NotReady(Exception):
    """A setting is missing or a file can't be used; the message says which."""


@dataclass(frozen=True)
class _Mapped:
    """A mapping file, and the resource that it feeds."""

    mapping: TableMapping
    spec: ResourceSpec


Work = Callable[[Source, Sequence[_Mapped]], Awaitable[int]]


def check_command(arguments: argparse.Namespace) -> int:
    """Say for each mapping file whether its table can be read as it says; 0 where all can."""
    return _with_source(arguments.home, _check)


def preview_command(arguments: argparse.Namespace) -> int:
    """Show the first rows of one mapping file as they would be sent."""
    most = max(1, min(arguments.rows, MOST_ROWS))

    async def work(source: Source, mapped: Sequence[_Mapped]) -> int:
        one = next((one for one in mapped if one.mapping.path.name == Path(arguments.mapping).name), None)
        if one is None:
            raise _NotReady(f"there is no mapping file {arguments.mapping}")
        return await _preview(source, one, most)

    return _with_source(arguments.home, work)


def _with_source(home: str, work: Work) -> int:
    """Open what the node's settings name, with a memory of its own that is gone afterwards."""
    try:
        mapped = _mapped(home or os.environ.get("NODE_HOME", ""))
        with tempfile.TemporaryDirectory(prefix="shuqiao-") as folder:
            place = Path(folder)
            keeping = Keeping(place, Cover(place / "cover.key"))
            source = open_source(os.environ.get("NODE_SOURCE_URL", ""), keeping)
            return asyncio.run(_closing(source, mapped, work))
    except (_NotReady, UnknownSource, MappingError, SourceError) as error:
        print(error, file=sys.stderr)
        return 2


async def _closing(source: Source, mapped: Sequence[_Mapped], work: Work) -> int:
    try:
        return await work(source, mapped)
    finally:
        await source.close()


def _mapped(home: str) -> list[_Mapped]:
    folder = os.environ.get("NODE_MAPPING", "")
    if not home or not folder:
        raise _NotReady("NODE_HOME and NODE_MAPPING must be set, as they are for the node")
    try:
        resources = load_admission(Path(home)).resources
    except (OSError, msgspec.DecodeError):
        raise _NotReady(f"{home} holds no admission that can be read: enrol the node first") from None
    return [_Mapped(one, resources[one.resource]) for one in load_mappings(Path(folder), resources)]


async def _check(source: Source, mapped: Sequence[_Mapped]) -> int:
    faulty = 0
    for one in mapped:
        mapping = one.mapping
        try:
            await source.check(mapping)
            columns = await source.columns(mapping)
        except SourceError as error:
            faulty += 1
            print(f"FAULT  {mapping.path.name}  {error}")
            continue
        known = f", {len(columns)} columns" if columns else ""
        print(f"ok     {mapping.path.name}  {mapping.table}{known}, {len(mapping.items)} items mapped")
    return 1 if faulty else 0


async def _preview(source: Source, one: _Mapped, most: int) -> int:
    rows = await _first(source, one.mapping, most)
    if not rows:
        print("no rows")
        return 1
    made = convert(rows, one.mapping, one.spec)
    found = {**made.plain.to_pydict(), **made.identity.to_pydict()}
    faults = {(fault.row, fault.item): fault.code for fault in made.faults}
    for number in range(len(rows)):
        print(f"— {number + 1}")
        for item in one.spec.items:
            if item.field not in one.mapping.items:
                continue
            code = faults.get((number, item.field))
            value = found[item.field][number]
            shown = "(image)" if isinstance(value, bytes) else printable(str(value or "")[:200])
            said = f"FAULT {code}: {BY_CODE[code].message_en.format(item=item.field)}" if code else shown
            print(f"  {item.field}: {said}")
    print(f"{len(rows)} rows, {len({row for row, _ in faults})} with a fault; nothing was sent")
    return 1 if faults else 0


async def _first(source: Source, mapping: TableMapping, most: int) -> list[SourceRow]:
    for _ in range(_LOOKS):
        await source.clock(mapping)
        rows = await source.read_all(mapping, None, most)
        if rows:
            return rows
        await asyncio.sleep(_PAUSE_S)
    return []
