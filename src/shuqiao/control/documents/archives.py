"""The directory of a zip archive that somebody brings: its names, or nothing where one of them can't be kept.

Nothing is unpacked. What whoever unpacks it would write outside its folder, or over another part, is refused.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from io import BytesIO
from pathlib import PurePosixPath

_START = b"PK\x03\x04"
_ENTRY = struct.Struct("<4s24xHHH12x")
_END = struct.Struct("<4sHHHHIIH")
_LOCATOR = struct.Struct("<4sLQL")
_LARGE_END = struct.Struct("<4s20xQQQQ")
_ENTRY_MARK, _END_MARK = b"PK\x01\x02", b"PK\x05\x06"
_LOCATOR_MARK, _LARGE_MARK = b"PK\x06\x07", b"PK\x06\x06"
_MAX_COMMENT = 0xFFFF
# A drive letter, another system's separator, and what would end a name early.
_NEVER = re.compile(r"[\\:\x00-\x1f\x7f]")
# What the count and the reader raise over bytes of a stranger: a directory that contradicts itself, a number
# out of range or a name in no encoding, a version that the reader does not know, and an end cut off.
_UNREADABLE = (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error)
_KINDS = (0, stat.S_IFREG, stat.S_IFDIR)


def names_in(content: bytes, most: int) -> frozenset[str] | None:
    """Give all names of an archive; None where it is none, has more than `most`, or one leaves its folder.

    A name that is there twice, whatever its case, is refused as well, and what is neither file nor folder.
    """
    try:
        # Counted first: the reader makes an object of every entry, whatever the archive says it has.
        if not content.startswith(_START) or not 0 < _count(content, most) <= most:
            return None
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
    except _UNREADABLE:
        return None
    if len(entries) > most:
        return None
    # As it was written: the reader cuts a name at its first zero.
    names = [entry.orig_filename for entry in entries]
    places = {str(PurePosixPath(name)).casefold() for name in names}
    if len(places) < len(names) or any(_leaves(name) for name in names):
        return None
    if any(stat.S_IFMT(entry.external_attr >> 16) not in _KINDS for entry in entries):
        return None
    return frozenset(names)


def _leaves(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/") or _NEVER.search(name) is not None


def _count(content: bytes, most: int) -> int:
    """Count the entries of the directory, up to one more than `most`; raises as the reader does."""
    end = len(content) - _END.size
    if end < 0 or not content.startswith(_END_MARK, end) or not content.endswith(b"\0\0"):
        end = content.rfind(_END_MARK, max(0, end - _MAX_COMMENT))
    if end < 0:
        raise zipfile.BadZipFile("no end of a directory")
    _, _, _, _, said, size_bytes, _, _ = _END.unpack_from(content, end)
    locator = end - _LOCATOR.size
    if locator >= 0 and content.startswith(_LOCATOR_MARK, locator):
        end = locator - _LARGE_END.size
        mark, _, said, size_bytes, _ = _LARGE_END.unpack_from(content, max(0, end))
        if mark != _LARGE_MARK or _LOCATOR.unpack_from(content, locator)[2] != end:
            raise zipfile.BadZipFile("its end is not where it says")
    at, found = end - size_bytes, 0
    while 0 <= at < end and found <= most:
        mark, *lengths = _ENTRY.unpack_from(content, at)
        if mark != _ENTRY_MARK:
            raise zipfile.BadZipFile("an entry has no beginning")
        at, found = at + _ENTRY.size + sum(lengths), found + 1
    if said != found and found <= most:
        raise zipfile.BadZipFile("it says another number of entries than it has")
    return found
