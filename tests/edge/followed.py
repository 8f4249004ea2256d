"""What the tests of a followed table share: random writers at the source, and a target that plays batches."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.edge.batches import Sender
from shuqiao.edge.capture_state import Pace
from shuqiao.edge.connectors.kept import Keeping
from shuqiao.edge.connectors.opening import open_log, open_source
from shuqiao.edge.cover import Cover
from shuqiao.edge.following import Following
from shuqiao.edge.mapping import ColumnSource, TableMapping, Way
from shuqiao.edge.quarantine import Quarantine
from shuqiao.edge.screening import RulesInForce, Screening
from shuqiao.edge.spool import Number, Outcome, Spool, SpooledBatch
from shuqiao.security.keys import generate_signing_key
from shuqiao.security.sealing import open_sealed
from shuqiao.wire.package import decode_package, decode_part, read_manifest, sealing_context
from shuqiao.wire.schemas import ItemSpec, ResourceSpec, arrow_schema, identity_items, plain_items

RESOURCE, DEPARTMENT = "r440100aaaaaaaaaa", "440100-health"
SPEC = ResourceSpec(
    record_key="number",
    modes=("query",),
    items=(
        ItemSpec("number", "号", "Number", "string", True, "document", 2, True),
        ItemSpec("step", "步", "Step", "string"),
        ItemSpec("note", "注", "Note", "text"),
        ItemSpec("amount", "额", "Amount", "string"),
    ),
)
VAULT = X25519PrivateKey.generate()
SENDER = Sender(DEPARTMENT, generate_signing_key(), VAULT.public_key())
Row = tuple[str, str, str | None, str | None]


def mapping(**changed: Any) -> TableMapping:
    """The mapping of the table that is followed."""
    named: dict[str, Any] = {
        "resource": RESOURCE,
        "system": "his",
        "table": "t",
        "key": "id",
        "changed": "",
        "items": {
            "number": ColumnSource("id"),
            "step": ColumnSource("step"),
            "note": ColumnSource("note"),
            "amount": ColumnSource("amount"),
        },
        "version": "v1",
        "path": Path("t.yaml"),
        "way": Way("log", remove_share=1.0),
    }
    return TableMapping(**(named | changed))


TABLE = "CREATE TABLE t (id varchar(20) PRIMARY KEY, step bigint NOT NULL, note text, amount decimal(12,2))"


def fill(run: Callable[..., Any], rows: int) -> None:
    """Make the table."""
    run(TABLE)
    run(
        "INSERT INTO t VALUES (%s, %s, %s, %s)",
        [(f"k{number:06}", 0, f"注{number}", number / 4) for number in range(rows)],
    )


def begun_spool(folder: Path) -> Spool:
    """A spool in which the resource has begun, as the hub would have answered."""
    spool = Spool(folder / "spool.sqlite", Cover(folder / "cover.key"))
    if spool.state(RESOURCE) is None:
        spool.begin(RESOURCE, "v1", Number(7, 1))
    return spool


def following(
    url: str, spool: Spool, folder: Path, rows: int = 50, log_max_bytes: int = 2**34, **changed: Any
) -> Following:
    """The part that is tested; what it asks the hub is asked once, which the spool's begin stands for."""
    made, cover = mapping(**changed), Cover(folder / "cover.key")
    pace = Pace(rows, 0.1, 1.0, 2**30)
    source = open_source(url, Keeping(folder, cover))
    place = Quarantine(folder / "quarantine.sqlite", cover, 100)
    screening = Screening(made, SPEC, cover, place, RulesInForce(folder / "screening.json"))
    parts = (made, SPEC, source, spool, cover, SENDER, cast(Any, None), pace, screening)
    return Following(*parts, open_log=partial(open_log, url), log_max_bytes=log_max_bytes)


