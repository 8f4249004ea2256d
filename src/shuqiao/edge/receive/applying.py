"""Bringing the rows of one part into the target's table, all in one transaction of the caller's.

They are staged first. Then the table is changed by statements over many rows at once; where one fails for
what a row holds, its rows are halved until that row is found, which is set apart, and the others go in.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from shuqiao.edge.receive.own import Letter
from shuqiao.edge.receive.reading import KEY, OPERATION, PART, Subscription
from shuqiao.edge.receive.sessions import STAGE, VALUE_UNFIT, Kind, RowFault, Session, rows_of

CHUNK_ROWS = 50_000
"""How many rows a statement changes: one that fails is done again for its halves."""

Statements = Callable[[str], list[str]]
_ZONE = ZoneInfo("Asia/Shanghai")
_LOAD_ROWS = 20_000
_POINT = "shuqiao_point"


class TooManyDead(Exception):
    """More rows of a part don't fit than the subscription lets pass; `reason` is that of the first."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Applier:
    """Stages and applies rows of one subscription over one connection."""

    def __init__(
        self, session: Session, subscription: Subscription, types: Mapping[str, str], most_dead: int
    ) -> None:
        """`types` are those of the table's columns."""
        self._session = session
        self._subscription = subscription
        self._types = types
        self._most_dead = most_dead
        self._table = session.quoted(subscription.table)
        self._items = list(subscription.items)
        self._part = 0
        self._kinds: Sequence[Kind] = ()
        self._operations: Counter[str] = Counter()
        self.dead: list[Letter] = []
        self.rows = 0

    def prepare(self, kinds: Mapping[str, Kind], part: int) -> None:
        """Have an empty stage for rows of this part; not within a transaction."""
        self._part = part
        self._kinds = [kinds[item] for item in self._items]
        key = self._subscription.key
        self._session.make_stage(self._kinds, self._items.index(key) if key in self._items else None)
        self.dead, self.rows = [], 0
        self._operations.clear()

    def stage(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Put the rows of batches into the stage; those it can't hold are dead at once."""
        for batch in batches:
            for begin in range(0, batch.num_rows, _LOAD_ROWS):
                self._stage(batch.slice(begin, _LOAD_ROWS))

    def _stage(self, batch: pa.RecordBatch) -> None:
        wanted = batch.select([KEY, OPERATION, *self._items])
        numbers = pa.array(range(self.rows + 1, self.rows + wanted.num_rows + 1), pa.int64())
        wanted = wanted.add_column(0, "_n", numbers)
        self.rows += wanted.num_rows
        unfit = self._session.is_unfit(wanted)
        if unfit is not None and pc.any(unfit).as_py():
            for row in rows_of(wanted.filter(unfit)):
                self._bury(row, RowFault(VALUE_UNFIT, "NUL"))
            wanted = wanted.filter(pc.invert(unfit))
        for counted in pc.value_counts(wanted.column(OPERATION)).to_pylist():
            self._operations[counted["values"]] += counted["counts"]
        self._session.load_batch(wanted)

    def stage_letters(self, letters: Sequence[Letter]) -> None:
        """Put rows that lay apart into the stage, numbered from 1 in their order."""
        rows = []
        for number, letter in enumerate(letters, 1):
            held = json.loads(letter.content)
            values = [
                _read(held["items"].get(item), kind)
                for item, kind in zip(self._items, self._kinds, strict=True)
            ]
            rows.append((number, letter.feed_key, held["op"], *values))
            self._operations[held["op"]] += 1
        self.rows = len(rows)
        self._session.load(len(self._items), rows)

    def clear(self) -> None:
        """Take away what the first part of a feed doesn't hold: it has everything there is."""
        wanted, session = self._subscription, self._session
        if wanted.mode == "append":
            return
        if wanted.mode == "replace":
            session.run(f"DELETE FROM {self._table}")
            return
        if KEY not in wanted.columns or wanted.gone.how == "keep":
            return
        column = session.quoted(wanted.columns[KEY])
        where = (
            f" WHERE {column} IS NOT NULL AND NOT EXISTS"
            f" (SELECT 1 FROM {STAGE} s WHERE s._key = {self._table}.{column})"
        )
        if wanted.gone.how == "mark":
            mark = session.quoted(wanted.gone.column)
            session.run(f"UPDATE {self._table} SET {mark} = {session.texts['now']}{where} AND {mark} IS NULL")
        else:
            session.run(f"DELETE FROM {self._table}{where}")

    def apply(self) -> tuple[int, int]:
        """Change the table; returns how many rows were put in or changed, and how many went."""
        wanted = self._subscription
        if wanted.mode == "append":
            having = "" if OPERATION in wanted.columns else " AND s._op = 'upsert'"
            count = self._operations.total() if not having else self._operations["upsert"]
            return self._chunks(lambda where: [self._append_sql(where + having)], count), 0
        gone = 0
        if wanted.gone.how != "keep" and KEY in wanted.columns:
            gone = self._chunks(self._gone_sql, self._operations["gone"])
        return self._chunks(self._upsert_sql, self._operations["upsert"]), gone

    def _chunks(self, statements: Statements, count: int) -> int:
        """Work through the stage, so many of whose rows it is about; returns how many of them went in."""
        dead = len(self.dead)
        if count:
            for begin in range(1, self.rows + 1, CHUNK_ROWS):
                self._attempt(statements, begin, min(begin + CHUNK_ROWS - 1, self.rows))
        return count - (len(self.dead) - dead)

    def _attempt(self, statements: Statements, first: int, last: int) -> None:
        self._session.run(f"SAVEPOINT {_POINT}")
        try:
            for sql in statements(f"s._n BETWEEN {first} AND {last}"):
                self._session.run(sql)
        except RowFault as fault:
            self._session.run(f"ROLLBACK TO SAVEPOINT {_POINT}")
            self._session.run(f"RELEASE SAVEPOINT {_POINT}")
            if first == last:
                self._bury(self._staged(first), fault)
                return
            middle = (first + last) // 2
            self._attempt(statements, first, middle)
            self._attempt(statements, middle + 1, last)
            return
        self._session.run(f"RELEASE SAVEPOINT {_POINT}")

    def _staged(self, number: int) -> tuple[Any, ...]:
        columns = "".join(f", c{place}" for place in range(len(self._items)))
        return self._session.rows(f"SELECT _n, _key, _op{columns} FROM {STAGE} WHERE _n = {number}")[0]

    def _bury(self, row: Sequence[Any], fault: RowFault) -> None:
        if len(self.dead) >= self._most_dead:
            raise TooManyDead(fault.reason, fault.detail)
        number, key, operation, *values = row
        items = dict(zip(self._items, map(_shown, values), strict=True))
        content = json.dumps({"op": operation, "items": items}, ensure_ascii=True)
        self.dead.append(Letter(self._part, number, key or "", fault.reason, fault.detail, content))

    def _values(self) -> dict[str, str]:
        """What goes into each column, in SQL."""
        session, values = self._session, {}
        for item, column in self._subscription.columns.items():
            if item == PART:
                value = str(int(self._part))
            elif item in (KEY, OPERATION):
                value = f"s.{item}"
            else:
                place = self._items.index(item)
                value = session.fitted(f"s.c{place}", self._kinds[place], self._types[column])
            values[session.quoted(column)] = value
        return values

    def _append_sql(self, where: str) -> str:
        values = self._values()
        names, given = ", ".join(values), ", ".join(values.values())
        return f"INSERT INTO {self._table} ({names}) SELECT {given} FROM {STAGE} s WHERE {where}"

    def _upsert_sql(self, where: str) -> list[str]:
        values, session = self._values(), self._session
        if self._subscription.gone.how == "mark":
            values[session.quoted(self._subscription.gone.column)] = "NULL"
        key = session.quoted(self._subscription.key_column)
        return session.upserts(self._table, values, key, where + " AND s._op = 'upsert'")

    def _gone_sql(self, where: str) -> list[str]:
        session, gone = self._session, self._subscription.gone
        column, where = session.quoted(self._subscription.columns[KEY]), where + " AND s._op = 'gone'"
        if gone.how == "delete":
            return [session.delete_matching(self._table, column, "s._key", where)]
        assigned = {session.quoted(gone.column): session.texts["now"]}
        return [session.update_matching(self._table, assigned, (column, "s._key"), where)]

    def superseded(self, letters: Iterable[Letter]) -> Iterator[Letter]:
        """Those rows that lay apart of whose records this part holds something newer."""
        known = {letter.feed_key: letter for letter in letters}
        for begin in range(0, len(known), 500):
            keys = list(known)[begin : begin + 500]
            marks = ", ".join(self._session.mark(place) for place in range(1, len(keys) + 1))
            for (key,) in self._session.rows(f"SELECT _key FROM {STAGE} WHERE _key IN ({marks})", keys):
                yield known[key]


def _shown(value: Any) -> Any:
    """A staged value as JSON holds it."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode("ascii")
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=_ZONE)
    return value.isoformat() if isinstance(value, date | datetime) else value


def _read(value: Any, kind: Kind) -> Any:
    """The same back again."""
    if value is None or kind == "text":
        return value
    if kind == "bytes":
        return base64.b64decode(value)
    return date.fromisoformat(value) if kind == "date" else datetime.fromisoformat(value)
