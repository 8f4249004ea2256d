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
# A drive letter, another system's separator, and what would end a name early.
_NEVER = re.compile(r"[\\:\x00-\x1f\x7f]")
_KINDS = (0, stat.S_IFREG, stat.S_IFDIR)


def names_in(content: bytes, most: int) -> frozenset[str] | None:
    """Give all names of an archive; None where it is none, has more than `most`, or one leaves its folder.

    A name that is there twice, whatever its case, is refused as well, and what is neither file nor folder.
    """
    if not content.startswith(_START):
        return None
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error):
        return None
    if not 0 < len(entries) <= most:
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
