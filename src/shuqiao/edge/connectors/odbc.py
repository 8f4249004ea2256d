"""Rows of a table that an ODBC driver reaches, as `odbc:///path/file`, which holds the connection string.

Dameng, Oracle (from 12c) and SQL Server (from 2012), and PostgreSQL where a department has its driver only.
The driver runs in a process of its own (`odbc_reader`). Each page is one statement of standard SQL; what the
databases don't have in common stands in `DIALECTS`. A row that the driver can't give is looked for value by
value, so that one damaged text holds up no table. Times with a zone come in Chinese time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from shuqiao.edge.connectors import RangeSum, SourceError, SourceRow, Unreadable
from shuqiao.edge.connectors.blocking import TIMEOUT_S, BlockingSource, Driver
from shuqiao.edge.connectors.checking import CLOCK_FORMAT, check_columns
from shuqiao.edge.connectors.diagnosis import diagnose
from shuqiao.edge.connectors.odbc_process import Reader, ReaderGone, StatementFailed, connection_string
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words
from shuqiao.rules.errors import ItemTooLong, TextUnreadable

FAULTS = (StatementFailed, ReaderGone, OSError)
_CHINA_S = 8 * 3600


@dataclass(frozen=True)
class Dialect:
    """What databases say differently: the first rows, a time by six places, one with a zone, the time now.

    `clock` gives the time in UTC and as the server's own clock shows it.
    """

    limit: str
    moment: str
    zoned: str
    clock: str


_ORACLE = Dialect(
    "FETCH FIRST {} ROWS ONLY",
    "CAST({} AS TIMESTAMP(6))",
    "CAST(({}) AT TIME ZONE '+08:00' AS TIMESTAMP(6))",
    "SELECT CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS TIMESTAMP(6)),"
    " CAST(SYSTIMESTAMP AS TIMESTAMP(6)) FROM DUAL",
)
DIALECTS: Mapping[str, Dialect] = {
    "oracle": _ORACLE,
    "dm": _ORACLE,
    "microsoft sql server": Dialect(
        "OFFSET 0 ROWS FETCH NEXT {} ROWS ONLY",
        "CAST({} AS datetime2(6))",
        "CAST(SWITCHOFFSET({}, '+08:00') AS datetime2(6))",
        "SELECT CAST(SYSUTCDATETIME() AS datetime2(6)), CAST(SYSDATETIME() AS datetime2(6))",
    ),
    "postgresql": Dialect(
        "FETCH FIRST {} ROWS ONLY",
        "CAST({} AS timestamp(6))",
        "CAST(({}) AT TIME ZONE 'Asia/Shanghai' AS timestamp(6))",
        "SELECT CAST(clock_timestamp() AT TIME ZONE 'UTC' AS timestamp(6)),"
        " CAST(clock_timestamp() AS timestamp(6))",
    ),
}
"""By the beginning of the name by which a database calls itself."""

# Numbers of types as the standard has them.
_WHOLE, _EXACT = (-7, -6, -5, 4, 5), (2, 3)
_TEXT = (1, 12, -8, -9, -11)
_LONG_TEXT = (-1, -10)
_BYTES = (-2, -3, -4)
_DAY, _MOMENT, _ZONED = (9, 91), (11, 93), (-155,)
_LETTERS: Mapping[str, Sequence[int]] = {
    "L": (-7,),
    "I": _WHOLE,
    "N": _EXACT,
    "B": (6, 7, 8),
    "D": _DAY,
    "T": (*_MOMENT, *_ZONED),
    "M": _LONG_TEXT,
    "G": _BYTES,
}


@dataclass(frozen=True)
class Column:
    """A column as the driver describes it."""

    name: str
    type: str
    number: int
    size: int | None
    places: int | None
    required: bool

    @property
    def shown(self) -> str:
        """Return the type with its sizes."""
        sizes = [str(one) for one in (self.size, self.places) if one]
        has_sizes = sizes and self.number in (*_TEXT, *_EXACT)
        return f"{self.type.lower()}({','.join(sizes)})" if has_sizes else self.type.lower()

    @property
    def letter(self) -> str:
        """Return the catalogue's letter for the type."""
        return next((letter for letter, numbers in _LETTERS.items() if self.number in numbers), "C")

    @property
    def is_zoned(self) -> bool:
        """Say whether its times have a zone."""
        return self.number in _ZONED or "zone" in self.type.lower() or self.type.lower() == "timestamptz"

    @property
    def is_moment(self) -> bool:
        """Say whether it holds times."""
        return self.number in (*_MOMENT, *_ZONED)

    @property
    def reads_key(self) -> Callable[[str], Any] | None:
        """Return what makes a value of a key's text; None of a type by which no rows can be paged."""
        if self.number in _WHOLE:
            return int
        if self.number in _EXACT:
            return Decimal
        if self.number in _DAY:
            return date.fromisoformat
        return str if self.number in _TEXT else None


