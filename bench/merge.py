"""Validating and merging batches of changed rows into a large list, with provenance, history, ledger and log.

The limit of the same run writes the same rows with `INSERT … ON CONFLICT DO UPDATE` into a plain copy of the
list: nothing is checked, versioned, kept or logged there. Identity is the vault's and not part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import json
import os
import random
import statistics
import sys
import time
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import asyncpg
import msgspec
import pyarrow as pa
from tests.loader.line import BIRTH_SPEC, BIRTHS, HEALTH

from bench.first_load import Place, running_place
from bench.keyed import flush_us
from bench.place import seconds_of
from shuqiao.loader.ledger import Merge, as_csv, stage_and_merge
from shuqiao.loader.prepare import with_ids
from shuqiao.loader.validate import find_faults
from shuqiao.wire.package import decode_part, encode_part
from shuqiao.wire.schemas import arrow_schema, plain_items

TARGET = 60_000
BATCH_ROWS = 10_000
LIMIT = "INSERT … ON CONFLICT DO UPDATE"
OURS = "validate + merge, everything on"
_PLAIN = plain_items(BIRTH_SPEC)
_ITEMS = tuple(item.field for item in _PLAIN)
_COLUMNS = ("record_id", "subject_id", "identity_version", *_ITEMS)

_FILL = f"""
INSERT INTO base.{BIRTHS} (record_id, subject_id, identity_version, version, source_department, source_system,
    batch_sequence, first_received_at, received_at, sex, sex_code, health_status, health_status_code,
    birth_date, certificate_issue_time, certificate_issuing_unit)
SELECT md5(n::text)::uuid, md5('s' || n)::uuid, 1, 1, '{HEALTH}', 'bench', 0, now(), now(), '女', '2', '良好',
    '1', DATE '2020-01-01' + (n % 300)::int, TIMESTAMPTZ '2021-01-05 09:30:00+08', '样例医院' || (n % 40)
FROM generate_series(1, $1) n
"""


@dataclass(frozen=True)
class Batch:
    """One batch as it comes: its plain part, and what the vault has said of its rows."""

    part: bytes
    records: tuple[uuid.UUID, ...]


def changed(rows: int, count: int, turn: int) -> list[Batch]:
    """Batches of rows that are there, each with another unit and another time."""
    drawn = random.Random(turn).sample(range(1, rows + 1), count)
    return [_batch(drawn[at : at + BATCH_ROWS], turn) for at in range(0, count, BATCH_ROWS)]


def _batch(numbers: Sequence[int], turn: int) -> Batch:
    moment = datetime(2022, 1, 1 + turn % 28, tzinfo=UTC)
    columns = {
        "sex": ["女"] * len(numbers),
        "sex_code": ["2"] * len(numbers),
        "health_status": ["良好"] * len(numbers),
        "health_status_code": ["1"] * len(numbers),
        "birth_date": [date(2020, 1 + n % 12, 1 + n % 28) for n in numbers],
        "certificate_issue_time": [moment] * len(numbers),
        "certificate_issuing_unit": [f"样例医院第{turn}院{n % 40}" for n in numbers],
    }
    batch = pa.RecordBatch.from_pydict({name: columns[name] for name in _ITEMS}, arrow_schema(_PLAIN))
    records = tuple(
        uuid.UUID(hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest()) for n in numbers
    )
    return Batch(encode_part(batch), records)


async def merge_s(connection: asyncpg.Connection, batches: Sequence[Batch], first: int) -> float:
    """Seconds for these batches as the loader takes them: read, check, stage, merge, commit."""
    subject, today = uuid.uuid4(), date(2026, 1, 1)
    started = time.perf_counter()
    for at, batch in enumerate(batches):
        plain = decode_part(batch.part, arrow_schema(_PLAIN), len(batch.records), "plain")
        if find_faults(plain, _PLAIN, today):
            raise RuntimeError("a made row has a fault")
        records = b"".join(record.bytes for record in batch.records)
        count = len(batch.records)
        rows = with_ids(plain, records, subject.bytes * count, [1] * count)
        digest = hashlib.sha256(batch.part).digest()
        merge = Merge(HEALTH, BIRTHS, first + at, "{}", digest, "bench", rows, ())
        async with connection.transaction():
            counts = await stage_and_merge(connection, merge)  # type: ignore[arg-type]
        if counts.updated != len(batch.records):
            raise RuntimeError(f"{counts.updated} of {len(batch.records)} rows were changed")
    return time.perf_counter() - started


async def limit_s(connection: asyncpg.Connection, batches: Sequence[Batch]) -> float:
    """Seconds for the same rows into a plain copy of the list, in the same batches."""
    subject = uuid.uuid4()
    assign = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])
    columns = ", ".join(_COLUMNS)
    write = (
        f"INSERT INTO public.bare ({columns}) SELECT {columns} FROM public.coming"
        f" ON CONFLICT (record_id) DO UPDATE SET {assign}"
    )
    started = time.perf_counter()
    for batch in batches:
        plain = decode_part(batch.part, arrow_schema(_PLAIN), len(batch.records), "plain")
        records = b"".join(record.bytes for record in batch.records)
        count = len(batch.records)
        rows = with_ids(plain, records, subject.bytes * count, [1] * count)
        async with connection.transaction():
            await connection.copy_to_table("coming", source=io.BytesIO(as_csv(rows)), format="csv")
            await connection.execute(write)
            await connection.execute("DELETE FROM public.coming")
    return time.perf_counter() - started


async def prepare(connection: asyncpg.Connection, rows: int) -> None:
    """Publish the list, fill it, and make the plain copy beside it."""
    spec = msgspec.json.encode(BIRTH_SPEC).decode()
    await connection.execute(
        "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
        " VALUES ($1, 'B/1', '出生登记', 'Births', $2, $3::text::jsonb)",
        BIRTHS,
        HEALTH,
        spec,
    )
    await connection.execute("SELECT exchange.create_list($1)", BIRTHS)
    await connection.execute(_FILL, rows, timeout=None)
    await connection.execute(
        f"CREATE TABLE public.bare AS SELECT {', '.join(_COLUMNS)} FROM base.{BIRTHS}", timeout=None
    )
    await connection.execute("ALTER TABLE public.bare ADD PRIMARY KEY (record_id)", timeout=None)
    await connection.execute(
        f"CREATE UNLOGGED TABLE public.coming AS SELECT {', '.join(_COLUMNS)} FROM public.bare LIMIT 0"
    )
    await connection.execute("VACUUM ANALYZE", timeout=None)


@dataclass
class Taken:
    """Seconds of each round: on the clock, and of the processors that worked for it."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    async def add(self, connection: asyncpg.Connection, work: Coroutine[object, object, float]) -> None:
        """Run one round; this process and the connection's work for it."""
        pid = connection.get_server_pid()
        before = time.process_time() + seconds_of(pid)
        self.wall_s.append(await work)
        self.cpu_s.append(time.process_time() + seconds_of(pid) - before)


