"""Choosing entries for others: by words and by the values of known fields, counted and in a stable order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Case, CharField, Count, F, Func, Q, QuerySet, When
from django.db.models.expressions import RawSQL
from django.db.models.functions import Length

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.control.catalogue.words import query_terms, tsquery
from shuqiao.control.exports.readers import Reader, visible

MAX_QUERY_CHARS = 60
MAX_VALUES = 50


@dataclass(frozen=True)
class Condition:
    """A field holds one of some values, or none of them."""

    field: str
    values: tuple[str, ...]
    negated: bool = False


# Each field a reader may ask by: the lookup that tells whether an entry has one of some values; fields that
# ask for each value in a way of their own stand below.
LOOKUPS: Final[Mapping[str, str]] = {
    "department": "department_id__in",
    "library": "library__in",
    "format": "format__in",
    "update_cycle": "update_cycle__in",
    "share_type": "share_type__in",
    "region": "region__in",
    "id": "id__in",
    "mode": "modes__overlap",
    "open": "open_to_public__in",
}
_COUNTED: Final = {
    "category": "category_zh",
    "department": "department_id",
    "subject": "subject",
    "library": "library",
    "format": "format",
    "update_cycle": "update_cycle",
    "share_type": "share_type",
    "region": "region",
}


def select(
    reader: Reader, text: str, conditions: Iterable[Condition], *, plain: bool = False
) -> QuerySet[Resource]:
    """The visible entries that match, with `plain` without synonyms.

    Raises `KeyError` for a field that is none of those above.
    """
    wanted = visible(reader).filter(matching(text, plain=plain))
    for condition in conditions:
        found = _holds(condition)
        wanted = wanted.exclude(found) if condition.negated else wanted.filter(found)
    return wanted


def _holds(condition: Condition) -> Q:
    values: Sequence[object] = condition.values[:MAX_VALUES]
    if condition.field == "open":
        values = [value == "true" for value in condition.values]
    if condition.field not in _BY_VALUE:
        return Q(**{LOOKUPS[condition.field]: list(values)})
    found = Q(pk__in=())
    for value in values:
        found |= _BY_VALUE[condition.field](str(value))
    return found


def _is_tagged(word: str) -> Q:
    """The word is the entry's category, the name of its library or of its class or subject."""
    words = vocabulary()
    found = Q(category_zh=word) | Q(library__in=[k for k, name in words.libraries.items() if name.zh == word])
    for table in (words.classes, words.subjects):
        for key, name in table.items():
            if name.zh == word:
                found |= Q(subject__startswith=key)
    return found


_BY_VALUE: Final[Mapping[str, Callable[[str], Q]]] = {
    "subject": lambda key: Q(subject__startswith=key),
    "theme": lambda key: Q(subject__startswith=key[:3]),
    "tag": _is_tagged,
}


def matching(text: str, mark: str = "", *, plain: bool = False) -> Q:
    """What holds for an entry that a query finds, or whose own name it finds with the mark `^`."""
    query = tsquery(query_terms(text.strip()[:MAX_QUERY_CHARS], plain=plain), mark)
    if not query:
        return Q()
    found = "SELECT resource_id FROM catalogue_search WHERE shared AND terms @@ %s::tsquery"
    return Q(pk__in=RawSQL(found, [query]))  # noqa: S611 - our own text, and the query is a parameter


def ranked(wanted: QuerySet[Resource], text: str) -> QuerySet[Resource]:
    """Put entries whose name matches first, short names before long ones; without words by their codes."""
    named = matching(text, "^")
    if not named:
        return wanted.order_by("code")
    own = Case(When(named, then=0), default=1)
    return wanted.annotate(own=own).order_by("own", Length("name_zh"), "code")


def counts(wanted: QuerySet[Resource], field: str) -> list[tuple[str, int]]:
    """How many entries have each value of a field, most first; a subject counts by its 类 and 项."""
    column = F(_COUNTED[field])
    value = Func(column, 1, 3, function="substr", output_field=CharField()) if field == "subject" else column
    rows = wanted.order_by().annotate(value=value).values_list("value").annotate(n=Count("pk"))
    return sorted(((str(key), int(n)) for key, n in rows if key), key=lambda row: (-row[1], row[0]))
