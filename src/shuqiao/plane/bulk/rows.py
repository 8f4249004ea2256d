"""The rows of a copy as they come from the database: whole records of CSV, made into Arrow tables."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyarrow import csv

from shuqiao.wire.schemas import ARROW_TYPES, ItemSpec

BATCH_BYTES = 4 * 1024 * 1024
RECORD, KEY, OPERATION = "_record", "_key", "_op"
_QUOTE, _LINE_FEED = b'"', b"\n"
_SQL_TYPES = {"string": "text", "text": "text", "code": "text", "date": "date", "datetime": "timestamptz"}


class Chopper:
    """Cuts a stream of CSV into pieces of whole records; a value may hold line ends between its quotes."""

    def __init__(self, batch_bytes: int = BATCH_BYTES) -> None:
        """Begin with nothing."""
        self._waiting = bytearray()
        self._batch_bytes = batch_bytes

    def feed(self, data: bytes) -> bytes | None:
        """Take what came; give whole records once there are enough of them."""
        self._waiting += data
        return self._cut() if len(self._waiting) >= self._batch_bytes else None

    def rest(self) -> bytes | None:
        """Give what is left at the end of the stream."""
        left, self._waiting = bytes(self._waiting), bytearray()
        return left or None

    def _cut(self) -> bytes | None:
        waiting = self._waiting
        quotes = waiting.count(_QUOTE)
        end = len(waiting)
        # A line feed ends a record where an even number of quotes stands before it.
        while (at := waiting.rfind(_LINE_FEED, 0, end)) >= 0:
            quotes -= waiting.count(_QUOTE, at, end)
            if quotes % 2 == 0:
                cut = bytes(waiting[: at + 1])
                del waiting[: at + 1]
                return cut
            end = at
        return None


class Reader:
    """Makes tables of whole records, whose columns come in the order of the view."""

    def __init__(self, plain: Sequence[ItemSpec], *, is_feed: bool) -> None:
        """`plain` are the items of the base table in the order of the view."""
        types = {RECORD: pa.string()}
        if is_feed:
            types |= {KEY: pa.string(), OPERATION: pa.string()}
        types |= {item.field: ARROW_TYPES[item.type] for item in plain}
        self._read = csv.ReadOptions(column_names=list(types), use_threads=False, block_size=4 * BATCH_BYTES)
        self._parse = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
        self._convert = csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        )

    def table(self, records: bytes) -> pa.Table:
        """Read whole records; raises `pyarrow.ArrowInvalid` for what is no CSV of these columns."""
        return csv.read_csv(pa.py_buffer(records), self._read, self._parse, self._convert)


def column_definitions(plain: Sequence[ItemSpec]) -> str:
    """Return the columns of a part of a feed with their types, in SQL; `plain` as `Reader` takes them."""
    items = (f'"{item.field}" {_SQL_TYPES[item.type]}' for item in plain)
    return ", ".join([f"{RECORD} uuid", f"{KEY} text", f"{OPERATION} text", *items])
