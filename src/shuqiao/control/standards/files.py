"""The data files of the standards: where they lie, and each one read into contents.

Raises `StandardsInvalid` with the file where one can't be used.
"""

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

import shuqiao
from shuqiao.control.regulations.files import regulations_dir
from shuqiao.control.standards.contents import Content, Kind

_FILES = {
    Kind.ELEMENT: ("data-elements.yaml", "elements"),
    Kind.CODE_LIST: ("code-lists.yaml", "code_lists"),
    Kind.FORMAT: ("formats.yaml", "formats"),
    Kind.INTERFACE: ("interfaces.yaml", "interfaces"),
}
_VOCABULARY = "catalogue-metadata.yaml"


class StandardsInvalid(Exception):
    """A data file of the standards can't be used."""


def standards_dir() -> Path:
    """Where the data files lie: inside an installed package, or at the root of a checkout."""
    package = Path(shuqiao.__file__).resolve().parent
    inside = package / "standards"
    return inside if inside.is_dir() else package.parent.parent / "standards"


@cache
def shipped(folder: Path | None = None) -> Mapping[tuple[Kind, str], Content]:
    """Every standard of the files by kind and key; a changed file counts from the next start."""
    base = folder or standards_dir()
    found: dict[tuple[Kind, str], Content] = {}
    for kind, (name, part) in _FILES.items():
        content_of_file = _read(base / name)
        lists = _lists(content_of_file)
        for row in content_of_file[part]:
            key, content = _content(base, name, dict(row), lists)
            if (kind, key) in found:
                raise StandardsInvalid(f"{name}: {key} stands there twice")
            found[kind, key] = content
    return found


def _lists(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The code lists of the catalogue file that a file of standards refers to; none where it names none."""
    named = content.get("catalogue_file")
    return _read(regulations_dir() / named)["code_lists"] if named else {}


def _content(base: Path, name: str, row: dict[str, Any], lists: Mapping[str, Any]) -> tuple[str, Content]:
    key = str(row.pop("key", ""))
    if "table" in row or "catalogue" in row or "vocabulary" in row or "codes" in row:
        row["codes"] = list(_codes(base, row, lists))
    try:
        return key, msgspec.convert(row, type=Content)
    except msgspec.ValidationError as error:
        raise StandardsInvalid(f"{name}: {key}: {error}") from error


def _codes(base: Path, row: dict[str, Any], lists: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The codes of a list: its own, or those of the place it names."""
    if table := row.pop("table", ""):
        yield from _table(base / Path(table).name)
    if list_key := row.pop("catalogue", ""):
        yield from _plain(lists[list_key])
    if words := row.pop("vocabulary", ""):
        for word in _read(base / _VOCABULARY)[words]:
            yield str(word.get("code", word["key"])), word["zh"], word["en"]
    yield from _plain(row.pop("codes", {}))


def _plain(codes: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for value, zh in codes.items():
        yield str(value), zh, ""


def _table(path: Path) -> Iterator[tuple[str, str, str]]:
    with path.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            yield row["code"], row["zh"], row.get("en") or ""


@cache
def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StandardsInvalid(f"{path.name}: {error}") from error
