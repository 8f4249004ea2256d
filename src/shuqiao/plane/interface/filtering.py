"""What of an answer is given: the values that the description names and the grant covers, and nothing else.

Source: guangzhou-2016 art. 35(1); our choice, decision "proxied interfaces".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from shuqiao.rules.masking import mask
from shuqiao.wire.interface import Shape
from shuqiao.wire.schemas import ItemSpec


class AnswerRefused(Exception):
    """An answer that is not what the description says."""


def _is_of(kind: str, value: object) -> bool:
    """Tell whether a plain JSON value has the type that the description names."""
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return is_whole and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case _:
            return isinstance(value, str)


@dataclass(slots=True)
class Filter:
    """Filters answers of one call; remembers which items were given, and which of them masked."""

    granted: frozenset[str]
    unmasked: frozenset[str]
    items: Mapping[str, ItemSpec]
    given: set[str] = field(default_factory=set)
    masked: set[str] = field(default_factory=set)

    def apply(self, shape: Shape, body: bytes) -> bytes:
        """Give the filtered answer as JSON; raises `AnswerRefused` where the body doesn't have the shape."""
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise AnswerRefused("not JSON") from None
        return msgspec.json.encode(self._kept(shape, value))

    def _kept(self, shape: Shape, value: object) -> object:
        if value is None:
            return None
        if shape.kind == "object":
            if not isinstance(value, dict):
                raise AnswerRefused("not an object")
            return {
                name: self._kept(one, value[name])
                for name, one in shape.fields.items()
                if name in value and self._may(one)
            }
        if shape.kind == "list":
            if not isinstance(value, list) or shape.each is None:
                raise AnswerRefused("not a list")
            return [self._kept(shape.each, one) for one in value] if self._may(shape.each) else []
        return self._value(shape, value)

    def _may(self, shape: Shape) -> bool:
        return shape.kind != "value" or not shape.item or shape.item in self.granted

    def _value(self, shape: Shape, value: object) -> object:
        # A value that isn't of its type, or a technical one that is no listed word, could carry anything.
        if not self._may(shape) or not _is_of(shape.type, value):
            raise AnswerRefused("not of its type")
        if not shape.item:
            if isinstance(value, str) and value not in shape.values:
                raise AnswerRefused("not a listed word")
            return value
        self.given.add(shape.item)
        item = self.items.get(shape.item)
        if item is None or not item.masked or shape.item in self.unmasked:
            return value
        self.masked.add(shape.item)
        return mask(item.kind, str(value))
