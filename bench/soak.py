"""Soak: calls without a pause, and the memory of each worker of the plane meanwhile."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import threading
import time
from pathlib import Path

from bench.growth import Caller
from bench.place import Place, running_place

CALLERS = 4
SAMPLE_S = 5.0
WARM = 0.3
"""The share of the time after which memory should stay as it is."""

ALLOWED = 1.05


def worker_bytes(place: Place) -> dict[int, int]:
    """Resident memory of each worker of the plane, by process number."""
    parent = place.processes["plane"].pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    found = {}
    for child in children:
        status = Path(f"/proc/{child}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        if resident is not None:
            found[int(child)] = int(resident[1]) * 1024
    return found


def keep_calling(place: Place, people: int, until_s: float, counts: list[int]) -> None:
    """Call until a time; adds the number of answered calls."""
    caller = Caller(place, people)
    made = 0
    while time.monotonic() < until_s:
        caller.call_ms("query" if made % 2 else "verify")
        made += 1
    counts.append(made)


def soaked(place: Place, people: int, seconds: float) -> tuple[list[dict[int, int]], int]:
    """Samples of memory, and the number of answered calls."""
    until_s = time.monotonic() + seconds
    counts: list[int] = []
    threads = [
        threading.Thread(target=keep_calling, args=(place, people, until_s, counts)) for _ in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    samples = []
    while time.monotonic() < until_s:
        samples.append(worker_bytes(place))
        print(f"{max(samples[-1].values()) / 2**20:.1f} MiB", file=sys.stderr)
        time.sleep(min(SAMPLE_S, seconds / 10))
    for thread in threads:
        thread.join()
    if len(counts) != CALLERS:
        raise RuntimeError("a caller ended early")
    return samples, sum(counts)


def main(arguments: list[str]) -> int:
    """Run the soak; returns 1 when a worker ended or kept growing after it was warm."""
    parser = argparse.ArgumentParser(prog="bench soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--people", type=int, default=10_000)
    options = parser.parse_args(arguments)
    with running_place(options.people) as place:
        samples, calls = soaked(place, options.people, options.minutes * 60)
    warm = samples[int(len(samples) * WARM) :]
    same = all(sample.keys() == samples[0].keys() for sample in samples)
    growth = max((warm[-1][pid] / warm[0][pid] for pid in warm[0] if pid in warm[-1]), default=float("inf"))
    flat = same and growth <= ALLOWED
    largest = max(size for sample in samples for size in sample.values())
    print(f"{os.cpu_count()} cores; {calls} calls in {options.minutes:g} minutes by {CALLERS} callers")
    print(f"memory of a worker at most {largest / 2**20:.1f} MiB; last to first when warm {growth:.3f}")
    print(json.dumps({"bench": "soak", "calls": calls, "growth": round(growth, 3), "flat": flat}))
    return 0 if flat else 1
