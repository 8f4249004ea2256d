"""What every connector to a database checks and counts alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from shuqiao.edge.connectors import SourceError, Unreadable
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

CLOCK_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
"""How times of a source are written as text: with six places, so that they sort."""


def key_of(key: Any) -> str:
    """Return a row's key; raises SourceError where its bytes are no text, for by such rows can't be paged."""
    if isinstance(key, Unreadable):
        raise SourceError(
            Words(
                "来源数据库：有一个键按其编码不是文字，请在来源更正",
                "the source database: a key is no text in its encoding; correct it at the source",
            )
        )
    return str(key)


def no_table(name: str) -> Words:
    """Say that a table isn't there, or not for the node's user."""
    return Words(
        f"来源没有节点看得到的表{name!r}，请检查名称（模式名.表名）和SELECT权限",
        f"the source has no table {name!r} that the node may see: look at its name (schema.table) and at"
        " the right SELECT",
    )


def no_column(name: str) -> Words:
    """Say that the table lacks a column."""
    return Words(f"表中没有列{name!r}", f"the table has no column {name!r}")


def earlier(clock: str, seconds: float) -> str:
    """Return the text of a time that lies `seconds` before `clock`."""
    return (datetime.strptime(clock, CLOCK_FORMAT) - timedelta(seconds=seconds)).strftime(CLOCK_FORMAT)


def check_columns(
    mapping: TableMapping,
    types: Mapping[str, str],
    *,
    is_moment: Callable[[str], bool],
    is_ordered: Callable[[str], bool] = lambda _: True,
) -> None:
    """Raise SourceError with all that keeps a table, told by its columns' types, from being read as mapped.

    `is_moment` says whether a type holds a time of change, `is_ordered` whether rows can be paged by it.
    """
    faults = list(_faults(mapping, types))
    if not faults and mapping.changed and not is_moment(types[mapping.changed]):
        faults.append(
            Words(
                f"变更时间列{mapping.changed!r}不是时间类型",
                f"the column {mapping.changed!r} of changes is not a timestamp",
            )
        )
    if not faults and not is_ordered(types[mapping.key]):
        kind = types[mapping.key]
        faults.append(
            Words(
                f"键{mapping.key!r}的类型是{kind}，不能据此分页读取",
                f"the key {mapping.key!r} is of type {kind}, by which no rows can be paged",
            )
        )
    if faults:
        raise SourceError(f"{mapping.path}: " + "; ".join(map(str, faults)))


def _faults(mapping: TableMapping, columns: Collection[str]) -> list[Words]:
    if not columns:
        return [no_table(mapping.table)]
    if not mapping.changed and mapping.way.by == "changes":
        return [
            Words(
                "数据库的表需要每行的变更时间列`changed`，否则须按键段（ranges）或日志（log）采集",
                "a database's table needs the column of each row's time of change: `changed`,"
                " or to be captured by ranges or log",
            )
        ]
    named = dict.fromkeys((mapping.key, mapping.changed, *mapping.source_columns()))
    return [no_column(name) for name in named if name and name not in columns]
