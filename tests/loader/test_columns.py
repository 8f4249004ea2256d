"""A column that was gone for a while: the rows that were read without it are read anew when it is back."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.loader.line import Line, wait_for
from tests.loader.test_kills import receipted
from tests.loader.test_removals import capture, equals_source, is_gapless, removed

pytestmark = pytest.mark.database


def asked(line: Line, sql: str) -> Any:
    """What the department's database answers."""
    with psycopg.connect(line.source) as connection:
        return connection.execute(sql).fetchone()[0]  # type: ignore[index]


@pytest.mark.parametrize("contract", ["evolve", "discard_row"])
async def test_rows_read_without_a_column_are_read_anew_when_it_is_back(line: Line, contract: str) -> None:
    """Also those that changed long before, which the look over the latest changes doesn't meet."""
    line.node_settings = {"NODE_OVERLAP_SECONDS": "1"}
    other = "UPDATE csyxzm SET jkzk = CASE jkzk WHEN '1' THEN '2' ELSE '1' END"
    rows = await line.set_up(people=300)
    capture(line, f"on_change: {contract}\n")
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    line.change_source("ALTER TABLE csyxzm RENAME COLUMN qfjg TO qianfa")
    line.change_source(f"{other} WHERE xb = 'F'")
    batches = len(line.ledger())
    wait_for(lambda: len(line.ledger()) > batches and receipted(line), what="the changes")
    wait_for(lambda: asked(line, "SELECT clock_timestamp() > max(gxsj) + '2s' FROM csyxzm"), what="a pause")
    batches = len(line.ledger())
    line.change_source(f"{other} WHERE zsbh = (SELECT min(zsbh) FROM csyxzm WHERE xb = 'M')")
    wait_for(lambda: len(line.ledger()) > batches and receipted(line), what="a later change")
    line.change_source("ALTER TABLE csyxzm RENAME COLUMN qianfa TO qfjg")
    wait_for(lambda: equals_source(line), what="the rows anew")
    wait_for(lambda: receipted(line), what="the receipts")
    assert line.count() == rows and removed(line) == 0 and is_gapless(line)
