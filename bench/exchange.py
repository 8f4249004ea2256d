"""Department to hub to department: a first load, then a stream of changes, from one table into another.

Everything is on: the source's log read by the provider's node, signed batches, NATS, validation, vault, merge
with history, ledger and audit, the feed's encrypted and signed parts, the consumer's node, receipts.
The limit of the same run is `psql COPY binary | psql COPY binary`; beside it stand PostgreSQL's own logical
replication, and programs that copy tables, which check, sign and record nothing.
Source, hub and targets lie on one server that flushes to the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psycopg

from bench import copying
from bench.bulk import ITEMS
from bench.keyed import flush_us
from bench.meter import Used, highest_mb, processes_used, used
from bench.peers import PeerMissing
from bench.propagation import (
    Line,
    logical_server,
    publish,
    running_line,
    start_consumer,
    start_nats,
    start_provider,
    wait,
)
from shuqiao.embedded import postgres
from shuqiao.wire.schemas import ItemSpec, ResourceSpec

TARGET_ROWS_S = 60_000
TARGET_TIMES_DLT = 3.0
LIMIT = "psql COPY binary | psql COPY binary"
NATIVE = "logical replication"
OURS = "department, hub, department"
CHANGES = "changes: "
SPEC = ResourceSpec(
    record_key="number",
    modes=("bulk",),
    items=(ItemSpec("number", "号码", "Number", "string", True, "document", 2, True), *ITEMS),
)
_TYPES = {"string": "text", "code": "text", "date": "date", "datetime": "timestamptz"}
_NAMES = tuple(item.field for item in ITEMS)
_COLUMNS = ", ".join(f"{item.field} {_TYPES[item.type]}" for item in ITEMS)
_FILL = """
INSERT INTO {table} SELECT 'N' || lpad(i::text, 9, '0'), 'T' || lpad(i::text, 9, '0'),
    '某市某区某路' || i % 997 || '号', 'unit ' || i % 5000, NULL, md5(i::text), (i % 7)::text,
    (i % 100)::text, (i % 3)::text, date '2000-01-01' + i % 9000, date '1960-01-01' + i % 20000, NULL,
    timestamptz '2026-01-01' + i * interval '1 second'
FROM generate_series(1, {rows}) i
"""
_CHANGED_AT_ONCE = 100
_HEAD = "CPU s per million rows | bytes written per byte delivered"
_STEP_S = 0.02
_PATIENCE_S = 7_200.0


@dataclass
class Round:
    """One round: a table of its own and a list of its own, so that each round begins with nothing."""

    line: Line
    number: int
    rows: int
    changed: int

    @property
    def table(self) -> str:
        """The name of the table at every end."""
        return f"rows{self.number}"

    @property
    def resource(self) -> str:
        """The list's id."""
        return resource_of(self.number)

    def checksum(self, database: str) -> str:
        """A digest of all rows but their keys, in whatever order they lie."""
        names = ", ".join(_NAMES)
        found = self.line.rows(
            database,
            "SELECT count(*), sum(hashtextextended(line, 0)) FROM"
            f" (SELECT ROW({names})::text AS line FROM {self.table}) x",
        )
        return str(found[0])


@dataclass
class Measure:
    """What one way took in one round."""

    seconds: float
    used: dict[str, Used] = field(default_factory=dict)

    @property
    def all(self) -> Used:
        """All processes together."""
        return sum(self.used.values(), Used())


def resource_of(number: int) -> str:
    """The id of a round's list."""
    return f"r440100benchexc{'abcdefghijklmnopqrstuvwxyz'[number // 26]}{chr(97 + number % 26)}"


def mapping_of(number: int) -> str:
    """The provider's mapping of a round's table."""
    items = ", ".join(f"{name}: {name}" for name in ("number", *_NAMES))
    return (
        f"resource: {resource_of(number)}\nsource: {{system: bench, table: rows{number}, key: number}}\n"
        f"capture: {{by: log}}\nitems: {{{items}}}\n"
    )


@contextlib.contextmanager
def metered(roots: dict[str, int], databases: dict[str, str] | None = None) -> Iterator[Measure]:
    """Measure what happens inside; `roots` may grow meanwhile."""
    made, named = Measure(0.0), databases or {}
    before, own = used(roots, named), processes_used()
    started = time.perf_counter()
    yield made
    made.seconds = time.perf_counter() - started
    after = used(roots, named)
    made.used = {name: one - before.get(name, Used()) for name, one in after.items()}
    made.used["programs"] = processes_used() - own


