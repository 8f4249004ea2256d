"""Searching the catalogue in SQL: candidates first, capped, then rank, filter and count.

The rows of `catalogue_search` lie in partitions, which a scan that has enough leaves unread: the more common
a word, the fewer of them it costs. Decision 16.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from shuqiao.control.catalogue.words import QueryTerms, SearchText, tsquery

Counts = Mapping[str, tuple[tuple[str, int], ...]]


class Sort(StrEnum):
    """Orders of a result."""

    RELEVANCE = "relevance"
    NEWEST = "newest"
    NAME = "name"
    MOST_USED = "used"


@dataclass(frozen=True)
class Wanted:
    """What is looked for: words, chosen facet values, whose catalogue, and which part of the result.

    Without `department` it is the sharing catalogue, else all that this department holds. `cap` is the number
    of candidates up to which everything is exact.
    """

    terms: QueryTerms
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sort: Sort = Sort.RELEVANCE
    department: str = ""
    window: tuple[int, int] = (0, 10)
    cap: int = 10_000


@dataclass(frozen=True)
class Found:
    """Ids of one page in order, how many there are in all, and the counts of each facet value.

    With `capped` there are more than `total`. The counts of the facets in `at_least` are lower bounds.
    """

    ids: tuple[str, ...]
    total: int
    capped: bool
    facets: Counts
    at_least: frozenset[str] = frozenset()


# Each facet: its column in the search row, and the mark of its values among the row's facet terms.
FACETS = {
    "department": ("department_id", "d"),
    "share_type": ("share_type", "s"),
    "format": ("format", "f"),
    "update_cycle": ("update_cycle", "u"),
    "theme": ("theme", "t"),
    "library": ("library", "l"),
    "open": ("open_to_public", "o"),
    "mode": ("modes", "m"),
}
_COLUMNS = "resource_id, name, code, pinyin_key, initials, published_at, " + ", ".join(
    column for column, _ in FACETS.values()
)


_PLANNING = {
    "enable_seqscan": "off",
    "enable_indexscan": "off",
    "enable_nestloop": "off",
    "work_mem": "'32MB'",
    "max_parallel_workers_per_gather": "0",
}


def store_search_text(resource_id: str, text: SearchText) -> None:
    """Write the search row of an entry; its other columns follow the entry by themselves."""
    store_search_texts({resource_id: text})


def store_search_texts(texts: Mapping[str, SearchText]) -> None:
    """Write the search rows of many entries, by their ids, in one statement."""
    if not texts:
        return
    given = {
        "id": list(texts),
        # Terms hold letters, digits and marks of ours only, so that they need no quotes.
        "terms": [" ".join(text.terms) for text in texts.values()],
        "name": [text.name for text in texts.values()],
        "pinyin_key": [text.pinyin_key for text in texts.values()],
        "initials": [text.initials for text in texts.values()],
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT store_search_rows(%(id)s::text[], %(terms)s::text[], %(name)s::text[],"
            " %(pinyin_key)s::text[], %(initials)s::text[])",
            given,
        )


def find(wanted: Wanted) -> Found:
    """Return the ids of the page wanted, and facet counts under all filters but each facet's own."""
    chosen = {key: value for key, value in wanted.filters.items() if value}
    with _bitmaps_only() as cursor:
        found = _scan(cursor, _Query(wanted, chosen, filter_in_index=True), tuple(FACETS), page=True)
        if not chosen:
            return found
        # What another choice of a filter would give is counted among candidates that it doesn't narrow.
        wider = _scan(cursor, _Query(wanted, chosen, filter_in_index=False), tuple(chosen), page=False)
    facets = dict(found.facets)
    for key, values in chosen.items():
        facets[key] = _with_chosen(wider.facets[key], found.facets[key], values)
    return Found(found.ids, found.total, found.capped, facets, found.at_least | wider.at_least)


def find_ids(wanted: Wanted) -> tuple[str, ...]:
    """Return the ids of the page wanted, without counting anything."""
    with _bitmaps_only() as cursor:
        query = _Query(wanted, {key: v for key, v in wanted.filters.items() if v}, filter_in_index=True)
        cursor.execute(f"{query.candidates} {query.page}", query.values)
        return tuple(row[0] for row in cursor.fetchall())


def matching(wanted: Wanted, ids: Sequence[str]) -> tuple[str, ...]:
    """Return those of some entries that a search finds, or would if they were still shared."""
    query = _Query(wanted, {key: value for key, value in wanted.filters.items() if value}, True)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT resource_id FROM catalogue_search WHERE resource_id = ANY(%(ids)s) AND {query.condition}"
            " ORDER BY resource_id",
            query.values | {"ids": list(ids)},
        )
        return tuple(row[0] for row in cursor.fetchall())


