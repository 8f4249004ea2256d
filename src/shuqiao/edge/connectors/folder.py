"""Lists that somebody puts into a folder, as `folder:///path`, or one list alone, as `file:///path/name.dbf`.

A mapping's table is a pattern of names, such as `births*.csv`. A file is read when it has lain still for some
seconds. `?encoding=gbk` names the encoding of texts in DBF files that don't say it, or say it wrongly.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from urllib.parse import parse_qs, unquote, urlsplit

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.kept import Keeping, KeptSource
from shuqiao.edge.connectors.lists import Listed, read_list
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

STILL_S = 3.0


def folder_source(url: str, keeping: Keeping) -> KeptSource:
    """Return the connector of a folder, or of one file in it."""
    return KeptSource(FolderShelf(url), keeping)


def folder_shelf(url: str, _copies: Path) -> FolderShelf:
    """Return the folder, which needs no place for copies."""
    return FolderShelf(url)


class FolderShelf:
    """The files of a folder of this machine."""

    tells_columns = True

    def __init__(self, url: str) -> None:
        """Remember the folder; nothing is opened."""
        parts = urlsplit(url)
        path = Path(unquote(parts.path))
        self._folder, self._only = (path.parent, path.name) if parts.scheme == "file" else (path, "")
        self._encoding = encoding_of(parts.query)

    def standing(self, mapping: TableMapping) -> Mapping[str, str | None]:
        """Return the states of the files, in order of their names."""
        check_pattern(mapping)
        try:
            if not self._folder.is_dir():
                raise SourceError(
                    Words(
                        "NODE_SOURCE_URL所指的清单文件夹不存在",
                        "the folder of lists is not there: look at NODE_SOURCE_URL",
                    )
                )
            paths = sorted(path for path in self._folder.glob(mapping.table) if path.is_file())
        except OSError as error:
            name = type(error).__name__
            raise SourceError(
                Words(
                    f"清单文件夹读不了，请检查权限（{name}）",
                    f"the folder of lists can't be read: look at its permissions ({name})",
                )
            ) from None
        return {path.name: _state(path) for path in paths if self._only in ("", path.name)}

    @contextmanager
    def opened(self, _mapping: TableMapping, name: str) -> Iterator[Listed]:
        """Read a file."""
        path = self._folder / name
        before = _state(path)
        yield read_list(path, self._encoding)
        if _state(path) != before:
            said = Words("读取时文件有变化，随即重读", "the file changed while it was read; it is read again")
            raise SourceError(f"{name}: {said}")

    def stays(self, mapping: TableMapping, states: Mapping[str, str | None]) -> bool:
        """Say whether the files are still these."""
        return self.standing(mapping) == states

    def close(self) -> None:
        """Nothing stays open."""


def check_pattern(mapping: TableMapping) -> None:
    """Raise SourceError where the table could lead out of the folder."""
    if PurePath(mapping.table).name != mapping.table:
        said = Words(
            "table须是文件名，至多带*和?", "the table must be the name of a file, with * and ? at most"
        )
        raise SourceError(f"{mapping.path}: {said}")


def encoding_of(query: str) -> str:
    """Return the encoding a source's address names; raises SourceError where nobody knows it."""
    name = parse_qs(query).get("encoding", [""])[-1]
    try:
        return name and codecs.lookup(name).name
    except LookupError:
        shown = repr(name[:20])
        raise SourceError(Words(f"没有编码{shown}", f"nobody knows the encoding {shown}")) from None


def _state(path: Path) -> str | None:
    """What tells one state of a file from another; None while it may be written, or where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    if time.time() - found.st_mtime < STILL_S:
        return None
    return f"{found.st_size} {found.st_mtime_ns}"
