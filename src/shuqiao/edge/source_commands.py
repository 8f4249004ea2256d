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
from shuqiao.edge.source_checks import look_closer
from shuqiao.edge.words import Words
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
    """Say for each mapping file whether its table can be read as it says; 0 where all can.

    A row is read, too: that a table has its columns doesn't show that it can be read. So are the first keys,
    and the rights that following a log takes; nothing is made at the source.
    """
    url = os.environ.get("NODE_SOURCE_URL", "")
    return _with_source(arguments.home, lambda source, mapped: _check(url, source, mapped))


def preview_command(arguments: argparse.Namespace) -> int:
    """Show the first rows of one mapping file as they would be sent."""
    most = max(1, min(arguments.rows, MOST_ROWS))

    async def work(source: Source, mapped: Sequence[_Mapped]) -> int:
        one = next((one for one in mapped if one.mapping.path.name == Path(arguments.mapping).name), None)
        if one is None:
            names = ", ".join(sorted(one.mapping.path.name for one in mapped))
            raise _NotReady(
                Words(
                    f"没有映射文件{arguments.mapping}，现有：{names}",
                    f"there is no mapping file {arguments.mapping}, but {names}",
                )
            )
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
        raise _NotReady(
            Words(
                "须设置NODE_HOME、NODE_MAPPING和NODE_SOURCE_URL，与前置机运行时相同",
                "NODE_HOME and NODE_MAPPING must be set, and NODE_SOURCE_URL, as they are for the node",
            )
        )
    try:
        resources = load_admission(Path(home)).resources
    except (OSError, msgspec.DecodeError):
        raise _NotReady(
            Words(
                f"{home}中没有可读的接入信息，请先运行shuqiao node enrol",
                f"{home} holds no admission that can be read: enrol the node first",
            )
        ) from None
    return [_Mapped(one, resources[one.resource]) for one in load_mappings(Path(folder), resources)]


async def _check(url: str, source: Source, mapped: Sequence[_Mapped]) -> int:
    faulty = 0
    for one in mapped:
        mapping = one.mapping
        try:
            await source.check(mapping)
            columns = await source.columns(mapping)
            first = await _first(source, mapping, 1)
            note = await look_closer(url, source, mapping, one.spec.record_key)
        except (SourceError, MappingError) as error:
            faulty += 1
            print(f"{Words('有误', 'FAULT')}  {mapping.path.name}  {error}")
            continue
        print(_well(mapping, len(columns), has_rows=bool(first)))
        if note is not None:
            print(f"        {note}")
    return 1 if faulty else 0


def _well(mapping: TableMapping, columns: int, *, has_rows: bool) -> Words:
    known = Words(f"，{columns}列", f", {columns} columns") if columns else Words("", "")
    rows = Words("", "") if has_rows else Words("，尚无行", ", no rows yet")
    items, place = len(mapping.items), f"{mapping.path.name}  {mapping.table}"
    return Words(
        f"正常  {place}{known.zh}，映射信息项{items}个{rows.zh}",
        f"ok     {place}{known.en}, {items} items mapped{rows.en}",
    )


async def _preview(source: Source, one: _Mapped, most: int) -> int:
    rows = await _first(source, one.mapping, most)
    if not rows:
        print(Words("没有行", "no rows"))
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
            shown = (
                str(Words("（图像）", "(image)"))
                if isinstance(value, bytes)
                else printable(str(value or "")[:200])
            )
            said = _fault(code, item.field) if code else shown
            print(f"  {item.field}: {said}")
    bad = len({row for row, _ in faults})
    print(
        Words(
            f"{len(rows)}行，其中{bad}行有误；没有发送任何内容",
            f"{len(rows)} rows, {bad} with a fault; nothing was sent",
        )
    )
    return 1 if faults else 0


def _fault(code: str, item: str) -> str:
    known = BY_CODE[code]
    zh, en = known.message_zh.format(item=item), known.message_en.format(item=item)
    return str(Words(f"有误 {code}：{zh}", f"FAULT {code}: {en}"))


async def _first(source: Source, mapping: TableMapping, most: int) -> list[SourceRow]:
    for _ in range(_LOOKS):
        await source.clock(mapping)
        rows = await source.read_all(mapping, None, most)
        if rows:
            return rows
        await asyncio.sleep(_PAUSE_S)
    return []
