"""The catalogue with a million entries: ranked search with facets, and the page of an entry.

A city is seeded as for a demonstration and filled with entries (`bench.entries`). Searches run as the page
runs them, in one process against the database; then the real server (granian, one process) is asked for pages
by somebody who has signed in. Beside them stands the limit: reading one entry by its key in bare SQL. At last
a workbook of 10,000 entries is imported and 10,000 entries are published together. Rounds come one after the
other, each query once a round in an order drawn anew; every answer counts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import psycopg

from bench import entries, publishing, workbook
from bench.pages import City, measure, running_city, sign_in

TARGET_ROWS = 1_000_000
SEARCH_MS = 50.0
PAGE_MS = 100.0

QUERIES = {kind: str(given).split() for kind, given in entries.WORDS["queries"].items()}
FACETED: list[tuple[str, dict[str, list[str]]]] = [
    ("企业", {"update_cycle": ["daily"]}),
    ("登记", {"share_type": ["unconditional"], "library": ["population", "legal_entity"]}),
    ("信息", {"theme": ["203"], "format": ["database"], "update_cycle": ["monthly"]}),
    ("出生", {"open": ["true"]}),
    ("", {"theme": ["101"], "mode": ["verify"]}),
    ("许可", {"department": ["440100-housing", "440100-health"]}),
    ("姓名", {"mode": ["bulk"], "library": ["population"]}),
]


def queries() -> list[tuple[str, str, dict[str, list[str]]]]:
    """Every query with its kind and filters."""
    plain = [(kind, text, dict[str, list[str]]()) for kind, texts in QUERIES.items() for text in texts]
    return [*plain, ("everything", "", {}), *(("with facets", text, chosen) for text, chosen in FACETED)]


def label_of(text: str, chosen: dict[str, list[str]]) -> str:
    """How a query is named in the results."""
    return " ".join([text or "(no words)", *(f"{key}={','.join(value)}" for key, value in chosen.items())])


def search_rounds(rounds: int) -> dict[str, Any]:
    """Run in a process that has the settings of control: times of every query, and how many it finds."""
    import django

    django.setup()
    from shuqiao.control.accounts.access import viewer_of
    from shuqiao.control.accounts.models import Account
    from shuqiao.control.catalogue.search_page import Asked, SearchFilters, search

    viewer = viewer_of(Account.objects.select_related("department").get(username="lin"))
    asked = [
        (kind, label_of(text, chosen), Asked(text, SearchFilters(**{k: tuple(v) for k, v in chosen.items()})))
        for kind, text, chosen in queries()
    ]
    times: dict[str, list[float]] = defaultdict(list)
    totals: dict[str, str] = {}
    for number in range(rounds + 1):
        drawn = random.Random(number).sample(asked, len(asked))
        for _, label, one in drawn:
            started = time.perf_counter()
            page = search(viewer, one)
            # The first round fills caches, as any server's first minute does.
            if number:
                times[label].append((time.perf_counter() - started) * 1000)
            totals[label] = f"{page.total}" if page.total_is_exact else "10,000+"
    return {"times": times, "totals": totals}


def _in_control(city: City, rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-c", f"import json; from bench.catalogue import search_rounds as r; "
               f"print(json.dumps(r({rounds})))"]  # fmt: skip
    done = subprocess.run(command, env=city.environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _limit(city: City, ids: list[str], rounds: int) -> list[float]:
    """Milliseconds of reading one entry by its key."""
    times = []
    with psycopg.connect(city.server.url("hub"), autocommit=True) as admin:
        for key in ids * rounds:
            started = time.perf_counter()
            admin.execute("SELECT * FROM control.catalogue_resource WHERE id = %s", [key]).fetchone()
            times.append((time.perf_counter() - started) * 1000)
    return times


def _full_entries(city: City, count: int) -> list[str]:
    """Entries whose whole content is stored, drawn at random but always alike."""
    with psycopg.connect(city.server.url("hub")) as admin:
        found = admin.execute(
            "SELECT id FROM control.catalogue_resource WHERE shared AND content ? 'items'"
            " ORDER BY md5(id) LIMIT %s",
            [count],
        )
        return [str(key) for (key,) in found]


def row(name: str, times: Iterable[float], target: float | None, **more: object) -> dict[str, object]:
    """One line of the result, printed as it is made."""
    given = list(times)
    p95 = statistics.quantiles(given, n=20)[-1] if len(given) > 1 else given[0]
    found: dict[str, object] = {
        "name": name,
        "median_ms": round(statistics.median(given), 1),
        "p95_ms": round(p95, 1),
        "worst_ms": round(max(given), 1),
        "answers": len(given),
        **({"target_ms": target, "met": p95 <= target} if target else {}),
        **more,
    }
    print(f"{name:44} median {found['median_ms']:7} ms, 95 % {found['p95_ms']:7} ms, {more or ''}")
    return found


def _search_rows(found: dict[str, Any]) -> list[dict[str, object]]:
    times: dict[str, list[float]] = found["times"]
    kinds: dict[str, list[float]] = defaultdict(list)
    for kind, text, chosen in queries():
        kinds[kind] += times[label_of(text, chosen)]
    rows = [row("search, all queries", (t for given in times.values() for t in given), SEARCH_MS)]
    rows += [row(f"search, {kind}", given, SEARCH_MS) for kind, given in kinds.items()]
    slowest = sorted(times, key=lambda label: -statistics.median(times[label]))[:5]
    rows += [
        row(f"slowest: {label}", times[label], SEARCH_MS, found=found["totals"][label]) for label in slowest
    ]
    return rows


def _page_rows(city: City, rounds: int) -> list[dict[str, object]]:
    ids = _full_entries(city, 20)
    client = sign_in(city, "lin")
    rows = [row("limit: one entry by its key, bare SQL", _limit(city, ids, rounds), None)]
    addresses = [f"/catalogue/{key}/" for key in ids]
    measure(client, addresses[:3])
    rows.append(row("page of an entry", measure(client, addresses * rounds), PAGE_MS))
    some = [text for kind in QUERIES.values() for text in kind[:5]]
    texts = [f"/catalogue/?q={text}" for text in some]
    measure(client, texts[:3])
    rows.append(row("page of a search", measure(client, texts * rounds), PAGE_MS))
    suggestions = [f"/catalogue/suggest?q={text}" for text in some]
    rows.append(row("suggestions while typing", measure(client, suggestions * rounds), SEARCH_MS))
    return rows


def main(arguments: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench catalogue", description=__doc__)
    parser.add_argument("--entries", type=int, default=TARGET_ROWS)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with running_city(lambda server: entries.fill(server, options.entries)) as city:
        print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; {options.entries} entries")
        rows = _search_rows(_in_control(city, options.rounds)) + _page_rows(city, options.rounds)
        rows += workbook.measure_import(city.environment)
        published = publishing.measure_publishing(city)
        print(f"publishing {publishing.ENTRIES} entries together: {published['publish']} s")
        met = published["publish"] <= publishing.TARGET_S
        rows.append({"name": "publishing 10,000 entries", **published, "met": met})
    print(json.dumps({"bench": "catalogue", "entries": options.entries, "rows": rows}, ensure_ascii=False))
    return 0
