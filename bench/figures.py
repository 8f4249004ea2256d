"""What a run of keyed calls says: a table with the targets beside, a drawing, and a last line of JSON."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench import peers
from bench.keyed import REFERENCE, Bench, Run, Variant, flush_us, interpreter, sign_us
from bench.place import running_place

OURS = ("postgres", "vault", "plane")
CONNECTIONS = 128
ADDED_P99_MS = 10.0
ADDED = "added latency over a bare keyed read, 32 connections, p99"


@dataclass
class Found:
    """All runs of all variants, and the peers that are missing."""

    runs: dict[Variant, list[Run]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def per_s(self, variant: Variant) -> float:
        """The median rate."""
        return statistics.median(run.per_s for run in self.runs[variant])

    def p50_ms(self, variant: Variant) -> float:
        """The median of the rounds' medians."""
        return statistics.median(run.p50_ms for run in self.runs[variant])

    def p99_ms(self, variant: Variant) -> float:
        """The median of the rounds' 99th parts in a hundred."""
        return statistics.median(run.p99_ms for run in self.runs[variant])

    def cpu_us(self, variant: Variant) -> dict[str, float]:
        """The median of a call's processor time by program; what takes less than one is left out."""
        runs = self.runs[variant]
        used = {name: statistics.median(run.cpu_us[name] for run in runs) for name in runs[0].cpu_us}
        return {name: us for name, us in used.items() if us >= 1}

    def ratio(self, variant: Variant) -> float:
        """The rate in parts of the reference's."""
        return self.per_s(variant) / self.per_s(REFERENCE)


def measure(bench: Bench, variants: Sequence[Variant], rounds: int, found: Found) -> None:
    """Run every variant once in each round, so that the machine's moods meet all of them."""
    wanted = [REFERENCE, *(one for one in variants if one.peer not in found.missing)]
    for variant in wanted:
        # Others compile while they run, and their first seconds would say nothing of them.
        if variant.peer and not _ran(bench, variant, found):
            print(f"{variant.peer} does not answer", file=sys.stderr)
    for turn in range(rounds):
        for variant in wanted:
            run = _ran(bench, variant, found)
            if run is not None:
                found.runs.setdefault(variant, []).append(run)
                print(f"round {turn + 1}: {variant.name}: {run.per_s:,.0f}/s", file=sys.stderr)