@dataclass(frozen=True)
class _Columns:
    """SQL pieces of one mapping."""

    table: str
    select: str
    key: str
    changed: str
    raw_changed: str
    limit: str
    names: tuple[str, ...]
    is_zoned: bool
    read_key: Callable[[str], Any]
    clock: str
    key_place: str = "?"
    weight: str = ""


class OdbcSource(BlockingSource[Reader, _Columns]):
    """Reads one database over a few readers; each page names the rows it must give."""

    def __init__(self, url: str, connections: int = 2) -> None:
        """Read the connection string; nothing is opened before the first read."""
        to = connection_string(url)
        super().__init__(
            Driver("?", quoted, FAULTS, fault_of), lambda: Reader(to, int(TIMEOUT_S)), connections
        )

    async def clock(self, mapping: TableMapping) -> str:
        """Return the time now in Chinese time, or as the server's own clock has it where there is no zone."""
        c = await self._describe(mapping)
        [[utc, own]] = await self._use(lambda reader: reader.rows(c.clock))
        now: datetime = utc + timedelta(seconds=_CHINA_S) if c.is_zoned else own
        return now.strftime(CLOCK_FORMAT)

    async def read_all(self, mapping: TableMapping, after: str | None, limit: int) -> list[SourceRow]:
        """Return one page in key order."""
        return await self.read_range(mapping, after, None, limit)

    async def read_changed(
        self, mapping: TableMapping, since: str, after: SourceRow | None, limit: int
    ) -> list[SourceRow]:
        """Return one page in order of change and key."""
        c = await self._describe(mapping)
        # Where it can, the bare column bounds the rows, since an index is over that.
        where, arguments = f"{c.raw_changed} >= ?", [_moment(since)]
        if after is not None:
            where += f" AND ({c.changed} > ? OR ({c.changed} = ? AND {c.key} > ?))"
            moment = _moment(after.changed)
            arguments += [moment, moment, c.read_key(after.key)]
        return await self._rows(c, where, f"{c.changed}, {c.key}", arguments, limit)

    async def read_range(
        self, mapping: TableMapping, after: str | None, until: str | None, limit: int
    ) -> list[SourceRow]:
        """Return one page of a range in key order."""
        c = await self._describe(mapping)
        bounds = [(sign, bound) for sign, bound in ((">", after), ("<=", until)) if bound is not None]
        where = " AND ".join([f"{c.key} IS NOT NULL", *(f"{c.key} {sign} ?" for sign, _ in bounds)])
        return await self._rows(c, where, c.key, [c.read_key(bound) for _, bound in bounds], limit)

    async def checksum(self, mapping: TableMapping, after: str | None, until: str | None) -> RangeSum | None:
        """Return None: the databases have no sum over rows in common."""

    async def read_one(
        self, mapping: TableMapping, column: str, values: Sequence[str], timeout_s: float
    ) -> SourceRow | None:
        """Return the one row by one statement."""
        c = await self._describe(mapping)
        where = f"t.{quoted(column)} IN ({', '.join('?' * len(values))})"
        rows = await self._rows(c, where, f"{c.changed} DESC", list(values), 1, timeout_s)
        return rows[0] if rows else None

    async def columns(self, mapping: TableMapping) -> Mapping[str, str]:
        """Return the table's columns with their types."""
        found = await self._use(lambda reader: described(reader, mapping.table))
        return {one.name: one.shown for one in found}

    async def _described(self, mapping: TableMapping) -> _Columns:
        def look(reader: Reader) -> tuple[str, list[Column]]:
            return reader.database, described(reader, mapping.table)

        database, found = await self._use(look)
        columns = {one.name: one for one in found}
        check_columns(
            mapping,
            {one.name: one.name for one in found},
            is_moment=lambda name: columns[name].is_moment,
            is_ordered=lambda name: columns[name].reads_key is not None,
        )
        return _sql_pieces(mapping, columns, dialect_of(database))

    async def _rows(
        self,
        c: _Columns,
        where: str,
        order: str,
        arguments: Sequence[Any],
        limit: int,
        timeout_s: float = TIMEOUT_S,
    ) -> list[SourceRow]:
        tail = f" FROM {c.table} t WHERE {where} ORDER BY {order} {c.limit.format(limit)}"

        def read(reader: Reader) -> list[tuple[Any, ...]]:
            try:
                return reader.rows(f"SELECT {c.select}{tail}", arguments, limit)
            except StatementFailed as failed:
                if not _is_of_a_value(failed):
                    raise
            keys = reader.rows(f"SELECT {c.key}, {c.changed}{tail}", arguments, limit)
            return [(key, changed, *_one_by_one(reader, c, key)) for key, changed in keys]

        rows = await self._use(read, timeout_s)
        return [SourceRow(_key_text(row[0]), _clock_text(row[1]), tuple(row[2:])) for row in rows]


