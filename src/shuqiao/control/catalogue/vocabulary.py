"""The words that catalogue entries are described in, read from `standards/catalogue-metadata.yaml`.

Source: standards/catalogue-metadata.yaml, which names its own sources.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from shuqiao.control.standards.files import standards_dir
from shuqiao.control.texts import Text

Words = Mapping[str, Text]


@dataclass(frozen=True)
class Vocabulary:
    """Each vocabulary as keys with their words, in the order of the file.

    `storage_types` says as which type the platform keeps an item of each data type, `format_details` the
    formats within each kind, `library_kind` of which kind each library is, `manner_channels` the channels of
    each manner, `codes` the official code of each key that has one, by vocabulary.
    """

    classes: Words
    subjects: Words
    formats: Words
    cycles: Words
    data_types: Words
    channels: Words
    manners: Words
    origins: Words
    forms: Words
    digitisation: Words
    return_flow: Words
    library_kinds: Words
    libraries: Words
    sensitivities: Words
    modes: Words
    storage_types: Mapping[str, str]
    format_details: Mapping[str, tuple[str, ...]]
    library_kind: Mapping[str, str]
    manner_channels: Mapping[str, tuple[str, ...]]
    codes: Mapping[str, Mapping[str, str]]

    def keys(self) -> Mapping[str, Collection[str]]:
        """The keys of each vocabulary by its name, as `rules.entry_faults.Known` wants them."""
        return {name: tuple(getattr(self, name)) for name in NAMES}


NAMES = (
    "classes",
    "subjects",
    "formats",
    "cycles",
    "data_types",
    "channels",
    "manners",
    "origins",
    "forms",
    "digitisation",
    "return_flow",
    "library_kinds",
    "libraries",
    "sensitivities",
    "modes",
)
"""The vocabularies of the file."""


@cache
def vocabulary() -> Vocabulary:
    """Read the file once; a changed file counts from the next start."""
    path = standards_dir() / "catalogue-metadata.yaml"
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    words = {name: {row["key"]: Text(row["zh"], row["en"]) for row in content[name]} for name in NAMES}
    return Vocabulary(
        **words,
        storage_types={row["key"]: row["type"] for row in content["data_types"]},
        format_details={row["key"]: tuple(row["details"]) for row in content["formats"]},
        library_kind={row["key"]: row["kind"] for row in content["libraries"]},
        manner_channels={row["key"]: tuple(row["channels"]) for row in content["manners"]},
        codes={
            name: {row["key"]: row["code"] for row in content[name] if "code" in row}
            for name in ("formats", "cycles")
        },
    )
