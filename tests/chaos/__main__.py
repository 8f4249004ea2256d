"""Many rounds in a row: `./dev chaos --rounds N [--seed S] [--record FILE]`."""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.rig import running_rig
from tests.chaos.rounds import KILLS, SECONDS, Outcome, play

RECORD = Path(__file__).parents[2] / "docs" / "chaos.md"
WRITTEN_FROM = 100
"""So many rounds, or more, are a record."""

_COLUMNS = (
    "round",
    "killed, in this order",
    "transactions",
    "rows at the end",
    "batches so far",
    "log entries so far",
    "seconds",
    "outcome",
)
_HEAD = """# Record of killed processes
Written by `./dev chaos --rounds {asked} --seed {seed}` on {day} (UTC), {cores} cores. What a round does and \
what is compared: [how to](how-to/kill-processes.md). In each round {kills} processes are killed by -9 in \
{length:.0f} seconds while rows are written, changed and deleted. Other work ran on the machine at the same \
time, so the seconds are no measurement.

{sum}

"""


def main(arguments: Sequence[str]) -> int:
    """Play the rounds; 1 where one of them ended with a difference, which ends the run."""
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--record", type=Path, default=None, help="default from 100 rounds on: docs/chaos.md")
    asked = parser.parse_args(arguments)
    seed = random.randrange(10**6) if asked.seed is None else asked.seed
    record = asked.record or (RECORD if asked.rounds >= WRITTEN_FROM else None)
    logging.disable(logging.WARNING)
    print(f"seed {seed}", flush=True)
    played: list[Outcome] = []
    with running_rig() as rig:
        while len(played) < asked.rounds and not any(one.fault for one in played):
            played.append(play(rig, seed, len(played) + 1))
            print(played[-1].line(), flush=True)
            if record is not None:
                record.write_text(written(played, asked.rounds, seed), encoding="utf-8")
        if played[-1].fault:
            print(rig.told(), file=sys.stderr)
    return 1 if played[-1].fault else 0


def written(played: Sequence[Outcome], asked: int, seed: int) -> str:
    """Write the record of these rounds."""
    head = _HEAD.format(
        asked=asked,
        seed=seed,
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        cores=os.cpu_count(),
        kills=KILLS,
        length=SECONDS,
        sum=_sum(played, asked),
    )
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_cells, played)]
    return head + "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


def _sum(played: Sequence[Outcome], asked: int) -> str:
    kills: dict[str, int] = {}
    for name in (name for one in played for name in one.killed):
        kills[name] = kills.get(name, 0) + 1
    equal = sum(not one.fault for one in played)
    each = ", ".join(f"{name} {count}" for name, count in sorted(kills.items()))
    written = sum(one.written for one in played)
    return (
        f"{equal} of {len(played)} rounds ended equal, {asked} were asked for; {written:,} transactions."
        f" Kills: {sum(kills.values())} ({each})."
    )


def _cells(one: Outcome) -> tuple[object, ...]:
    return (
        one.number,
        ", ".join(one.killed),
        one.written,
        one.rows,
        one.batches,
        one.entries,
        f"{one.seconds:.1f}",
        one.fault or "equal",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
