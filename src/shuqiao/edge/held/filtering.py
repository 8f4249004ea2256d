"""What of a record leaves the department: a word per claim, or the granted items, masked where they are.

The same rules as for what the platform keeps, on one record of the department's own table.
Source: xiamen-2015 art. 13; guangzhou-2016 art. 35(1), 38(2).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date, datetime

from shuqiao.edge.connectors import SourceRow
from shuqiao.edge.convert import convert
from shuqiao.edge.held.checking import HeldTable, Question
from shuqiao.rules.masking import mask
from shuqiao.rules.normalise import normalise_moment, normalise_value
from shuqiao.rules.rows import Row, holds
from shuqiao.rules.small_domain import proving_fields

Record = Mapping[str, str | None]


def record_of(row: SourceRow | None, question: Question, table: HeldTable) -> Record | None:
    """Give a row's items in text form; None where there is none, or it is outside the grant's conditions."""
    if row is None:
        return None
    columns = convert([row], table.mapping, table.spec)
    plain = {field: _text(value) for field, value in columns.plain.to_pylist()[0].items()}
    identity = {field: _text(value) for field, value in columns.identity.to_pylist()[0].items()}
    key = table.record_key
    found = (plain | identity).get(key.field)
    if found is None or normalise_value(key.kind, key.type, found) != question.number:
        return None
    conditions = [Row(one.field, one.op, one.values) for one in question.grant.rows]
    return plain | identity if holds(conditions, plain) else None


def compared(record: Record | None, question: Question, table: HeldTable) -> dict[str, bool]:
    """Say of each claim whether it agrees; of a record that is not there nothing does.

    Claims of small domain beside a wrong name or identifier are not looked at.
    """
    agreed = {
        field: record is not None and _agrees(record.get(field), claim, table, field)
        for field, claim in question.claims.items()
    }
    small = table.small.intersection(agreed)
    proof = proving_fields(table.traits, agreed) - small
    if small and not all(agreed[field] for field in proof):
        agreed |= dict.fromkeys(small, False)
    return agreed


def given(record: Record, question: Question, table: HeldTable) -> dict[str, str | None]:
    """Give the granted items."""
    masked = question.terms.masked
    return {
        field: mask(table.items[field].kind, record.get(field)) if field in masked else record.get(field)
        for field in question.fields
    }


def _agrees(value: str | None, claim: str, table: HeldTable, field: str) -> bool:
    item = table.items[field]
    return value is not None and normalise_value(item.kind, item.type, value) == claim


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return normalise_moment(value.isoformat())
    if isinstance(value, date):
        return value.isoformat()
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)
