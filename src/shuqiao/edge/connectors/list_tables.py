"""The structure and content figures of a list in a folder or on an SFTP server, counted on this machine."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from shuqiao.edge.connectors import SourceError, Unreadable
from shuqiao.edge.connectors.figures import SAMPLE_ROWS, figures_of, rough
from shuqiao.edge.connectors.kept import Shelf
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words
from shuqiao.wire.tables import VERSION, ColumnDescription, TableDescription

_SIZES = re.compile(r"\((\d+)(?:,\s*(\d+))?\)")
_LETTERS = (
    ("datetime", "T"),
    ("timestamp", "T"),
    ("date", "D"),
    ("bool", "L"),
    ("logical", "L"),
    ("int", "I"),
    ("dec", "N"),
    ("num", "N"),
    ("currency", "N"),
    ("float", "B"),
    ("double", "B"),
    ("memo", "M"),
    ("binary", "G"),
)
"""The catalogue's letter by a part of the type's name, the first that is found."""


class ListTables:
    """Describes lists of one shelf."""

    def __init__(self, open_shelf: Callable[[Path], Shelf]) -> None:
        """Remember how to open the shelf, for which a folder is needed that may hold copies."""
        self._open = open_shelf

    async def describe(self, table: str, *, profile: bool = True) -> TableDescription:
        """Return the structure of the newest list of this name, with figures of its first rows if asked."""
        return await asyncio.to_thread(self._described, table, profile)

    def _described(self, table: str, profile: bool) -> TableDescription:
        mapping = TableMapping("", "", table, "", "", {}, "", Path(table))
        with tempfile.TemporaryDirectory(prefix="shuqiao-") as folder:
            shelf = self._open(Path(folder))
            try:
                names = [*shelf.standing(mapping)]
                if not names:
                    raise SourceError(
                        Words(f"文件夹中没有文件{table!r}", f"the folder holds no file {table!r}")
                    )
                with shelf.opened(mapping, names[-1]) as (columns, rows):
                    looked_at = list(islice(rows, SAMPLE_ROWS))
                    count = len(looked_at) + sum(1 for _ in rows)
            finally:
                shelf.close()
        described = tuple(
            _column(name, kind, [row[place] for row in looked_at] if profile else [])
            for place, (name, kind) in enumerate(columns.items())
        )
        return TableDescription(VERSION, "list", "", table, "", rough(count), described)


def _column(name: str, kind: str, values: list[Any]) -> ColumnDescription:
    sizes = _SIZES.search(kind)
    texts = [None if isinstance(one, bytes | Unreadable | None) else str(one) for one in values]
    return ColumnDescription(
        name=name[:200],
        type=kind[:200],
        data_type=next((letter for word, letter in _LETTERS if word in kind.lower()), "C"),
        length=int(sizes[1]) if sizes else None,
        scale=int(sizes[2]) if sizes and sizes[2] else None,
        profile=figures_of(texts),
    )
