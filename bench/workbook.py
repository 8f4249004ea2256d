"""A workbook of thousands of entries on its way into the drafts: time, progress and memory.

Each size runs in a process of its own, so that its peak of memory is that of the worker: what a small
workbook needs is the floor, and the large one must not lie far above it. Beside it the same rows are read
with nothing done to them: that is the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

from bench.pages import running_city

ROWS = 10_000
SMALL_ROWS = 500
ITEMS = 5
TARGET_S = 30.0
_TICK_S = 0.2


def measure_import(environment: Mapping[str, str], rows: int = ROWS) -> list[dict[str, object]]:
    """Import a small and a large workbook with the settings of control in `environment`; one line each.

    The drafts stay: the database is one that is thrown away.
    """
    return [_in_process(environment, count) for count in (SMALL_ROWS, rows)]


def _in_process(environment: Mapping[str, str], rows: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        book = str(Path(folder) / "catalogue.xlsx")
        _run(environment, f"write({rows}, {book!r})")
        found = _run(environment, f"take_in({book!r})")
    total = found["check_s"] + found["take_s"]
    met = {"target_s": TARGET_S, "met": total <= TARGET_S} if rows >= ROWS else {}
    print(
        f"workbook of {rows} entries, {rows * ITEMS} items: checked in {found['check_s']} s, in the drafts"
        f" {found['take_s']} s later, {found['told']} steps of progress, peak {found['peak_mib']} MiB"
        f" (only read: {found['read_s']} s)"
    )
    return {"name": f"import of a workbook of {rows} entries", "total_s": round(total, 1), **found, **met}


def _run(environment: Mapping[str, str], call: str) -> dict[str, Any]:
    code = f"import json; from bench import workbook; print(json.dumps(workbook.{call}))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(environment), check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def write(rows: int, path: str) -> dict[str, object]:
    """Write a workbook of new entries of one department."""
    viewer = _viewer()
    from shuqiao.control.compiling.districts import rules_for
    from shuqiao.control.compiling.workbook.choices import read_choices
    from shuqiao.control.compiling.workbook.export import front_of, write_entries

    department = viewer.department.code
    sample = sample_entry(department)
    entries = (
        (
            str(at),
            replace(
                sample, name_zh=f"示例事项第{rows}批{at}号办理信息", summary_zh=f"第{at}号示例事项的办理结果"
            ),
        )
        for at in range(rows)
    )
    choices = read_choices(department, rules_for(department))
    with Path(path).open("wb") as out:
        write_entries(out, entries, choices, front_of(viewer))
    return {"bytes": Path(path).stat().st_size}


def take_in(path: str) -> dict[str, object]:
    """Upload a workbook and do the worker's part, watched from another connection as its page does."""
    viewer = _viewer()
    from shuqiao.control.compiling.workbook import actions, jobs
    from shuqiao.control.compiling.workbook.models import CatalogueImport
    from shuqiao.control.documents.actions import FileInput

    content = Path(path).read_bytes()
    before_mib = _peak_mib()
    key = actions.upload(viewer, FileInput("catalogue.xlsx", content))
    done, told = threading.Event(), set[tuple[str, int, int]]()
    watcher = threading.Thread(target=_watch, args=(key, done, told))
    watcher.start()
    started, used = time.perf_counter(), time.process_time()
    jobs.work_on(key)
    checked = time.perf_counter()
    actions.take_over(viewer, key)
    jobs.work_on(key)
    taken = time.perf_counter()
    used = time.process_time() - used
    done.set()
    watcher.join()
    peak_mib = _peak_mib()
    found = CatalogueImport.objects.get(pk=key)
    if found.state != "taken":
        raise RuntimeError(f"{found.fault_count} faults: {list(found.faults.values('row', 'code')[:3])}")
    return {
        "check_s": round(checked - started, 2),
        "take_s": round(taken - checked, 2),
        "worker_cpu_s": round(used, 2),
        "read_s": round(_only_read(content), 2),
        "told": len(told),
        "before_mib": before_mib,
        "peak_mib": peak_mib,
        "kib": len(content) // 1024,
        "load": round(os.getloadavg()[0], 1),
    }


def _watch(key: int, done: threading.Event, told: set[tuple[str, int, int]]) -> None:
    from django.db import connection

    from shuqiao.control.compiling.workbook.models import CatalogueImport

    while not done.wait(_TICK_S):
        told.add(CatalogueImport.objects.values_list("state", "percent", "read_rows").get(pk=key))
    connection.close()


def _only_read(content: bytes) -> float:
    from shuqiao.control.documents.spreadsheet import Spreadsheet

    started = time.perf_counter()
    with Spreadsheet(BytesIO(content)) as book:
        for sheet in book.sheets:
            for _ in book.rows(sheet):
                pass
    return time.perf_counter() - started


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _viewer() -> Any:
    import django

    django.setup()
    from shuqiao.control.accounts.access import viewer_of
    from shuqiao.control.accounts.models import Account

    accounts = Account.objects.select_related("department").filter(is_active=True).order_by("pk")
    return next(one for one in map(viewer_of, accounts) if one.can("catalogue_edit"))


def sample_entry(department: str) -> Any:
    """An entry that every regulation takes, but for its name."""
    from shuqiao.control.organisations.models import Duty
    from shuqiao.control.regulations.current import regulation
    from shuqiao.rules.entries import Entry, EntryItem

    chosen = next((one.key for one in regulation().share_types.types if one.openness == 1), "")
    fields = (EntryItem(field=f"sample_{n}", zh=f"示例事项指标{n}", length=40) for n in range(1, ITEMS))
    key = EntryItem(field="sample_no", zh="示例事项编号", length=20, required=True, key=True)
    return Entry(
        subject="30100801", department=department, collecting=department, verifying=department,
        origin="system", forms=("structured",), format="database", library_kind="business",
        library="department", share_type=chosen, ground="《样例规定》第三条" if chosen else "",
        ground_rank="law" if chosen else "", conditions="用于样例审核" if chosen else "",
        manner=("platform_database",), scope="各行政机关", use="核定样例资格", open_to_public=False,
        update_cycle="daily", timeliness="次日", platform="样例平台", shared_until=date(2027, 10, 11),
        record_key="sample_no", legal_ground="《样例条例》第八条", not_secret=True,
        duty=Duty.objects.filter(department_id=department).values_list("number", flat=True).first(),
        items=(key, *fields),
    )  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench workbook", description=__doc__)
    parser.add_argument("--entries", type=int, default=ROWS)
    options = parser.parse_args(arguments)
    with running_city(lambda server: None) as city:  # noqa: ARG005 - nothing more is filled in
        print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
        rows = measure_import(city.environment, options.entries)
    print(json.dumps({"bench": "workbook", "entries": options.entries, "rows": rows}, ensure_ascii=False))
    return 0
