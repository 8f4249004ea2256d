"""Keyed calls: the whole path against `pgbench -S` on a copy of the same rows and a bare asyncpg handler.

Every round runs every variant once, so that the machine's moods meet all of them; medians are reported.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import random
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import births
from bench.place import Place, free_port, running_place, spawn, wait_for
from shuqiao.client.plane import PlaneClient
from shuqiao.security.http_signatures import CallContext, KeySigner, RequestSigner, key_signer, sign_request
from shuqiao.security.sessions import MAX_CALLS, SessionSigner

REFERENCE_CLIENTS = 32
SUPPLY_PER_S = {"mac": 14_000, "ed25519": 8_000, "ecdsa-p256-sha256": 8_000, "peer": 30_000}
TARGETS = {("verify", "mac", 128): 0.25, ("query", "mac", 128): 0.25}
CONTEXT = CallContext(end_user="bench")


@dataclass(frozen=True)
class Variant:
    """One thing that is measured."""

    name: str
    connections: int
    operation: str = ""
    signature: str = ""
    target: float | None = None


@dataclass
class Results:
    """Measurements of one variant, a number per round; processor time is microseconds a call by program."""

    per_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)


def variants() -> list[Variant]:
    """What is measured, in the order of each round."""
    made = [Variant("pgbench -S, same rows", REFERENCE_CLIENTS)]
    for connections in (32, 128):
        made.append(
            Variant(f"bare asyncpg handler, {connections} connections", connections, signature="peer")
        )
        for operation, signature in (
            ("verify", "mac"),
            ("query", "mac"),
            ("verify", "ed25519"),
            ("verify", "ecdsa-p256-sha256"),
        ):
            name = f"{operation}, {signature}, {connections} connections"
            target = TARGETS.get((operation, signature, connections))
            made.append(Variant(name, connections, operation, signature, target))
    return made


def _request(path: str, host: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n{lines}\r\n".encode("ascii") + body


def _body(operation: str, serial: int) -> bytes:
    row = births.identity_row(serial)
    question: dict[str, object] = {"subject": row[births.KEY]}
    if operation == "verify":
        question["claims"] = {
            "mother_name": row["mother_name"],
            "mother_citizen_id_number": row["mother_citizen_id_number"],
            "sex_code": births.plain_row(serial)["sex_code"],
        }
    return msgspec.json.encode(question)


def signed_requests(
    place: Place, variant: Variant, signers: Iterator[RequestSigner], people: int, count: int
) -> list[bytes]:
    """Sign requests for random births, before the clock runs."""
    path = f"/v1/resources/{births.RESOURCE}/{variant.operation}"
    host = f"127.0.0.1:{place.port}"
    now = int(time.time())
    made = []
    for signer in itertools.islice(signers, count):
        body = _body(variant.operation, random.randrange(people))
        headers = sign_request(signer, ("POST", host, path), body, CONTEXT, now)
        made.append(_request(path, host, headers, body))
    return made


class Bench:
    """Runs variants in a place."""

    def __init__(self, place: Place, people: int, seconds: float) -> None:
        """Copy the rows for the reference and start the peer."""
        self._place = place
        self._people = people
        self._seconds = seconds
        self._sessions: list[SessionSigner] = []
        self._script = place.folder / "select.sql"
        self._peer_port = free_port()
        self._copy_rows()
        environment = {"PEER_DATABASE_URL": place.url("shuqiao_owner"), "PEER_PORT": str(self._peer_port)}
        spawn(place, "peer", [sys.executable, "-m", "bench.peer"], environment)
        wait_for(f"http://127.0.0.1:{self._peer_port}/1", place.processes["peer"])

    def _copy_rows(self) -> None:
        with self._place.admin() as admin:
            admin.execute(
                "CREATE TABLE public.bench_births AS SELECT row_number() OVER ()::int AS id, b.* "
                f"FROM base.{births.RESOURCE} b"
            )
            admin.execute("ALTER TABLE public.bench_births ADD PRIMARY KEY (id)")
            admin.execute("GRANT SELECT ON public.bench_births TO shuqiao_owner")
            admin.execute("VACUUM ANALYZE public.bench_births")
        self._script.write_text(
            f"\\set n random(1, {self._people})\nSELECT * FROM bench_births WHERE id = :n;\n",
            encoding="ascii",
        )

    def run(self, variant: Variant) -> tuple[float, float, float, dict[str, float]]:
        """Measure once: calls a second, p50 and p99 in ms, processor time a call in microseconds."""
        if not variant.signature:
            return self._run_pgbench()
        file = self._place.folder / "requests.msgpack"
        file.write_bytes(msgspec.msgpack.encode(self._requests(variant)))
        port = self._peer_port if variant.signature == "peer" else self._place.port
        command = [sys.executable, "-m", "bench.load", f"127.0.0.1:{port}", str(variant.connections)]
        before = self._place.cpu_s()
        output = subprocess.run(
            [*command, str(self._seconds), str(file)], check=True, capture_output=True, text=True
        ).stdout
        self._sign_sessions(result_count=json.loads(output)["count"])
        after = self._place.cpu_s()
        result = json.loads(output)
        if result["failed"]:
            raise RuntimeError(f"{variant.name}: {result['failed']} of {result['count']} calls failed")
        if result["ran_out"]:
            print(f"warning: {variant.name} used all its requests up", file=sys.stderr)
        cpu = {name: 1e6 * (after[name] - before[name]) / result["count"] for name in after}
        cpu["load"] = result["cpu_us"]
        return result["per_s"], result["p50_ms"], result["p99_ms"], cpu

    def _requests(self, variant: Variant) -> list[bytes]:
        count = int(SUPPLY_PER_S[variant.signature] * self._seconds)
        if variant.signature == "peer":
            numbers = (random.randint(1, self._people) for _ in range(count))
            return [f"GET /{number} HTTP/1.1\r\nhost: peer\r\n\r\n".encode() for number in numbers]
        return signed_requests(self._place, variant, self._signers(variant.signature), self._people, count)

    def _signers(self, signature: str) -> Iterator[RequestSigner]:
        """Give a signer for each call: the key, or session after session, each for its number of calls."""
        if signature != "mac":
            yield from itertools.repeat(key_signer(self._place.signing[signature]))
        own: KeySigner = key_signer(self._place.signing["ed25519"])
        with PlaneClient(f"http://127.0.0.1:{self._place.port}", own) as client:
            while True:
                session = client.agree_session(own)
                self._sessions.append(session)
                yield from itertools.repeat(session, MAX_CALLS)

    def _sign_sessions(self, result_count: int) -> None:
        """Sign what was called, as an application does: else no other session would be agreed.

        Requests were sent in their order, so the sessions behind the last call have nothing to sign.
        """
        used = self._sessions[: result_count // MAX_CALLS + 2]
        self._sessions.clear()
        own: KeySigner = key_signer(self._place.signing["ed25519"])
        with PlaneClient(f"http://127.0.0.1:{self._place.port}", own) as client:
            for session in used:
                client.sign_session(own, session)

    def _run_pgbench(self) -> tuple[float, float, float, dict[str, float]]:
        clients = str(REFERENCE_CLIENTS)
        command = [
            str(self._place.programs / "pgbench"),
            "-n",
            "-c",
            clients,
            "-j",
            "2",
            "-f",
            str(self._script),
        ]
        before, client_before = self._place.cpu_s(), _children_s()
        output = subprocess.run(
            [*command, "-T", str(int(self._seconds)), self._place.server.url("hub")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        client_s = _children_s() - client_before
        used = self._place.cpu_s()["postgres"] - before["postgres"]
        rate = float(_found(r"tps = ([0-9.]+)", output))
        latency = float(_found(r"latency average = ([0-9.]+)", output))
        count = rate * int(self._seconds)
        return rate, latency, latency, {"postgres": 1e6 * used / count, "load": 1e6 * client_s / count}


def _children_s() -> float:
    """Processor seconds of the programs that were run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"pgbench said: {text}")
    return found[1]


