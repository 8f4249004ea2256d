"""Verifications: the whole path against `pgbench -S` on a copy of the same rows, and a bare handler."""

from __future__ import annotations

from bench import figures, peers
from bench.keyed import Variant


def variants() -> list[Variant]:
    """What is measured, in the order of each round."""
    return [
        Variant("verify, mac, 32 connections", 32, "verify", "mac", ratio=0.18, cpu_us=220),
        Variant("verify, mac, 128 connections", 128, "verify", "mac", ratio=0.40, cpu_us=150),
        Variant("verify, ed25519, 128 connections", 128, "verify", "ed25519"),
        Variant("verify, ecdsa-p256-sha256, 128 connections", 128, "verify", "ecdsa-p256-sha256", ratio=0.25),
        Variant(f"{peers.BARE.name}, 32 connections", 32, peer=peers.BARE.name),
    ]


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    return figures.run("verify", __doc__, variants(), arguments)
