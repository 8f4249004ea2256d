"""Which connector reads a database, by the scheme of its URL: another kind of database is one more line."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import cast
from urllib.parse import urlsplit

from shuqiao.edge.connectors import Source, Tables
from shuqiao.edge.connectors.folder import FolderSource, Keeping
from shuqiao.edge.connectors.log import ChangeLog
from shuqiao.edge.mapping import MappingError, TableMapping

_MODULES: Mapping[str, str] = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
    "folder": "folder",
}
_CLASSES: Mapping[str, str] = {"postgresql": "Postgresql", "mysql": "Mysql", "sqlite": "Sqlite"}
_LOGGED = ("postgresql", "mysql")


class UnknownSource(ValueError):
    """The URL is of no database this node can read; the message names those it can, not the URL."""

    def __init__(self) -> None:
        """Name the schemes."""
        known = ", ".join(f"{scheme}://…" for scheme in _MODULES)
        super().__init__(
            f"NODE_SOURCE_URL must be the address of your database, or a folder of lists: {known}"
        )


def open_source(url: str, keeping: Keeping, connections: int = 2) -> Source:
    """Return what reads rows of the source; nothing is opened before the first read."""
    module = _module_of(url)
    if module == "folder":
        return FolderSource(url, keeping)
    made = getattr(import_module(f"{__package__}.{module}"), f"{_CLASSES[module]}Source")
    return cast(Source, made(url, connections))


def open_log(url: str, mapping: TableMapping) -> ChangeLog:
    """Return what reads the log of a mapped table; nothing is opened before the first use."""
    module = _module_of(url)
    if module not in _LOGGED:
        raise MappingError(
            f"{mapping.path}:1: the source keeps no log to read: `by` is changes or ranges here"
        )
    made = getattr(import_module(f"{__package__}.{module}_log"), f"{_CLASSES[module]}Log")
    return cast(ChangeLog, made(url, mapping))


def open_tables(url: str) -> Tables:
    """Return what describes tables of the database."""
    module = _module_of(url)
    if module not in _CLASSES:
        raise UnknownSource()
    made = getattr(import_module(f"{__package__}.{module}_tables"), f"{_CLASSES[module]}Tables")
    return cast(Tables, made(url))


def _module_of(url: str) -> str:
    """Only the connector that is needed is imported, so that no other's driver must be installed."""
    module = _MODULES.get(urlsplit(url).scheme)
    if module is None:
        raise UnknownSource()
    return module
