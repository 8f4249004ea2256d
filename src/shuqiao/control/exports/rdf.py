"""Nodes of a graph and the two ways they are written down: Turtle and JSON-LD.

A general library takes minutes for a catalogue of this size; a list of nodes with their properties needs none
of its machinery. Every node has an address, so there are no blank nodes and no nesting. Texts of users are
escaped here and nowhere else. What is written is checked by reading it back with another implementation.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

PREFIXES: Final[Mapping[str, str]] = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "hydra": "http://www.w3.org/ns/hydra/core#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


@dataclass(frozen=True, slots=True)
class Iri:
    """The address of a node."""

    value: str


@dataclass(frozen=True, slots=True)
class Words:
    """A text with the language it is in."""

    text: str
    language: str


Value = Iri | Words | str | int | date | datetime
"""What a property may hold; a plain `str` is a text without a language."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node with its types and properties, all as `prefix:name`."""

    iri: str
    types: tuple[str, ...]
    properties: tuple[tuple[str, Value], ...]


# What may not stand in an address between < and >; RFC 3987 excludes them anyway.
_NOT_IN_IRI = re.compile(r'[\x00-\x20<>"{}|^`\\]')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_TO_ESCAPE = re.compile(r'[\x00-\x1f\x7f"\\]')


def turtle(nodes: Iterable[Node]) -> Iterator[str]:
    """Write nodes as Turtle, piece by piece."""
    yield "".join(f"@prefix {name}: <{address}> .\n" for name, address in PREFIXES.items())
    for node in nodes:
        lines = [f"a {', '.join(node.types)}"] if node.types else []
        lines += [f"{predicate} {_term(value)}" for predicate, value in node.properties]
        if lines:
            yield f"\n{_iri(node.iri)} " + " ;\n    ".join(lines) + " .\n"


def json_ld(nodes: Iterable[Node]) -> Iterator[str]:
    """Write nodes as JSON-LD with its context inside, piece by piece: no reader has to fetch anything."""
    yield '{"@context": ' + json.dumps(dict(PREFIXES)) + ', "@graph": ['
    separator = "\n"
    for node in nodes:
        yield separator + json.dumps(_object(node), ensure_ascii=False, separators=(",", ":"))
        separator = ",\n"
    yield "\n]}\n"


def _iri(address: str) -> str:
    return "<" + _NOT_IN_IRI.sub(_percent, address) + ">"


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


def _quoted(text: str) -> str:
    return '"' + _TO_ESCAPE.sub(_escape, text) + '"'


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04X}"


def _term(value: Value) -> str:
    match value:
        case Iri():
            return _iri(value.value)
        case Words():
            return f"{_quoted(value.text)}@{value.language}"
        case int():
            return str(value)
        case datetime():
            return f'"{value.isoformat()}"^^xsd:dateTime'
        case date():
            return f'"{value.isoformat()}"^^xsd:date'
        case str():
            return _quoted(value)


def _object(node: Node) -> dict[str, object]:
    found: dict[str, object] = {"@id": _NOT_IN_IRI.sub(_percent, node.iri), "@type": list(node.types)}
    for predicate, value in node.properties:
        values = found.setdefault(predicate, [])
        if isinstance(values, list):
            values.append(_json(value))
    return found


def _json(value: Value) -> object:
    match value:
        case Iri():
            return {"@id": _NOT_IN_IRI.sub(_percent, value.value)}
        case Words():
            return {"@value": value.text, "@language": value.language}
        case int() | str():
            return value
        case datetime():
            return {"@value": value.isoformat(), "@type": "xsd:dateTime"}
        case date():
            return {"@value": value.isoformat(), "@type": "xsd:date"}
