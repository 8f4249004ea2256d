"""What a file really is, read from its content; its name and what a browser says count for nothing alone."""

from __future__ import annotations

import codecs
from pathlib import PurePosixPath

import msgspec

from shuqiao.control.documents.archives import names_in
from shuqiao.control.documents.content import is_text, media_type_of
from shuqiao.rules.files import TYPES

_OFD_ROOT = "OFD.xml"
_MAX_PARTS = 10_000
_CHUNK_BYTES = 256 * 1024
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def kind_of(name: str, content: bytes) -> str | None:
    """Give a file's media type; None where it is of no kind that is given, or its name says another."""
    suffix = PurePosixPath(name).suffix.lower()
    claimed = TYPES.get(suffix)
    if claimed is None or not content:
        return None
    match suffix:
        case ".tif" | ".tiff":
            holds = content.startswith(_TIFF)
        case ".csv":
            holds = is_text(content)
        case ".xml":
            # Nothing of it is read: a reader of our own could be led to other files by it.
            holds = is_text(content) and content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        case ".json" | ".geojson":
            holds = _is_json(content)
        case ".zip":
            holds = names_in(content, _MAX_PARTS) is not None
        case ".ofd":
            holds = _OFD_ROOT in (names_in(content, _MAX_PARTS) or ())
        case _:
            holds = media_type_of(name, content) is not None
    return claimed if holds else None


def _is_json(content: bytes) -> bool:
    """Tell whether a text is JSON, in UTF-8; no value is made of it, which would take many times its size."""
    text = memoryview(content.removeprefix(codecs.BOM_UTF8))
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        # The reader of JSON passes over what its strings are made of.
        for start in range(0, len(text), _CHUNK_BYTES):
            decoder.decode(text[start : start + _CHUNK_BYTES])
        decoder.decode(b"", final=True)
        msgspec.json.decode(text, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return False
    return True