def _ran(bench: Bench, variant: Variant, found: Found) -> Run | None:
    """Run once; a peer that fails is missing from then on."""
    if variant.peer in found.missing:
        return None
    try:
        return bench.run(variant)
    except RuntimeError as error:
        if not variant.peer:
            raise
        found.missing[variant.peer] = str(error)
        return None


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One figure and its target; `own_us` is the processor time of PostgreSQL, vault and plane together."""

    variant: str
    value: float
    unit: str
    target: float | None = None
    met: bool | None = None
    ratio: float = 0.0
    cpu_ratio: float = 0.0
    cpu_us: dict[str, float] = {}
    own_us: float | None = None
    own_us_target: float | None = None
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def rows_of(found: Found) -> list[Row]:
    """Give a row for each variant."""
    reference_us = sum(found.cpu_us(REFERENCE).values())
    return [_row(found, variant, reference_us) for variant in found.runs]


def _row(found: Found, variant: Variant, reference_us: float) -> Row:
    used, ratio = found.cpu_us(variant), found.ratio(variant)
    own = sum(used.get(name, 0.0) for name in OURS) if variant.operation else None
    return Row(
        variant.name,
        round(found.per_s(variant), 1),
        "calls/s",
        variant.ratio,
        None if variant.ratio is None else ratio >= variant.ratio,
        round(ratio, 4),
        round(reference_us / sum(used.values()), 4),
        {name: round(us, 1) for name, us in used.items()},
        None if own is None else round(own, 1),
        variant.cpu_us,
        round(found.p50_ms(variant), 2),
        round(found.p99_ms(variant), 2),
    )


def comparisons(found: Found, operation: str) -> list[Row]:
    """Set ours beside the peers: times their rate at 128 connections, and what it takes longer at 32."""
    by_name = {variant.name: variant for variant in found.runs}
    rows: list[Row] = []
    ours = by_name.get(f"{operation}, mac, {CONNECTIONS} connections")
    for peer in peers.PEERS:
        theirs = by_name.get(f"{peer.name}, {CONNECTIONS} connections")
        if ours is not None and theirs is not None and peer.times is not None:
            times = round(found.per_s(ours) / found.per_s(theirs), 2)
            rows.append(Row(f"{operation} to {peer.name}", times, "times", peer.times, times >= peer.times))
    ours = by_name.get(f"{operation}, mac, 32 connections")
    bare = by_name.get(f"{peers.BARE.name}, 32 connections")
    if ours is not None and bare is not None:
        pairs = zip(found.runs[ours], found.runs[bare], strict=False)
        added = round(statistics.median(mine.p99_ms - theirs.p99_ms for mine, theirs in pairs), 2)
        rows.append(Row(f"{operation}, {ADDED}", added, "ms", ADDED_P99_MS, added <= ADDED_P99_MS))
    return rows


def table(found: Found, compared: Sequence[Row]) -> None:
    """Print everything.

    "Of CPU" is the ratio of processor time, load included. Where nobody else uses the machine it agrees with
    the ratio; where others do, 32 backends of the reference get a larger share of it than six processes of
    the path.
    """
    print("| variant | calls/s | ratio (target) | of CPU | p50, p99 ms | own µs (target) | µs by program |")
    print("|---|---|---|---|---|---|---|")
    for row in rows_of(found):
        used = ", ".join(f"{name} {us:.0f}" for name, us in row.cpu_us.items())
        own = "" if row.own_us is None else f"{row.own_us:.0f}"
        print(
            f"| {row.variant} | {row.value:,.0f} | {row.ratio:.3f}{_aim(row.target)} | {row.cpu_ratio:.3f} "
            f"| {row.p50_ms:.1f}, {row.p99_ms:.1f} | {own}{_aim(row.own_us_target)} | {used} |"
        )
    for row in compared:
        verdict = "met" if row.met else "MISSED"
        print(f"{row.variant}: {row.value} {row.unit}, target {row.target}: {verdict}")
    for name, reason in found.missing.items():
        print(f"{name} is not measured: {reason}")


def _aim(target: float | None) -> str:
    return "" if target is None else f" ({target:g})"


def plot(found: Found, title: str) -> str:
    """Draw the rates as bars of the reference's, with a line at each target."""
    drawn = []
    scale = 380 / max(1.0, *(found.ratio(variant) for variant in found.runs))
    for place, variant in enumerate(found.runs):
        y, ratio = 34 + 30 * place, found.ratio(variant)
        width, said = ratio * scale, f"{found.per_s(variant):,.0f}/s, {ratio:.3f}"
        drawn.append(
            f'<text x="270" y="{y + 14}" text-anchor="end">{variant.name}</text>'
            f'<rect x="280" y="{y}" width="{width:.0f}" height="20" fill="#2f6f9f"/>'
            f'<text x="{286 + width:.0f}" y="{y + 14}">{said}</text>'
        )
        if variant.ratio is not None:
            goal = f"{280 + variant.ratio * scale:.0f}"
            drawn.append(f'<path d="M{goal} {y - 3}v26" stroke="#b03030" stroke-width="2"/>')
    height = 44 + 30 * len(found.runs)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}" font-family="sans-serif"'
        f' font-size="12"><text x="280" y="18">{title}</text>{"".join(drawn)}</svg>\n'
    )


def run(name: str, about: str, variants: Sequence[Variant], arguments: list[str]) -> int:
    """Run a benchmark; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(prog=f"bench {name}", description=about)
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--only", default="", help="measure the variants whose name contains this")
    parser.add_argument("--peers", type=Path, help="install peers into this folder and measure them too")
    parser.add_argument("--plot", type=Path, help="write a drawing (SVG) to this file")
    options = parser.parse_args(arguments)
    wanted = [variant for variant in variants if options.only in variant.name]
    found = Found()
    with running_place(options.people) as place:
        print(
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; flush {flush_us(place.folder):.0f} µs; "
            f"Ed25519 signature {sign_us():.0f} µs; {interpreter()}; {options.people} births"
        )
        bench = Bench(place, options.people, options.seconds)
        for peer in peers.PEERS:
            if any(variant.peer == peer.name for variant in wanted):
                try:
                    bench.add_peer(peer, options.peers)
                except peers.PeerMissing as error:
                    found.missing[peer.name] = str(error)
        measure(bench, wanted, options.rounds, found)
    compared = comparisons(found, name)
    table(found, compared)
    if options.plot is not None:
        title = f"{name}: calls a second, and parts of pgbench -S; red: target"
        options.plot.write_text(plot(found, title), encoding="utf-8")
    said = {"bench": name, "rows": rows_of(found) + compared, "missing": found.missing}
    print(msgspec.json.encode(said).decode())
    return 0
