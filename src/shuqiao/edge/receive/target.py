"""The target of one subscription: a part and the position in one transaction, so its effect is there once.

Where the target takes no table of ours the position lies in the node's folder and is written after the
commit: a part may then be applied twice, which changes nothing where rows are found again by their key.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pyarrow as pa

from shuqiao.edge.receive.applying import Applier, TooManyDead
from shuqiao.edge.receive.feed import Applied, Part, now
from shuqiao.edge.receive.own import Own, Position
from shuqiao.edge.receive.reading import KEY, Subscription
from shuqiao.edge.receive.sessions import (
    Kind,
    Session,
    TargetError,
    TargetFull,
    TargetWrong,
    kind_of,
    open_session,
)
from shuqiao.edge.words import Words
from shuqiao.security.replacing import replace_file
from shuqiao.wire.bulk import MAX_UNFIT, Unfit

REPLAY_ROWS = 5_000
DELETED, SIGNED = "deleted", "signed"
RESTART, ENDING, ENDED = "restart", "ending", "ended"
"""What a position's state says; see `own.Position`."""


class PositionMoved(Exception):
    """Somebody else has applied this part, or taken the subscription back: look again."""


class Target:
    """One connection to a target; used by one thread, and thrown away after any fault."""

    def __init__(self, session: Session, subscription: Subscription, positions: Path) -> None:
        """Keep the parts; `open_target` checks the table."""
        schema = subscription.table.rpartition(".")[0]
        self._session = session
        self._subscription = subscription
        self._types: dict[str, str] = {}
        self._own = None if subscription.is_position_here else Own(session, schema, subscription.name)
        self._file = positions / f"{subscription.name}.position"

    def check(self) -> None:
        """Compare the file with the table, and have our own tables; raises `TargetWrong`."""
        wanted, session = self._subscription, self._session
        self._types = session.columns(wanted.table)
        if not self._types:
            said = Words(f"目标中没有表{wanted.table}", f"the target has no table {wanted.table}")
            raise TargetWrong(f"{wanted.path}: {said}")
        needed = [*wanted.columns.values(), *([wanted.gone.column] if wanted.gone.column else [])]
        missing = [column for column in needed if column not in self._types]
        if missing:
            names = ", ".join(missing)
            said = Words(f"{wanted.table}没有列{names}", f"{wanted.table} has no column {names}")
            raise TargetWrong(f"{wanted.path}: {said}")
        if wanted.mode != "append" and not session.is_unique(wanted.table, wanted.key_column):
            key = f"{wanted.table}.{wanted.key_column}"
            said = Words(
                f"{key}是键，须有唯一索引（在MySQL中须是限定长度的文字）",
                f"{key} is the key, so it needs a unique index (and to be a text of bounded length in MySQL)",
            )
            raise TargetWrong(f"{wanted.path}: {said}")
        if self._own is not None:
            try:
                self._own.make()
            except TargetFull:
                raise
            except TargetError as error:
                # One that does not answer any more has said nothing about its tables.
                session.rows("SELECT 1")
                said = Words(
                    f"在目标中不能建立我们的表（{error}）：请允许，或写`position: node`（至少一次，键幂等）",
                    f"no table of ours can be made in the target ({error}): allow it, or say `position: node`"
                    " (at least once, idempotent by key)",
                )
                raise TargetWrong(f"{wanted.path}: {said}") from None

    def position(self) -> Position:
        """How far the subscription is."""
        if self._own is not None:
            return self._own.position()
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Position)
        except FileNotFoundError:
            return Position()

    def count_dead(self) -> int:
        """How many rows lie apart."""
        return 0 if self._own is None else self._own.count_dead()

    def begin_feed(self, feed: str, known: Position) -> None:
        """Note the feed that is followed from now on, at its beginning; what was applied of another stays."""
        with _Transaction(self._session):
            self._in_step(known)
            self._keep(Position(feed=feed))

    def apply(self, part: Part, batches: Iterator[pa.RecordBatch], known: Position) -> Applied:
        """Apply a part after the position `known`; everything of it is durable then, or nothing.

        Raises `PositionMoved`, `TooManyDead`, `TargetError`, and what reading the batches raises.
        """
        first = next(batches, None)
        kinds = self._kinds(first, known)
        most = self._subscription.most_dead if self._own is not None else 0
        applier = Applier(self._session, self._subscription, self._types, most)
        applier.prepare(kinds, part.number)
        with _Transaction(self._session):
            self._in_step(known)
            applier.stage(itertools.chain([] if first is None else [first], batches))
            if applier.rows != part.manifest.rows:
                raise TargetError("the stage has not the rows of the part")
            if part.number == 1:
                applier.clear()
            put, gone = applier.apply()
            self._note_dead(applier, is_first=part.number == 1)
            at = now()
            unfit = tuple(Unfit(one.row, one.reason) for one in applier.dead[:MAX_UNFIT])
            applied = Applied(part.number, part.digest, put, gone, len(applier.dead), at, unfit)
            position = Position(
                known.feed,
                part.number,
                part.manifest.up_to,
                part.digest,
                at.isoformat(),
                put,
                gone,
                len(applier.dead),
                dict(kinds),
            )
            if self._own is not None:
                self._own.keep(position)
        if self._own is None:
            self._keep(position)
        return applied

    def _note_dead(self, applier: Applier, *, is_first: bool) -> None:
        """Put this part's rows apart; what lay apart goes where the part has something newer of it."""
        if self._own is None:
            return
        if is_first:
            self._own.drop_all_dead()
        elif earlier := self._own.dead_keys():
            self._own.drop_dead(list(applier.superseded(earlier)))
        self._own.add_dead(applier.dead)

    def _in_step(self, known: Position) -> None:
        """Nobody else may have gone on since; for the transaction under way nobody can."""
        found = self._own.position(is_locked=True) if self._own is not None else self.position()
        if (found.feed, found.part, found.state) != (known.feed, known.part, known.state):
            raise PositionMoved

    def _keep(self, position: Position) -> None:
        if self._own is not None:
            self._own.keep(position)
        else:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._file, msgspec.json.encode(position), mode=0o600)

    def _kinds(self, first: pa.RecordBatch | None, known: Position) -> Mapping[str, Kind]:
        """As what each item is staged; a part without rows leaves it as it was."""
        items = self._subscription.items
        if first is None:
            return {item: known.kinds.get(item, "text") for item in items}
        missing = [item for item in items if item not in first.schema.names]
        if missing:
            names = ", ".join(missing)
            said = Words(f"授权不含信息项{names}", f"the grant doesn't give the item {names}")
            raise TargetWrong(f"{self._subscription.path}: {said}")
        return {item: kind_of(first.schema.field(item).type) for item in items}

    def replay(self) -> tuple[int, int]:
        """Try the rows that lie apart once more; returns how many went in and how many did not."""
        if self._own is None:
            return 0, 0
        position = self.position()
        if not position.kinds:
            return 0, 0
        applier = Applier(self._session, self._subscription, self._types, REPLAY_ROWS)
        applier.prepare(position.kinds, position.part)
        with _Transaction(self._session):
            self._own.position(is_locked=True)
            letters = self._own.dead(REPLAY_ROWS)
            applier.stage_letters(letters)
            applier.apply()
            again = {one.row for one in applier.dead}
            done = [letter for number, letter in enumerate(letters, 1) if number not in again]
            self._own.drop_dead(done)
            put = len(done)
        return put, self.count_dead()

    def delete(self) -> Position:
        """Delete what was received: rows, and what lies apart. The subscription rests afterwards.

        What was deleted stands in the position it returns, in the same transaction: whoever dies after it can
        still sign for it. Said again it changes nothing. A position in a file is written behind the commit:
        nothing may be signed for that is still there. Whoever dies between the two counts what went as none.
        """
        wanted, session = self._subscription, self._session
        where = ""
        if wanted.mode == "upsert" and KEY in wanted.columns:
            where = f" WHERE {session.quoted(wanted.columns[KEY])} IS NOT NULL"
        with _Transaction(session):
            position = self._own.position(is_locked=True) if self._own is not None else self.position()
            if position.state not in (DELETED, SIGNED):
                count = session.run(f"DELETE FROM {session.quoted(wanted.table)}{where}")
                dead = self.count_dead()
                if self._own is not None:
                    self._own.drop_all_dead()
                position = msgspec.structs.replace(
                    position, applied_at=now().isoformat(), applied=0, gone=count, dead=dead, state=DELETED
                )
                if self._own is not None:
                    self._own.keep(position)
        if self._own is None:
            self._keep(position)
        return position

    def mark(self, state: str, known: Position | None = None) -> Position:
        """Write what is wanted of the subscription; with `known` only where it stands there still."""
        with _Transaction(self._session):
            if known is not None:
                self._in_step(known)
            found = self._own.position(is_locked=True) if self._own is not None else self.position()
            position = msgspec.structs.replace(found, state=state)
            self._keep(position)
        return position

    def last(self, position: Position) -> Applied | None:
        """What became of the last part, as the hub is told of it."""
        unfit = () if self._own is None or not position.dead else self._own.unfit(position.part)
        return position.last(unfit)

    def close(self) -> None:
        """Let go; what isn't committed is undone."""
        self._session.close()


class _Transaction:
    """A transaction of a session: committed at the end, undone on any exception."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> None:
        self._session.run(self._session.texts["begin"])

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._session.run("COMMIT")
            return
        try:
            self._session.run("ROLLBACK")
        except TargetError:
            # The connection is gone, and with it the transaction.
            return


def open_target(subscription: Subscription, positions: Path) -> Target:
    """Connect and compare; raises `TargetError`."""
    target = Target(open_session(subscription.target_url), subscription, positions)
    try:
        target.check()
    except BaseException:
        target.close()
        raise
    return target


__all__ = [
    "DELETED",
    "ENDED",
    "ENDING",
    "RESTART",
    "SIGNED",
    "PositionMoved",
    "Target",
    "TooManyDead",
    "open_target",
]
