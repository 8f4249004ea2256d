"""Searching the catalogue in SQL: candidates first, capped, then rank, filter and count.

The rows of `catalogue_search` lie in partitions, which a scan that has enough leaves unread: the more common
a word, the fewer of them it costs. A row names its facet values by one character each; the marks of all
candidates come as one text, in which values are counted by looking for their characters. Decision 16.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from shuqiao.control.catalogue.words import Piece, QueryTerms, SearchText, tsquery

Counts = Mapping[str, tuple[tuple[str, int], ...]]
Filters = Mapping[str, tuple[str, ...]]
Marks = Mapping[str, Mapping[str, str]]
"""The character of each value of each facet."""


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
    filters: Filters = field(default_factory=dict)
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


FACETS = ("department", "share_type", "format", "update_cycle", "theme", "library", "open", "mode")
"""The facets in the order of their places in the marks of a row."""

_FEWER = 4
"""By how much fewer candidates tell what other choices would give, where all counts are lower bounds."""

_PLANNING = {
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
    chosen = {key: values for key, values in wanted.filters.items() if values}
    with _planned() as cursor:
        marks = _marks(cursor)
        query = _Query(wanted, marks)
        ids, rows = _one_row(cursor, query, query.page_and_marks)
        total = len(rows) // len(FACETS)
        wider = ""
        if chosen:
            # What another choice of a filter would give is counted among candidates that no filter narrows:
            # fewer will do where there are too many of them for any but lower bounds.
            cap = wanted.cap if total <= wanted.cap else max(1, wanted.cap // _FEWER)
            query = _Query(replace(wanted, filters={}, cap=cap), marks)
            (wider,) = _one_row(cursor, query, query.marks_only)
    facets = {key: _counts(key, _counted(rows, key, marks), marks) for key in FACETS}
    otherwise = _passing(wider, chosen, marks)
    for key, values in chosen.items():
        counts = _counts(key, otherwise[key], marks)
        # What was chosen keeps the count it has in the result, even where the candidates do not show it.
        facets[key] = counts | {value: facets[key][value] for value in values if value in facets[key]}
    capped, more = total > wanted.cap, len(wider) // len(FACETS) > wanted.cap
    return Found(
        ids=tuple(ids),
        total=min(total, wanted.cap),
        capped=capped,
        facets={key: _ordered(counts) for key, counts in facets.items()},
        at_least=frozenset(FACETS if capped else chosen if more else ()),
    )


def find_ids(wanted: Wanted) -> tuple[str, ...]:
    """Return the ids of the page wanted, without counting anything."""
    with _planned() as cursor:
        query = _Query(wanted, _marks(cursor))
        (ids,) = _one_row(cursor, query, f"{query.candidates} SELECT ARRAY({query.page})")
        return tuple(ids)


def matching(wanted: Wanted, ids: Sequence[str]) -> tuple[str, ...]:
    """Return those of some entries that a search finds, or would if they were still shared."""
    with connection.cursor() as cursor:
        query = _Query(wanted, _marks(cursor))
        cursor.execute(
            f"SELECT resource_id FROM catalogue_search WHERE resource_id = ANY(%(ids)s) AND {query.condition}"
            " ORDER BY resource_id",
            query.values | {"ids": list(ids)},
        )
        return tuple(row[0] for row in cursor.fetchall())


@contextmanager
def _planned() -> Iterator[CursorWrapper]:
    """A cursor for whose statements the planner is told what it does not know of the rows."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET LOCAL {name} = {value}" for name, value in _PLANNING.items()))
        yield cursor
        names = (*_PLANNING, "enable_seqscan", "enable_bitmapscan")
        cursor.execute("; ".join(f"SET LOCAL {name} = DEFAULT" for name in names))


def _one_row(cursor: CursorWrapper, query: "_Query", statement: str) -> tuple[Any, ...]:
    """Run a statement by bitmaps only or, where any rows will do, by reading the table only.

    The planner takes reading all rows to be cheap for a common word, and doesn't see that the terms of a row
    lie out of line; nor does it know how many candidates there are to be joined.
    """
    by_index = "on" if query.narrows else "off"
    by_table = "off" if query.narrows else "on"
    cursor.execute(f"SET LOCAL enable_bitmapscan = {by_index}; SET LOCAL enable_seqscan = {by_table}")
    cursor.execute(statement, query.values)
    found: tuple[Any, ...] = cursor.fetchone()
    return found


