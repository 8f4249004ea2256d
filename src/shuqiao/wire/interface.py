"""A department's own interface as the platform knows it: its operations, and what may be asked and answered.

Read by `wire.interface_reading` from an OpenAPI description. Control keeps it, the plane decides and filters
by it, the department's node checks every call against its own copy.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

MAX_OPERATIONS = 64
MAX_PARAMETERS = 32
MAX_VALUE_CHARS = 512
JSON_TYPE = "application/json"
MAX_JSON_BYTES = 8 * 1024 * 1024
"""Of a JSON answer, which is held whole to be filtered."""

OperationId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,62}$")]
_MEDIA_WORD = "[a-z0-9][a-z0-9!#$&^_.+-]{0,62}"
MEDIA_TYPE = re.compile(f"{_MEDIA_WORD}/{_MEDIA_WORD}", re.ASCII)
MediaType = Annotated[str, msgspec.Meta(pattern=rf"^{_MEDIA_WORD}/{_MEDIA_WORD}\Z")]
Line = Annotated[str, msgspec.Meta(max_length=500)]

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,12})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A value that stands in the path or the query of a call."""

    name: Name
    place: Literal["path", "query"]
    type: Literal["string", "integer", "number", "boolean", "date"] = "string"
    is_required: bool = False
    values: tuple[str, ...] = ()
    max_chars: Annotated[int, msgspec.Meta(ge=1, le=MAX_VALUE_CHARS)] = MAX_VALUE_CHARS
    said: Line = ""
    example: str = ""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer consists of: an object, a list, or a value that is an item of the entry.

    A value whose `item` is empty is technical (a count, a page, a word of a closed list) and tells nothing
    of a record. What the description doesn't name has no shape, and is never given.
    """

    kind: Literal["object", "list", "value"]
    type: str = "string"
    item: str = ""
    values: tuple[str, ...] = ()
    fields: dict[str, Shape] = {}
    each: Shape | None = None
    said: Line = ""
    example: str = ""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the interface. `answer` is None where a file comes back, of the type `answer_type`."""

    id: OperationId
    method: Literal["GET", "POST"]
    path: Annotated[str, msgspec.Meta(pattern=r"^/[A-Za-z0-9_./{}-]{0,200}$")]
    said: Line = ""
    parameters: Annotated[tuple[Parameter, ...], msgspec.Meta(max_length=MAX_PARAMETERS)] = ()
    takes_body: bool = False
    answer_type: MediaType = JSON_TYPE
    answer: Shape | None = None


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """An interface: its title, its version, and its operations in the order of the document."""

    title: Line
    version: Line
    operations: Annotated[tuple[Operation, ...], msgspec.Meta(min_length=1, max_length=MAX_OPERATIONS)]

    def operation(self, name: str) -> Operation | None:
        """Find an operation by its id."""
        return next((one for one in self.operations if one.id == name), None)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a call may take: seconds and bytes; and after how many failures in a row the interface rests."""

    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=50)] = 20.0
    max_answer_bytes: Annotated[int, msgspec.Meta(ge=1024, le=256 * 1024 * 1024)] = 16 * 1024 * 1024
    failures: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    rest_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 30.0


class InterfaceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The column `spec` of `exchange.interface`."""

    description: Description
    limits: Limits = Limits()


def parameter_fault(operation: Operation, given: dict[str, str], *, has_body: bool) -> str | None:
    """Name the first parameter of a call that the description does not allow; None where all is well."""
    known = {one.name: one for one in operation.parameters}
    for name in given:
        if name not in known:
            return name[:63]
    for one in operation.parameters:
        value = given.get(one.name)
        if value is None:
            if one.is_required:
                return one.name
        elif not _fits(one, value):
            return one.name
    return "body" if has_body != operation.takes_body else None


def _fits(parameter: Parameter, value: str) -> bool:
    if not 0 < len(value) <= parameter.max_chars or not value.isprintable():
        return False
    if parameter.values and value not in parameter.values:
        return False
    # A path that climbs would reach another operation than the one that was granted.
    if parameter.place == "path" and value in (".", ".."):
        return False
    match parameter.type:
        case "integer":
            return _INTEGER.fullmatch(value) is not None
        case "number":
            return _NUMBER.fullmatch(value) is not None
        case "date":
            return _DATE.fullmatch(value) is not None
        case "boolean":
            return value in ("true", "false")
        case _:
            return True


def sample_of(shape: Shape) -> object:
    """Make an answer of invented values out of a shape: its examples, or values that say what they are."""
    if shape.kind == "object":
        return {name: sample_of(one) for name, one in shape.fields.items()}
    if shape.kind == "list":
        return [] if shape.each is None else [sample_of(shape.each)]
    text = shape.example
    match shape.type:
        case "integer":
            return int(text) if _INTEGER.fullmatch(text) else 1
        case "number":
            return float(text) if _NUMBER.fullmatch(text) else 1.5
        case "boolean":
            return text != "false"
        case "date":
            return text or "2026-01-01"
        case _:
            return text or f"样例{shape.item}"


def items_of(shape: Shape) -> frozenset[str]:
    """Name the items of the entry that an answer of this shape may hold."""
    if shape.kind == "value":
        return frozenset({shape.item} - {""})
    inner = [*shape.fields.values(), *([shape.each] if shape.each is not None else [])]
    return frozenset().union(*(items_of(one) for one in inner)) if inner else frozenset()
