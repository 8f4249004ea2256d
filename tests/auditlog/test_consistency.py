"""Any two checkpoints: the older log begins the newer one, by the words of the RFC and not by our code."""

import base64
import hashlib
import itertools
import json
from pathlib import Path

import pytest

from shuqiao.auditlog import proofs
from shuqiao.rules import merkle
from tests.auditlog.conftest import ORIGIN, Log

STEPS = (1, 1, 5, 120, 129, 256, 1, 515)


def node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def is_consistent(first: int, second: int, roots: tuple[bytes, bytes], path: list[bytes]) -> bool:
    """RFC 9162, 2.1.4.2, step by step."""
    if first == second:
        return not path and roots[0] == roots[1]
    if not path:
        return False
    if first & (first - 1) == 0:
        path = [roots[0], *path]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == roots[0] and sr == roots[1] and sn == 0


def of_tree(path: list[str], leaves: list[bytes], old: int, new: int) -> None:
    """Hold our proof against the vector's and the RFC's own check."""
    growth: dict[tuple[int, int], bytes] = {(0, at): leaf for at, leaf in enumerate(leaves)}
    proof = merkle.consistency_proof(lambda level, at: growth[level, at], old, new)
    assert [one.hex() for one in proof] == path
    roots = merkle.root_of(leaves[:old]), merkle.root_of(leaves[:new])
    assert is_consistent(old, new, roots, proof)


# The published test vectors of Certificate Transparency: eight leaves and some of their proofs.
INPUTS = (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)  # fmt: skip
VECTORS = (
    (1, 1, []),
    (1, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (6, 8, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 5, [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
)  # fmt: skip


@pytest.mark.parametrize(("old", "new", "path"), VECTORS)
def test_proofs_are_those_of_the_published_vectors(old: int, new: int, path: list[str]) -> None:
    leaves = [merkle.leaf_hash(bytes.fromhex(text)) for text in INPUTS]
    assert merkle.root_of(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    of_tree(path, leaves, old, new)


@pytest.fixture
def grown(log: Log) -> tuple[Log, list[int]]:
    """A log under eight checkpoints."""
    for count in STEPS:
        log.append_many(count)
        log.integrate()
    return log, list(itertools.accumulate(STEPS))


@pytest.mark.database
@pytest.mark.requirement("SEC-05")
def test_any_two_checkpoints_are_joined_by_a_proof_and_by_no_other(grown: tuple[Log, list[int]]) -> None:
    log, sizes = grown
    for old, new in itertools.combinations_with_replacement(sizes, 2):
        older, newer = (proofs.read_checkpoint(log.auditor, size, ORIGIN) for size in (old, new))
        proof = proofs.prove_consistency(log.auditor, older, newer)
        roots = older.checkpoint.root, newer.checkpoint.root
        assert is_consistent(old, new, roots, list(proof.path))
        assert proof.holds()
        for at in range(len(proof.path)):
            changed = [*proof.path[:at], hashlib.sha256(proof.path[at]).digest(), *proof.path[at + 1 :]]
            assert not is_consistent(old, new, roots, changed)
        assert old == new or not is_consistent(old, new, (roots[1], roots[0]), list(proof.path))


@pytest.mark.database
def test_command_writes_a_proof_that_needs_no_program_of_ours(
    grown: tuple[Log, list[int]], tmp_path: Path
) -> None:
    log, sizes = grown
    out = tmp_path / "kept.json"
    done = log.run_command("consistency", str(sizes[2]), str(sizes[5]), "--out", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("HOLDS") == 3
    kept = json.loads(out.read_text(encoding="utf-8"))
    roots = tuple(base64.b64decode(kept[end]["root"]) for end in ("older", "newer"))
    assert is_consistent(sizes[2], sizes[5], roots, [bytes.fromhex(one) for one in kept["path"]])
    assert proofs.parse_consistency(out.read_bytes()).holds()
    # The kept file stands for its newer checkpoint, and the newest is meant where none is named.
    done = log.run_command("consistency", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"the log of {sizes[-1]} entries begins with the {sizes[5]}" in done.stdout


@pytest.mark.database
def test_a_log_that_was_written_anew_contradicts_what_was_kept(
    grown: tuple[Log, list[int]], tmp_path: Path
) -> None:
    log, sizes = grown
    out = tmp_path / "kept.json"
    log.run_command("consistency", str(sizes[0]), str(sizes[3]), "--out", str(out))
    kept = json.loads(out.read_text(encoding="utf-8"))
    kept["newer"]["root"] = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    out.write_text(json.dumps(kept), encoding="utf-8")
    done = log.run_command("consistency", str(out))
    assert done.returncode == 2
    assert "BROKEN" in done.stdout


@pytest.mark.database
@pytest.mark.parametrize("named", ["4", "99999999", "no-such-file", "1" * 40])
def test_a_checkpoint_that_is_none_is_no_answer(log: Log, named: str) -> None:
    log.append_many(3)
    log.integrate()
    done = log.run_command("consistency", named)
    assert (done.returncode, done.stderr) == (1, "")
