"""What a file really is, read from its content; its name alone counts for nothing."""

import re
from pathlib import PurePosixPath

from shuqiao.control.documents.archives import names_in
from shuqiao.control.documents.models import MAX_NAME_CHARS, MediaType

_SUFFIXES = {
    ".pdf": MediaType.PDF,
    ".docx": MediaType.DOCX,
    ".xlsx": MediaType.XLSX,
    ".png": MediaType.PNG,
    ".jpg": MediaType.JPEG,
    ".jpeg": MediaType.JPEG,
    ".txt": MediaType.TEXT,
}
_OFFICE_PARTS = {MediaType.DOCX: "word/document.xml", MediaType.XLSX: "xl/workbook.xml"}
_MAX_PARTS = 2000
# Tab, line feed, carriage return and form feed are part of a text; other control characters are not.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_UNWANTED = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def plain_name(given: str) -> str:
    """Return a file's name without path, control or direction characters, no longer than may be stored."""
    last = re.split(r"[/\\]", given)[-1]
    name = _UNWANTED.sub("", last).strip().lstrip(".")
    suffix = PurePosixPath(name).suffix
    stem = name[: len(name) - len(suffix)] if suffix else name
    return f"{stem[: MAX_NAME_CHARS - len(suffix)]}{suffix}" if len(suffix) <= 10 else name[:MAX_NAME_CHARS]


def media_type_of(name: str, content: bytes) -> MediaType | None:
    """Return what the file is, or None where it is of no accepted kind or its name says something else."""
    claimed = _SUFFIXES.get(PurePosixPath(name).suffix.lower())
    if claimed is None or not _is(claimed, content):
        return None
    return claimed


def _is(claimed: MediaType, content: bytes) -> bool:
    match claimed:
        case MediaType.PDF:
            return content.startswith(b"%PDF-") and b"%%EOF" in content[-2048:]
        case MediaType.PNG:
            return content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR"
        case MediaType.JPEG:
            return content.startswith(b"\xff\xd8\xff") and b"\xff\xd9" in content[-64:]
        case MediaType.TEXT:
            return is_text(content)
        case _:
            return _is_office(content, _OFFICE_PARTS[claimed])


def is_text(content: bytes) -> bool:
    """Tell whether a file is a text in one of the two encodings in use here."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return _NO_TEXT.search(content.decode(encoding)) is None
        except UnicodeDecodeError:
            continue
    return False


def _is_office(content: bytes, part: str) -> bool:
    """An office file without macros. Only the directory of the archive is read, nothing is unpacked."""
    names = names_in(content, _MAX_PARTS)
    if names is None or not {"[Content_Types].xml", part} <= names:
        return False
    return not any(name.lower().endswith("vbaproject.bin") for name in names)
