"""Reading what a CKAN client asks: everything bounded and known, or an error as CKAN words it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.exports.selecting import MAX_VALUES, Condition

MAX_ROWS = 1000
DEFAULT_ROWS = 10
MAX_START = 2_000_000
MAX_NAMES = 10_000
MAX_FILTER_CHARS = 1000
MAX_CONDITIONS = 20

Params = Mapping[str, object]


class CkanRefused(Exception):
    """An action did not answer: status and error as CKAN gives them."""

    def __init__(self, status: int, kind: str, **said: object) -> None:
        """Keep what is said under `error`."""
        self.status = status
        self.error: dict[str, object] = {"__type": kind, **said}
        super().__init__(kind)


def not_found() -> CkanRefused:
    """There is no such thing for this reader: hidden and absent are one answer."""
    return CkanRefused(404, "Not Found Error", message="Not found")


def invalid(name: str, what: str) -> CkanRefused:
    """A parameter can't be read."""
    return CkanRefused(409, "Validation Error", **{name: [what]})


def bad_query(what: str) -> CkanRefused:
    """A search can't be read."""
    return CkanRefused(400, "Search Query Error", message=f"Search Query is invalid: {what}")


def known_only(params: Params, *names: str) -> None:
    """Refuse parameters an action doesn't have: an unread filter would show more than was asked for."""
    unknown = [name for name in params if name not in names]
    if unknown:
        raise invalid(unknown[0][:60], "This action has no such parameter")


def text(params: Params, name: str, limit: int = 200, default: str = "") -> str:
    """Read a text; missing is the default."""
    value = params.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise invalid(name, "Must be a string")
    if len(value) > limit:
        raise invalid(name, f"Must be no more than {limit} characters")
    return value


def required(params: Params, *names: str) -> str:
    """Read the first of some names that is given."""
    for name in names:
        value = text(params, name)
        if value:
            return value
    raise invalid(names[0], "Missing value")


def whole(params: Params, name: str, default: int, most: int) -> int:
    """Read a whole number from 0; one beyond the most is the most, as CKAN does with rows."""
    value = params.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise invalid(name, "Invalid integer")
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 12):
        raise invalid(name, "Invalid integer")
    if int(value) < 0:
        raise invalid(name, "Must be a natural number")
    return min(int(value), most)


def flag(params: Params, name: str, *, default: bool = False) -> bool:
    """Read yes or no."""
    value = params.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0", "yes", "no"):
        return value.lower() in ("true", "1", "yes")
    raise invalid(name, "Must be a boolean")


def listed(params: Params, name: str) -> list[str]:
    """Read a list of texts, given as a list, as JSON or as words."""
    value = params.get(name)
    if value is None or value == "":
        return []
    if isinstance(value, str):
        value = _json_list(name, value) if value.startswith("[") else value.split()
    if not isinstance(value, list) or len(value) > MAX_CONDITIONS:
        raise invalid(name, f"Must be a list of at most {MAX_CONDITIONS}")
    if any(not isinstance(one, str) or len(one) > MAX_FILTER_CHARS for one in value):
        raise invalid(name, "Must be a list of strings")
    return [str(one) for one in value]


def _json_list(name: str, given: str) -> object:
    try:
        return json.loads(given[:MAX_FILTER_CHARS])
    except ValueError:
        raise invalid(name, "Could not parse as valid JSON") from None


@dataclass(frozen=True)
class Field:
    """A field of a filter: ours, and how a value of CKAN's becomes one of ours; None is no entry."""

    name: str
    value: Callable[[str], str | None]


def _same(value: str) -> str:
    return value


def _theme(value: str) -> str | None:
    key = value.removeprefix("theme-")
    return key if key in vocabulary().subjects else None


def _word(table: Mapping[str, object]) -> Callable[[str], str | None]:
    return lambda value: value if value in table else None


def _truth(value: str) -> str | None:
    return value if value in ("true", "false") else None


