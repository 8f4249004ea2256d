"""Files of an entry on the wire: the list that a grant opens, and links that expire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from shuqiao.security.links import make_token, open_token
from shuqiao.wire.messages import CaseNumber

Channel = Literal["interface", "download"]


class FilesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for the files of an entry that a grant opens; `file` names one of them, else all are meant.

    `channel` says whether a system fetches them (interface) or a person on the pages (download).
    """

    file: UUID | None = None
    channel: Channel = "interface"
    case: CaseNumber = ""


class FileLine(msgspec.Struct, frozen=True):
    """One file as it is now: its version, and where its bytes are fetched until when.

    `digest` is SHA-256 in hexadecimal. The name is the provider's; whoever keeps the file checks it.
    """

    file: UUID
    title: str
    name: str
    media_type: str
    size_bytes: int
    digest: str
    version: int
    stored_at: datetime
    path: str
    expires_at: datetime


class FilesAnswer(msgspec.Struct, frozen=True):
    """The files that a grant opens."""

    grant: str
    files: tuple[FileLine, ...]
    entry: UUID
    at: datetime


class FileLink(msgspec.Struct, frozen=True, array_like=True):
    """What a link is good for: one version of a file, for whom it was made, until when (seconds since 1970).

    `case` is the number that was named when it was asked for; `call` is the entry of the signed request that
    asked, `algorithm` and `request` say how it was signed (`wire.call_proof`).
    """

    version: UUID
    application: str
    grant: str
    actor: str
    channel: Channel
    case: str
    expires: int
    call: UUID
    algorithm: str = ""
    request: str = ""


_link_decoder = msgspec.msgpack.Decoder(FileLink)


def file_link_token(secret: bytes, link: FileLink) -> str:
    """Make the token of a link."""
    return make_token(secret, msgspec.msgpack.encode(link))


def open_file_link(secret: bytes, token: str) -> FileLink | None:
    """Read a token; None for one that this platform didn't make. Its end is not looked at."""
    content = open_token(secret, token)
    try:
        return None if content is None else _link_decoder.decode(content)
    except msgspec.MsgspecError:
        return None