@contextmanager
def _bitmaps_only() -> Iterator[CursorWrapper]:
    """A cursor for which the planner neither reads all rows nor walks another index beside the terms.

    It takes both to be cheap for a common word, and doesn't see that the terms of a row lie out of line; nor
    does it know how many candidates there are to be joined.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET LOCAL {name} = {value}" for name, value in _PLANNING.items()))
        yield cursor
        cursor.execute("; ".join(f"SET LOCAL {name} = DEFAULT" for name in _PLANNING))


def _scan(cursor: CursorWrapper, query: "_Query", counted: tuple[str, ...], *, page: bool) -> Found:
    """Look at the candidates once: page, total and the counts of some facets in one statement."""
    asked = f"{query.numbered} UNION ALL {query.counts(counted)}" if page else query.counts(counted)
    cursor.execute(f"{query.candidates} {asked}", query.values)
    rows = cursor.fetchall()
    ids = tuple(str(value) for kind, value, _, _ in rows if kind == "page")
    counts: dict[str, dict[str, int]] = {key: {} for key in counted}
    candidates = total = 0
    for kind, value, missed, count in rows:
        if kind in counts:
            # A facet counts what fails no filter, or its own alone.
            if not missed & ~query.bits.get(kind, 0):
                counts[kind][value] = counts[kind].get(value, 0) + count
        elif kind == "all":
            candidates += count
            total += count if not missed else 0
    cap = query.wanted.cap
    facets = {key: _ordered(_split(found) if key == "mode" else found) for key, found in counts.items()}
    capped = candidates > cap
    return Found(ids, min(total, cap), capped, facets, frozenset(counted) if capped else frozenset())


def _split(found: Mapping[str, int]) -> dict[str, int]:
    """An entry with several modes counts for each of them."""
    counts: dict[str, int] = {}
    for modes, count in found.items():
        for mode in filter(None, modes.split(",")):
            counts[mode] = counts.get(mode, 0) + count
    return counts


def _ordered(found: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(((v, n) for v, n in found.items() if v), key=lambda pair: (-pair[1], pair[0])))


def _with_chosen(
    counts: tuple[tuple[str, int], ...], filtered: tuple[tuple[str, int], ...], chosen: tuple[str, ...]
) -> tuple[tuple[str, int], ...]:
    """What was chosen keeps the count it has in the result, even where the candidates do not show it."""
    known = {value: count for value, count in filtered if value in chosen}
    return _ordered(dict(counts) | known)


class _Query:
    """The pieces of one statement: its candidates, and what is asked of them."""

    def __init__(self, wanted: Wanted, chosen: Mapping[str, tuple[str, ...]], filter_in_index: bool) -> None:
        self.wanted = wanted
        self.values: dict[str, Any] = {
            "cap": wanted.cap + 1,
            "offset": wanted.window[0],
            "limit": wanted.window[1],
        }
        self.bits = {} if filter_in_index else {key: 1 << at for at, key in enumerate(chosen)}
        self._chosen = chosen
        self._indexed = self._facet_terms(chosen if filter_in_index else {})

    @property
    def candidates(self) -> str:
        """Those whose own name matches, then all others, as many as are missing to the cap.

        The second list leaves the first out in the index, so no row is looked at twice.
        """
        terms, own = tsquery(self.wanted.terms), tsquery(self.wanted.terms, "^")
        if not terms:
            everything = self._matching("", "%(cap)s")
            return f"WITH c AS MATERIALIZED (SELECT *, false AS own, {self._missed} FROM ({everything}) u)"
        self.values |= {"own": own, "others": f"({terms}) & !({own})"}
        named = self._matching("terms @@ %(own)s::tsquery", "%(cap)s")
        rest = "(SELECT %(cap)s - count(*) FROM t)"
        others = self._matching("terms @@ %(others)s::tsquery", rest)
        return (
            f"WITH t AS MATERIALIZED ({named}), u AS MATERIALIZED ({others}),"
            f" c AS NOT MATERIALIZED (SELECT *, true AS own, {self._missed} FROM t"
            f" UNION ALL SELECT *, false, {self._missed} FROM u)"
        )

    @property
    def condition(self) -> str:
        """What makes an entry a candidate, apart from whose catalogue it stands in."""
        terms = tsquery(self.wanted.terms)
        self.values["terms"] = terms
        return " AND ".join((*(["terms @@ %(terms)s::tsquery"] if terms else []), *self._indexed)) or "true"

    @property
    def page(self) -> str:
        """The ids of the page in order."""
        used = "LEFT JOIN catalogue_entryuse e ON e.resource_id = c.resource_id"
        return (
            f"SELECT c.resource_id FROM c {used} WHERE missed = 0"
            f" ORDER BY {self._order} OFFSET %(offset)s LIMIT %(limit)s"
        )

    @property
    def numbered(self) -> str:
        """The page as rows like those of the counts."""
        return f"SELECT 'page', p.resource_id, 0, 0 FROM ({self.page}) p"

    def counts(self, facets: tuple[str, ...]) -> str:
        """In one pass, how many candidates have each value of these facets, by what they miss."""
        columns = {key: FACETS[key][0] for key in facets}
        sets = ", ".join(f"({column}, missed)" for column in columns.values())
        kind = " ".join(f"WHEN grouping({column}) = 0 THEN '{key}'" for key, column in columns.items())
        value = ", ".join(f"{column}::text" for column in columns.values())
        return (
            f"SELECT * FROM (SELECT CASE {kind} ELSE 'all' END, coalesce({value}), missed, count(*)"
            f" FROM c GROUP BY GROUPING SETS ({sets}, (missed))) n"
        )

    def _matching(self, condition: str, limit: str) -> str:
        """Rows of the catalogue wanted that fulfil a condition; each partial index answers for its part."""
        conditions = " AND ".join(filter(None, (condition, *self._indexed))) or "true"
        where = f"shared AND {conditions}"
        if self.wanted.department:
            where = f"({where}) OR (in_force AND NOT shared AND {conditions})"
        return f"SELECT {_COLUMNS} FROM catalogue_search WHERE {where} LIMIT {limit}"

    def _facet_terms(self, chosen: Mapping[str, tuple[str, ...]]) -> list[str]:
        """Conditions on the facet terms: every facet chosen must have one of its values."""
        if self.wanted.department:
            chosen = {**chosen, "": (self.wanted.department,)}
        conditions = []
        for number, (key, given) in enumerate(chosen.items()):
            mark = FACETS[key][1] if key else "d"
            self.values[f"facet{number}"] = [f"{mark}={value}" for value in given]
            conditions.append(f"facets && %(facet{number})s::text[]")
        return conditions

    @property
    def _missed(self) -> str:
        """Which of the filters a candidate fails, a bit for each."""
        parts = []
        for key, bit in self.bits.items():
            column = FACETS[key][0]
            self.values[f"chosen_{key}"] = list(self._chosen[key])
            held = f"{column}::text = ANY(%(chosen_{key})s)"
            if key == "mode":
                held = f"string_to_array({column}, ',') && %(chosen_{key})s::text[]"
            parts.append(f"CASE WHEN {held} THEN 0 ELSE {bit} END")
        return f"({' | '.join(parts) or '0'}) AS missed"

    @property
    def _order(self) -> str:
        used = "coalesce(e.calls, 0) DESC"
        first = {
            Sort.RELEVANCE: self._rank(),
            Sort.NEWEST: ["published_at DESC NULLS LAST"],
            Sort.NAME: ["pinyin_key"],
            Sort.MOST_USED: [used, *self._rank()],
        }[self.wanted.sort]
        return ", ".join([*first, used, "length(name)", "code"])

    def _rank(self) -> list[str]:
        """The own name before items, the query whole before its words, its words before their synonyms."""
        terms, keys = self.wanted.terms, ["own DESC"]
        if terms.chunks:
            whole = [self._value("whole", chunk) for chunk in terms.chunks]
            keys.append(f"(name = {self._value('query', ''.join(terms.chunks))}) DESC")
            keys.append(" + ".join(f"(position({one} IN name) = 0)::int" for one in whole))
        for piece in terms.pieces:
            word = self._value("piece", piece.text)
            others = self._value("also", list(piece.also))
            other = f"name LIKE ANY(SELECT '%%' || w || '%%' FROM unnest({others}::text[]) w)"
            keys.append(
                f"CASE WHEN position({word} IN name) > 0 THEN 0"
                + (f" WHEN {other} THEN 1" if piece.also else "")
                + " ELSE 2 END"
            )
        for run in terms.latin:
            given = self._value("latin", run)
            keys.append(
                f"CASE WHEN starts_with(pinyin_key, {given}) OR starts_with(initials, {given}) THEN 0"
                f" WHEN position({given} IN pinyin_key) > 0 OR position({given} IN initials) > 0 THEN 1"
                " ELSE 2 END"
            )
        return keys

    def _value(self, name: str, value: object) -> str:
        """Give a value a name of its own in the statement."""
        key = f"{name}{len(self.values)}"
        self.values[key] = value
        return f"%({key})s"
