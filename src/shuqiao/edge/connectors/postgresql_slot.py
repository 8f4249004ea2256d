"""What a PostgreSQL server needs so that a table's changes can be read from its log: made, or said clearly.

A publication for a table without a replica identity would make every update of the department's own
programs fail; so the identity is looked at before anything is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.checking import no_column, no_table
from shuqiao.edge.connectors.log import LogLost
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

_TRIES = 50
_PAUSE_S = 0.1

_TABLE = """
SELECT c.oid, c.relkind::text, c.relpersistence::text, c.relreplident::text, n.nspname, c.relname,
  ARRAY(SELECT a.attname::text FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
    WHERE i.indrelid = c.oid
      AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)"""

_COLUMNS = """
SELECT a.attname::text, coalesce(nullif(t.typbasetype, 0), t.oid)::int8, format_type(a.atttypid, a.atttypmod),
  coalesce(to_jsonb(a)->>'attgenerated', '') <> ''
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped"""

_PUBLICATION = """
SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, p.puballtables,
  ARRAY(SELECT r.prrelid::int8 FROM pg_publication_rel r WHERE r.prpubid = p.oid)
FROM pg_publication p WHERE p.pubname = %s"""

_SLOT = """
SELECT s.active, s.confirmed_flush_lsn - '0/0'::pg_lsn, pg_current_wal_lsn() - '0/0'::pg_lsn,
  pg_current_wal_lsn() - s.restart_lsn, to_jsonb(s)->>'wal_status'
