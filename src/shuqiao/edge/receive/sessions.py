"""A connection that writes to the target: what the three kinds of database have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Literal, Protocol, cast
from urllib.parse import urlsplit

import pyarrow as pa

Kind = Literal["text", "date", "moment", "bytes"]
STAGE = "shuqiao_stage"
"""The table of one connection in which a part is staged; no other connection sees it."""

_MODULES = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql"}


class TargetError(Exception):
    """The target could not be used; the message names class and code, and quotes no row."""


class TargetFull(TargetError):
    """There is no room where the target keeps its data; what was begun is undone."""


class TargetWrong(TargetError):
    """The target's table is not as the file says; the message says what to do."""


class RowFault(Exception):
    """A row doesn't fit: `reason` is a stable code, `detail` what the database names."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both; neither quotes a value."""
        super().__init__(reason)
        self.reason = reason
        self.detail = detail[:200]


VALUE_UNFIT, CONSTRAINT_BROKEN, KEY_CONFLICT, ROW_REFUSED = (
    "value_unfit",
    "constraint_broken",
    "key_conflict",
    "row_refused",
)
"""Reasons: another type or too long, a rule of the table, a unique column met twice, a trigger's word."""


class Session(Protocol):
    """One connection; used by one thread. Statements raise `RowFault` or `TargetError`."""

    @property
    def texts(self) -> Mapping[str, str]:
        """Pieces of SQL that differ: `text`, `number`, `lock`, `begin`, `now`."""

    def mark(self, place: int, /) -> str:
        """The place of a value in a statement, counted from 1."""

    def quoted(self, name: str) -> str:
        """A name, or schema and name, as SQL takes it."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that gives rows."""

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; returns how many rows it touched."""

    def columns(self, table: str) -> dict[str, str]:
        """The columns of a table with their types; empty where there is no such table."""

    def is_unique(self, table: str, column: str) -> bool:
        """Tell whether a column alone is unique."""

    def make_stage(self, kinds: Sequence[Kind], key: int | None, /) -> None:
        """Have an empty stage: `_n`, `_key`, `_op`, then a column for each; `key` is the one that is the key.

        Not within a transaction.
        """

    def load(self, columns: int, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put rows into the stage."""

    def load_batch(self, batch: pa.RecordBatch, /) -> None:
        """Put a batch with the columns of the stage into it."""

    def fitted(self, staged: str, kind: Kind, column_type: str, /) -> str:
        """Write a column of the stage as the target's column takes it."""

    def is_unfit(self, batch: pa.RecordBatch, /) -> pa.Array | None:
        """Tell of each row whether it can't even be staged; None where all can."""

    def delete_matching(self, table: str, key: str, staged: str, where: str) -> str:
        """SQL that deletes rows of a table whose key is in the stage."""

    def update_matching(
        self, table: str, assigned: Mapping[str, str], on: tuple[str, str], where: str
    ) -> str:
        """SQL that changes rows of a table whose key is in the stage."""

    def upserts(self, table: str, values: Mapping[str, str], key: str, where: str) -> list[str]:
        """SQL that puts staged rows into a table, or changes those that are there."""

    def close(self) -> None:
        """Let go; what isn't committed is undone."""


def open_session(url: str) -> Session:
    """Connect to a target; raises `TargetError`. Only the driver that is needed is imported."""
    module = _MODULES.get(urlsplit(url).scheme, "sqlite")
    return cast(Session, import_module(f"{__package__}.{module}").connect(url))


def kind_of(kind: pa.DataType) -> Kind:
    """As what a column of a part is staged."""
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "moment"
    return "bytes" if pa.types.is_binary(kind) else "text"


def rows_of(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """Give the rows of a batch."""
    return list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
