"""Row conditions mean the same in Python and in SQL, whatever the values and the session's time zone."""

import json
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shuqiao.rules.rows import Row, holds

TYPES = {"word": "string", "note": "text", "code": "code", "day": "date", "moment": "datetime"}
SPEC = {
    "record_key": "number",
    "items": [
        {"field": "number", "type": "string", "identity": True},
        *({"field": field, "type": kind, "identity": False} for field, kind in TYPES.items()),
    ],
}

words = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=6
) | st.sampled_from(["", "a", "A", "ab", "张", "'", "\\", "'' OR true --", "%s", "$1", "{}", ",", '"'])
days = st.dates(date(1900, 1, 1), date(2100, 12, 31))
moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
records = st.fixed_dictionaries(
    {
        "word": st.none() | words,
        "note": st.none() | words,
        "code": st.none() | st.sampled_from(["1", "2", "10", "甲"]),
        "day": st.none() | days,
        "moment": st.none() | moments,
    }
)


def written(record: dict[str, Any]) -> dict[str, str | None]:
    """A record as a keyed read gives it."""
    moment = record["moment"]
    text = None
    if moment is not None:
        fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
        text = moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "+00:00"
    day = None if record["day"] is None else record["day"].isoformat()
    return record | {"day": day, "moment": text}


@st.composite
def questions(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[Row]]:
    """Some records, and conditions whose values are mostly theirs."""
    given_records = draw(st.lists(records, min_size=1, max_size=8))
    values = [value for record in given_records for value in written(record).values() if value is not None]
    value = st.sampled_from(values) | words if values else words
    rows = []
    for field in draw(st.lists(st.sampled_from(list(TYPES)), max_size=3)):
        op = draw(
            st.sampled_from(["eq", "in", "range", "null"] if TYPES[field] != "text" else ["eq", "in", "null"])
        )
        if op == "null":
            rows.append(Row(field, op))
        elif op == "range":
            low, high = draw(value), draw(value)
            rows.append(Row(field, op, (low, high) if low or high else ("a", "")))
        else:
            rows.append(
                Row(field, op, tuple(draw(st.lists(value, min_size=1, max_size=1 if op == "eq" else 4))))
            )
    return given_records, rows


@pytest.fixture(scope="module")
def connection(pg_server: Any, hub_template: str) -> Any:
    """A connection to a migrated hub, in another time zone than the platform's."""
    with psycopg.connect(pg_server.superuser(hub_template), autocommit=True) as made:
        made.execute("SET timezone = 'America/Caracas'")
        made.execute("SET datestyle = 'German'")
        yield made


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=questions())
def test_python_and_sql_agree(connection: Any, asked: tuple[list[dict[str, Any]], list[Row]]) -> None:
    given_records, rows = asked
    as_json = json.dumps([{"field": row.field, "op": row.op, "values": row.values} for row in rows])
    condition = connection.execute(
        "SELECT exchange.row_conditions(%s::jsonb, %s::jsonb, 'b')", [as_json, json.dumps(SPEC)]
    ).fetchone()[0]
    marks = ", ".join(
        ["(%s::int, %s::text, %s::text, %s::text, %s::date, %s::timestamptz)"] * len(given_records)
    )
    values = [
        part for n, record in enumerate(given_records) for part in (n, *(record[field] for field in TYPES))
    ]
    found = connection.execute(
        f"SELECT n FROM (VALUES {marks}) b (n, word, note, code, day, moment) WHERE ".encode()
        + condition.replace("%", "%%").encode(),
        values,
    ).fetchall()
    expected = {n for n, record in enumerate(given_records) if holds(rows, written(record))}
    assert {row[0] for row in found} == expected


@pytest.mark.parametrize(
    "rows",
    [
        [{"field": "number", "op": "eq", "values": ["1"]}],
        [{"field": "other", "op": "eq", "values": ["1"]}],
        [{"field": "word", "op": "like", "values": ["%"]}],
        [{"field": "word", "op": "eq", "values": []}],
        [{"field": "word", "op": "range", "values": ["", ""]}],
        [{"field": "note", "op": "range", "values": ["a", "b"]}],
        [{"field": "word", "op": "in", "values": ["x"] * 201}],
        {"field": "word"},
    ],
)
def test_what_the_language_does_not_know_is_refused(connection: Any, rows: Any) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute(
            "SELECT exchange.row_conditions(%s::jsonb, %s::jsonb, 'b')", [json.dumps(rows), json.dumps(SPEC)]
        )
