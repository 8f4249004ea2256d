"""What is held for a resource that has no mapping any more goes after its time, and a record of it stays."""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow as pa
import pytest

from shuqiao.edge.convert import Columns
from shuqiao.edge.cover import Cover
from shuqiao.edge.quarantine import UNMAPPED_S, Caught, Found, Quarantine, Removal
from shuqiao.edge.screening_command import screening_command
from shuqiao.wire.node_home import NodeFiles

KEPT, LEFT = "r440100aaaaaaaaaa", "r440100bbbbbbbbbb"
NOW = 1_800_000_000.0


@pytest.fixture
def place(tmp_path: Path) -> Quarantine:
    """A node's file with two rows of each of two resources."""
    files = NodeFiles(tmp_path)
    made = Quarantine(files.quarantine, Cover(files.cover_key), 100)
    row = Columns(pa.record_batch({"sex": ["1"]}), pa.record_batch({"name": ["示例"]}), ())
    for resource in (KEPT, LEFT):
        caught = [Caught(mark, (Found("sex", "digits", mark),), row, False) for mark in ("a" * 32, "b" * 32)]
        made.keep(resource, "m", caught, ())
    return made


def test_rows_without_a_mapping_go_after_their_time_with_a_record(
    place: Quarantine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.release(place.rows(LEFT)[0], "示例人", "误判")
    assert place.unmapped({KEPT}, NOW) == []
    assert place.unmapped({KEPT}, NOW + UNMAPPED_S - 1) == []
    assert place.unmapped({KEPT}, NOW + UNMAPPED_S) == [LEFT]
    assert place.remove(LEFT, NOW) == Removal(LEFT, 2, NOW)
    assert (place.waiting(LEFT).count, place.waiting(KEPT).count) == (0, 2)
    assert place.unmapped({KEPT}, NOW + UNMAPPED_S) == []
    place.close()
    assert screening_command(argparse.Namespace(home=str(tmp_path), held="list")) == 0
    assert f"{LEFT}" in (said := capsys.readouterr().out) and said.count(KEPT) == 2


def test_a_mapping_that_comes_back_begins_the_time_anew(place: Quarantine) -> None:
    place.unmapped({KEPT}, NOW)
    place.unmapped({KEPT, LEFT}, NOW + UNMAPPED_S)
    assert place.unmapped({KEPT}, NOW + UNMAPPED_S + 1) == []
    assert place.unmapped({KEPT}, NOW) == [], "a clock that was set back"
    assert place.unmapped({KEPT}, NOW + UNMAPPED_S - 1) == []
    assert place.unmapped({KEPT}, NOW + UNMAPPED_S) == [LEFT]