def flush_us(folder: Path) -> float:
    """Microseconds one small durable write takes here, which no durable answer can beat."""
    file = folder / "flush"
    with file.open("wb", buffering=0) as target:
        started = time.perf_counter()
        for _ in range(200):
            target.write(b"x" * 4096)
            os.fdatasync(target.fileno())
        return 1e6 * (time.perf_counter() - started) / 200


def sign_us() -> float:
    """Microseconds one Ed25519 signature takes here: how fast this machine's processor is today."""
    key = Ed25519PrivateKey.generate()
    started = time.perf_counter()
    for _ in range(2000):
        key.sign(b"x" * 300)
    return 1e6 * (time.perf_counter() - started) / 2000


def interpreter() -> str:
    """Which Python runs this: one that was not built with optimisation is a quarter slower."""
    return f"Python {platform.python_version()} of {sys.base_prefix}"


def measure(bench: Bench, rounds: int, only: str, say: Callable[[str], None]) -> dict[Variant, Results]:
    """Run all rounds of the reference and of the variants whose name contains `only`."""
    reference, *others = variants()
    results = {variant: Results() for variant in (reference, *(v for v in others if only in v.name))}
    for turn in range(rounds):
        for variant, kept in results.items():
            per_s, p50, p99, cpu = bench.run(variant)
            kept.per_s.append(per_s)
            kept.p50_ms.append(p50)
            kept.p99_ms.append(p99)
            for name, used in cpu.items():
                kept.cpu_us.setdefault(name, []).append(used)
            say(f"round {turn + 1}: {variant.name}: {per_s:,.0f}/s")
    return results


