"""A copy of a whole list through the plane, against a bare pipe and peers without grant, audit or encryption.

Ours is everything on: a signed request, the decision over the grant, one snapshot through the view of the
grant, Arrow parts encrypted and flushed to the disk, a signed manifest, an audit entry before the first byte,
and a client that checks signature and digest and flushes its file. The limit is `psql COPY | psql COPY` of
the same items of the same rows into a table on the same server.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
from tests.bulk.conftest import NO_CONTEXT, CopyCity, running_copy_city
from tests.plugins.hubs import environment, make_hub
from tests.vault import births

from bench.keyed import flush_us
from shuqiao.embedded import hub, postgres
from shuqiao.wire.schemas import ItemSpec, ResourceSpec

RESOURCE = "r440100benchblk23"
TARGET = 1.9
LIMIT = "psql COPY binary | psql COPY binary"
READ = "psql COPY binary, thrown away"
OURS = "plane, Arrow"
ITEMS = (
    *(ItemSpec(f"text_{number}", "样例项", "Sample item", "string") for number in range(1, 6)),
    *(ItemSpec(f"code_{number}", "样例码", "Sample code", "code") for number in range(1, 4)),
    *(ItemSpec(f"day_{number}", "样例日", "Sample day", "date") for number in range(1, 4)),
    ItemSpec("moment", "样例时刻", "Sample moment", "datetime"),
)
_PEERS = {
    "ADBC, Arrow": (
        "adbc_driver_postgresql",
        "import sys, adbc_driver_postgresql.dbapi as d, pyarrow.ipc as i\n"
        "c = d.connect(sys.argv[1]).cursor(); c.execute(sys.argv[2]); r = c.fetch_record_batch()\n"
        "w = i.new_file(sys.argv[3], r.schema)\n"
        "for b in r: w.write_batch(b)\n"
        "w.close()",
    ),
}


@dataclass
class BenchServer:
    """A PostgreSQL that flushes to the disk, as the test's city wants it."""

    server: postgres.PostgresServer

    def superuser(self, database: str = "postgres") -> str:
        """URL of the superuser."""
        return self.server.url(database)

    def url(self, database: str, role: str | None = None) -> str:
        """URL of a role."""
        return self.server.url(database, role or postgres.SUPERUSER)


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[tuple[BenchServer, Path]]:
    """Start the server; give it and its programs."""
    server = postgres.PostgresServer(
        folder / "pg" / "data", folder / "s", folder / "pg.log", secrets.token_hex(16)
    )
    programs = postgres.runtime(folder)
    process = postgres.start(server, programs=programs, durable=True)
    try:
        hub.create_roles(server.url(), dict.fromkeys(hub.ROLES, server.password))
        yield BenchServer(server), programs
    finally:
        postgres.stop(process)


def fill(city: CopyCity, rows: int) -> None:
    """Publish a list of twelve items and fill it; about 150 bytes a row."""
    spec = ResourceSpec(
        record_key="number",
        modes=("bulk",),
        items=(ItemSpec("number", "号码", "Number", "string", True, "document", 2, True), *ITEMS),
    )
    city.admin.execute(
        "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
        " VALUES (%s, '样例/9', '样例', 'Sample', %s, %s)",
        [RESOURCE, births.DEPARTMENT, msgspec.json.encode(spec).decode()],
    )
    city.admin.execute("SELECT exchange.create_list(%s)", [RESOURCE])
    city.admin.execute(
        f"INSERT INTO base.{RESOURCE} SELECT gen_random_uuid(), gen_random_uuid(), 1, 1, %s, 'bench', 1,"
        " now(), now(), 'T' || lpad(i::text, 9, '0'), '某市某区某路' || i %% 997 || '号',"
        " 'unit ' || i %% 5000, NULL, md5(i::text), (i %% 7)::text, (i %% 100)::text, (i %% 3)::text,"
        " date '2000-01-01' + i %% 9000, date '1960-01-01' + i %% 20000, NULL,"
        " timestamptz '2026-01-01' + i * interval '1 second'"
        " FROM generate_series(1, %s::int) i",
        [births.DEPARTMENT, rows],
    )
    city.admin.execute(f"VACUUM (FREEZE, ANALYZE) base.{RESOURCE}")
    columns = ", ".join(item.field for item in ITEMS)
    city.admin.execute(f"CREATE TABLE public.bare AS SELECT {columns} FROM base.{RESOURCE} LIMIT 0")


def selection() -> str:
    """The same items for everybody."""
    return f"SELECT {', '.join(item.field for item in ITEMS)} FROM base.{RESOURCE}"


