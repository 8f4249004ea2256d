"""YAML files read strictly: one document, no aliases, no doubled keys, checked by schema, errors with line.

Dates stay text, and only `true` and `false` are booleans, so that no value changes its kind by the way it is
written. Nothing is ever read as empty: a file that can't be used raises RegulationInvalid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from shuqiao.rules.errors import RegulationInvalid

MAX_BYTES = 2 * 1024 * 1024

KeyPath = tuple[str | int, ...]


class _StrictLoader(yaml.CSafeLoader):
    """A safe loader with its own, shorter table of implicit types; the one in C is ten times as fast."""


_StrictLoader.yaml_implicit_resolvers = {}
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile("^(0|-?[1-9][0-9]{0,17})$"), list("-0123456789")
)


@dataclass(frozen=True)
class Document:
    """A file's content with the line each value begins on."""

    name: str
    content: Mapping[str, Any]
    lines: Mapping[KeyPath, int]

    def invalid(self, path: Iterable[str | int], reason: str) -> RegulationInvalid:
        """The error for a value: its own line, or that of the nearest value around it."""
        place = tuple(path)
        while place and place not in self.lines:
            place = place[:-1]
        return RegulationInvalid(file=self.name, line=self.lines.get(place, 1), reason=reason)


def read_document(path: Path, kind: str, schema_file: Path) -> Document:
    """Read a YAML file and check it as `kind`, a definition of the schema file."""
    document = parse_document(path.name, _read_text(path))
    for error in _sorted_errors(schema_file, kind, document.content):
        raise document.invalid(error.absolute_path, _reason(error.message))
    return document


def parse_document(name: str, text: str) -> Document:
    """Take a YAML text apart without looking at its meaning."""
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_StrictLoader)):
            raise RegulationInvalid(file=name, line=1, reason="aliases are not allowed")
        loader = _StrictLoader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise RegulationInvalid(file=name, line=line, reason=str(error.problem or "no YAML")) from error
    except yaml.YAMLError as error:
        raise RegulationInvalid(file=name, line=1, reason="the file is no YAML text") from error
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise RegulationInvalid(file=name, line=1, reason="the file is empty or no mapping")
    lines: dict[KeyPath, int] = {}
    content = _build(name, node, (), lines)
    return Document(name, content, lines)


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RegulationInvalid(file=path.name, line=1, reason=f"longer than {MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RegulationInvalid(file=path.name, line=1, reason="the file can't be read") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise RegulationInvalid(file=path.name, line=line, reason="not UTF-8") from error


def _build(name: str, node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Any:
    """The values of a node, with the line of each noted on the way."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key in mapping:
                raise RegulationInvalid(file=name, line=line, reason=f"the key {key!r} stands here twice")
            lines[(*path, key)] = line
            mapping[key] = _build(name, value_node, (*path, key), lines)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_build(name, value, (*path, at), lines) for at, value in enumerate(node.value)]
    return _scalar(name, node)


def _scalar(name: str, node: yaml.Node) -> str | int | bool:
    kind = node.tag.rpartition(":")[2]
    text = str(node.value)
    if kind == "bool":
        return text == "true"
    if kind == "int":
        return int(text)
    if kind == "str":
        return text
    raise RegulationInvalid(
        file=name, line=node.start_mark.line + 1, reason=f"a value of type {kind} can't stand here"
    )


@cache
def _validator(schema_file: Path, kind: str) -> Draft202012Validator:
    schema = json.loads(schema_file.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator({**schema, "$ref": f"#/$defs/{kind}"})


def _sorted_errors(schema_file: Path, kind: str, content: object) -> list[Any]:
    errors = _validator(schema_file, kind).iter_errors(content)
    return sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])


def _reason(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:300]} …"
