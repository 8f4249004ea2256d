"""From the department's table to the base table and the vault, through every real process."""

from __future__ import annotations

import time

import pytest

from tests.loader.line import BIRTHS, HEALTH, Line, wait_for


@pytest.mark.database
@pytest.mark.requirement("ING-06")
@pytest.mark.requirement("ING-14")
async def test_full_load_equals_the_source(line: Line) -> None:
    rows = await line.set_up(people=5000)
    began = time.monotonic()
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the full load")
    print("seconds", time.monotonic() - began)
    assert line.base_checksum() == line.source_checksum()
    ledger = line.ledger()
    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert sum(entry["inserted"] for entry in ledger) == rows
    origin = line.ask(f"SELECT DISTINCT source_department, source_system, version FROM base.{BIRTHS}")
    assert origin == [{"source_department": HEALTH, "source_system": "csyxzm-v3", "version": 1}]
