"""A full disk at the node: it says so, goes on when there is room, and nothing is lost or doubled."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loader.line import BIRTHS, Line, wait_for
from tests.loader.test_kills import receipted
from tests.loader.test_stepping_back import status

pytestmark = pytest.mark.database

SIZE = 12 * 1024 * 1024


@pytest.fixture
def small_disk(line: Line) -> Iterator[Path]:
    """A disk of 12 MB for the node's folder; needs the right to mount one."""
    folder = line.node_home
    folder.mkdir(parents=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(
            "no right to mount a small disk; the test by the system's limit of file sizes runs everywhere"
        )
    try:
        yield folder
    finally:
        for child in reversed(line.children.values()):
            child.end()
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def told(line: Line) -> dict[str, Any]:
    """What the hub has heard of the node last."""
    found = line.ask("SELECT state FROM exchange.node_state")
    return dict(found[0]["state"]) if found else {}


def fill(folder: Path) -> Path:
    """Write until there is no room at all."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (64 * 1024, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


async def test_a_node_whose_disk_is_full_says_so_and_goes_on(line: Line, small_disk: Path) -> None:
    line.node_settings = {
        "NODE_BATCH_ROWS": "100",
        "NODE_DISK_RESERVE_BYTES": str(2 * 1024 * 1024),
        "NODE_STATE_SECONDS": "0.3",
    }
    rows = await line.set_up(people=1500)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    ballast = fill(small_disk)
    line.change_source("UPDATE csyxzm SET qfjg = '样例后来医院', gxsj = clock_timestamp()")
    wait_for(lambda: told(line).get("state") == "disk_full", what="the hub's news of it")
    assert {one["resource"]: one["state"] for one in told(line)["lines"]} == {BIRTHS: "disk_full"}
    # Killed while it is full, it is as it was; and it still says how it is.
    line.children["node"].kill()
    before = line.ask("SELECT heard_at FROM exchange.node_state")
    line.start("node")
    wait_for(lambda: line.ask("SELECT heard_at FROM exchange.node_state") != before, what="its word")
    assert line.children["node"].process is not None and line.children["node"].process.poll() is None
    ballast.unlink()
    wait_for(lambda: line.base_checksum() == line.source_checksum() and receipted(line), what="what waited")
    assert line.count() == rows
    assert status(line)["state"] == "up"


async def test_a_disk_that_fills_while_batches_are_written_loses_nothing(line: Line) -> None:
    """The system refuses every write beyond a size, in the middle of whatever is written."""
    line.node_settings = {"NODE_BATCH_ROWS": "50", "NODE_STATE_SECONDS": "0.3"}
    rows = await line.set_up(people=1500)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    process = line.children["node"].process
    assert process is not None
    log = line.node_home / "spool" / "spool.sqlite-wal"
    limit = log.stat().st_size + 16 * 1024
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    line.change_source("UPDATE csyxzm SET qfjg = '样例后来医院', gxsj = clock_timestamp()")
    wait_for(lambda: "disk_full" in line.children["node"].written(), what="the full disk")
    heard = line.ask("SELECT heard_at FROM exchange.node_state")
    wait_for(lambda: line.ask("SELECT heard_at FROM exchange.node_state") != heard, what="its word")
    assert process.poll() is None
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_for(lambda: line.base_checksum() == line.source_checksum() and receipted(line), what="what waited")
    assert line.count() == rows
    assert [sum(entry[one] for entry in line.ledger()) for one in ("inserted", "updated")] == [rows, rows]