@dataclass
class Target:
    """Plays batches as the hub merges them, and checks that no row goes back in time."""

    rows: dict[str, Row] = field(default_factory=dict)
    met: dict[str, int] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    next_sequence: int = 1
    history: list[tuple[str, str]] = field(default_factory=list)
    ends: int = 0

    def play(self, spool: Spool) -> int:
        """Take every batch that waits, as a hub that is quick; returns how many there were."""
        batches = spool.unsent(RESOURCE, 10_000)
        for batch in batches:
            self.take(spool, batch)
        return len(batches)

    def take(self, spool: Spool, batch: SpooledBatch) -> None:
        """Merge one batch and give its receipt."""
        self._apply(batch)
        spool.receipted(RESOURCE, batch.sequence, Outcome(batch.rows, "[]", "now"))

    def _apply(self, batch: SpooledBatch) -> None:
        assert batch.sequence == self.next_sequence, "a batch is missing or comes twice"
        self.next_sequence += 1
        package = decode_package(batch.message)
        manifest = read_manifest(package)
        place = (manifest.department, manifest.resource, manifest.generation, manifest.sequence)
        sealed = open_sealed(VAULT, package.sealed, sealing_context(*place))
        plain = decode_part(package.plain, arrow_schema(plain_items(SPEC)), None, "plain").to_pylist()
        keys = decode_part(sealed, arrow_schema(identity_items(SPEC)), None, "sealed").to_pylist()
        assert not manifest.faults
        numbers = [row["number"] for row in keys]
        assert len(set(numbers)) == len(numbers), "a record stands twice in one batch"
        for index, number in enumerate(numbers):
            self.met[number] = manifest.generation
            if index in manifest.removed:
                self.rows.pop(number, None)
                self.history.append((number, "gone"))
            else:
                self._put(number, plain[index])
        if manifest.complete_since is not None:
            self.ends += 1
            for number in [one for one, since in self.met.items() if since < manifest.complete_since]:
                self.rows.pop(number, None)

    def _put(self, number: str, row: dict[str, Any]) -> None:
        step = int(row["step"])
        assert step >= self.newest.get(number, 0), f"{number} went back in time"
        self.newest[number] = step
        self.rows[number] = (number, row["step"], row["note"], row["amount"])
        self.history.append((number, row["step"]))


class Writers:
    """Threads that change the table at random until they are told to stop; steps rise with each write."""

    def __init__(self, connect: Callable[[], Any], seed: int, *, empties: bool = False) -> None:
        """Remember how to connect."""
        self._connect = connect
        self._seed = seed
        self._empties = empties
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._step = 0
        self.done = 0
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(3)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _run(self, number: int) -> None:
        chance = random.Random(f"{self._seed}.{number}")
        while not self._stop.is_set():
            try:
                link = self._connect()
            except Exception:
                time.sleep(0.05)
                continue
            # A server that is killed ends the connection; another is opened then.
            with suppress(Exception):
                while not self._stop.is_set():
                    self._transaction(link, chance, number)
            with suppress(Exception):
                link.close()

    def _transaction(self, link: Any, chance: random.Random, number: int) -> None:
        cursor = link.cursor()
        # A few are long: others commit before them although they began later.
        count = chance.choice((1, 1, 1, 2, 3, 20))
        try:
            for _ in range(count):
                self._write(cursor, chance, number)
                if count == 20 and number == 0:
                    time.sleep(0.02)
            if self._empties and number == 1 and chance.random() < 0.01:
                cursor.execute("TRUNCATE TABLE t")
            if chance.random() < 0.1:
                link.rollback()
            else:
                link.commit()
        except Exception as error:
            link.rollback()
            if not _is_conflict(error):
                raise
        self.done += 1
        time.sleep(chance.random() * 0.01)

    def _write(self, cursor: Any, chance: random.Random, number: int) -> None:
        # Each thread has rows of its own, so that steps rise in the order in which they are committed.
        with self._lock:
            self._step += 1
            step = self._step
        key, other = (f"k{chance.randrange(300) * 3 + number:06}" for _ in range(2))
        way = chance.random()
        if way < 0.5:
            cursor.execute("UPDATE t SET step = %s, amount = %s WHERE id = %s", (step, step / 4, key))
        elif way < 0.6:
            cursor.execute("UPDATE t SET step = %s, note = %s WHERE id = %s", (step, _long(chance), key))
        elif way < 0.75:
            cursor.execute("DELETE FROM t WHERE id = %s", (key,))
        elif way < 0.85:
            cursor.execute("UPDATE t SET id = %s, step = %s WHERE id = %s", (other, step, key))
        else:
            cursor.execute("INSERT INTO t VALUES (%s, %s, '新', 1.5)", (key, step))


def _long(chance: random.Random) -> str:
    # So long and so mixed that PostgreSQL puts it outside of the row.
    return "".join(chance.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=9000))


def _is_conflict(error: Exception) -> bool:
    return "uplicate" in str(error) or "eadlock" in str(error) or "ock wait" in str(error)
