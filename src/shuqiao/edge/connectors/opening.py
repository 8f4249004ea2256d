"""Which connector reads a database, by the scheme of its URL: another kind of database is one more line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import cast
from urllib.parse import urlsplit

from shuqiao.edge.connectors import Source, SourceError, Tables
from shuqiao.edge.connectors.kept import Keeping
from shuqiao.edge.connectors.list_tables import ListTables
from shuqiao.edge.connectors.log import ChangeLog, MakesSlots
from shuqiao.edge.mapping import MappingError, TableMapping
from shuqiao.edge.words import Words

_MODULES: Mapping[str, str] = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
    "folder": "folder",
    "file": "folder",
    "odbc": "odbc",
    "sftp": "sftp",
    "api": "http_api",
}
_CLASSES: Mapping[str, str] = {
    "postgresql": "Postgresql",
    "mysql": "Mysql",
    "sqlite": "Sqlite",
    "odbc": "Odbc",
}
_LISTS: Mapping[str, str] = {"folder": "folder", "sftp": "sftp", "http_api": "api"}
_DESCRIBED = ("folder", "sftp")
_EXTRAS: Mapping[str, str] = {"asyncssh": "sftp"}
_REFUSED_WITHIN_S = 3.0
_LOGGED = ("postgresql", "mysql")


class UnknownSource(ValueError):
    """The URL is of no database this node can read; the message names those it can, not the URL."""

    def __init__(self) -> None:
        """Name the schemes."""
        known = ", ".join(f"{scheme}://…" for scheme in _MODULES)
        said = Words(
            f"NODE_SOURCE_URL须是数据库或清单的地址：{known}",
            f"NODE_SOURCE_URL must be the address of your database, or of your lists: {known}",
        )
        super().__init__(said)


def open_source(url: str, keeping: Keeping, connections: int = 2) -> Source:
    """Return what reads rows of the source; nothing is opened before the first read."""
    module = _module_of(url)
    if module in _LISTS:
        return cast(Source, getattr(_imported(module), f"{_LISTS[module]}_source")(url, keeping))
    made = getattr(_imported(module), f"{_CLASSES[module]}Source")
    return cast(Source, made(url, connections))


def open_log(url: str, mapping: TableMapping) -> ChangeLog:
    """Return what reads the log of a mapped table; nothing is opened before the first use."""
    module = _module_of(url)
    if module not in _LOGGED:
        said = Words(
            "此来源没有可读的日志，`by`只能是changes或ranges",
            "the source keeps no log to read: `by` is changes or ranges here",
        )
        raise MappingError(f"{mapping.path}:1: {said}")
    made = getattr(_imported(f"{module}_log"), f"{_CLASSES[module]}Log")
    return cast(ChangeLog, made(url, mapping))


async def check_log(url: str, mapping: TableMapping) -> None:
    """Raise SourceError where the log of a mapped table can't be followed; makes nothing at the source."""
    log = open_log(url, mapping)
    try:
        if isinstance(log, MakesSlots):
            await log.check()
        else:
            # Where nothing is made at the source, to begin is to look; a refusal comes with the first event.
            await log.resume(await log.begin())
            if await log.ready(_REFUSED_WITHIN_S):
                await log.read(1)
    finally:
        await log.close()


def reads_lists(url: str) -> bool:
    """Say whether the source is lists, whose rows are kept by their keys, and no database."""
    return _module_of(url) in _LISTS


def open_tables(url: str) -> Tables:
    """Return what describes tables of the database, or lists."""
    module = _module_of(url)
    if module in _DESCRIBED:
        made = partial(getattr(_imported(module), f"{_LISTS[module]}_shelf"), url)
        return ListTables(made)
    if module not in _CLASSES:
        raise SourceError(
            Words(
                "接口的清单不作描述：接口自有说明",
                "lists of an interface are not described: it has a description of its own",
            )
        )
    tables = getattr(_imported(f"{module}_tables"), f"{_CLASSES[module]}Tables")
    return cast(Tables, tables(url))


def _imported(module: str) -> ModuleType:
    """Import a connector; raises SourceError naming the part to install where its driver isn't there."""
    try:
        return import_module(f"{__package__}.{module}")
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None:
            raise
        command = f"pip install 'shuqiao[node,{extra}]'"
        raise SourceError(
            Words(f"缺少部件，请安装：{command}", f"install the part for it: {command}")
        ) from None


def _module_of(url: str) -> str:
    """Only the connector that is needed is imported, so that no other's driver must be installed."""
    module = _MODULES.get(urlsplit(url).scheme)
    if module is None:
        raise UnknownSource()
    return module
