"""What travels over the interface, as the OpenAPI document describes it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from shuqiao.rules.entry_faults import EntryFault
from shuqiao.rules.errors import BodyNotJson, RequestMalformed

MAX_BODY_BYTES = 1024 * 1024
MAX_PAGE = 100
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,79}", re.ASCII)
"""A department's own stable key of an entry, or the entry's resource id."""


class PutEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry to keep as a draft.

    All that decides stands in the body, which is signed. `revision` is the draft's that the caller has read:
    where the draft has gone on since, nothing is changed. `dry_run` checks and writes nothing. `submit` sends
    the draft into the procedure as well.
    """

    entry: dict[str, Any]
    revision: int | None = None
    dry_run: bool = False
    submit: bool = False


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong with an entry: where, a stable code, what to do, and the article that demands it."""

    path: str
    code: str
    zh: str
    en: str
    article: str = ""


class PutResult(msgspec.Struct, frozen=True):
    """What came of it: `created`, `changed` or `unchanged`; in a dry run, what would have come of it.

    `faults` are what must be corrected before the draft can be submitted.
    """

    key: str
    resource: str
    result: str
    dry_run: bool
    number: str
    revision: int
    state: str
    faults: tuple[Fault, ...]


class Remark(msgspec.Struct, frozen=True):
    """What a reviewer has said of one place of the entry."""

    path: str
    accepted: bool
    remark: str


class DraftState(msgspec.Struct, frozen=True):
    """How far the change of an entry is, what is still wrong with it, and what reviewers have said."""

    key: str
    resource: str
    number: str
    kind: str
    revision: int
    state: str
    phase: str
    changed_at: datetime
    faults: tuple[Fault, ...]
    remarks: tuple[Remark, ...]


class PublishedEntry(msgspec.Struct, frozen=True):
    """The entry in force."""

    version: int
    code: str
    entry: dict[str, Any]


class DraftEntry(msgspec.Struct, frozen=True):
    """The entry as it is proposed."""

    number: str
    revision: int
    state: str
    phase: str
    entry: dict[str, Any]


class OneEntry(msgspec.Struct, frozen=True):
    """An entry of the department: what is in force, and what is proposed; either may be missing."""

    key: str
    resource: str
    published: PublishedEntry | None
    draft: DraftEntry | None


class ListedEntry(msgspec.Struct, frozen=True):
    """An entry of the department in the list; `state` is that of the open change, if there is one."""

    key: str
    resource: str
    name_zh: str
    version: int
    number: str
    state: str


class EntryList(msgspec.Struct, frozen=True):
    """A page of the department's entries, in order of their ids; `next` is the `after` of the next page."""

    entries: tuple[ListedEntry, ...]
    next: str


class Word(msgspec.Struct, frozen=True):
    """One value that may be chosen."""

    key: str
    zh: str
    en: str


class Required(msgspec.Struct, frozen=True):
    """A field that must be filled before an entry is submitted, and what demands it."""

    field: str
    article: str


class VocabularyAnswer(msgspec.Struct, frozen=True):
    """What may be chosen in an entry, and what must be filled, under the regulation in force."""

    regulation: str
    words: dict[str, tuple[Word, ...]]
    departments: tuple[Word, ...]
    required: tuple[Required, ...]


class StandardWord(msgspec.Struct, frozen=True):
    """One standard of the city in use: a data element, a code list or a format."""

    key: str
    version: int
    content: dict[str, Any]


class StandardList(msgspec.Struct, frozen=True):
    """A page of standards, in order of their keys; `next` is the `after` of the next page."""

    standards: tuple[StandardWord, ...]
    next: str


class EntryProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Problem details (RFC 9457) with a stable code; a refused entry lists its faults."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    rule: str = ""
    faults: tuple[Fault, ...] = ()


_put = msgspec.json.Decoder(PutEntry)
_PLACE = re.compile(r"at `\$\.([a-z_]{1,20})|(?:unknown|required) field `([^`]{1,63})`")


def read_put(body: bytes) -> PutEntry:
    """Read the body of a put; raises `BodyNotJson` or `RequestMalformed` with the part at fault."""
    try:
        return _put.decode(body)
    except msgspec.ValidationError as error:
        if body.lstrip()[:1] != b"{":
            raise BodyNotJson() from None
        found = _PLACE.search(str(error))
        raise RequestMalformed(part=(found.group(1) or found.group(2)) if found else "body") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BodyNotJson() from None


def fault_of(found: EntryFault) -> Fault:
    """Write a fault for the wire."""
    return Fault(found.path, found.code, found.zh, found.en, found.article)