def _total_us(kept: Results) -> float:
    return sum(statistics.median(used) for used in kept.cpu_us.values())


def report(results: dict[Variant, Results]) -> list[dict[str, object]]:
    """Print the table and give the rows of the last line.

    The second ratio is that of processor time, load included. Where nobody else uses the machine both agree;
    where others do, 32 backends of the reference get a larger share of it than six processes of the path.
    """
    reference = statistics.median(next(iter(results.values())).per_s)
    reference_us = _total_us(next(iter(results.values())))
    rows: list[dict[str, object]] = []
    print(
        f"{'variant':44} {'calls/s':>9} {'ratio':>6} {'of CPU':>6} {'p50 ms':>7} {'p99 ms':>7}  CPU µs a call"
    )
    for variant, kept in results.items():
        per_s = statistics.median(kept.per_s)
        ratio, cpu_ratio = per_s / reference, reference_us / _total_us(kept)
        cpu = {name: statistics.median(used) for name, used in kept.cpu_us.items()}
        shown = " ".join(f"{name} {used:.0f}" for name, used in cpu.items() if used >= 1)
        p50, p99 = statistics.median(kept.p50_ms), statistics.median(kept.p99_ms)
        print(f"{variant.name:44} {per_s:9,.0f} {ratio:6.3f} {cpu_ratio:6.3f} {p50:7.1f} {p99:7.1f}  {shown}")
        rows.append(
            {
                "variant": variant.name,
                "value": round(per_s, 1),
                "unit": "calls/s",
                "ratio": round(ratio, 4),
                "cpu_ratio": round(cpu_ratio, 4),
                "cpu_us": round(_total_us(kept), 1),
                "target": variant.target,
                "met": None if variant.target is None else ratio >= variant.target,
            }
        )
    return rows


def main(arguments: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench query", description=__doc__)
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", default="", help="measure the variants whose name contains this")
    options = parser.parse_args(arguments)
    with running_place(options.people) as place:
        print(
            f"{os.cpu_count()} cores; flush {flush_us(place.folder):.0f} µs; "
            f"Ed25519 signature {sign_us():.0f} µs; {interpreter()}; {options.people} births"
        )
        bench = Bench(place, options.people, options.seconds)
        results = measure(bench, options.rounds, options.only, lambda text: print(text, file=sys.stderr))
        rows = report(results)
    print(json.dumps({"bench": "query", "rows": rows}))
    return 0