def pipe_s(city: CopyCity, programs: Path, *, into_table: bool) -> float:
    """Seconds of a bare pipe."""
    psql = [str(programs / "psql"), "--quiet", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-c"]
    reader = [*psql, f"COPY ({selection()}) TO STDOUT (FORMAT binary)", city.hub.superuser]
    writer = [*psql, "COPY public.bare FROM STDIN (FORMAT binary)", city.hub.superuser]
    city.admin.execute("TRUNCATE public.bare")
    started = time.perf_counter()
    with subprocess.Popen(reader, stdout=subprocess.PIPE) as source:
        if into_table:
            subprocess.run(writer, stdin=source.stdout, check=True)
        else:
            subprocess.run(["cat"], stdin=source.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def ours_s(city: CopyCity, folder: Path, form: str, rows: int) -> float:
    """Seconds from the request to checked and flushed files."""
    shutil.rmtree(folder, ignore_errors=True)
    with city.bulk() as bulk:
        started = time.perf_counter()
        job = bulk.ask(RESOURCE, form, context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT, timeout_s=300)
        copy = bulk.fetch(job, folder, NO_CONTEXT)
        seconds = time.perf_counter() - started
    if form == "arrow":
        read = sum(pa.ipc.open_stream(file.open("rb")).read_all().num_rows for file in copy.files)
        if read != rows:
            raise RuntimeError(f"{read} rows came instead of {rows}")
    return seconds


def peer_s(city: CopyCity, packages: Path, script: str, out: Path) -> float:
    """Seconds of a peer, its start included, as ours includes the client's."""
    environment = os.environ | {"PYTHONPATH": str(packages)}
    url = city.hub.superuser
    started = time.perf_counter()
    command = [sys.executable, "-c", script, url, selection(), str(out)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def highest_mb(pid: int) -> float:
    """The most memory a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measure(
    city: CopyCity, programs: Path, rows: int, rounds: int, peers: Path | None
) -> dict[str, list[float]]:
    """Run everything in turn, so that a busy moment meets all of them."""
    folder = city.folder / "fetched"
    runs: dict[str, Callable[[], float]] = {
        LIMIT: lambda: pipe_s(city, programs, into_table=True),
        READ: lambda: pipe_s(city, programs, into_table=False),
        OURS: lambda: ours_s(city, folder, "arrow", rows),
        "plane, CSV": lambda: ours_s(city, folder, "csv", rows),
        "plane, Parquet": lambda: ours_s(city, folder, "parquet", rows),
    }
    for name, (package, script) in _PEERS.items():
        if peers is not None and (peers / package).exists():
            runs[name] = lambda script=script: peer_s(city, peers, script, city.folder / "peer.arrow")
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            try:
                found[name].append(run())
            except subprocess.CalledProcessError as error:
                print(f"{name} failed: {error.stderr.decode(errors='replace')[-300:]}")
    return {name: seconds for name, seconds in found.items() if seconds}


def report(found: dict[str, list[float]], rows: int) -> bool:
    """Print the table; tell whether the target is met."""
    limit = statistics.median(found[LIMIT])
    print(f"\n| {rows:,} rows | median s (lowest to highest) | rows/s | wall / limit |\n|---|---|---|---|")
    for name, seconds in found.items():
        middle = statistics.median(seconds)
        span = f"{middle:.2f} ({min(seconds):.2f}–{max(seconds):.2f})"
        print(f"| {name} | {span} | {rows / middle:,.0f} | {middle / limit:.2f} |")
    ratio = statistics.median(found[OURS]) / limit
    print(f"\ntarget: {OURS} <= {TARGET}x the limit; measured {ratio:.2f}x")
    return ratio <= TARGET


def plot(found: dict[str, list[float]], rows: int) -> str:
    """Draw the medians as bars, with a line at the target."""
    limit = statistics.median(found[LIMIT])
    middles = {name: statistics.median(seconds) for name, seconds in found.items()}
    scale = 380 / max(*middles.values(), TARGET * limit)
    bars = []
    for place, (name, seconds) in enumerate(middles.items()):
        y, width = 34 + 30 * place, seconds * scale
        said = f"{seconds:.2f} s, {seconds / limit:.2f}x"
        bars.append(
            f'<text x="230" y="{y + 14}" text-anchor="end">{name.replace("|", "to")}</text>'
            f'<rect x="240" y="{y}" width="{width:.0f}" height="20" fill="#2f6f9f"/>'
            f'<text x="{246 + width:.0f}" y="{y + 14}">{said}</text>'
        )
    goal, height = 240 + TARGET * limit * scale, 44 + 30 * len(middles)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" font-family="sans-serif"'
        f' font-size="12"><text x="240" y="18">{rows:,} rows of 12 items: seconds, and times the limit</text>'
        f'{"".join(bars)}<line x1="{goal:.0f}" x2="{goal:.0f}" y1="26" y2="{height - 8}" stroke="#b03030"'
        f' stroke-dasharray="4 3"/><text x="{goal + 4:.0f}" y="{height - 8}">target {TARGET}x</text></svg>\n'
    )


def main(arguments: list[str]) -> int:
    """Run the benchmark; the exit code says whether the target is met."""
    parser = argparse.ArgumentParser(prog="bench bulk", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plot", type=Path, help="write a drawing (SVG) to this file")
    parser.add_argument("--peers", type=Path, help="folder into which the peers' packages were installed")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="sq-bulk-"))
    folder.chmod(0o755)
    try:
        with running_server(folder) as (server, programs):
            os.environ |= environment(folder, server.url("template", "shuqiao_control"))
            make_hub(server.superuser(), server.url("template", "shuqiao_owner"), "template")
            with running_copy_city(server, "template") as city:
                fill(city, options.rows)
                city.bulk_grant(resource=RESOURCE, items=tuple(item.field for item in ITEMS))
                print(
                    f"flush {flush_us(folder):.0f} us, load {os.getloadavg()[0]:.1f}, cores {os.cpu_count()}"
                )
                found = measure(city, programs, options.rows, options.rounds, options.peers)
                is_met = report(found, options.rows)
                if options.plot is not None:
                    options.plot.write_text(plot(found, options.rows), encoding="utf-8")
                if city.copier is not None and city.process is not None:
                    print(f"highest memory: process for copies {highest_mb(city.copier.pid):.0f} MB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if is_met else 1
