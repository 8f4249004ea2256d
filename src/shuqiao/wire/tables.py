"""What a node says of a table of its department: its structure and figures of its content, never a value.

A node writes it for `shuqiao node describe`, control reads it to propose a draft entry. Shares are rounded to
hundredths and counts to two digits, so that no single row can be told from them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import msgspec

VERSION = 1
MAX_COLUMNS = 500
MAX_NAME = 200
MAX_COMMENT = 1000
MAX_DESCRIPTION_BYTES = 1024 * 1024

PATTERNS = {
    "citizen_id_18": r"^[1-9][0-9]{16}[0-9Xx]$",
    "credit_code_18": r"^[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}$",
    "mobile_11": r"^1[3-9][0-9]{9}$",
    "date_8": r"^(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$",
    "date_10": r"^(19|20)[0-9]{2}[-/.](0[1-9]|1[0-2])[-/.](0[1-9]|[12][0-9]|3[01])$",
    "region_6": r"^[1-8][0-9]{5}$",
    "email": r"^[^@ ]+@[^@ ]+[.][^@ ]+$",
    "integer": r"^-?[0-9]+$",
    "decimal": r"^-?[0-9]+[.][0-9]+$",
    "han_short": r"^[\u4e00-\u9fff·]{2,4}$",
    "han_long": r"[\u4e00-\u9fff]",
}
"""Classes of content, the most particular first; each expression is read alike by Python and PostgreSQL."""


class ColumnProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures of a column over the rows that were looked at.

    `pattern` is the first class of `PATTERNS` that nearly all filled values are of, or empty;
    `pattern_share` says how many. `longest` is the length of the longest value.
    """

    rows: int
    distinct: int
    null_share: float
    pattern: str = ""
    pattern_share: float = 0.0
    longest: int = 0


class ColumnDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column; `data_type` is the catalogue's letter for it, `type` the database's own word."""

    name: str
    type: str
    data_type: str
    length: int | None = None
    scale: int | None = None
    required: bool = False
    comment: str = ""
    key: bool = False
    unique: bool = False
    refers_to: str = ""
    profile: ColumnProfile | None = None


class TableDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table or view; `rows` is the database's estimate."""

    version: int
    database: str
    schema: str
    table: str
    comment: str
    rows: int
    columns: tuple[ColumnDescription, ...]


class DescriptionUnreadable(ValueError):
    """A file that is no description of a table; `reason` says why, without repeating what it holds."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        self.reason = reason
        super().__init__(reason)


def table_key(found: TableDescription) -> str:
    """Return the key under which a table's entry is known: the same table is not taken in twice."""
    name = f"{found.schema}.{found.table}"
    if _PLAIN_NAME.fullmatch(name):
        return f"table.{name}"
    return f"table.{hashlib.sha256(name.encode()).hexdigest()[:32]}"


_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,60}", re.ASCII)
_decoder = msgspec.json.Decoder(TableDescription)
_NAME = re.compile(r"[^\x00-\x1f\x7f]+")


def read_description(content: bytes) -> TableDescription:
    """Read a description and check its bounds; raises `DescriptionUnreadable`."""
    if len(content) > MAX_DESCRIPTION_BYTES:
        raise DescriptionUnreadable("too_large")
    try:
        found = _decoder.decode(content)
    except msgspec.ValidationError:
        raise DescriptionUnreadable("not_a_description") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DescriptionUnreadable("not_json") from None
    if found.version != VERSION:
        raise DescriptionUnreadable("other_version")
    if not 1 <= len(found.columns) <= MAX_COLUMNS:
        raise DescriptionUnreadable("columns_out_of_bounds")
    if len({column.name for column in found.columns}) != len(found.columns):
        raise DescriptionUnreadable("column_twice")
    if any(fault for fault in _bounds(found)):
        raise DescriptionUnreadable("out_of_bounds")
    return found


def _bounds(found: TableDescription) -> Iterator[bool]:
    for name in (found.table, *(column.name for column in found.columns)):
        yield not 0 < len(name) <= MAX_NAME or _NAME.fullmatch(name) is None
    for text in (found.database, found.schema, *(column.type for column in found.columns)):
        yield len(text) > MAX_NAME or "\x00" in text
    for column in found.columns:
        yield len(column.refers_to) > 3 * MAX_NAME or "\x00" in column.refers_to
        yield not 1 <= len(column.data_type) <= 1
        yield column.profile is not None and column.profile.pattern not in ("", *PATTERNS)
    for comment in (found.comment, *(column.comment for column in found.columns)):
        yield len(comment) > MAX_COMMENT or "\x00" in comment
    for number in (found.rows, *(column.length or 0 for column in found.columns)):
        yield not 0 <= number <= 10**15
