"""The command `shuqiao audit consistency`: that the log of one checkpoint is the beginning of another's.

Either end may be named by its size, or by a file that was kept: a proof of an entry or of consistency. A file
is the stronger end, since the platform can no longer change it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shuqiao.auditlog import proofs
from shuqiao.rules.checkpoint import SignedCheckpoint, time_text
from shuqiao.security import keys

HOLDS: Final = 0
UNANSWERED: Final = 1
BROKEN: Final = 2


def prove_consistency(
    connection: proofs.Connection,
    origin: str,
    trusted: Mapping[str, keys.PublicKey],
    arguments: argparse.Namespace,
) -> int:
    """Prove, print and if asked write the proof; the exit code of the command."""
    older = _find(connection, origin, arguments.older)
    newer = _find(connection, origin, arguments.newer)
    if older is None or newer is None:
        print("The log has no such checkpoint: name one by its size, or a file that holds a proof.")
        return UNANSWERED
    if older.checkpoint.size > newer.checkpoint.size:
        older, newer = newer, older
    proof = proofs.prove_consistency(connection, older, newer)
    signed = [proofs.is_signed(one, trusted) and one.checkpoint.origin == origin for one in (older, newer)]
    _print(proof, signed)
    if arguments.out is not None:
        Path(arguments.out).write_text(json.dumps(proof.document(), indent=2) + "\n", encoding="utf-8")
        print(f"The proof is in {arguments.out}.")
    return HOLDS if proof.holds() and all(signed) else BROKEN


def _find(connection: proofs.Connection, origin: str, wanted: str | None) -> SignedCheckpoint | None:
    if wanted is None:
        return proofs.read_newest(connection, origin)
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
        return proofs.read_checkpoint(connection, int(wanted), origin)
    try:
        content = Path(wanted).read_bytes()
    except OSError:
        return None
    try:
        return proofs.parse_document(content).signed
    except ValueError:
        pass
    try:
        return proofs.parse_consistency(content).newer
    except ValueError:
        return None


def _print(proof: proofs.ConsistencyProof, signed: list[bool]) -> None:
    for name, one, is_signed in zip(("older", "newer"), (proof.older, proof.newer), signed, strict=True):
        checkpoint = one.checkpoint
        print(
            f"{name:<12}{checkpoint.size} entries, signed {time_text(checkpoint.signed_at)} by {one.key_id}"
        )
        print(f"root        {checkpoint.root.hex()}")
        _say(is_signed, "it is signed by the log's key")
    for step, node in enumerate(proof.path):
        print(f"{'path' if step == 0 else '':<12}{node.hex()}")
    sizes = proof.older.checkpoint.size, proof.newer.checkpoint.size
    _say(proof.holds(), f"the log of {sizes[1]} entries begins with the {sizes[0]} of the older one")


def _say(holds: bool, words: str) -> None:
    print(f"{'HOLDS ' if holds else 'BROKEN'}  {words}")
