"""A file of subjects for calls about many: CSV in UTF-8, the record key first, then the claimed items."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from shuqiao.wire.batch_messages import MAX_SUBJECTS

MAX_FILE_BYTES = 4 * 1024 * 1024
KEY_COLUMN = "subject"


class SubjectsFaulty(Exception):
    """The file can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A subject, and what is claimed of it by item."""

    subject: str
    claims: dict[str, str]


def read_subjects(file: Path) -> list[SubjectRow]:
    """Read a file whose first column is `subject`; raises `SubjectsFaulty`."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise SubjectsFaulty(f"{file} is larger than {MAX_FILE_BYTES} bytes")
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.reader(lines, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SubjectsFaulty(f"{file} can't be read as CSV in UTF-8: {type(error).__name__}") from error
    if not rows or not rows[0] or rows[0][0] != KEY_COLUMN or len(set(rows[0])) < len(rows[0]):
        raise SubjectsFaulty(f"{file} needs a heading line: {KEY_COLUMN}, then each claimed item once")
    if not 1 <= len(rows) - 1 <= MAX_SUBJECTS:
        raise SubjectsFaulty(f"{file} has {len(rows) - 1} subjects; a call takes 1 to {MAX_SUBJECTS}")
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != len(rows[0])), None)
    if wrong is not None:
        raise SubjectsFaulty(f"line {wrong} of {file} has another number of columns than the heading")
    return [SubjectRow(row[0], dict(zip(rows[0][1:], row[1:], strict=True))) for row in rows[1:]]
