"""Finding in the register what may be the same datum, for many items in a few statements."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from django.db import connection

from shuqiao.control.catalogue.models import Item
from shuqiao.control.onesource.register import ELEMENT
from shuqiao.control.onesource.words import synonyms
from shuqiao.rules.datum_names import variants
from shuqiao.rules.onesource import BRANCH_DIGITS, COMMON_IN, FAMILY_DIGITS, Datum, Spread

MOST = 20
"""So many candidates of one name or element in one subject are looked at."""


@dataclass(frozen=True)
class Held:
    """An item of the register that is a source: who is responsible for it, and what it is."""

    resource: str
    field: str
    department: str
    datum: Datum


@dataclass
class Found:
    """What was found for some items: sources by what they were found by, and how widely words are spread."""

    by_name: dict[tuple[str, str], list[Held]] = field(default_factory=dict)
    by_element: dict[tuple[str, str], list[Held]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def sources(self, datum: Datum) -> list[Held]:
        """What may be the same datum, each source once."""
        family = datum.subject[:FAMILY_DIGITS]
        found: dict[tuple[str, str], Held] = {}
        for key in variants(datum.name, synonyms()):
            for one in self.by_name.get((key, family), ()):
                found[one.resource, one.field] = one
        for one in self.by_element.get((datum.element, family), ()):
            found[one.resource, one.field] = one
        return list(found.values())

    def spread(self, datum: Datum, other: Datum) -> Spread:
        """In how many 目 the names and elements of two data are found, whichever is found in more."""
        names = {*variants(datum.name, synonyms()), *variants(other.name, synonyms())}
        name = max((self.places.get(key, 0) for key in names), default=0)
        return Spread(name, self.places.get(ELEMENT + datum.element, 0))


def find_sources(data: Iterable[Datum]) -> Found:
    """Look for sources of these data: by name in the 目, by rare names in the 项, by element in the 目."""
    found = Found()
    wanted: dict[tuple[str, str], str] = {}
    elements: set[tuple[str, str]] = set()
    for datum in data:
        family = datum.subject[:FAMILY_DIGITS]
        if len(family) < FAMILY_DIGITS:
            continue
        for key in variants(datum.name, synonyms()):
            wanted[key, family] = family[:BRANCH_DIGITS]
        if datum.element:
            elements.add((datum.element, family))
    words = {key for key, _ in wanted} | {ELEMENT + element for element, _ in elements}
    found.places = _places(words)
    rows = _by_name(wanted, found.places)
    rows_of_elements = _by_element(elements)
    details = _details({(row[1], row[2]) for row in [*rows, *rows_of_elements]})
    for (at, *row), table in [
        *((row, found.by_name) for row in rows),
        *((row, found.by_element) for row in rows_of_elements),
    ]:
        resource, name, subject, department, standard = row[0], row[2], row[3], row[4], row[5]
        datum = _datum(name, subject, standard, details.get((resource, row[1])))
        table.setdefault(at, []).append(Held(resource, row[1], department, datum))
    return found


_Row = tuple[tuple[str, str], str, str, str, str, str, str]
_COLUMNS = "s.resource_id, s.field, s.name, s.subject, s.department_id, s.standard"


def _places(words: Collection[str]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT word, count(*) FROM onesource_datumplace WHERE word = ANY(%s) GROUP BY word",
            [list(words)],
        )
        return dict(cursor.fetchall())


def _by_name(wanted: Mapping[tuple[str, str], str], places: Mapping[str, int]) -> list[_Row]:
    """Sources of the same name in the same 目, and of a rare name in the same 项."""
    known = {at: branch for at, branch in wanted.items() if at[0] in places}
    # A name found everywhere says whom a record is about; its other places need not be read.
    within = {at: branch if places[at[0]] <= COMMON_IN else at[1] for at, branch in known.items()}
    return _ask(
        f"SELECT w.key, w.family, {_COLUMNS}"
        " FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS w(key, family, low, high)"
        f" CROSS JOIN LATERAL (SELECT * FROM onesource_source s WHERE s.key = w.key"
        f" AND s.leaf BETWEEN w.low AND w.high AND s.role = 'responsible' LIMIT {MOST}) s",
        within,
    )


def _by_element(elements: Collection[tuple[str, str]]) -> list[_Row]:
    return _ask(
        f"SELECT w.element, w.family, {_COLUMNS}"
        " FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS w(element, family, low, high)"
        f" CROSS JOIN LATERAL (SELECT * FROM onesource_source s WHERE s.standard = w.element"
        f" AND s.standard <> '' AND s.subject BETWEEN w.low AND w.high AND s.role = 'responsible'"
        f" LIMIT {MOST}) s",
        {at: at[1] for at in elements},
    )


def _ask(sql: str, wanted: Mapping[tuple[str, str], str]) -> list[_Row]:
    if not wanted:
        return []
    lows = list(wanted.values())
    values = [
        [word for word, _ in wanted],
        [family for _, family in wanted],
        lows,
        [_last(low) for low in lows],
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [((row[0], row[1]), *row[2:]) for row in cursor.fetchall()]


def _last(prefix: str) -> str:
    """The last classification below a prefix; digits sort alike in every collation."""
    return prefix + "9" * (11 - len(prefix))


def _details(items: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Item]:
    """The items themselves, for what their content looks like."""
    resources = {resource for resource, _ in items}
    rows = Item.objects.filter(resource_id__in=resources, field__in={name for _, name in items}).order_by()
    return {(item.resource_id, item.field): item for item in rows}


def _datum(name: str, subject: str, standard: str, item: Item | None) -> Datum:
    if item is None:
        return Datum(name, subject, standard)
    codes = frozenset(item.codes) if item.codes else frozenset[str]()
    return Datum(name, subject, standard, item.data_type, item.code_list, codes)
