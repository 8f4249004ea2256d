"""Searching the catalogue in SQL: candidates first, capped, then rank, filter and count."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection

from shuqiao.control.catalogue.words import QueryTerms, SearchText


@dataclass(frozen=True)
class Found:
    """Ids of one page in order, how many there are in all, and the counts of each facet value."""

    ids: tuple[str, ...]
    total: int
    capped: bool
    facets: Mapping[str, tuple[tuple[str, int], ...]]


# Each facet: the column or expression its value comes from, in terms of the entry `r`.
_FACET_VALUES = {
    "department": "r.department_id",
    "mode": "unnest(r.modes)",
    "library": "r.library",
    "update_cycle": "r.update_cycle",
}
_FACET_FILTERS = {
    "department": "r.department_id = ANY(%(department)s)",
    "mode": "r.modes::text[] && %(mode)s::text[]",
    "library": "r.library = ANY(%(library)s)",
    "update_cycle": "r.update_cycle = ANY(%(update_cycle)s)",
}


def store_search_text(resource_id: str, text: SearchText) -> None:
    """Write the search columns of an entry; titles weigh more than items, items more than the rest."""
    store_search_texts({resource_id: text})


def store_search_texts(texts: Mapping[str, SearchText]) -> None:
    """Write the search columns of many entries, by their ids, in one statement."""
    columns = ("text", "title_words", "item_words", "other_words", "grams", "pinyin", "pinyin_key")
    rows = [(key, *(getattr(text, column) for column in columns)) for key, text in texts.items()]
    if not rows:
        return
    given = {
        name: list(values) for name, values in zip(("id", *columns), zip(*rows, strict=True), strict=True)
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE catalogue_resource r SET search_text = t.text, pinyin_key = t.pinyin_key,"
            " words = setweight(to_tsvector('simple', t.title_words), 'A')"
            " || setweight(to_tsvector('simple', t.item_words), 'B')"
            " || setweight(to_tsvector('simple', t.other_words), 'C'),"
            " grams = to_tsvector('simple', t.grams), pinyin = to_tsvector('simple', t.pinyin)"
            " FROM unnest(%(id)s::text[], %(text)s::text[], %(title_words)s::text[], %(item_words)s::text[],"
            " %(other_words)s::text[], %(grams)s::text[], %(pinyin)s::text[], %(pinyin_key)s::text[])"
            " AS t(id, text, title_words, item_words, other_words, grams, pinyin, pinyin_key)"
            " WHERE r.id = t.id",
            given,
        )


def find(
    terms: QueryTerms, filters: Mapping[str, tuple[str, ...]], window: tuple[int, int], cap: int
) -> Found:
    """Return the ids of rows `window` (offset, limit) among at most `cap` candidates, and facet counts."""
    matching, values = _matching(terms)
    chosen = {key: list(value) for key, value in filters.items() if value}
    values |= chosen | {"cap": cap + 1, "offset": window[0], "limit": window[1]}
    candidates = f"""
        WITH candidates AS MATERIALIZED (
            SELECT id, words, name_zh, code, pinyin_key FROM catalogue_resource
            WHERE state = 'published' AND ({matching}) LIMIT %(cap)s)"""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""{candidates}
            SELECT c.id, (SELECT count(*) FROM candidates) FROM candidates c
            JOIN catalogue_resource r ON r.id = c.id WHERE {_where(chosen, without=None)}
            ORDER BY {_rank(terms)}, c.code OFFSET %(offset)s LIMIT %(limit)s""",
            values,
        )
        rows = cursor.fetchall()
        cursor.execute(f"{candidates} {_counts(chosen)}", values)
        counts = cursor.fetchall()
    facets: dict[str, list[tuple[str, int]]] = {key: [] for key in _FACET_VALUES}
    for key, value, count in counts:
        if key != "total":
            facets[key].append((value, count))
    total = next(count for key, _, count in counts if key == "total")
    capped = bool(rows) and rows[0][1] > cap
    return Found(
        tuple(row[0] for row in rows),
        min(total, cap),
        capped,
        {key: tuple(found) for key, found in facets.items()},
    )


def _matching(terms: QueryTerms) -> tuple[str, dict[str, Any]]:
    """Return the SQL condition of a query; what holds for all its pieces, in any of the ways to match."""
    if not terms.chunks and not terms.latin:
        return "true", {}
    values: dict[str, Any] = {"words": terms.words, "grams": terms.grams}
    alternatives = ["words @@ plainto_tsquery('simple', %(words)s)"] if terms.words else []
    exact = ["grams @@ plainto_tsquery('simple', %(grams)s)"] if terms.grams else []
    for number, chunk in enumerate(terms.chunks):
        # Pairs may stand apart; the substring itself decides.
        exact.append(f"position(%(chunk{number})s IN search_text) > 0")
        values[f"chunk{number}"] = chunk
    if exact:
        alternatives.append(" AND ".join(exact))
    conditions = [f"({' OR '.join(f'({a})' for a in alternatives)})"] if alternatives else []
    for number, prefix in enumerate(terms.latin):
        name = f"latin{number}"
        conditions.append(
            f"(pinyin @@ to_tsquery('simple', %({name})s) OR words @@ to_tsquery('simple', %({name})s)"
            f" OR code LIKE %({name}_code)s)"
        )
        values[name] = f"{prefix}:*"
        values[f"{name}_code"] = f"{prefix}%"
    return " AND ".join(conditions), values


def _rank(terms: QueryTerms) -> str:
    if not terms.chunks:
        return "c.pinyin_key" if terms.latin else "c.code"
    # A title that holds the query stands before one that only shares words with it, a short title before
    # a long one.
    return (
        "(position(%(chunk0)s IN c.name_zh) = 0), "
        "ts_rank(c.words, plainto_tsquery('simple', %(words)s)) DESC, length(c.name_zh)"
    )


def _where(chosen: Mapping[str, object], without: str | None) -> str:
    conditions = [sql for key, sql in _FACET_FILTERS.items() if key in chosen and key != without]
    return " AND ".join(conditions) or "true"


def _counts(chosen: Mapping[str, object]) -> str:
    """Count each facet under all filters but its own, so that a reader sees what a change would give."""
    parts = [
        f"SELECT '{key}', {value}::text, count(*) FROM candidates c JOIN catalogue_resource r ON r.id = c.id"
        f" WHERE {_where(chosen, without=key)} GROUP BY 2"
        for key, value in _FACET_VALUES.items()
    ]
    parts.append(
        "SELECT 'total', '', count(*) FROM candidates c JOIN catalogue_resource r ON r.id = c.id"
        f" WHERE {_where(chosen, without=None)}"
    )
    return " UNION ALL ".join(f"({part})" for part in parts) + " ORDER BY 1, 3 DESC, 2"
