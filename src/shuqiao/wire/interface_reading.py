"""Reading an OpenAPI 3 description of a stranger into `wire.interface.Description`.

Nothing is fetched: a reference points into the same document. Size, depth and number of everything are
bounded, and what the platform can't carry is refused with the place where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec
import yaml

from shuqiao.wire.interface import (
    JSON_TYPE,
    MAX_OPERATIONS,
    MAX_PARAMETERS,
    MAX_VALUE_CHARS,
    MEDIA_TYPE,
    Description,
    Operation,
    Parameter,
    Shape,
)

MAX_DOCUMENT_BYTES = 512 * 1024
MAX_DEPTH = 12
MAX_SHAPES = 2_000
ITEM_WORD = "x-shuqiao-item"
"""Names the item of the entry that a property holds, where it is not the property's own name; `none` marks
a technical value."""

_METHODS = {"get": "GET", "post": "POST"}
_OTHER_METHODS = ("put", "delete", "patch", "head", "options", "trace")
_HOLES = re.compile(r"\{([^{}]*)\}")
_TYPES = ("string", "integer", "number", "boolean")


class DescriptionRefused(ValueError):
    """A description that can't be used; the message says where and why, without its values."""


def read_description(document: bytes) -> Description:
    """Read a description in JSON or YAML; raises `DescriptionRefused`."""
    root = _loaded(document)
    version = root.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        raise DescriptionRefused("openapi: version 3 is needed")
    info = _mapping(root.get("info"), "info")
    reader = _Reader(root)
    operations = tuple(reader.operations())
    if not 1 <= len(operations) <= MAX_OPERATIONS:
        raise DescriptionRefused(f"paths: 1 to {MAX_OPERATIONS} operations are needed")
    names = [one.id for one in operations]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DescriptionRefused(f"operationId {twice} stands twice")
    made = {"title": _line(info, "title"), "version": _line(info, "version"), "operations": operations}
    try:
        # The bounds stand in the types; a struct that is only constructed is not checked against them.
        return msgspec.json.decode(msgspec.json.encode(made), type=Description)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise DescriptionRefused(str(error)) from None


def _loaded(document: bytes) -> Mapping[str, object]:
    if len(document) > MAX_DOCUMENT_BYTES:
        raise DescriptionRefused(f"larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        if document.lstrip()[:1] == b"{":
            root = msgspec.json.decode(document)
        else:
            text = document.decode("utf-8")
            # Aliases let a small file grow without end.
            if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
                raise DescriptionRefused("YAML aliases are not read: use $ref")
            root = yaml.safe_load(text)
    except (yaml.YAMLError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, DescriptionRefused):
            raise
        raise DescriptionRefused("neither JSON nor YAML") from None
    return _mapping(root, "document")


def _mapping(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, dict) or any(not isinstance(name, str) for name in value):
        raise DescriptionRefused(f"{place}: an object is needed")
    return value


def _line(holder: Mapping[str, object], *names: str) -> str:
    for name in names:
        value = holder.get(name)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:500]
    return ""


def _example(holder: Mapping[str, object]) -> str:
    value = holder.get("example")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, (dict, list)) else str(value)[:MAX_VALUE_CHARS]


