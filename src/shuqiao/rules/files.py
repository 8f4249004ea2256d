"""Files that a department gives whole: bounds, the kinds that are taken in, and which of them a grant opens.

Source: xiamen-2015 art. 13(3); shenyang-2016 art. 21; our choice, decision 29.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

EVERY = "*"
"""Named by a grant of all files of an entry, whatever is registered or replaced later."""

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_FILES = 200
MAX_TITLE_CHARS = 120
MOST_VERSIONS, MOST_VERSIONS_EVER = 100, 10_000
"""Versions of one file that are kept, where an office doesn't say, and at most."""
LINK_S = 600

TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".pdf": "application/pdf",
        ".ofd": "application/ofd",
        ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".png": "image/png",
        ".jpg": "image/jpeg",
        ".jpeg": "image/jpeg",
        ".tif": "image/tiff",
        ".tiff": "image/tiff",
        ".txt": "text/plain",
        ".csv": "text/csv",
        ".xml": "application/xml",
        ".json": "application/json",
        ".geojson": "application/geo+json",
        ".zip": "application/zip",
    }
)
"""Every kind of file that is given, by the ending of its name."""


def opens(named: Collection[str], file: str) -> bool:
    """Tell whether a grant that names these files opens one of them. Closed by default: none named, none."""
    return EVERY in named or file in named


def gives_whole(
    items: Collection[str], masked: Collection[str], given: Collection[str], unmasked: Collection[str]
) -> bool:
    """Tell whether nothing of an entry is withheld: a file can't be filtered, so it is all of it or nothing.

    `items` are those of the entry, `masked` those of them that are given masked unless `unmasked` names them.
    """
    kept = set(given)
    return set(items) <= kept and set(masked) <= set(unmasked)