FROM pg_replication_slots s WHERE s.slot_name = %s AND s.database = current_database()"""

_MAY_PUBLISH = """
SELECT pg_has_role(c.relowner, 'USAGE') AND has_database_privilege(current_database(), 'CREATE')
FROM pg_class c WHERE c.oid = %s"""
_MAY_REPLICATE = "SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user"
_HAS_SLOT = """
SELECT count(*) < current_setting('max_replication_slots')::int OR bool_or(slot_name = %s)
FROM pg_replication_slots"""


@dataclass(frozen=True)
class LoggedTable:
    """A table that can be followed: its number, names, and its columns' types by number and by name."""

    number: int
    schema: str
    name: str
    types: dict[str, int]
    type_names: dict[str, str]

    @property
    def place(self) -> sql.Identifier:
        """The table's name as SQL takes it."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True)
class Slot:
    """A replication slot: how far the server may forget, how far its log goes, and what it keeps for it."""

    confirmed: int
    end: int
    retained_bytes: int
    is_lost: bool


class Setup:
    """Asks and prepares one server for one table, over a connection that the caller opens."""

    def __init__(self, mapping: TableMapping) -> None:
        """Remember the table."""
        self._mapping = mapping
        self.publication = f"shuqiao_{mapping.resource}"

    async def table(self, link: psycopg.AsyncConnection[Any]) -> LoggedTable:
        """Look at the table; raises SourceError naming what keeps it from being followed."""
        mapping = self._mapping
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in mapping.table.split("."))
        found = await _row(link, _TABLE, quoted)
        if found is None:
            raise SourceError(f"{mapping.path}: {no_table(mapping.table)}")
        number, kind, persistence, identity, schema, name, key = found
        columns = await (await link.execute(_COLUMNS, (number,))).fetchall()
        types = {row[0]: row[1] for row in columns}
        named = tuple(dict.fromkeys((mapping.key, *mapping.source_columns())))
        faults = [no_column(one) for one in named if one not in types]
        faults += [
            Words(
                f"列{row[0]!r}是生成列，日志里没有它",
                f"the column {row[0]!r} is generated, so the log doesn't have it",
            )
            for row in columns
            if row[3] and row[0] in named
        ]
        faults += self._log_faults(kind, persistence, identity, key, f'"{schema}"."{name}"')
        if faults:
            raise SourceError(f"{mapping.path}: " + "; ".join(map(str, faults)))
        return LoggedTable(number, schema, name, types, {row[0]: row[2] for row in columns})

    def _log_faults(
        self, kind: str, persistence: str, identity: str, key: Sequence[str], shown: str
    ) -> list[Words]:
        if kind not in "rp":
            return [Words(f"{shown}不是表，只有表才有日志", f"{shown} is no table: only tables have a log")]
        if persistence != "p":
            return [
                Words(
                    f"{shown}不写日志（UNLOGGED表或临时表）", f"{shown} is not logged (unlogged or temporary)"
                )
            ]
        if identity == "f" or self._mapping.key in key:
            return []
        key, command = self._mapping.key, f"ALTER TABLE {shown} REPLICA IDENTITY FULL"
        return [
            Words(
                f"键{key!r}不在表的复制标识中，日志说不清删除了哪一行：请设为主键，或由表的所有者执行{command}",
                f"the key {key!r} is not part of the table's replica identity, so the log doesn't say which"
                f" row was deleted: make it the primary key, or have its owner run {command}",
            )
        ]

    async def slot_name(self, link: psycopg.AsyncConnection[Any]) -> str:
        """Return the slot's name, which must be one on the whole server."""
        row = await _row(link, "SELECT oid FROM pg_database WHERE datname = current_database()")
        return f"{self.publication}_{row[0] if row else 0}"

    async def prepare(self, link: psycopg.AsyncConnection[Any], table: LoggedTable) -> None:
        """Check that the server keeps a logical log, and make the publication where it is missing."""
        await _check_server(link)
        if not await self._is_published(link, table):
            await self._publish(link, table)
        await self._check_unfiltered(link)

    async def check(self, link: psycopg.AsyncConnection[Any], table: LoggedTable) -> None:
        """Raise SourceError where `prepare`, or making the slot, would; makes nothing."""
        await _check_server(link)
        if await self._is_published(link, table):
            await self._check_unfiltered(link)
        elif not await _holds(link, _MAY_PUBLISH, table.number):
            raise self._may_not_publish(table)
        if not await _holds(link, _MAY_REPLICATE):
            raise _no_right_to_the_log()
        if not await _holds(link, _HAS_SLOT, await self.slot_name(link)):
            raise _no_slot_left()

    async def _is_published(self, link: psycopg.AsyncConnection[Any], table: LoggedTable) -> bool:
        found = await _row(link, _PUBLICATION, self.publication)
        if found is not None and (not found[0] or found[1] or found[2] != [table.number]):
            wrong, command = self._wrong(), self._command(table)
            raise SourceError(
                Words(
                    f"{wrong.zh}：请重新建立，只含这张表：{command}",
                    f"{wrong.en}: have it made anew, for this table alone, by {command}",
                )
            )
        return found is not None

    async def _publish(self, link: psycopg.AsyncConnection[Any], table: LoggedTable) -> None:
        options = "" if link.info.server_version < 130000 else " WITH (publish_via_partition_root = true)"
        try:
            await link.execute(
                sql.SQL("CREATE PUBLICATION {} FOR TABLE {}" + options).format(
                    sql.Identifier(self.publication), table.place
                )
            )
        except errors.InsufficientPrivilege:
            raise self._may_not_publish(table) from None
        except errors.DuplicateObject:
            return

    async def _check_unfiltered(self, link: psycopg.AsyncConnection[Any]) -> None:
        if link.info.server_version < 150000:
            return
        row = await _row(
            link,
            "SELECT count(*) FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid"
            " WHERE p.pubname = %s AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL)",
            self.publication,
        )
        if row is not None and row[0]:
            wrong = self._wrong()
            raise SourceError(
                Words(f"{wrong.zh}：它略去了行或列", f"{wrong.en}: it leaves out rows or columns")
            )

    def _may_not_publish(self, table: LoggedTable) -> SourceError:
        command = self._command(table)
        return SourceError(
            Words(
                f"前置机的用户无权建立发布，请表的所有者执行：{command}",
                f"the node's role may not make the publication: have the table's owner run {command}",
            )
        )

    def _wrong(self) -> Words:
        return Words(
            f"来源的发布{self.publication}不合前置机所需",
            f"the publication {self.publication} of the source is not as the node needs it",
        )

    def _command(self, table: LoggedTable) -> str:
        return f'CREATE PUBLICATION {self.publication} FOR TABLE "{table.schema}"."{table.name}"'


