"""What an audit entry says beside its columns, in words: codes by their meaning, ids by their names.

The text itself, of which every character counts for the digest, stands below it on the page.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shuqiao.control.accounts.actors import ActorRef
from shuqiao.control.catalogue.labels import CHANNELS, MODES
from shuqiao.control.clock import LEGAL_ZONE
from shuqiao.control.files.granting import EVERY_FILE
from shuqiao.control.interconnection.words import LAPSE_WORDS
from shuqiao.control.operations import labels
from shuqiao.control.organisations.queries import DepartmentRef
from shuqiao.control.texts import Text
from shuqiao.rules.files import EVERY

MATCHES = {"all": Text("合并答复", "All together"), "each": Text("逐项答复", "Item by item")}
YES, NO = Text("是", "Yes"), Text("否", "No")
_DEPARTMENTS = {"department", "provider", "consumer", "by", "departments", "members"}
SHOWN_OF_SEALED = 16
_MOMENTS = {"at", "expires_at", "handed_over_at"}
_ITEMS = {"items", "fields", "masked", "pseudonyms", "unmasked", "granted", "given", "item"}


@dataclass(frozen=True)
class Names:
    """The names that an entry's codes stand for."""

    event: str
    departments: Mapping[str, DepartmentRef]
    systems: Mapping[str, ActorRef]
    items: Mapping[str, Text]
    resources: Mapping[str, Text]


def shown(key: str, value: object, names: Names) -> str:
    """Word the value of one fact; what has no words is shown as it is written."""
    if isinstance(value, bool):
        return str(YES if value else NO)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "、".join(_word(key, one, names) for one in value)
    if isinstance(value, str):
        if key == "sealed":
            # Nobody here can read it, and it is longer than all the rest; the text itself has it whole.
            return f"{value[:SHOWN_OF_SEALED]}…"
        return _moment(value) if key in _MOMENTS else _word(key, value, names)
    return json.dumps(value, ensure_ascii=False)


def _word(key: str, value: str, names: Names) -> str:
    return str(_table(key, names).get(value, value)) if key != "outcome" else _outcome(value, names)


def _moment(value: str) -> str:
    """A time in Asia/Shanghai, to the second."""
    try:
        return f"{datetime.fromisoformat(value).astimezone(LEGAL_ZONE):%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return value


def _outcome(value: str, names: Names) -> str:
    return str(labels.outcome_label(value, names.event))


def _table(key: str, names: Names) -> Mapping[str, object]:
    if key in _DEPARTMENTS:
        return names.departments
    if key in _ITEMS:
        return names.items
    tables: Mapping[str, Mapping[str, object]] = {
        "event": labels.EVENTS,
        "mode": MODES,
        "match": MATCHES,
        "channels": CHANNELS,
        "files": {EVERY: EVERY_FILE},
        "actor": names.systems,
        "application": names.systems,
        "asked_by": names.systems,
        "resource": names.resources,
        "reason": LAPSE_WORDS if names.event == "interconnection_ended" else {},
    }
    return tables.get(key, {})


def systems_in(lines: Sequence[Mapping[str, object]]) -> set[str]:
    """The codes of systems and persons that the lines of an entry name."""
    keys = ("actor", "application", "asked_by")
    return {str(line[key]) for line in lines for key in keys if isinstance(line.get(key), str)}
