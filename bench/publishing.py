"""Thousands of entries on their way through the chain together: the time of each bulk step.

A city is seeded as for a demonstration; one process begins the drafts and takes every step of the chain of
Guangzhou 2016 for all of them at once, as the pages do. Publishing writes entries, items, both catalogues,
search rows and the log in one transaction. Beside it stands the limit: the same items and versions copied
into bare tables by the database alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import psycopg

from bench.pages import City, running_city
from bench.workbook import sample_entry

ENTRIES = 10_000
ITEMS = 5
TARGET_S = 60.0
DRAFTS_AT_ONCE = 500
CHAIN = (
    ("submit", "huang"),
    ("compile", "ma"),
    ("verify", "zheng"),
    ("approve", "shi"),
    ("publish", "zheng"),
)


def take_all(count: int) -> dict[str, Any]:
    """Begin so many entries and take every step of the chain for all of them; seconds of each."""
    import django

    django.setup()
    from shuqiao.control.accounts.access import viewer_of
    from shuqiao.control.accounts.models import Account
    from shuqiao.control.compiling.actions import take_steps

    names = {name for _, name in CHAIN}
    accounts = Account.objects.select_related("department").filter(username__in=names)
    people = {account.username: viewer_of(account) for account in accounts}
    numbers, times = [], {}
    started = time.perf_counter()
    numbers = _begin(people["huang"], count)
    times["drafts"] = time.perf_counter() - started
    for action, by in CHAIN:
        if action == "verify":
            _mark(numbers, people[by].account_id)
        started, used = time.perf_counter(), time.process_time()
        outcomes = take_steps(people[by], numbers, action)
        times[action] = time.perf_counter() - started
        times[f"{action}_own_cpu"] = time.process_time() - used
        refused = [one for one in outcomes if not one.done]
        if refused:
            raise RuntimeError(f"{action}: {len(refused)} refused, {refused[0].message.zh}")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {key: round(value, 2) for key, value in times.items()} | {
        "peak_mib": peak_mib,
        "load": round(os.getloadavg()[0], 1),
    }


def _begin(viewer: Any, count: int) -> list[str]:
    from shuqiao.control.compiling.bulk_drafts import begin_drafts
    from shuqiao.control.compiling.drafts import DraftInput
    from shuqiao.rules.entries import EntryItem

    sample = sample_entry(viewer.department.code)
    numbers: list[str] = []
    for start in range(0, count, DRAFTS_AT_ONCE):
        given = []
        for at in range(start, min(start + DRAFTS_AT_ONCE, count)):
            items = tuple(
                EntryItem(field=f"own_{at}_{n}", zh=f"示例事项{at}的第{n}项指标", length=40)
                for n in range(ITEMS)
            )
            content = replace(
                sample,
                name_zh=f"示例事项{at}的办理信息",
                summary_zh=f"第{at}号示例事项的办理结果",
                record_key="",
                items=items,
            )
            given.append(DraftInput(content=content))
        numbers += begin_drafts(viewer, given)
    return numbers


def _mark(numbers: list[str], account: int) -> None:
    """Every item is found correct, as after a review."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO compiling_mark (compilation_id, state, path, accepted, remark, account_id, made_at)"
            " SELECT c.number, c.state, 'items.' || (i ->> 'field'), true, '', %s, now()"
            " FROM compiling_compilation c, jsonb_array_elements(c.content -> 'items') i"
            " WHERE c.number = ANY(%s)",
            [account, numbers],
        )


def _limit(city: City) -> float:
    """Copying the items and versions written, in bare SQL."""
    with psycopg.connect(city.server.url("hub")) as admin:
        started = time.perf_counter()
        admin.execute("CREATE TABLE public.items_copied AS SELECT * FROM control.catalogue_item")
        admin.execute(
            "CREATE TABLE public.versions_copied AS SELECT * FROM control.catalogue_resourceversion"
        )
        return time.perf_counter() - started


def measure_publishing(city: City, count: int = ENTRIES) -> dict[str, Any]:
    """Take so many entries through the chain in a process of its own; seconds of each step."""
    code = f"import json; from bench import publishing; print(json.dumps(publishing.take_all({count})))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=city.environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench publishing", description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    options = parser.parse_args(arguments)
    with running_city(lambda server: None) as city:  # noqa: ARG005 - nothing more is filled in
        print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
        found = measure_publishing(city, options.entries)
        found["limit"] = round(_limit(city), 2)
    for name, seconds in found.items():
        print(f"{name:>18} {seconds}")
    met = {"target_s": TARGET_S, "met": found["publish"] <= TARGET_S} if options.entries >= ENTRIES else {}
    print(json.dumps({"bench": "publishing", "entries": options.entries, **found, **met}))
    return 0