async def make_slot(link: psycopg.AsyncConnection[Any], name: str) -> int:
    """Make the slot afresh and return the place from which on it has every commit.

    Waits for the transactions that are open now, as the server itself does.
    """
    await drop_slot(link, name)
    try:
        row = await _row(
            link,
            "SELECT lsn - '0/0'::pg_lsn FROM pg_create_logical_replication_slot(%s, 'pgoutput')",
            name,
        )
    except errors.InsufficientPrivilege:
        raise _no_right_to_the_log() from None
    except errors.ConfigurationLimitExceeded:
        raise _no_slot_left() from None
    if row is None:
        raise SourceError(Words("来源没有建立复制槽", "the source made no replication slot"))
    return int(row[0])


async def drop_slot(link: psycopg.AsyncConnection[Any], name: str) -> None:
    """Drop the slot where there is one; a stream that still reads it is ended first."""
    await link.execute(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
        " WHERE slot_name = %s AND active_pid IS NOT NULL AND active_pid <> pg_backend_pid()",
        (name,),
    )
    for left in reversed(range(_TRIES)):
        try:
            await link.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                " WHERE slot_name = %s AND database = current_database()",
                (name,),
            )
        except errors.ObjectInUse:
            if not left:
                raise SourceError(
                    Words("来源的复制槽仍在使用", "the source's replication slot is still in use")
                ) from None
            await asyncio.sleep(_PAUSE_S)
        else:
            return


async def find_slot(link: psycopg.AsyncConnection[Any], name: str) -> Slot:
    """Return the slot; raises LogLost where there is none."""
    row = await _row(link, _SLOT, name)
    if row is None:
        raise LogLost(
            Words("来源已没有本前置机的复制槽", "the source has no replication slot of this node any more")
        )
    _, confirmed, end, retained, status = row
    return Slot(int(confirmed or 0), int(end), int(retained or 0), status in ("lost", "unreserved_lost"))


async def _check_server(link: psycopg.AsyncConnection[Any]) -> None:
    """Raise SourceError where the server keeps no log that can be followed."""
    row = await _row(link, "SELECT current_setting('wal_level'), pg_is_in_recovery()")
    level, is_standby = row or ("", False)
    if is_standby:
        raise SourceError(
            Words(
                "来源是备库，请在NODE_SOURCE_URL写主库",
                "the source is a standby: name the primary server in NODE_SOURCE_URL",
            )
        )
    if level != "logical":
        raise SourceError(
            Words(
                f"来源的日志内容不足（wal_level为{level}）：请其管理员设wal_level = logical并重启",
                f"the source's log says too little (wal_level is {level}): have its administrator set"
                " wal_level = logical and restart it",
            )
        )


def _no_right_to_the_log() -> SourceError:
    return SourceError(
        Words(
            "前置机的用户无权读日志：请管理员执行ALTER ROLE … REPLICATION",
            "the node's role may not read the log: have the administrator run ALTER ROLE … REPLICATION",
        )
    )


def _no_slot_left() -> SourceError:
    return SourceError(
        Words(
            "来源没有空余的复制槽：请其管理员调大max_replication_slots",
            "the source has no replication slot left: have its administrator raise max_replication_slots",
        )
    )


async def _holds(link: psycopg.AsyncConnection[Any], query: str, *values: Any) -> bool:
    row = await _row(link, query, *values)
    return row is not None and bool(row[0])


async def _row(link: psycopg.AsyncConnection[Any], query: Any, *values: Any) -> tuple[Any, ...] | None:
    cursor = await link.execute(query, values or None)
    return await cursor.fetchone()
