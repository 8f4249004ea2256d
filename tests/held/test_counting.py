"""What a node writes of messages that nothing vouches for, and how old what it reports must be."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shuqiao.edge.held import line
from shuqiao.edge.held.checking import AskRefused
from shuqiao.edge.held.store import Store
from shuqiao.edge.settings import SettingsError, load_settings


@pytest.mark.requirement("ING-09")
def test_one_line_for_each_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "COUNT_S", 0.2)
    store = Store(tmp_path / "held.sqlite")
    nothing = cast(Any, SimpleNamespace())
    held = line.HeldLine(nothing, {}, nothing, store, nothing, nothing, nothing)

    async def flood() -> None:
        for _ in range(2):
            for _ in range(500):
                held._count(AskRefused("signature"))
            assert not store.lines(after=1)
            await asyncio.sleep(0.5)

    asyncio.run(flood())
    written = [json.loads(row.body) for row in store.lines()]
    assert [(one["outcome"], one["counts"]) for one in written] == [("unsigned", {"signature": 500})] * 2
    store.close()


def test_a_node_reports_nothing_that_may_not_be_over() -> None:
    with pytest.raises(SettingsError, match="NODE_REPORT_MARGIN_SECONDS"):
        load_settings({"NODE_REPORT_MARGIN_SECONDS": "659"})
