"""Queries: the whole path against `pgbench -S` on a copy of the same rows, a bare handler, and peers."""

from __future__ import annotations

from bench import figures, peers
from bench.keyed import Variant


def variants() -> list[Variant]:
    """What is measured, in the order of each round."""
    made = [
        Variant("query, mac, 32 connections", 32, "query", "mac", ratio=0.25, cpu_us=220),
        Variant("query, mac, 128 connections", 128, "query", "mac", ratio=0.40, cpu_us=150),
        Variant("query, ecdsa-p256-sha256, 128 connections", 128, "query", "ecdsa-p256-sha256", ratio=0.25),
        Variant(f"{peers.BARE.name}, 32 connections", 32, peer=peers.BARE.name),
    ]
    return made + [Variant(f"{peer.name}, 128 connections", 128, peer=peer.name) for peer in peers.PEERS]


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    return figures.run("query", __doc__, variants(), arguments)