def server_pid(line: Line) -> int:
    """The server's first process."""
    return int((line.server.server.data / "postmaster.pid").read_text().split()[0])


def hub_pids(line: Line) -> dict[str, int]:
    """The processes of the way that run now."""
    city = line.city
    found = {
        "database server": server_pid(line),
        **{name: child.process.pid for name, child in line.children.items() if child.process},
    }
    for name, process in (("vault", city.vault.process), ("plane", city.process), ("copies", city.copier)):
        if process is not None:
            found[name] = process.pid
    return found


def make_table(line: Line, database: str, table: str, key: str) -> None:
    """Make an empty table."""
    line.rows(database, f"CREATE TABLE {table} ({key} text PRIMARY KEY, {_COLUMNS})")


def pipe(one: Round, programs: Path) -> Measure:
    """The limit: two programs and a pipe."""
    make_table(one.line, "bare", one.table, "number")
    psql = [str(programs / "psql"), "--quiet", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-c"]
    server = one.line.server
    reader = [*psql, f"COPY {one.table} TO STDOUT (FORMAT binary)", server.superuser("source")]
    writer = [*psql, f"COPY {one.table} FROM STDIN (FORMAT binary)", server.superuser("bare")]
    with (
        metered({"database server": server_pid(one.line)}) as made,
        subprocess.Popen(reader, stdout=subprocess.PIPE) as source,
    ):
        subprocess.run(writer, stdin=source.stdout, check=True)
    return checked(one, "bare", made)


def native(one: Round) -> tuple[Measure, Measure]:
    """PostgreSQL's own replication: its first copy, then its stream of changes."""
    line, name = one.line, f"native_{one.number}"
    make_table(line, "native", one.table, "number")
    line.rows("source", f"CREATE PUBLICATION {name} FOR TABLE {one.table}")
    line.rows("source", f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")
    source = line.server.superuser("source").replace("'", "''")
    roots = {"database server": server_pid(line)}
    try:
        with metered(roots) as first:
            line.rows(
                "native",
                f"CREATE SUBSCRIPTION {name} CONNECTION '{source}' PUBLICATION {name}"
                f" WITH (create_slot = false, slot_name = '{name}')",
            )
            _wait(lambda: _has(line, "native", one, _key(one.rows), "text_3", f"unit {one.rows % 5000}"))
        checked(one, "native", first)
        with metered(roots) as stream:
            change(one, "native")
            _wait(lambda: _has(line, "native", one, _key(_last(one)), "text_3", "native"))
        checked(one, "native", stream)
    finally:
        line.rows("native", f"DROP SUBSCRIPTION IF EXISTS {name}")
        line.rows("source", f"DROP PUBLICATION IF EXISTS {name}")
    return first, stream


def ours(one: Round) -> tuple[Measure, Measure, dict[str, float]]:
    """Both nodes and the hub: the first load, then the stream of changes."""
    line = one.line
    make_table(line, "target", one.table, "shuqiao_key")
    provider = line.children["provider"]
    mapping = line.folder / "provider" / "mappings" / "changes.yaml"
    mapping.write_text(mapping_of(one.number), encoding="utf-8")
    columns = {"_key": "shuqiao_key"} | {name: name for name in _NAMES}
    start_consumer(line, one.resource, one.table, columns)
    # Whoever subscribes does so once; the clock begins when the department's table is to be had.
    _wait(lambda: _followed(line, one))
    roots = hub_pids(line)
    vault = urlsplit(line.city.vault.url).path[1:]
    databases = {
        "source": "source's database",
        vault: "vault's database",
        line.city.hub.name: "hub's database",
        "target": "target's database",
    }
    with metered(roots, databases) as first:
        provider.start()
        roots |= hub_pids(line)
        _wait(lambda: _arrived(line, one, one.rows))
    checked(one, "target", first)
    with metered(roots, databases) as stream:
        if one.changed:
            change(one, "ours")
            _wait(lambda: _arrived(line, one, one.rows + one.changed))
    checked(one, "target", stream)
    memory = {name: highest_mb(pid) for name, pid in roots.items() if name != "database server"}
    provider.end()
    return first, stream, memory


def change(one: Round, mark: str) -> None:
    """Change rows as fast as the source commits them, a hundred in each transaction, each row once."""
    with psycopg.connect(one.line.server.superuser("source"), autocommit=True) as link:
        for begin in range(1, one.changed + 1, _CHANGED_AT_ONCE):
            link.execute(
                f"UPDATE {one.table} SET text_3 = %s WHERE number = ANY(%s)".encode(),
                [mark, [_key(i * _spread(one)) for i in range(begin, begin + _CHANGED_AT_ONCE)]],
            )


def _spread(one: Round) -> int:
    return one.rows // one.changed


def _last(one: Round) -> int:
    return one.changed * _spread(one)


def _key(number: int) -> str:
    return f"N{number:09d}"


def _wait(true: Callable[[], bool]) -> None:
    wait(true, "a target", _STEP_S, _PATIENCE_S)


def _has(line: Line, database: str, one: Round, key: str, column: str, value: str) -> bool:
    found = line.rows(database, f"SELECT {column} FROM {one.table} WHERE number = '{key}'")
    return bool(found) and found[0][0] == value


def _followed(line: Line, one: Round) -> bool:
    """Whether the consumer has subscribed."""
    found = line.rows("target", "SELECT to_regclass('shuqiao_receive') IS NOT NULL")
    if not found[0][0]:
        return False
    return bool(
        line.rows(
            "target", f"SELECT 1 FROM shuqiao_receive WHERE subscription = '{one.table}' AND feed <> ''"
        )
    )


def _arrived(line: Line, one: Round, rows: int) -> bool:
    """Whether the ledger counts all rows, and the target has the batches up to there."""
    found = line.rows(
        line.city.hub.name,
        f"SELECT max(sequence), sum(accepted) FROM exchange.batch WHERE resource_id = '{one.resource}'",
    )
    last, accepted = found[0]
    if accepted is None or int(str(accepted)) < rows:
        return False
    done = line.rows("target", f"SELECT up_to FROM shuqiao_receive WHERE subscription = '{one.table}'")
    return bool(done) and int(str(done[0][0])) >= int(str(last))


def checked(one: Round, database: str, made: Measure) -> Measure:
    """Compare a target with the source; raises where they differ."""
    if one.checksum(database) != one.checksum("source"):
        raise RuntimeError(f"{database} is not what the source holds")
    return made


def peer(one: Round, folder: Path, chosen: copying.Copier) -> Measure:
    """A program that copies tables, its start included, as ours includes the node's."""
    line = one.line
    addresses = (line.server.superuser("source"), line.server.superuser("peers"))
    with metered({"database server": server_pid(line)}) as made:
        chosen.copy(folder, addresses, one.table)
    found = line.rows("peers", f"SELECT count(*) FROM public.{one.table}")
    if int(str(found[0][0])) != one.rows:
        raise RuntimeError(f"{chosen.name} brought {found[0][0]} rows")
    line.rows("peers", f"DROP TABLE public.{one.table}")
    return made


def run(
    one: Round, programs: Path, folder: Path | None, *, alone: bool = False
) -> tuple[dict[str, Measure], dict[str, float]]:
    """Everything in turn, so that a busy moment meets all of them; `alone`, nothing beside our way."""
    line = one.line
    make_table(line, "source", one.table, "number")
    line.rows("source", _FILL.format(table=one.table, rows=one.rows))
    line.rows("source", f"VACUUM (FREEZE, ANALYZE) {one.table}")
    found: dict[str, Measure] = {}
    if not alone:
        line.rows("source", "CHECKPOINT")
        found[LIMIT] = pipe(one, programs)
        line.rows("source", "CHECKPOINT")
        found[NATIVE], found[CHANGES + NATIVE] = native(one)
    line.rows("source", "CHECKPOINT")
    found[OURS], found[CHANGES + OURS], memory = ours(one)
    for chosen in copying.COPIERS:
        if folder is None or alone:
            break
        line.rows("source", "CHECKPOINT")
        try:
            found[chosen.name] = peer(one, folder, chosen)
        except PeerMissing as missing:
            print(f"{chosen.name} left out: {missing}", file=sys.stderr)
    return found, memory


def delivered_bytes(line: Line, number: int) -> int:
    """The size of a table's values as text: what a department has in the end."""
    names = ", ".join(_NAMES)
    rows = line.rows("source", f"SELECT sum(octet_length(ROW({names})::text)) FROM rows{number}")
    return int(str(rows[0][0]))


def report(
    rounds: list[dict[str, Measure]], memory: list[dict[str, float]], options: argparse.Namespace, size: int
) -> list[dict[str, object]]:
    """Print the tables; the rows of the last line."""
    names = [name for name in rounds[0] if all(name in one for one in rounds)]
    shown = []
    for kind, rows in (("", options.rows), (CHANGES, options.changes)):
        if not rows:
            continue
        limit = kind + OURS if options.alone else CHANGES + NATIVE if kind else LIMIT
        base = statistics.median(one[limit].seconds for one in rounds)
        what = f"{rows:,} rows" + (", changes" if kind else "")
        print(f"\n| {what} | s (lowest to highest) | rows/s | time / {_cell(limit)} | {_HEAD} |")
        print("|---|---|---|---|---|---|")
        for name in (name for name in names if name.startswith(CHANGES) == bool(kind)):
            line = _row(name, [one[name] for one in rounds], rows, base, size * rows / options.rows)
            shown.append(line)
            seconds = [one[name].seconds for one in rounds]
            print(
                f"| {_cell(name)} | {line['seconds']:.2f} ({min(seconds):.2f}–{max(seconds):.2f}) |"
                f" {line['rows_s']:,.0f} | {line['ratio']:.2f} | {line['cpu_s_per_million']:.1f} |"
                f" {line['written_per_byte']:.1f} |"
            )
    _print_processes(rounds, memory, options, size)
    return shown


def _cell(name: str) -> str:
    return name.removeprefix(CHANGES).replace("|", "\\|")


def _print_processes(
    rounds: list[dict[str, Measure]],
    memory: list[dict[str, float]],
    options: argparse.Namespace,
    size: int,
) -> None:
    ways = [(OURS, options.rows), (CHANGES + OURS, options.changes)]
    print(
        "\n| process | CPU s per million rows, first load | changes |"
        " bytes written per byte delivered, first load | changes | highest memory, MB |"
    )
    print("|---|---|---|---|---|---|")
    for name in rounds[0][OURS].used:
        cells = [
            statistics.median(one[way].used[name].cpu_s for one in rounds) * 1e6 / max(1, rows)
            for way, rows in ways
        ] + [
            statistics.median(one[way].used[name].written for one in rounds)
            * options.rows
            / max(1, rows)
            / size
            for way, rows in ways
        ]
        highest = max((one.get(name, 0.0) for one in memory), default=0.0)
        shown = " | ".join(f"{cell:.1f}" for cell in cells)
        print(f"| {name} | {shown} | {f'{highest:.0f}' if highest else ''} |")


def _row(name: str, found: list[Measure], rows: int, base: float, size: float) -> dict[str, object]:
    seconds = statistics.median(one.seconds for one in found)
    return {
        "variant": name,
        "seconds": round(seconds, 3),
        "rows_s": round(rows / seconds),
        "ratio": round(seconds / base, 2),
        "cpu_s_per_million": round(statistics.median(one.all.cpu_s for one in found) * 1e6 / rows, 2),
        "written_per_byte": round(statistics.median(one.all.written for one in found) / size, 2),
    }


def _prepare(line: Line, rounds: int) -> None:
    for name in ("source", "bare", "native", "target", "peers"):
        line.rows("postgres", f"CREATE DATABASE {name}")
    for number in range(rounds):
        publish(line, resource_of(number), SPEC, f"样例/{20 + number}")
    start_nats(line)
    asyncio.run(start_provider(line, mapping_of(0), is_started=False))


def main(arguments: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench exchange", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--changes", type=int, default=20_000, help="rows changed after the first load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="neither the limit nor other programs beside it")
    parser.add_argument("--peers", type=Path, help="folder in which peers are, or are to be, installed")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="sq-exch-"))
    folder.chmod(0o755)
    rounds: list[dict[str, Measure]] = []
    memory: list[dict[str, float]] = []
    try:
        with (
            logical_server(folder) as server,
            running_line(server, folder, lambda line: _prepare(line, options.rounds)) as line,
        ):
            print(f"flush {flush_us(folder):.0f} µs, load {os.getloadavg()[0]:.1f}, cores {os.cpu_count()}")
            programs = postgres.runtime(folder)
            for number in range(options.rounds):
                found, highest = run(
                    Round(line, number, options.rows, options.changes),
                    programs,
                    options.peers,
                    alone=options.alone,
                )
                rounds.append(found)
                memory.append(highest)
                said = ", ".join(f"{name} {one.seconds:.2f}" for name, one in found.items())
                print(f"round {number + 1}: {said}", file=sys.stderr, flush=True)
            shown = report(rounds, memory, options, delivered_bytes(line, 0))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rate = next(one["rows_s"] for one in shown if one["variant"] == OURS)
    print(msgspec.json.encode({"bench": "exchange", "target_rows_s": TARGET_ROWS_S, "rows": shown}).decode())
    return 0 if isinstance(rate, int) and rate >= TARGET_ROWS_S else 1
