"""Our own two tables in the target: how far each subscription is, and the rows that didn't fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from shuqiao.edge.receive.feed import Applied
from shuqiao.edge.receive.sessions import Kind, RowFault, Session, TargetError
from shuqiao.wire.bulk import MAX_UNFIT, Unfit

POSITIONS, DEAD = "shuqiao_receive", "shuqiao_receive_dead"
_FIELDS = "feed, part, up_to, manifest_digest, applied_at, applied, gone, dead, kinds, state"


class Position(msgspec.Struct, frozen=True):
    """How far a subscription is: the part of the feed that was applied last, and what became of it.

    `kinds` says as what each item was staged. `state` is empty, or says what a command or a recall wants:
    `deleted` (then `applied_at` is when, `gone` and `dead` count what went), `signed` once the hub has the
    receipt of that, `restart`, `ending`, `ended`.
    """

    feed: str = ""
    part: int = 0
    up_to: int = 0
    manifest_digest: str = ""
    applied_at: str = ""
    applied: int = 0
    gone: int = 0
    dead: int = 0
    kinds: dict[str, Kind] = {}
    state: str = ""

    def last(self, unfit: tuple[Unfit, ...] = ()) -> Applied | None:
        """What became of the last part, with the rows of it that lie apart; None before the first."""
        if not self.part or self.state:
            return None
        at = datetime.fromisoformat(self.applied_at)
        return Applied(self.part, self.manifest_digest, self.applied, self.gone, self.dead, at, unfit)


@dataclass(frozen=True, slots=True)
class Letter:
    """A row that didn't fit: `row` is its number in the part, `content` what it held as JSON by item."""

    part: int
    row: int
    feed_key: str
    reason: str
    detail: str
    content: str


class Own:
    """Reads and writes our tables on one connection; its transactions are the caller's."""

    def __init__(self, session: Session, schema: str, subscription: str) -> None:
        """Remember whose rows; `schema` is where the target's table lies, or empty."""
        self._session = session
        self._name = subscription
        prefix = f"{schema}." if schema else ""
        self._positions = session.quoted(prefix + POSITIONS)
        self._dead = session.quoted(prefix + DEAD)

    def make(self) -> None:
        """Make the tables where they are missing."""
        text, number = self._session.texts["text"], self._session.texts["number"]
        self._make(
            f"CREATE TABLE IF NOT EXISTS {self._positions} (subscription varchar(64) PRIMARY KEY,"
            f" feed varchar(40) NOT NULL, part {number} NOT NULL, up_to {number} NOT NULL,"
            f" manifest_digest varchar(64) NOT NULL, applied_at varchar(40) NOT NULL,"
            f" applied {number} NOT NULL, gone {number} NOT NULL, dead {number} NOT NULL,"
            f" kinds {text} NOT NULL, state varchar(20) NOT NULL)"
        )
        self._make(
            f"CREATE TABLE IF NOT EXISTS {self._dead} (subscription varchar(64) NOT NULL,"
            f" part {number} NOT NULL, row_no {number} NOT NULL, feed_key varchar(64) NOT NULL,"
            f" reason varchar(40) NOT NULL, detail varchar(200) NOT NULL, content {text} NOT NULL,"
            f" written_at varchar(40) NOT NULL, PRIMARY KEY (subscription, part, row_no))"
        )

    def _make(self, sql: str) -> None:
        try:
            self._session.run(sql)
        except (RowFault, TargetError):
            # Another subscription made the table in this very moment; now it is there.
            self._session.run(sql)

    def position(self, *, is_locked: bool = False) -> Position:
        """Read how far it is; the lock lasts for the transaction."""
        lock = self._session.texts["lock"] if is_locked else ""
        found = self._session.rows(
            f"SELECT {_FIELDS} FROM {self._positions} WHERE subscription = {self._session.mark(1)}{lock}",
            [self._name],
        )
        if not found:
            return Position()
        held = dict(zip(_FIELDS.split(", "), found[0], strict=True))
        return msgspec.convert(held | {"kinds": msgspec.json.decode(held["kinds"])}, Position)

    def keep(self, position: Position) -> None:
        """Write how far it is."""
        values = [
            position.feed,
            position.part,
            position.up_to,
            position.manifest_digest,
            position.applied_at,
            position.applied,
            position.gone,
            position.dead,
            msgspec.json.encode(position.kinds).decode(),
            position.state,
        ]
        mark = self._session.mark
        sets = ", ".join(f"{name} = {mark(place)}" for place, name in enumerate(_FIELDS.split(", "), 1))
        where = f"subscription = {mark(len(values) + 1)}"
        changed = self._session.run(
            f"UPDATE {self._positions} SET {sets} WHERE {where}", [*values, self._name]
        )
        if not changed:
            marks = ", ".join(mark(place) for place in range(1, len(values) + 2))
            self._session.run(
                f"INSERT INTO {self._positions} ({_FIELDS}, subscription) VALUES ({marks})",
                [*values, self._name],
            )

    def count_dead(self) -> int:
        """How many rows lie apart."""
        return int(self._session.rows(self._of(f"SELECT count(*) FROM {self._dead}"), [self._name])[0][0])

    def add_dead(self, letters: Sequence[Letter]) -> None:
        """Put rows apart."""
        marks = ", ".join(self._session.mark(place) for place in range(1, 9))
        at = datetime.now(UTC).isoformat()
        for one in letters:
            self._session.run(
                f"INSERT INTO {self._dead} (subscription, part, row_no, feed_key, reason, detail, content,"
                f" written_at) VALUES ({marks})",
                [self._name, one.part, one.row, one.feed_key, one.reason, one.detail, one.content, at],
            )

    def dead(self, most: int) -> list[Letter]:
        """The oldest rows that lie apart."""
        sql = self._of(f"SELECT part, row_no, feed_key, reason, detail, content FROM {self._dead}")
        found = self._session.rows(f"{sql} ORDER BY part, row_no LIMIT {int(most)}", [self._name])
        return [Letter(*row) for row in found]

    def unfit(self, part: int) -> tuple[Unfit, ...]:
        """The first rows of a part that lie apart, each with its reason."""
        mark = self._session.mark
        found = self._session.rows(
            f"SELECT row_no, reason FROM {self._dead} WHERE subscription = {mark(1)} AND part = {mark(2)}"
            f" ORDER BY row_no LIMIT {MAX_UNFIT}",
            [self._name, part],
        )
        return tuple(Unfit(int(row), str(reason)) for row, reason in found)

    def dead_keys(self) -> list[Letter]:
        """All rows that lie apart, by their keys alone: without what they held."""
        sql = self._of(f"SELECT part, row_no, feed_key FROM {self._dead}")
        found = self._session.rows(sql, [self._name])
        return [Letter(part, row, key, "", "", "") for part, row, key in found]

    def drop_dead(self, letters: Sequence[Letter]) -> None:
        """Take rows away that lie apart no longer."""
        mark = self._session.mark
        for one in letters:
            self._session.run(
                f"DELETE FROM {self._dead} WHERE subscription = {mark(1)} AND part = {mark(2)}"
                f" AND row_no = {mark(3)}",
                [self._name, one.part, one.row],
            )

    def drop_all_dead(self) -> None:
        """Take all of them away."""
        self._session.run(self._of(f"DELETE FROM {self._dead}"), [self._name])

    def _of(self, sql: str) -> str:
        return f"{sql} WHERE subscription = {self._session.mark(1)}"