async def run(place: Place, rows: int, count: int, rounds: int) -> tuple[Taken, Taken]:
    """Measure both in turn."""
    place.execute("CREATE DATABASE merging TEMPLATE template OWNER shuqiao_owner")
    admin = await asyncpg.connect(place.server.url("merging"))
    loader = await asyncpg.connect(place.server.url("merging", "shuqiao_loader"))
    bare, ours = Taken(), Taken()
    try:
        await prepare(admin, rows)
        for turn in range(rounds):
            batches = changed(rows, count, turn)
            first = turn * len(batches) + 1
            await admin.execute("CHECKPOINT")
            await bare.add(admin, limit_s(admin, batches))
            await admin.execute("CHECKPOINT")
            await ours.add(loader, merge_s(loader, batches, first))
            print(f"round {turn + 1}: {bare.wall_s[-1]:.2f} s, {ours.wall_s[-1]:.2f} s", file=sys.stderr)
        kept = await admin.fetchval(f"SELECT count(*) FROM base_history.{BIRTHS}")
        if kept != rounds * count:
            raise RuntimeError("the history is not whole")
    finally:
        await loader.close()
        await admin.close()
    return bare, ours


def main(arguments: list[str]) -> int:
    """Run the benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog="bench merge", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of the list")
    parser.add_argument("--changed", type=int, default=200_000, help="rows changed in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with running_place(1) as place:
        print(
            f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f};"
            f" flush {flush_us(place.folder):.0f} µs; {options.changed:,} of {options.rows:,} rows change"
        )
        bare, ours = asyncio.run(run(place, options.rows, options.changed, options.rounds))
    figures = []
    print(f"{'variant':36} {'s':>7} {'rows/s':>9} {'ratio':>6} {'CPU us/row':>11}")
    for name, found, target in ((LIMIT, bare, None), (OURS, ours, TARGET)):
        seconds = statistics.median(found.wall_s)
        rate = options.changed / seconds
        ratio = statistics.median(bare.wall_s) / seconds
        cpu_us = statistics.median(found.cpu_s) * 1e6 / options.changed
        print(f"{name:36} {seconds:7.2f} {rate:9,.0f} {ratio:6.2f} {cpu_us:11.1f}")
        figures.append(
            {
                "variant": name,
                "rows_s": round(rate),
                "ratio": round(ratio, 3),
                "cpu_us": round(cpu_us, 1),
                "target": target,
            }
        )
    print(json.dumps({"bench": "merge", "rows": figures}, ensure_ascii=False))
    return 0
