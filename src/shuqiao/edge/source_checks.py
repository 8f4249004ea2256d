"""What a table's columns don't show: whether its keys are unique, and whether its log can be followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from shuqiao.edge.connectors import Source, SourceError, SourceRow
from shuqiao.edge.connectors.opening import check_log, open_tables, reads_lists
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

KEYS_LOOKED_AT = 10_000


async def look_closer(url: str, source: Source, mapping: TableMapping, record_key: str) -> Words | None:
    """Look at keys and log; raises SourceError for what can't work, returns what a person should know.

    Of a key that the database doesn't hold unique the first `KEYS_LOOKED_AT` are read. Lists are kept by
    their keys: of two rows with one key the later counts, by design.
    """
    if mapping.way.by == "log":
        await check_log(url, mapping)
    if reads_lists(url):
        return None
    if await _is_held_unique(url, mapping):
        return None
    items = {name: one for name, one in mapping.items.items() if name == record_key}
    rows = await source.read_range(replace(mapping, items=items), None, None, KEYS_LOOKED_AT)
    doubled = _doubled(rows)
    if doubled:
        raise SourceError(_not_unique(mapping, doubled, len(rows)))
    return _unsure(mapping.key, len(rows))


async def _is_held_unique(url: str, mapping: TableMapping) -> bool:
    """Say whether the database holds the key unique; not where it can't be asked."""
    try:
        table = await open_tables(url).describe(mapping.table, profile=False)
    except SourceError:
        return False
    return any(one.unique for one in table.columns if one.name == mapping.key)


def _doubled(rows: Sequence[SourceRow]) -> int:
    """Count the rows whose key is that of the row before; rows come in the order of their keys."""
    return sum(one.key == other.key for one, other in pairwise(rows))


def _not_unique(mapping: TableMapping, doubled: int, looked_at: int) -> Words:
    place, key = mapping.path, mapping.key
    return Words(
        f"{place}：键{key!r}不唯一，前{looked_at}行中有{doubled}行的键与前一行相同。一个键只留一行，其余会丢失："
        "请换成唯一的列，或在来源去重",
        f"{place}: the key {key!r} is not unique: of the first {looked_at} rows {doubled} have the key of the"
        " row before. Of each key one row is kept and the others are lost: name a column that is unique, or"
        " mend the table",
    )


def _unsure(key: str, looked_at: int) -> Words:
    return Words(
        f"注意：看不出数据库保证键{key!r}唯一（已看{looked_at}行，无重复）。请设主键或唯一索引",
        f"note: nothing shows that the database holds the key {key!r} unique ({looked_at} rows looked at,"
        " none doubled): give it a primary key or a unique index",
    )
