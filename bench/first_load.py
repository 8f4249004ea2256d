"""The first load: a department's table through node, stream, loader and vault into the base table.

Every part is the real process with its real settings, on one PostgreSQL that flushes to disk. The limit
of the same run is `psql COPY binary | psql COPY binary` of the same rows, which neither checks, seals, signs,
keeps apart nor audits anything. The clock of the load begins when the node's process is started.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from tests.loader.line import Line

from bench.keyed import flush_us, sign_us
from shuqiao.demo.people import births
from shuqiao.demo.sources import HEALTH_COLUMNS, HEALTH_TABLE, create_health_source
from shuqiao.embedded import hub, postgres

TARGET_S = 6.0
TARGET_ROWS = 50_000
"""The target is for this many births; another number is measured without one."""

LIMIT = "psql COPY binary | psql COPY binary"
OURS = "first load, everything on"

_PATIENCE_S = 600.0
_TICKS_S = os.sysconf("SC_CLK_TCK")
_BACKENDS = {"shuqiao_vault": "vault's database", "shuqiao_loader": "hub's database"}


@dataclass(frozen=True)
class Place:
    """One PostgreSQL with a migrated hub to copy from and the department's filled table."""

    folder: Path
    server: postgres.PostgresServer
    programs: Path
    process: subprocess.Popen[bytes]
    rows: int

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as superuser."""
        with psycopg.connect(self.server.url(database), autocommit=True) as admin:
            admin.execute(statement.encode())


@dataclass(frozen=True)
class HubDatabase:
    """One run's hub, as a line wants it."""

    name: str
    server: postgres.PostgresServer

    @property
    def superuser(self) -> str:
        """URL of the superuser."""
        return self.server.url(self.name)

    def role(self, role: str) -> str:
        """URL of a process's role."""
        return self.server.url(self.name, role)


@dataclass
class Load:
    """What one load took: wall time, processor time and highest memory by process."""

    seconds: float
    cpu_s: dict[str, float] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)


def _processor_s(pid: int) -> float:
    """Seconds a process used, with those of its children that ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS_S


def _highest_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _backends(postmaster: int) -> Iterator[tuple[int, str]]:
    """Give the server's processes, each with whose work it does."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in map(int, children):
        with contextlib.suppress(OSError):
            title = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split()
            role = title[1] if len(title) > 2 and title[0] == "postgres:" else ""
            yield pid, _BACKENDS.get(role, "database server")


def _used(line: Line, place: Place) -> dict[str, float]:
    used = {name: _processor_s(child.process.pid) for name, child in line.children.items() if child.process}
    used["database server"] = _processor_s(place.process.pid)
    for pid, name in _backends(place.process.pid):
        used[name] = used.get(name, 0.0) + _processor_s(pid)
    return used


