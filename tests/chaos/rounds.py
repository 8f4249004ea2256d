"""One round: rows are written at the source while processes are killed; then everything must be equal.

What a round kills, when, and what it writes follow from seed and number. When a process is back, and how the
writing and the killing meet, is the machine's affair, so a seed repeats a round's plan and not its course.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from shuqiao.auditlog import proofs
from shuqiao.auditlog.verify import verify_log
from shuqiao.demo.city import LOG_ORIGIN
from tests.chaos.rig import COPY, ITEMS, STORY, VICTIMS, Rig
from tests.loader.line import BASE_SUM, BIRTHS, SOURCE_SUM

KILLS = 4
SECONDS = 3.0
"""For so long rows are written and processes killed in a round."""

EQUAL_S = 150.0
_MOST_ROWS = 2_500

_SOURCE = """SELECT zsbh, xsexm, CASE xb WHEN 'M' THEN '男' ELSE '女' END,
CASE xb WHEN 'M' THEN '1' ELSE '2' END,
CASE jkzk WHEN '1' THEN '良好' WHEN '2' THEN '一般' ELSE '差' END, jkzk, mqxm, mqsfzh, fqxm, fqsfzh, csrq,
qfsj, qfjg FROM csyxzm"""

_ADD = """INSERT INTO csyxzm
(zsbh, xsexm, xb, jkzk, mqxm, mqsfzh, fqxm, fqsfzh, csrq, qfsj, qfjg, sample_note)
SELECT 'X' || lpad(n::text, 9, '0'), '样例' || n, o.xb, o.jkzk, o.mqxm, o.mqsfzh, o.fqxm, o.fqsfzh, o.csrq,
o.qfsj, o.qfjg, o.sample_note
FROM generate_series(%s::bigint, %s::bigint) n, (SELECT * FROM csyxzm ORDER BY random() LIMIT 1) o"""


def victims(seed: int, number: int) -> list[str]:
    """Return what round `number` (from 1) kills: every process comes once before one comes again."""
    deck: list[str] = []
    turn = 0
    while len(deck) < number * KILLS:
        turn += 1
        deck += random.Random(f"{seed}.{turn}").sample(VICTIMS, len(VICTIMS))
    return deck[(number - 1) * KILLS : number * KILLS]


@dataclass
class Outcome:
    """What became of a round. `fault` is empty where everything was equal."""

    number: int
    killed: list[str]
    written: int = 0
    rows: int = 0
    batches: int = 0
    entries: int = 0
    seconds: float = 0.0
    fault: str = ""

    def line(self) -> str:
        """Say it in one line."""
        said = "equal" if not self.fault else f"DIFFERENT: {self.fault}"
        return (
            f"round {self.number}: killed {', '.join(self.killed)}; {self.written} transactions,"
            f" {self.rows} rows, {self.batches} batches, {self.entries} log entries,"
            f" {self.seconds:.1f} s: {said}"
        )


@dataclass
class Writer:
    """A thread that changes the department's table at random until it is told to stop."""

    url: str
    chance: random.Random
    first: int
    done: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Write; a server that is away is waited for."""
        while not self._stop.is_set():
            with suppress(psycopg.Error), psycopg.connect(self.url, connect_timeout=3) as link:
                while not self._stop.is_set():
                    self._transaction(link)
                    time.sleep(self.chance.random() * 0.03)
            time.sleep(0.05)

    def stop(self) -> None:
        """Let it end after the transaction that is under way."""
        self._stop.set()

    def _transaction(self, link: psycopg.Connection) -> None:
        for _ in range(self.chance.choice((1, 1, 2, 5))):
            self._change(link)
        if self.chance.random() < 0.15:
            link.rollback()
            return
        link.commit()
        self.done += 1

    def _change(self, link: psycopg.Connection) -> None:
        way, some = self.chance.random(), self.chance.choice((1, 1, 1, 3, 40))
        chosen = "SELECT zsbh FROM csyxzm ORDER BY random() LIMIT %s"
        if way < 0.35:
            health = self.chance.choice("123")
            link.execute(f"UPDATE csyxzm SET jkzk = %s WHERE zsbh IN ({chosen})".encode(), (health, some))
        elif way < 0.5:
            name = f"样例更名{self.chance.randrange(10**6)}"
            link.execute(f"UPDATE csyxzm SET xsexm = %s WHERE zsbh IN ({chosen})".encode(), (name, some))
        elif way < 0.7:
            link.execute(f"DELETE FROM csyxzm WHERE zsbh IN ({chosen})".encode(), (some,))
        elif way < 0.75:
            # A record gets another key: one goes, one comes.
            self.first += 1
            moved = f"UPDATE csyxzm SET zsbh = %s WHERE zsbh IN ({chosen})"
            link.execute(moved.encode(), (f"Y{self.first:09}", 1))
        else:
            link.execute(_ADD, (self.first + 1, self.first + some))
            self.first += some


def play(rig: Rig, seed: int, number: int) -> Outcome:
    """Play a round and return what became of it."""
    chance = random.Random(f"{seed}/{number}")
    outcome = Outcome(number, victims(seed, number))
    began = time.monotonic()
    moments = sorted(chance.uniform(0.0, SECONDS) for _ in outcome.killed)
    writer = Writer(rig.source_url, random.Random(f"{seed}/{number}/w"), number * 1_000_000)
    writing = threading.Thread(target=writer.run, daemon=True)
    writing.start()
    # Of its own, so that one is killed while another is being started again.
    killing = threading.Thread(target=_kill, args=(rig, moments, outcome.killed), daemon=True)
    killing.start()
    while killing.is_alive() or time.monotonic() - began < SECONDS:
        rig.look_after()
        time.sleep(0.02)
    writer.stop()
    writing.join(30)
    outcome.written = writer.done
    _trim(rig)
    try:
        rig.wait(lambda: not _difference(rig, outcome), EQUAL_S, "equality")
        rig.wait(lambda: _is_noted(rig, outcome), EQUAL_S, "log and receipts")
        outcome.fault = _broken(rig)
    except AssertionError:
        outcome.fault = _said(rig, outcome)
    outcome.seconds = time.monotonic() - began
    return outcome


def _kill(rig: Rig, moments: list[float], names: list[str]) -> None:
    began = time.monotonic()
    for moment, name in zip(moments, names, strict=True):
        time.sleep(max(0.0, moment - (time.monotonic() - began)))
        # One that is dead already, and not started again yet, can't die once more.
        with suppress(ProcessLookupError):
            rig.kill(name)


def _trim(rig: Rig) -> None:
    """Keep the table from growing round by round."""

    def trimmed() -> bool:
        with psycopg.connect(rig.source_url, connect_timeout=3) as link:
            link.execute(
                "DELETE FROM csyxzm WHERE zsbh IN (SELECT zsbh FROM csyxzm ORDER BY zsbh OFFSET %s)",
                [_MOST_ROWS],
            )
        return True

    rig.wait(trimmed, EQUAL_S, "the department's database")


def _difference(rig: Rig, outcome: Outcome) -> str:
    """Compare source, hub and consumer; empty where they hold the same rows."""
    with psycopg.connect(rig.source_url, connect_timeout=3) as link:
        source = set(link.execute(_SOURCE.encode()).fetchall())
        (wanted,) = link.execute(SOURCE_SUM.encode()).fetchone() or ("",)
    with psycopg.connect(rig.hub_url, connect_timeout=3) as link:
        (held,) = link.execute(BASE_SUM.encode()).fetchone() or ("",)
        (rows,) = link.execute(f"SELECT count(*) FROM base.{BIRTHS}".encode()).fetchone() or (0,)
    with psycopg.connect(rig.consumer_url, connect_timeout=3) as link:
        copied = link.execute(f"SELECT {', '.join(ITEMS)} FROM {COPY}".encode()).fetchall()
    outcome.rows = len(source)
    if rows != len(source) or held != wanted:
        return f"the hub has {rows} rows, the source {len(source)}"
    if len(copied) != len(source) or set(copied) != source:
        lacking, more = len(source - set(copied)), len(set(copied) - source)
        return f"the consumer has {len(copied)} rows of {len(source)}, {lacking} lacking, {more} others"
    return ""


def _is_noted(rig: Rig, outcome: Outcome) -> bool:
    """Say whether log and receipts have come as far as the rows."""
    with psycopg.connect(rig.hub_url, connect_timeout=3) as link:
        (waiting,) = link.execute("SELECT count(*) FROM audit.pending").fetchone() or (1,)
        (outcome.entries,) = link.execute("SELECT count(*) FROM audit.leaf").fetchone() or (0,)
        (open_parts,) = link.execute(
            "SELECT count(*) FROM exchange.bulk_job j WHERE NOT EXISTS (SELECT FROM"
            " exchange.subscription_receipt r WHERE r.subscription = j.subscription AND r.number = j.number)"
        ).fetchone() or (1,)
        (last,) = link.execute("SELECT max(sequence) FROM exchange.batch").fetchone() or (0,)
    outcome.batches = last
    with psycopg.connect(rig.consumer_url, connect_timeout=3) as link:
        reached = link.execute("SELECT up_to FROM shuqiao_receive").fetchall()
    return not waiting and not open_parts and reached == [(last,), (last,)]


def _broken(rig: Rig) -> str:
    """Return the first thing that is wrong with ledger, receipts, log or what was applied; or nothing."""
    with psycopg.connect(rig.hub_url) as link:
        ledger = link.execute("SELECT sequence, rejected FROM exchange.batch ORDER BY sequence").fetchall()
        if [row[0] for row in ledger] != list(range(1, len(ledger) + 1)):
            return "the ledger has a gap"
        if any(row[1] for row in ledger):
            return "rows were rejected"
        merged = link.execute("SELECT count(*) FROM audit.entry WHERE event = 'batch_merged'").fetchone()
        if merged != (len(ledger),):
            return f"the log has {merged} entries of {len(ledger)} batches"
        refused = link.execute("SELECT reason, count(*) FROM exchange.batch_refusal GROUP BY 1").fetchall()
        if refused:
            return f"batches were refused: {refused}"
        given = dict(
            link.execute(
                "SELECT s.application, sum(j.rows) FROM exchange.bulk_job j"
                " JOIN exchange.subscription s ON s.id = j.subscription GROUP BY 1"
            ).fetchall()
        )
    return _doubled(rig, int(given[f"app-{STORY}"])) or _log_fault(rig)


def _doubled(rig: Rig, given: int) -> str:
    """Look at the story of all changes: each once, and the last of each record makes up the copy."""
    with psycopg.connect(rig.consumer_url) as link:
        lines = link.execute(f"SELECT record, number, what, part FROM {STORY} ORDER BY part".encode())
        story = lines.fetchall()
        numbers = link.execute(f"SELECT {ITEMS[0]} FROM {COPY}".encode())
        copied = sorted(row[0] for row in numbers.fetchall())
        (dead,) = link.execute("SELECT count(*) FROM shuqiao_receive_dead").fetchone() or (0,)
    often = Counter((record, part) for record, _, _, part in story)
    newest = {record: (number, what) for record, number, what, _ in story}
    if len(often) != len(story):
        return f"{len(story) - len(often)} changes were applied twice"
    if len(story) != given:
        return f"{len(story)} changes were applied of {given} that were given"
    if sorted(number for number, what in newest.values() if what == "upsert") != copied:
        return "the story of changes does not lead to the copy"
    return f"{dead} rows lie apart" if dead else ""


def _log_fault(rig: Rig) -> str:
    with psycopg.connect(rig.auditor_url, autocommit=True) as link:
        trusted = proofs.read_keys(link, "log")
        report = verify_log(link, trusted, LOG_ORIGIN)
    return "" if report.fault is None else f"the log: {report.fault}"


def _said(rig: Rig, outcome: Outcome) -> str:
    try:
        return _difference(rig, outcome) or "log, ledger and receipts do not agree"
    except psycopg.OperationalError as error:
        return f"a database does not answer: {type(error).__name__}"
