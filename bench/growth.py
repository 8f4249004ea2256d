"""Growth: what a keyed call takes with a hundred times the rows, both cities up, asked in turn in one run."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import statistics
import sys
import time
from contextlib import ExitStack

from bench import births
from bench.keyed import CONTEXT, body_of
from bench.place import Place, running_place
from shuqiao.security.http_signatures import key_signer, sign_request

TIMES = 100
TARGET = 1.3


class Caller:
    """One application on one connection to a place; its calls are signed one by one."""

    def __init__(self, place: Place, people: int) -> None:
        """Connect."""
        self._people = people
        self._host = f"127.0.0.1:{place.port}"
        self._signer = key_signer(place.signing["ed25519"])
        self._link = http.client.HTTPConnection("127.0.0.1", place.port, timeout=30)

    def call_ms(self, operation: str) -> float:
        """Ask about a random birth; return the milliseconds from sending to the whole answer."""
        body = body_of(operation, random.randrange(self._people))
        path = f"/v1/resources/{births.RESOURCE}/{operation}"
        target = ("POST", self._host, path)
        headers = sign_request(self._signer, target, body, CONTEXT, int(time.time()))
        started = time.perf_counter()
        self._link.request("POST", path, body, headers | {"content-type": "application/json"})
        with self._link.getresponse() as answer:
            said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {said[:200]!r}")
        return (time.perf_counter() - started) * 1000


def measured(callers: dict[int, Caller], rounds: int, calls: int) -> dict[tuple[int, str], list[float]]:
    """The median latency of each round, by number of people and operation."""
    medians: dict[tuple[int, str], list[float]] = {}
    for at in range(rounds + 1):
        for operation in ("verify", "query"):
            for people, caller in callers.items():
                median = statistics.median(caller.call_ms(operation) for _ in range(calls))
                # The first round warms up caches and plans of both.
                if at:
                    medians.setdefault((people, operation), []).append(median)
                    print(f"round {at}: {operation}, {people} births: {median:.2f} ms", file=sys.stderr)
    return medians


def main(arguments: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench growth", description=__doc__)
    parser.add_argument("--people", type=int, default=10_000, help="of the small city")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=500, help="of each operation in a round")
    options = parser.parse_args(arguments)
    few, many = options.people, options.people * TIMES
    with ExitStack() as stack:
        places = {people: stack.enter_context(running_place(people)) for people in (few, many)}
        callers = {people: Caller(place, people) for people, place in places.items()}
        medians = measured(callers, options.rounds, options.calls)
    print(f"{os.cpu_count()} cores; one connection; medians of {options.rounds} rounds")
    rows = []
    for operation in ("verify", "query"):
        small, large = (statistics.median(medians[people, operation]) for people in (few, many))
        ratio = round(large / small, 2)
        rows.append({"operation": operation, "ms": [round(small, 2), round(large, 2)], "ratio": ratio})
        print(
            f"{operation}: {few} births {small:.2f} ms, {many} births {large:.2f} ms: {ratio}, goal {TARGET}"
        )
    print(json.dumps({"bench": "growth", "target": TARGET, "rows": rows}))
    return 0