FIELDS: Final[Mapping[str, Field]] = {
    "organization": Field("department", _same),
    "owner_org": Field("department", _same),
    "groups": Field("subject", _theme),
    "name": Field("id", _same),
    "id": Field("id", _same),
    "tags": Field("tag", _same),
    "library": Field("library", _word(vocabulary().libraries)),
    "update_cycle": Field("update_cycle", _word(vocabulary().cycles)),
    "format": Field("format", _word(vocabulary().formats)),
    "share_type": Field("share_type", _same),
    "region": Field("region", _same),
    "open_to_public": Field("open", _truth),
}
# What every entry is; clients of other catalogues ask for it out of habit.
_CONSTANT: Final = {"state": "active", "type": "dataset", "dataset_type": "dataset", "private": "false"}

_TOKEN = re.compile(
    r'\s*(?:(?P<everything>\*:\*)|(?P<sign>[+-])?(?P<field>[a-z_]{1,40}):(?P<value>"[^"\\]{1,200}"|\([^()\\]{1,500}\)'
    r"|[^\s\"():\\*?~^\[\]{}]{1,200})|(?P<both>AND)(?=\s)|(?P<not>NOT)(?=\s))"
)
_ALTERNATIVE = re.compile(r'\s*("[^"\\]{1,200}"|[^\s"():\\*?~^\[\]{}]{1,200})\s*')


def read_filter(given: str) -> list[Condition]:
    """Read a filter: `field:value` of known fields, joined by AND or nothing, with `-`, `NOT`, `(a OR b)`.

    Anything else of the search engine's language is refused, not passed on or passed over.
    """
    if len(given) > MAX_FILTER_CHARS:
        raise bad_query("the filter is too long")
    found: list[Condition] = []
    at, negated = 0, False
    given = given.rstrip()
    while at < len(given):
        token = _TOKEN.match(given, at)
        if token is None:
            raise bad_query(f"cannot read the filter at character {at + 1}")
        at = token.end()
        if token["not"]:
            negated = True
        elif token["field"]:
            found += _condition(token["field"], _values(token["value"]), negated or token["sign"] == "-")
            negated = False
        if at < len(given) and not given[at].isspace():
            raise bad_query(f"cannot read the filter at character {at + 1}")
    if len(found) > MAX_CONDITIONS or negated:
        raise bad_query("too many conditions" if found else "nothing follows NOT")
    return found


def _values(given: str) -> list[str]:
    if not given.startswith("("):
        return [given.strip('"')]
    values = []
    for part in re.split(r"\sOR\s", given[1:-1]):
        word = _ALTERNATIVE.fullmatch(part)
        if word is None:
            raise bad_query("alternatives are words or quoted texts with OR between them")
        values.append(word[1].strip('"'))
    if len(values) > MAX_VALUES:
        raise bad_query("too many alternatives")
    return values


def _condition(name: str, values: list[str], negated: bool) -> list[Condition]:
    if name in _CONSTANT:
        holds = (_CONSTANT[name] in values) is not negated
        return [] if holds else [Condition("id", ())]
    field = FIELDS.get(name)
    if field is None:
        raise bad_query(f"unknown field {name}")
    ours = [one for value in values if (one := field.value(value)) is not None]
    return [Condition(field.name, tuple(ours), negated)]


_ORDERS: Final = {
    "score": "score",
    "relevance": "score",
    "metadata_modified": "published_at",
    "name": "id",
    "id": "id",
    "title": "name_zh",
    "title_string": "name_zh",
}


def read_order(given: str) -> list[str]:
    """Read an order such as `score desc, metadata_modified desc` as columns; `score` stands for itself."""
    found = []
    for part in given.split(",")[:4] if given.strip() else []:
        name, _, direction = part.strip().partition(" ")
        direction = direction.strip().lower() or "asc"
        if name not in _ORDERS or direction not in ("asc", "desc"):
            raise bad_query(f"cannot sort by {part.strip()[:60]}")
        column = _ORDERS[name]
        found.append(column if column == "score" or direction == "asc" else f"-{column}")
    return found
