"""Proofs read from the database against a tree built the slow way, and the command that shows them."""

import base64
import hashlib
import json
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from shuqiao.auditlog import proofs
from shuqiao.rules import merkle
from shuqiao.rules.checkpoint import Checkpoint, SignedCheckpoint
from shuqiao.security import keys
from tests.auditlog.conftest import ORIGIN, Log

pytestmark = pytest.mark.database


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word; `leaves` are leaf hashes."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:half]) + naive_root(leaves[half:])).digest()


def naive_path(position: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if position < half:
        return [*naive_path(position, leaves[:half]), naive_root(leaves[half:])]
    return [*naive_path(position - half, leaves[half:]), naive_root(leaves[:half])]


def test_proofs_equal_those_of_a_naive_tree(log: Log) -> None:
    dice = random.Random(20)
    steps = [1, 1, 5, 120, 129, 256, 1, 515, 1031]
    for count in steps:
        log.append_many(count)
        log.integrate()
    rows = log.admin.execute("SELECT entry_id, hash FROM audit.leaf ORDER BY position").fetchall()
    hashes = [row[1] for row in rows]
    trusted = proofs.read_keys(log.auditor, "log")
    sizes = [sum(steps[: place + 1]) for place in range(len(steps))]
    signed = {size: proofs.read_checkpoint(log.auditor, size, ORIGIN) for size in sizes}
    for size in sizes:
        assert signed[size].checkpoint.root == naive_root(hashes[:size])
        assert proofs.is_signed(signed[size], trusted)
        positions = {0, size - 1, size // 2, *dice.sample(range(size), min(size, 12))}
        for position in positions:
            entry = proofs.read_entry(log.auditor, rows[position][0])
            proof = proofs.prove_inclusion(log.auditor, entry, position, signed[size])
            assert list(proof.path) == naive_path(position, hashes[:size])
            assert proof.holds()
    for older in sizes:
        for newer in sizes:
            if older <= newer:
                assert proofs.prove_consistency(log.auditor, signed[older], signed[newer]).holds()


def test_a_proof_of_something_else_does_not_hold(log: Log) -> None:
    log.append_many(40)
    log.integrate()
    newest = proofs.read_newest(log.auditor, ORIGIN)
    one, other = (
        proofs.read_entry(log.auditor, proofs.read_entry_id(log.auditor, position)) for position in (7, 8)
    )
    assert proofs.prove_inclusion(log.auditor, one, 7, newest).holds()
    assert not proofs.prove_inclusion(log.auditor, other, 7, newest).holds()
    assert not proofs.prove_inclusion(log.auditor, one, 8, newest).holds()


def test_rewritten_history_is_not_consistent(log: Log) -> None:
    log.append_many(40)
    log.integrate()
    older = proofs.read_newest(log.auditor, ORIGIN)
    log.append_many(30)
    log.integrate()
    newer = proofs.read_newest(log.auditor, ORIGIN)
    assert proofs.prove_consistency(log.auditor, older, newer).holds()
    forged = Checkpoint(ORIGIN, 40, hashlib.sha256(b"another").digest(), older.checkpoint.signed_at)
    remembered = SignedCheckpoint(forged, older.key_id, older.signature)
    assert not proofs.prove_consistency(log.auditor, remembered, newer).holds()
    assert not proofs.is_signed(remembered, proofs.read_keys(log.auditor, "log"))


def test_prove_command(log: Log, tmp_path: Path) -> None:
    log.append_many(300)
    entry = log.append()
    waiting = log.run_command("prove", str(entry))
    assert waiting.returncode == 1
    assert "WAITS" in waiting.stdout
    log.integrate()
    out = tmp_path / "proof.json"
    done = log.run_command("prove", str(entry), "--out", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("HOLDS") == 3
    assert "BROKEN" not in done.stdout
    position = log.position(entry)
    again = log.run_command("prove", str(position)).stdout
    assert again == done.stdout.replace(f"The proof is in {out}.\n", "")
    check_file(json.loads(out.read_text()), log)


def check_file(proof: dict, log: Log) -> None:
    """Check a proof file as an outsider would: with the file and the log's public key only."""
    leaf = hashlib.sha256(b"\x00" + bytes.fromhex(proof["digest"])).digest()
    checkpoint = proof["checkpoint"]
    root = base64.b64decode(checkpoint["root"])
    path = [bytes.fromhex(node) for node in proof["path"]]
    assert merkle.verify_inclusion(leaf, proof["position"], checkpoint["size"], path, root)
    text = (
        f"shuqiao/audit/v1\n{checkpoint['origin']}\n{checkpoint['size']}\n{checkpoint['root']}\n"
        f"{checkpoint['signed_at']}\n"
    )
    log.key.key.public_key().verify(base64.b64decode(checkpoint["signature"]), text.encode())


def test_log_still_begins_with_what_an_older_proof_saw(log: Log, tmp_path: Path) -> None:
    """A kept proof finds what a whole check can't: a log rewritten and signed anew by its own key."""
    log.append_many(20)
    log.integrate()
    out = tmp_path / "proof.json"
    assert log.run_command("prove", "3", "--out", str(out)).returncode == 0
    log.append_many(10)
    log.integrate()
    done = log.run_command("verify", "--since", str(out))
    assert done.returncode == 0
    assert "the log still begins with those 20 entries" in done.stdout
    log.tamper("DELETE FROM audit.leaf")
    log.tamper("DELETE FROM audit.checkpoint")
    log.tamper("INSERT INTO audit.pending SELECT id, digest FROM audit.entry ORDER BY id DESC")
    log.integrate()
    assert log.verify().fault is None
    done = log.run_command("verify", "--since", str(out))
    assert done.returncode == 2
    assert "BROKEN  the log still begins" in done.stdout


def test_keys_of_the_auditor_count_more_than_those_of_the_database(log: Log, tmp_path: Path) -> None:
    log.append_many(3)
    log.integrate()
    mine = tmp_path / "log.pem"
    mine.write_bytes(public_pem(log.key.key))
    environment = {"LOG_PUBLIC_KEYS": str(mine), "PROMISE_PUBLIC_KEYS": str(mine)}
    done = log.run_command("verify", **environment)
    assert (done.returncode, done.stdout.count("NOTE")) == (0, 0)
    mine.write_bytes(public_pem(keys.generate_signing_key()))
    assert log.run_command("verify").returncode == 0
    done = log.run_command("verify", **environment)
    assert done.returncode == 2
    assert "checkpoint_signature" in done.stdout


def public_pem(key: keys.SigningKey) -> bytes:
    """The public key as an auditor gets it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def test_prove_command_finds_an_altered_entry(log: Log) -> None:
    log.append_many(9)
    log.integrate()
    log.tamper(
        "UPDATE audit.entry SET actor = 'somebody' WHERE id = (SELECT entry_id FROM audit.leaf LIMIT 1)"
    )
    position = log.admin.execute(
        "SELECT position FROM audit.leaf JOIN audit.entry ON id = entry_id WHERE actor = 'somebody'"
    ).fetchone()[0]
    done = log.run_command("prove", str(position))
    assert done.returncode == 2
    assert "BROKEN  its column actor does not say what its body says" in done.stdout


@pytest.mark.parametrize("wanted", ["4711", "00000000-0000-0000-0000-000000000000", "not-an-entry", "9" * 30])
def test_prove_command_refuses_what_is_not_there(log: Log, wanted: str) -> None:
    log.append_many(2)
    log.integrate()
    done = log.run_command("prove", wanted)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