class _Reader:
    """Walks one document; counts the shapes it makes."""

    def __init__(self, root: Mapping[str, object]) -> None:
        self._root = root
        self._shapes = 0

    def operations(self) -> Iterator[Operation]:
        for path, value in _mapping(self._root.get("paths"), "paths").items():
            place = self._followed(value, f"paths {path}")
            shared = place.get("parameters", [])
            for method in _OTHER_METHODS:
                if method in place:
                    raise DescriptionRefused(f"{method.upper()} {path}: only GET and POST are carried")
            for method, word in _METHODS.items():
                if method in place:
                    yield self._operation(path, word, self._followed(place[method], path), shared)

    def _operation(self, path: str, method: str, holder: Mapping[str, object], shared: object) -> Operation:
        name = holder.get("operationId")
        if not isinstance(name, str):
            raise DescriptionRefused(f"{method} {path}: an operationId is needed")
        parameters = tuple(self._parameters(name, shared, holder.get("parameters", [])))
        holes = _HOLES.findall(path)
        in_path = {one.name for one in parameters if one.place == "path"}
        if set(holes) != in_path or len(holes) != len(in_path):
            raise DescriptionRefused(f"{name}: the path and its parameters don't agree")
        if "}{" in path:
            # What stands side by side can be cut in two ways: allowed values would make one that isn't.
            raise DescriptionRefused(f"{name}: between two parameters of a path something must stand")
        takes_body = "requestBody" in holder
        if takes_body:
            content = _mapping(self._followed(holder["requestBody"], name).get("content"), f"{name} body")
            if JSON_TYPE not in content:
                raise DescriptionRefused(f"{name}: a body in JSON is needed")
        answer_type, answer = self._answer(name, _mapping(holder.get("responses"), f"{name} responses"))
        return Operation(
            id=name,
            method=method,  # type: ignore[arg-type]  # one of the two words above
            path=path,
            said=_line(holder, "summary", "description"),
            parameters=parameters,
            takes_body=takes_body,
            answer_type=answer_type,
            answer=answer,
        )

    def _parameters(self, name: str, *lists: object) -> Iterator[Parameter]:
        seen = 0
        for one in lists:
            if not isinstance(one, list):
                raise DescriptionRefused(f"{name}: parameters are a list")
            for value in one:
                seen += 1
                if seen > MAX_PARAMETERS:
                    raise DescriptionRefused(f"{name}: more than {MAX_PARAMETERS} parameters")
                yield self._parameter(name, self._followed(value, name))

    def _parameter(self, operation: str, holder: Mapping[str, object]) -> Parameter:
        name, place = holder.get("name"), holder.get("in")
        if not isinstance(name, str) or place not in ("path", "query"):
            raise DescriptionRefused(f"{operation}: only parameters of path and query are carried")
        schema = self._followed(holder.get("schema", {}), f"{operation} {name}")
        kind = schema.get("type", "string")
        if kind not in _TYPES:
            raise DescriptionRefused(f"{operation} {name}: a plain value is needed")
        values = schema.get("enum", [])
        longest = schema.get("maxLength", MAX_VALUE_CHARS)
        return Parameter(
            name=name,
            place=place,
            type="date" if schema.get("format") == "date" else kind,  # type: ignore[arg-type]  # as above
            is_required=place == "path" or holder.get("required") is True,
            values=tuple(str(one) for one in values) if isinstance(values, list) else (),
            max_chars=min(longest, MAX_VALUE_CHARS) if isinstance(longest, int) else MAX_VALUE_CHARS,
            said=_line(holder, "description"),
            example=_example(holder) or _example(schema),
        )

    def _answer(self, name: str, responses: Mapping[str, object]) -> tuple[str, Shape | None]:
        good = next((value for code, value in responses.items() if str(code) == "200"), None)
        if good is None:
            raise DescriptionRefused(f"{name}: an answer 200 is needed")
        content = _mapping(self._followed(good, name).get("content"), f"{name} answer")
        if len(content) != 1:
            raise DescriptionRefused(f"{name}: the answer has one type")
        kind, value = next(iter(content.items()))
        kind = str(kind).lower()
        if MEDIA_TYPE.fullmatch(kind) is None:
            raise DescriptionRefused(f"{name}: the type of the answer is none")
        if kind != JSON_TYPE:
            return kind, None
        schema = _mapping(value, f"{name} answer").get("schema")
        return kind, self._shape(schema, f"{name} answer", "", 0)

    def _shape(self, value: object, place: str, name: str, depth: int) -> Shape:
        self._shapes += 1
        if depth > MAX_DEPTH or self._shapes > MAX_SHAPES:
            raise DescriptionRefused(f"{place}: the answer is too deep or too wide")
        holder = self._followed(value, place)
        kind = holder.get("type")
        said = _line(holder, "description", "title")
        if kind == "object":
            properties = _mapping(holder.get("properties", {}), place)
            fields = {
                word: self._shape(one, f"{place}.{word}", word, depth + 1) for word, one in properties.items()
            }
            return Shape(kind="object", fields=fields, said=said)
        if kind == "array":
            return Shape(
                kind="list", each=self._shape(holder.get("items"), place, name, depth + 1), said=said
            )
        if kind not in _TYPES:
            raise DescriptionRefused(f"{place}: the type must be named")
        return self._value(holder, str(kind), place, name, said)

    def _value(self, holder: Mapping[str, object], kind: str, place: str, name: str, said: str) -> Shape:
        item = holder.get(ITEM_WORD, name)
        if not isinstance(item, str):
            raise DescriptionRefused(f"{place}: {ITEM_WORD} is the name of an item")
        words = holder.get("enum") or []
        values = tuple(str(one) for one in words) if isinstance(words, list) else ()
        if item == "none" and kind == "string" and not values:
            raise DescriptionRefused(f"{place}: a technical value is a number, yes or no, or a listed word")
        kind = "date" if holder.get("format") == "date" else kind
        item = "" if item == "none" else item
        example = _example(holder) or (values[0] if values else "")
        return Shape(kind="value", type=kind, item=item, values=values, said=said, example=example)

    def _followed(self, value: object, place: str) -> Mapping[str, object]:
        """Follow references within the document, a few at most."""
        for _ in range(4):
            holder = _mapping(value, place)
            target = holder.get("$ref")
            if target is None:
                return holder
            if not isinstance(target, str) or not target.startswith("#/"):
                raise DescriptionRefused(f"{place}: a reference stays within the document")
            value = self._root
            for word in target[2:].split("/"):
                value = _mapping(value, place).get(word.replace("~1", "/").replace("~0", "~"))
        raise DescriptionRefused(f"{place}: references go round")