def _marks(cursor: CursorWrapper) -> Marks:
    """Read which character stands for which value: as many as there are departments, and some fifty."""
    cursor.execute("SELECT facet, value, mark FROM catalogue_facetvalue")
    found: dict[str, dict[str, str]] = {key: {} for key in FACETS}
    for facet, value, mark in cursor.fetchall():
        found[FACETS[facet - 1]][value] = mark
    return found


def _values_of(key: str, value: str) -> list[str]:
    """What a stored value stands for: an entry with several modes has each of them."""
    return value.split(",") if key == "mode" else [value]


def _held(key: str, chosen: tuple[str, ...], marks: Marks) -> frozenset[str]:
    """The marks that one filter lets pass."""
    return frozenset(
        mark for value, mark in marks[key].items() if not set(_values_of(key, value)).isdisjoint(chosen)
    )


def _column(rows: str, key: str) -> str:
    """The marks of one facet, one for each row."""
    return rows[FACETS.index(key) :: len(FACETS)]


def _passing(rows: str, filters: Filters, marks: Marks) -> dict[str, dict[str, int]]:
    """For each facet with a filter, how many rows that pass all other filters have each of its marks."""
    held = [_held(key, chosen, marks) for key, chosen in filters.items()]
    found: dict[str, dict[str, int]] = {key: {} for key in filters}
    together = Counter(zip(*(_column(rows, key) for key in filters), strict=True))
    for combination, count in together.items():
        fails = [at for at, mark in enumerate(combination) if mark not in held[at]]
        for at, key in enumerate(filters):
            if fails in ([], [at]):
                counts = found[key]
                counts[combination[at]] = counts.get(combination[at], 0) + count
    return found


def _counted(rows: str, key: str, marks: Marks) -> dict[str, int]:
    """How many rows have each mark of a facet."""
    column = _column(rows, key)
    return {mark: column.count(mark) for mark in marks[key].values()}


def _counts(key: str, found: Mapping[str, int], marks: Marks) -> dict[str, int]:
    """The counts of values from those of marks; an entry with several modes counts for each of them."""
    counts: dict[str, int] = {}
    for value, mark in marks[key].items():
        count = found.get(mark, 0)
        for one in _values_of(key, value) if count else ():
            counts[one] = counts.get(one, 0) + count
    return counts


def _ordered(found: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(((v, n) for v, n in found.items() if v), key=lambda pair: (-pair[1], pair[0])))


