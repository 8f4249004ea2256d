"""Words that stand for one another, from `standards/synonyms.yaml`: for search and for one source alike."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from shuqiao.control.standards.files import standards_dir


@dataclass(frozen=True)
class SynonymFile:
    """The groups of the file as they stand there; what each means is said at its top."""

    same: tuple[tuple[str, ...], ...]
    endings: tuple[tuple[str, ...], ...]
    related: tuple[tuple[str, ...], ...]
    asked_of: tuple[str, ...]


@cache
def synonym_file() -> SynonymFile:
    """Read the file once; a changed file counts from the next start."""
    path = standards_dir() / "synonyms.yaml"
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    groups = {name: tuple(map(tuple, content[name])) for name in ("same", "endings", "related")}
    return SynonymFile(**groups, asked_of=tuple(content["asked_of"]))
