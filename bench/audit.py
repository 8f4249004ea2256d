"""The audit log: entries written, numbered with proofs and checked; beside it plain inserts of the same rows.

Plain inserts go into a table with the same columns, key and indexes that is in no parts, has no queue and no
digest: what a log costs that proves nothing. Batches are those of a busy plane. Processor time counts the
database's and, where it is named, the integrator's own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from bench.place import Place, _migrate, children_s, free_port
from shuqiao.auditlog.integrator import Integrator, LogKey, load_frontier
from shuqiao.embedded import hub, postgres
from shuqiao.security import keys

ENTRIES = 50_000
BATCH = 64
ORIGIN = "shuqiao-bench"
TARGET_PER_S = 10_000
STATEMENTS = {
    part.partition("\n")[0].partition(":")[0]: part.partition("\n")[2]
    for part in ("\n" + Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")).split("\n-- ")[1:]
}
"""By their names in the file."""


@contextlib.contextmanager
def running_log() -> Iterator[tuple[Place, LogKey]]:
    """Start a durable database with a migrated hub and a registered key; take it down in the end."""
    folder = Path(tempfile.mkdtemp(prefix="sq-bench-"))
    folder.chmod(0o755)
    data, password = folder / "pg" / "data", secrets.token_hex(16)
    server = postgres.PostgresServer(data, folder / "s", folder / "pg.log", secrets.token_hex(16))
    programs = postgres.runtime(folder)
    place = Place(folder, server, programs, free_port(), password, {})
    place.processes["postgres"] = postgres.start(server, programs=programs, durable=True)
    try:
        hub.create_roles(server.url("postgres"), dict.fromkeys(hub.ROLES, password))
        hub.create_database(server.url("postgres"), "hub", "shuqiao_owner", control_schema=True)
        _migrate(place)
        key = keys.generate_signing_key()
        der = keys.public_der(key.public_key())
        with place.admin() as admin:
            admin.execute(
                "INSERT INTO exchange.signing_key (id, purpose, algorithm, public_key)"
                " VALUES (%s, 'log', 'ed25519', %s)",
                [keys.key_id(der), der],
            )
            admin.execute(STATEMENTS["tables"])
        yield place, LogKey(ORIGIN, key, keys.key_id(der))
    finally:
        postgres.stop(place.processes["postgres"])
        shutil.rmtree(folder, ignore_errors=True)


def write(place: Place, kind: str, count: int, batch: int = BATCH) -> dict[str, float]:
    """Write what stands ready in batches, each durable by itself: entries a second, processor µs an entry."""
    with place.admin() as admin:
        used, started = place.cpu_s()["postgres"], time.perf_counter()
        for first in range(0, count, batch):
            admin.execute(STATEMENTS[kind], [first, first + batch], prepare=True)
        seconds = time.perf_counter() - started
        return _figures(count, seconds, place.cpu_s()["postgres"] - used)


async def integrate(place: Place, key: LogKey) -> dict[str, float]:
    """Number everything that waits and sign checkpoints, as the integrator's process does."""
    connection = await asyncpg.connect(place.url("shuqiao_integrator"))
    try:
        integrator = Integrator(place.url("shuqiao_integrator"), key)
        integrator._frontier = await load_frontier(connection)
        begun = integrator._frontier.size
        used, started = place.cpu_s()["postgres"] + time.process_time(), time.perf_counter()
        while await integrator.step(connection):
            pass
        seconds = time.perf_counter() - started
        used = place.cpu_s()["postgres"] + time.process_time() - used
        return _figures(integrator._frontier.size - begun, seconds, used)
    finally:
        await connection.close()


def _figures(count: int, seconds: float, cpu_s: float) -> dict[str, float]:
    return {"per_s": count / seconds, "cpu_us": 1e6 * cpu_s / count}


def verify(place: Place) -> dict[str, object]:
    """Check the whole log in a process of its own: seconds, processor seconds, the most memory it held."""
    environment = os.environ | {"SHUQIAO_DATABASE_URL": place.url("shuqiao_auditor"), "LOG_ORIGIN": ORIGIN}
    started, used = time.perf_counter(), place.cpu_s()["postgres"] + children_s()
    command = [sys.executable, "-m", "shuqiao.cli", "audit", "verify"]
    peak_kib = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            # What the kernel tells in the end counts this program's memory too, from which it was forked.
            held = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
            peak_kib = int(held[0].split()[1]) if held else peak_kib
            time.sleep(0.1)
        said = process.stdout.read() if process.stdout else ""
    if process.returncode != 0:
        raise RuntimeError(said)
    seconds = time.perf_counter() - started
    cpu_s = place.cpu_s()["postgres"] + children_s() - used
    return {
        "seconds": round(seconds, 1),
        "cpu_s": round(cpu_s, 1),
        "peak_mib": peak_kib // 1024,
        "said": said.splitlines()[0],
    }


def grow(place: Place, key: LogKey, entries: int) -> None:
    """Fill the log to so many entries, in larger batches than a plane's."""
    with place.admin() as admin:
        row = admin.execute("SELECT count(*) FROM audit.leaf").fetchone()
        there = int(row[0]) if row else 0
        while there < entries:
            count = min(100_000, entries - there)
            admin.execute(STATEMENTS["say"].format(count=count))
            write(place, "audit", count, 5_000)
            asyncio.run(integrate(place, key))
            there += count


def _round(place: Place, key: LogKey, count: int) -> dict[str, dict[str, float]]:
    with place.admin() as admin:
        admin.execute(STATEMENTS["say"].format(count=count))
        admin.execute("CHECKPOINT")
    found = {kind: write(place, kind, count) for kind in ("plain", "audit")}
    found["integrate"] = asyncio.run(integrate(place, key))
    return found


def main(arguments: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench audit", description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES, help="entries of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--verify", type=int, nargs="*", default=[], help="sizes at which the whole log is checked"
    )
    options = parser.parse_args(arguments)
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    with running_log() as (place, key):
        rounds = [_round(place, key, options.entries) for _ in range(options.rounds)]
        medians = {
            step: {
                name: round(statistics.median(one[step][name] for one in rounds), 1)
                for name in ("per_s", "cpu_us")
            }
            for step in rounds[0]
        }
        for step, figures in medians.items():
            print(
                f"{step:>10} {figures['per_s']:>9.0f} entries/s, {figures['cpu_us']:>6.1f} µs of CPU an entry"
            )
        checked = {}
        for size in sorted(options.verify):
            grow(place, key, size)
            checked[size] = verify(place)
            print(f"verify {size}: {checked[size]}")
    met = medians["integrate"]["per_s"] >= TARGET_PER_S
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"bench": "audit", **medians, "verify": checked, "peak_mib": peak, "met": met}))
    return 0