class _Query:
    """The pieces of one statement: its candidates, and what is asked of them."""

    def __init__(self, wanted: Wanted, marks: Marks) -> None:
        self.wanted = wanted
        offset, limit = wanted.window
        self.values: dict[str, Any] = {
            "cap": wanted.cap + 1,
            "offset": offset,
            "limit": limit,
            "ranked": offset + limit,
        }
        self._filters = self._mark_conditions(marks)
        self._terms = self._words(tsquery(wanted.terms))

    @property
    def narrows(self) -> bool:
        """Whether the index has anything to look for: words or filters."""
        return bool(self._terms or self._filters)

    @property
    def page_and_marks(self) -> str:
        """The ids of the page in order, and the marks of all candidates, in one row."""
        all_marks = "concat((SELECT marks FROM n), (SELECT string_agg(marks, '') FROM u))"
        return f"{self.candidates} SELECT ARRAY({self.page}), {all_marks}"

    @property
    def marks_only(self) -> str:
        """The marks of as many candidates, whichever they are."""
        found = self._matching("marks", self._terms, "%(cap)s")
        return f"SELECT coalesce(string_agg(marks, ''), '') FROM ({found}) c"

    @property
    def candidates(self) -> str:
        """Those whose own name matches, then all others, as many as are missing to the cap.

        The second list leaves the first out in the index, so no row is looked at twice.
        """
        columns = ", ".join(("resource_id, name, code, marks", *self._ranked_columns))
        named = self._matching(columns, self._words(tsquery(self.wanted.terms, "^")) or "false", "%(cap)s")
        rest = self._matching(columns, self._words_elsewhere(), "(SELECT %(cap)s - named FROM n)")
        return (
            f"WITH t AS MATERIALIZED ({named}),"
            " n AS MATERIALIZED (SELECT count(*) AS named, string_agg(marks, '') AS marks FROM t),"
            f" u AS MATERIALIZED ({rest})"
        )

    @property
    def condition(self) -> str:
        """What makes an entry a candidate, apart from whose catalogue it stands in."""
        return " AND ".join(filter(None, (self._terms, *self._filters))) or "true"

    @property
    def page(self) -> str:
        """The ids of the page in order; by relevance, names that match fill it before others are ranked."""
        by_name = self.wanted.sort == Sort.RELEVANCE
        enough = " WHERE (SELECT named FROM n) < %(ranked)s" if by_name else ""
        both = f"SELECT *, true AS own FROM t UNION ALL SELECT *, false FROM u{enough}"
        return (
            f"SELECT c.resource_id FROM ({both}) c"
            " LEFT JOIN catalogue_entryuse e ON e.resource_id = c.resource_id"
            f" ORDER BY {self._order} OFFSET %(offset)s LIMIT %(limit)s"
        )

    def _words(self, query: str) -> str:
        """The condition that the terms fulfil a tsquery; none for an empty one."""
        return f"terms @@ {self._value('terms', query)}::tsquery" if query else ""

    def _words_elsewhere(self) -> str:
        """The condition that the words stand anywhere but in the name, where any name has them."""
        terms, own = tsquery(self.wanted.terms), tsquery(self.wanted.terms, "^")
        if not terms:
            return ""
        # Leaving out what isn't there would cost the index a fifth more.
        others, whole = self._value("terms", f"({terms}) & !({own})"), self._value("terms", terms)
        return f"terms @@ (SELECT CASE WHEN named > 0 THEN {others} ELSE {whole} END FROM n)::tsquery"

    def _matching(self, columns: str, condition: str, limit: str) -> str:
        """Rows of the catalogue wanted that fulfil a condition; each partial index answers for its part."""
        conditions = " AND ".join(filter(None, (condition, *self._filters))) or "true"
        where = f"shared AND {conditions}"
        if self.wanted.department:
            where = f"({where}) OR (in_force AND NOT shared AND {conditions})"
        return f"SELECT {columns} FROM catalogue_search WHERE {where} LIMIT {limit}"

    def _mark_conditions(self, marks: Marks) -> list[str]:
        """Conditions on the marks: every facet chosen must have one of its values."""
        chosen = [(key, values) for key, values in self.wanted.filters.items() if values]
        if self.wanted.department:
            chosen.append(("department", (self.wanted.department,)))
        # Sorted, so that the same search is the same statement.
        held = [self._value("held", sorted(_held(key, values, marks))) for key, values in chosen]
        return [f"string_to_array(marks, NULL) && {one}::text[]" for one in held]

    @property
    def _ranked_columns(self) -> tuple[str, ...]:
        """The columns that the order asks for besides name and code."""
        return (
            *(["published_at"] if self.wanted.sort == Sort.NEWEST else []),
            *(["pinyin_key"] if self.wanted.sort == Sort.NAME or self.wanted.terms.latin else []),
            *(["initials"] if self.wanted.terms.latin else []),
        )

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
            keys.append(f"(name = {self._value('query', ''.join(terms.chunks))}) DESC")
        # A query of one word is told whole by the word itself.
        if len(terms.pieces) > 1:
            whole = [self._value("whole", chunk) for chunk in terms.chunks]
            keys.append(" + ".join(f"(position({one} IN name) = 0)::int" for one in whole))
        keys += [self._piece_rank(piece) for piece in terms.pieces]
        keys += [self._latin_rank(run) for run in terms.latin]
        return keys

    def _piece_rank(self, piece: Piece) -> str:
        """A word in the name before its synonyms, these before neither."""
        others = "".join(
            f" WHEN position({self._value('also', other)} IN name) > 0 THEN 1" for other in piece.also
        )
        return f"CASE WHEN position({self._value('piece', piece.text)} IN name) > 0 THEN 0{others} ELSE 2 END"

    def _latin_rank(self, run: str) -> str:
        """A name that begins with the pinyin or initials before one that has them further on."""
        given = self._value("latin", run)
        return (
            f"CASE WHEN starts_with(pinyin_key, {given}) OR starts_with(initials, {given}) THEN 0"
            f" WHEN position({given} IN pinyin_key) > 0 OR position({given} IN initials) > 0 THEN 1"
            " ELSE 2 END"
        )

    def _value(self, name: str, value: object) -> str:
        """Give a value a name of its own in the statement."""
        key = f"{name}{len(self.values)}"
        self.values[key] = value
        return f"%({key})s"