def _one_by_one(reader: Reader, c: _Columns, key: Any) -> Sequence[Any]:
    """Read one row, or each of its values by itself where that fails; what can't be read stands alone."""

    def ask(columns: str) -> Sequence[Any]:
        found = reader.rows(f"SELECT {columns} FROM {c.table} t WHERE {c.key} = ?", [key])
        if not found:
            raise SourceError("a row went away while it was read; it is read again")
        return found[0]

    def ask_one(column: str) -> Any:
        try:
            return ask(column)[0]
        except StatementFailed as failed:
            if not _is_of_a_value(failed):
                raise
            return Unreadable((ItemTooLong if failed.fault == "MemoryError" else TextUnreadable).code)

    try:
        return ask(", ".join(c.names)) if c.names else []
    except StatementFailed as failed:
        if not _is_of_a_value(failed):
            raise
    return [ask_one(name) for name in c.names]


def _is_of_a_value(failed: StatementFailed) -> bool:
    """Say whether data are at fault (class 22), or the driver's reading of them."""
    of_reading = ("UnicodeDecodeError", "ValueError", "OverflowError", "MemoryError")
    return failed.state.startswith("22") or failed.fault in of_reading


def dialect_of(database: str) -> Dialect:
    """Return how a database is spoken to; raises SourceError where nobody knows."""
    for name, dialect in DIALECTS.items():
        if database.lower().startswith(name):
            return dialect
    known = "Dameng, Oracle, SQL Server or PostgreSQL"
    raise SourceError(f"odbc: the database calls itself {database[:50]!r}; it must be {known}")


def described(reader: Reader, table: str) -> list[Column]:
    """Return the columns of a table, which may be named with its schema."""
    schema, _, name = table.rpartition(".")
    found = reader.columns(name, schema)
    if len({row[0] for row in found}) > 1:
        raise SourceError(f"several schemas have a table {name!r}: name it as schema.table")
    return [
        Column(str(name), str(kind), number, size, places, bool(required))
        for _, name, kind, number, size, places, required in found
    ]


def fault_of(error: Exception) -> SourceError:
    """Say what went wrong, by the class of its SQLSTATE where the driver gives one."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, ReaderGone):
        return SourceError(Words(f"来源数据库：{error}", f"the source database: {error}"))
    if not isinstance(error, StatementFailed):
        return diagnose(error)
    said = next((words for start, words in _DIAGNOSES if error.state.startswith(start)), _FAILED)
    name = f"{error.fault} {error.state}".strip()
    return SourceError(Words(f"来源数据库：{said.zh}（{name}）", f"the source database: {said.en} ({name})"))


_FAILED = Words("语句执行失败", "the statement failed")
_DIAGNOSES = (
    (
        "IM002",
        Words(
            "没有`Driver`或`DSN`所指的驱动，请用`odbcinst -q -d`查看",
            "no driver of the name that `Driver` or `DSN` says: look at `odbcinst -q -d`",
        ),
    ),
    (
        "01000",
        Words(
            "驱动的库文件装不上，请检查`Driver`的路径及其依赖是否齐全",
            "the driver's library can't be loaded: is `Driver` right, and all there that it needs?",
        ),
    ),
    ("28", Words("用户名或密码不被接受", "user or password are refused")),
    ("08", Words("连不上服务器，请检查地址、端口和网络", "the server can't be reached")),
    ("HYT", Words("没有按时应答", "it doesn't answer in time")),
    ("42S02", Words("没有这张表，或该用户无权读取", "there is no such table, or the user may not read it")),
    ("42501", Words("该用户无权读取这张表", "the user may not read the table")),
    ("42S22", Words("没有这一列", "there is no such column")),
    ("22", Words("有一个值读不出来", "a value can't be read")),
)


def _sql_pieces(mapping: TableMapping, columns: Mapping[str, Column], dialect: Dialect) -> _Columns:
    def shown(name: str) -> str:
        bare = f"t.{quoted(name)}"
        return dialect.zoned.format(bare) if columns[name].is_zoned else bare

    key, changed = f"t.{quoted(mapping.key)}", "NULL"
    raw = changed
    is_zoned = bool(mapping.changed) and columns[mapping.changed].is_zoned
    if mapping.changed:
        raw = shown(mapping.changed)
        changed = raw if is_zoned else dialect.moment.format(raw)
    names = tuple(shown(name) for name in mapping.source_columns())
    read_key = columns[mapping.key].reads_key or str
    return _Columns(
        table=".".join(quoted(part) for part in mapping.table.split(".")),
        select=", ".join([key, changed, *names]),
        key=key,
        changed=changed if mapping.changed else key,
        raw_changed=raw,
        limit=dialect.limit,
        names=names,
        is_zoned=is_zoned,
        read_key=read_key,
        clock=dialect.clock,
    )


def _key_text(value: Any) -> str:
    if isinstance(value, Unreadable | bytes | float) or value is None:
        raise SourceError("the source database: a key is no text, number or day")
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else str(value)


def _clock_text(value: Any) -> str:
    return value.strftime(CLOCK_FORMAT) if isinstance(value, datetime) else ""


def _moment(clock: str) -> datetime:
    return datetime.strptime(clock, CLOCK_FORMAT)


def quoted(name: str) -> str:
    """Return a name as standard SQL takes it."""
    return '"' + name.replace('"', '""') + '"'
