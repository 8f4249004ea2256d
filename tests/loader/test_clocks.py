"""The clock of a node's machine jumps: what it sends still arrives, and what can't is said."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.loader.line import BIRTHS, Line, wait_for
from tests.loader.test_kills import receipted
from tests.loader.test_stepping_back import status

pytestmark = pytest.mark.database

DAY_S = 86_400
SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <sys/time.h>
static long shift(void) {
  const char *name = getenv("CLOCK_SHIFT_FILE");
  FILE *file = name ? fopen(name, "r") : NULL;
  long seconds = 0;
  if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
  return seconds;
}
int clock_gettime(clockid_t id, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int done = real(id, at);
  if (!done && id == CLOCK_REALTIME) at->tv_sec += shift();
  return done;
}
time_t time(time_t *out) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  if (out) *out = at.tv_sec;
  return at.tv_sec;
}
"""
"""Shifts the clock that a process sees, TLS included, by the seconds that a file says at the moment."""


@pytest.fixture
def shift(line: Line, tmp_path: Path) -> Path:
    """The file that says by how much the node's clock is wrong."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed: sudo apt-get install gcc")
    source, library, file = tmp_path / "clock.c", tmp_path / "clock.so", tmp_path / "shift"
    source.write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    file.write_text("0")
    line.node_settings = {
        "LD_PRELOAD": str(library),
        "CLOCK_SHIFT_FILE": str(file),
        "NODE_STATE_SECONDS": "0.3",
    }
    return file


def set_off(shift: Path, days: int) -> None:
    """Let the clock be so many days off."""
    shift.write_text(str(days * DAY_S))


def change(line: Line, unit: str) -> None:
    """Change ten rows at the source."""
    first = "SELECT zsbh FROM csyxzm ORDER BY zsbh LIMIT 10"
    line.change_source(f"UPDATE csyxzm SET qfjg = %s WHERE zsbh IN ({first})", unit)


def arrived(line: Line, unit: str, version: int) -> bool:
    """Say whether the ten came."""
    sql = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE certificate_issuing_unit = %s AND version = %s"
    return line.ask(sql, unit, version) == [{"n": 10}]


async def test_a_clock_that_jumps_delays_nothing_and_is_named_where_it_matters(
    line: Line, shift: Path
) -> None:
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    for version, (days, unit) in enumerate([(100, "样例甲"), (-20, "样例乙"), (300, "样例丙")], 2):
        set_off(shift, days)
        change(line, unit)
        wait_for(lambda u=unit, v=version: arrived(line, u, v), what=f"a change, {days} days off")
    wait_for(lambda: receipted(line), what="the receipts")
    # The node's disk is lost while its clock is ahead, and once more when it is right again: the later load
    # counts as the later one.
    for days in (300, 0):
        set_off(shift, days)
        line.children["node"].kill()
        shutil.rmtree(line.node_home / "spool")
        (line.node_home / "status.json").unlink()
        before = len(line.ledger())
        line.start("node")
        wait_for(lambda b=before: len(line.ledger()) > b and status(line), what="the load")
        wait_for(lambda: receipted(line), what="the receipts")
    # A node that connects with its clock behind the hub's certificate can't, and says why.
    set_off(shift, -20)
    line.children["node"].kill()
    (line.node_home / "status.json").unlink()
    line.start("node")
    wait_for(lambda: "this machine's clock" in (status(line).get("fault") or ""), what="the diagnosis")
    change(line, "样例丁")
    set_off(shift, 0)
    wait_for(lambda: arrived(line, "样例丁", 5), what="the change after the clock was set")
    assert line.count() == rows
    assert line.base_checksum() == line.source_checksum()
    ledger = line.ledger()
    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert line.ask("SELECT count(*) AS n FROM exchange.batch_refusal") == [{"n": 0}]