@contextlib.contextmanager
def running_place(rows: int) -> Iterator[Place]:
    """Start the server, make hub and department, and take all down in the end."""
    folder = Path(tempfile.mkdtemp(prefix="sq-bench-"))
    folder.chmod(0o755)
    server = postgres.PostgresServer(
        folder / "pg" / "data", folder / "s", folder / "pg.log", secrets.token_hex(16)
    )
    programs = postgres.runtime(folder)
    process = postgres.start(server, programs=programs, durable=True)
    try:
        place = Place(folder, server, programs, process, rows)
        hub.create_roles(server.url(), dict.fromkeys(hub.ROLES, server.password))
        hub.create_database(server.url(), "template", "shuqiao_owner", control_schema=True)
        _migrate(place)
        place.execute("CREATE DATABASE department ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
        create_health_source(server.url("department"), births(rows))
        yield place
    finally:
        postgres.stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _migrate(place: Place) -> None:
    secret = place.folder / "secret-key"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(64), encoding="ascii")
    # Making the base table needs Django's settings too, so they go to this process and to what it starts.
    os.environ |= {
        "SHUQIAO_DATABASE_URL": place.server.url("template", "shuqiao_owner"),
        "SHUQIAO_SECRET_KEY_FILE": str(secret),
        "SHUQIAO_REGULATION": "guangzhou-2016",
        "SHUQIAO_ALLOWED_HOSTS": "127.0.0.1",
        "SHUQIAO_PLANE_URL": "http://127.0.0.1:1",
        "SHUQIAO_PORTAL_KEYS": str(place.folder / "portal"),
        "SHUQIAO_GRANT_KEY_FILE": str(place.folder / "grants.key"),
        "SHUQIAO_SAMPLE": "1",
    }
    command = [sys.executable, "-m", "django", "migrate", "--skip-checks", "--verbosity", "0"]
    done = subprocess.run(
        [*command, "--settings", "shuqiao.control.settings"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


def copy_s(place: Place) -> float:
    """Seconds that a bare pipe takes for the same rows: what no load here can beat."""
    columns = ", ".join(HEALTH_COLUMNS)
    psql = [str(place.programs / "psql"), "--quiet", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-c"]
    reading = f"COPY {HEALTH_TABLE} ({columns}) TO STDOUT (FORMAT binary)"
    writing = f"COPY {HEALTH_TABLE} ({columns}) FROM STDIN (FORMAT binary)"
    place.execute("CREATE DATABASE bare TEMPLATE department")
    try:
        place.execute(f"TRUNCATE {HEALTH_TABLE}", "bare")
        started = time.perf_counter()
        reader = [*psql, reading, place.server.url("department")]
        with subprocess.Popen(reader, stdout=subprocess.PIPE) as source:
            subprocess.run([*psql, writing, place.server.url("bare")], stdin=source.stdout, check=True)
        return time.perf_counter() - started
    finally:
        place.execute("DROP DATABASE bare WITH (FORCE)")


async def load_once(place: Place) -> Load:
    """Load into a fresh hub and a fresh vault; checks that every row arrived, and arrived right."""
    run = secrets.token_hex(4)
    hub_name, vault_name = f"hub_{run}", f"vault_{run}"
    place.execute(f"CREATE DATABASE {hub_name} TEMPLATE template OWNER shuqiao_owner")
    hub.create_database(place.server.url(), vault_name, "shuqiao_vault")
    line = Line(
        HubDatabase(hub_name, place.server),
        place.server.url(vault_name, "shuqiao_vault"),
        place.server.url("department"),
        # The settings of a node that is really at work, not those that make tests quick.
        node_settings={"NODE_POLL_SECONDS": "2", "NODE_RESEND_SECONDS": "30"},
    )
    try:
        await line.set_up(people=0)
        line.start("loader")
        _wait(lambda: "loader_ready" in line.children["loader"].written(), 30)
        place.execute("CHECKPOINT")
        load = _measure(line, place)
        if line.count() != place.rows or line.base_checksum() != line.source_checksum():
            raise RuntimeError("what arrived is not what was sent")
        return load
    except Exception:
        print(line.logs(), file=sys.stderr)
        raise
    finally:
        line.close()
        for name in (hub_name, vault_name):
            place.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _measure(line: Line, place: Place) -> Load:
    with psycopg.connect(line.hub.superuser, autocommit=True) as watching:

        def arrived() -> bool:
            found = watching.execute("SELECT coalesce(sum(accepted), 0) FROM exchange.batch").fetchone()
            return found is not None and int(found[0]) >= place.rows

        before = _used(line, place)
        started = time.perf_counter()
        line.start("node")
        _wait(arrived, _PATIENCE_S)
        load = Load(time.perf_counter() - started)
    after = _used(line, place)
    load.cpu_s = {name: used - before.get(name, 0.0) for name, used in after.items()}
    load.memory_mb = {
        name: _highest_mb(child.process.pid) for name, child in line.children.items() if child.process
    }
    return load


def _wait(true: Callable[[], bool], patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError("the load did not get there")
        time.sleep(0.02)


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median([one.get(name, 0.0) for one in found]) for name in found[0]}


def report(rows: int, bare_s: list[float], loads: list[Load]) -> list[dict[str, object]]:
    """Print the tables and give the rows of the last line; a ratio is the pipe's time over the load's."""
    bare, seconds = statistics.median(bare_s), statistics.median([load.seconds for load in loads])
    cpu = _medians([load.cpu_s for load in loads])
    memory = _medians([load.memory_mb for load in loads])
    print(f"{'variant':40} {'s':>7} {'rows/s':>9} {'ratio':>6}")
    for name, taken in ((LIMIT, bare), (OURS, seconds)):
        print(f"{name:40} {taken:7.2f} {rows / taken:9,.0f} {bare / taken:6.3f}")
    print(f"all runs: {', '.join(f'{load.seconds:.2f}' for load in loads)} s")
    print(f"\n{'process':20} {'CPU s':>7} {'s/1M rows':>10} {'highest memory, MB':>19}")
    for name, used in sorted(cpu.items(), key=lambda pair: -pair[1]):
        highest = f"{memory[name]:19.0f}" if name in memory else f"{'':19}"
        print(f"{name:20} {used:7.2f} {used * 1e6 / rows:10.1f} {highest}")
    print(f"{'all':20} {sum(cpu.values()):7.2f} {sum(cpu.values()) * 1e6 / rows:10.1f}")
    target = TARGET_S if rows == TARGET_ROWS else None
    return [
        _row(LIMIT, bare, "s", 1.0, None),
        _row(OURS, seconds, "s", bare / seconds, target),
        _row(f"{OURS}, rate", rows / seconds, "rows/s", bare / seconds, target and rows / target),
        *[_row(f"CPU: {name}", used, "s", None, None) for name, used in cpu.items()],
        *[_row(f"highest memory: {name}", used, "MB", None, None) for name, used in memory.items()],
    ]


def _row(
    variant: str, value: float, unit: str, ratio: float | None, target: float | None
) -> dict[str, object]:
    met = None if target is None else value >= target if unit == "rows/s" else value <= target
    return {
        "variant": variant,
        "value": round(value, 3),
        "unit": unit,
        "ratio": None if ratio is None else round(ratio, 4),
        "target": target,
        "met": met,
    }


def main(arguments: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench load", description=__doc__)
    parser.add_argument("--births", type=int, default=TARGET_ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    bare_s: list[float] = []
    loads: list[Load] = []
    with running_place(options.births) as place:
        print(
            f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; "
            f"flush {flush_us(place.folder):.0f} µs; Ed25519 signature {sign_us():.0f} µs; "
            f"{options.births} births"
        )
        for turn in range(options.rounds):
            bare_s.append(copy_s(place))
            loads.append(asyncio.run(load_once(place)))
            print(f"round {turn + 1}: {bare_s[-1]:.2f} s, {loads[-1].seconds:.2f} s", file=sys.stderr)
        rows = report(options.births, bare_s, loads)
    print(json.dumps({"bench": "load", "rows": rows}, ensure_ascii=False))
    return 0
