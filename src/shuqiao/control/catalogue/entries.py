"""Entries as JSON: how drafts, versions and the interface keep and give them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shuqiao.rules.entries import Entry, EntryItem

_FIELDS = {"entry": frozenset(Entry.__dataclass_fields__), "item": frozenset(EntryItem.__dataclass_fields__)}


class EntryUnreadable(ValueError):
    """JSON that is no entry; `path` says where, `reason` what was found there."""

    def __init__(self, path: str, reason: str) -> None:
        """Keep both."""
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")


def entry_json(entry: Entry) -> dict[str, Any]:
    """The JSON form: every field by its name, dates as text."""
    found: dict[str, Any] = msgspec.to_builtins(entry)
    return found


def entry_from(content: Mapping[str, Any]) -> Entry:
    """The entry that its JSON form gives; fields left out are empty.

    Raises `EntryUnreadable` for unknown fields and wrong types.
    """
    _refuse_unknown(content, "entry", "")
    items = content.get("items")
    if isinstance(items, list):
        for at, item in enumerate(items):
            if isinstance(item, Mapping):
                _refuse_unknown(item, "item", f"items[{at}].")
    try:
        return msgspec.convert(content, Entry)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise EntryUnreadable(path.rstrip("`").removeprefix(".") or "$", reason) from None


def _refuse_unknown(content: Mapping[str, Any], kind: str, prefix: str) -> None:
    unknown = [key for key in content if key not in _FIELDS[kind]]
    if unknown:
        raise EntryUnreadable(f"{prefix}{str(unknown[0])[:63]}", "unknown field")
