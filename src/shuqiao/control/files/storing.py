"""Writing a version of a file: encrypted piece by piece, for the plane; control can't read it back.

All of it is in the caller's transaction: pieces, version and audit entry appear together or not at all.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from shuqiao.control.accounts.access import Fault, FormRefused
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.documents.content import plain_name
from shuqiao.control.files.content import kind_of
from shuqiao.control.texts import Text
from shuqiao.rules.files import MAX_FILE_BYTES, TYPES
from shuqiao.security.at_rest import new_key, wrap_key
from shuqiao.security.pieces import read_wrapping, seal_pieces

_SIZE = Text(
    f"文件不得为空，且不超过 {MAX_FILE_BYTES // 1024 // 1024} MB",
    f"A file must not be empty and not be larger than {MAX_FILE_BYTES // 1024 // 1024} MB",
)
_KINDS = "、".join(sorted(one.lstrip(".").upper() for one in TYPES))
_KIND = Text(
    f"只接受内容与扩展名相符、不含宏的文件：{_KINDS}",
    f"Only files whose content fits their name, without macros: {_KINDS.replace('、', ', ')}",
)
_NO_PLACE = Text(
    "本平台未设置文件存储，暂不能登记文件，请联系平台管理机构",
    "This platform has no place for files; ask the platform agency",
)


@dataclass(frozen=True)
class NewVersion:
    """A file that was checked and may be stored."""

    name: str
    media_type: str
    content: bytes
    digest: str


def check_upload(given: FileInput | None) -> NewVersion:
    """Read what a form brings; raises `FormRefused` at `file` where it can't be taken in."""
    words, code = None, ""
    if settings.CONFIG.files_secret_file is None:
        words, code = _NO_PLACE, "no_file_store"
    elif given is None:
        words, code = Text("请选择文件", "Choose a file"), "field_required"
    elif not 0 < len(given.content) <= MAX_FILE_BYTES:
        words, code = _SIZE, "file_size"
    name = plain_name(given.name) if given is not None else ""
    kind = kind_of(name, given.content) if given is not None and words is None else None
    if words is None and kind is None:
        words, code = _KIND, "file_kind"
    if words is not None or given is None or kind is None:
        raise FormRefused((Fault("file", code, words or _KIND),))
    return NewVersion(name, kind, given.content, hashlib.sha256(given.content).hexdigest())


def store_version(
    version: uuid.UUID, file: uuid.UUID, number: int, new: NewVersion, by: str, at: datetime, entry: uuid.UUID
) -> None:
    """Write the pieces, then the version: the database lets it in only with all of them."""
    place = settings.CONFIG.files_secret_file
    if place is None:
        raise RuntimeError("a version is stored where files have a place")
    wrapping = read_wrapping(place)
    key = new_key(settings.CONFIG.suite)
    with connection.cursor() as cursor:
        for at_piece, piece in enumerate(seal_pieces(key, new.content, version.bytes)):
            cursor.execute(
                "INSERT INTO exchange.file_piece (version, number, content) VALUES (%s, %s, %s)",
                [version, at_piece, piece],
            )
        cursor.execute(
            "INSERT INTO exchange.file_version (id, file, number, name, media_type, size_bytes, digest,"
            " wrapped_key, stored_by, stored_at, entry) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                version,
                file,
                number,
                new.name,
                new.media_type,
                len(new.content),
                new.digest,
                wrap_key(wrapping, key, version.bytes),
                by,
                at,
                entry,
            ],
        )
