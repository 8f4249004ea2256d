"""The tree against RFC 6962's vectors and against a reference written straight from its definitions."""

import hashlib
import random

import pytest

from shuqiao.rules import merkle

VECTORS = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
]
"""Leaves that the certificate-transparency sources use; the roots below are theirs."""

ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def reference_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return merkle.node_hash(reference_root(leaves[:half]), reference_root(leaves[half:]))


def reference_path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) <= 1:
        return []
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if index < half:
        return [*reference_path(index, leaves[:half]), reference_root(leaves[half:])]
    return [*reference_path(index - half, leaves[half:]), reference_root(leaves[:half])]


def reference_subproof(old: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [reference_root(leaves)]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if old <= half:
        return [*reference_subproof(old, leaves[:half], whole), reference_root(leaves[half:])]
    return [*reference_subproof(old - half, leaves[half:], False), reference_root(leaves[:half])]


def leaves_of(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


class Store:
    """Keeps what `append` says to keep, and refuses to be asked for anything else."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.frontier = merkle.EMPTY

    def add(self, leaves: list[bytes]) -> bytes:
        for offset, leaf in enumerate(leaves):
            self.nodes[0, self.frontier.size + offset] = leaf
        growth = merkle.append(self.frontier, leaves)
        for node in growth.nodes:
            assert node.level % merkle.STEP == 0
            assert (node.level, node.position) not in self.nodes
            self.nodes[node.level, node.position] = node.hash
        self.frontier = growth.frontier
        return growth.root

    def fetch(self, level: int, position: int) -> bytes:
        return self.nodes[level, position]


def test_roots_of_the_known_vectors() -> None:
    hashes = [merkle.leaf_hash(data) for data in VECTORS]
    assert [merkle.root_of(hashes[:size]).hex() for size in range(1, 9)] == ROOTS
    assert merkle.root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_known_inclusion_path() -> None:
    store = Store()
    store.add([merkle.leaf_hash(data) for data in VECTORS])
    assert [node.hex() for node in merkle.inclusion_proof(store.fetch, 5, 8)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_growing_in_pieces_gives_the_reference_root_at_every_size() -> None:
    leaves = leaves_of(70)
    store = Store()
    for size in range(1, 71):
        assert store.add([leaves[size - 1]]) == reference_root(leaves[:size])
        assert merkle.root_at(store.fetch, size) == reference_root(leaves[:size])


@pytest.mark.parametrize("seed", range(4))
def test_random_pieces_make_the_same_tree_as_one(seed: int) -> None:
    random_numbers = random.Random(seed)
    leaves = leaves_of(random_numbers.randint(250, 1100))
    once, pieces = Store(), Store()
    root = once.add(leaves)
    done = 0
    while done < len(leaves):
        count = random_numbers.randint(1, 90)
        last = pieces.add(leaves[done : done + count])
        done += count
    assert last == root == reference_root(leaves)
    assert pieces.nodes == once.nodes


def test_every_proof_of_small_trees_equals_the_reference_and_verifies() -> None:
    leaves = leaves_of(20)
    store = Store()
    store.add(leaves)
    for size in range(1, 21):
        root = reference_root(leaves[:size])
        for index in range(size):
            proof = merkle.inclusion_proof(store.fetch, index, size)
            assert proof == reference_path(index, leaves[:size])
            assert merkle.verify_inclusion(leaves[index], index, size, proof, root)
        for old in range(1, size + 1):
            proof = merkle.consistency_proof(store.fetch, old, size)
            assert proof == reference_subproof(old, leaves[:size], True)
            assert merkle.verify_consistency(old, size, (reference_root(leaves[:old]), root), proof)


@pytest.mark.parametrize("seed", range(3))
def test_proofs_of_large_trees_read_only_stored_nodes(seed: int) -> None:
    random_numbers = random.Random(seed)
    leaves = leaves_of(70_000)
    store = Store()
    root = store.add(leaves)
    assert (16, 0) in store.nodes
    for _ in range(20):
        index = random_numbers.randrange(70_000)
        asked: list[tuple[int, int]] = []

        def fetch(level: int, position: int, asked: list[tuple[int, int]] = asked) -> bytes:
            asked.append((level, position))
            return store.nodes[level, position]

        proof = merkle.inclusion_proof(fetch, index, 70_000)
        assert asked == merkle.nodes_for_inclusion(index, 70_000)
        assert merkle.verify_inclusion(leaves[index], index, 70_000, proof, root)
        old = random_numbers.randint(1, 70_000)
        proof = merkle.consistency_proof(store.fetch, old, 70_000)
        old_root = merkle.root_at(store.fetch, old)
        assert merkle.verify_consistency(old, 70_000, (old_root, root), proof)
        assert merkle.load_frontier(store.fetch, old) == merkle.append(merkle.EMPTY, leaves[:old]).frontier


def test_a_changed_leaf_root_index_or_path_is_not_believed() -> None:
    leaves = leaves_of(300)
    store = Store()
    root = store.add(leaves)
    proof = merkle.inclusion_proof(store.fetch, 123, 300)
    changed = [merkle.node_hash(proof[0], proof[0]), *proof[1:]]
    assert merkle.verify_inclusion(leaves[123], 123, 300, proof, root)
    assert not merkle.verify_inclusion(leaves[124], 123, 300, proof, root)
    assert not merkle.verify_inclusion(leaves[123], 122, 300, proof, root)
    assert not merkle.verify_inclusion(leaves[123], 123, 200, proof, root)
    assert not merkle.verify_inclusion(leaves[123], 123, 300, proof[:-1], root)
    assert not merkle.verify_inclusion(leaves[123], 123, 300, [*proof, root], root)
    assert not merkle.verify_inclusion(leaves[123], 123, 300, changed, root)
    assert not merkle.verify_inclusion(leaves[123], 300, 300, proof, root)


def test_a_rewritten_beginning_is_not_believed() -> None:
    honest, forged = Store(), Store()
    leaves = leaves_of(200)
    honest.add(leaves[:150])
    old_root = merkle.root_of_frontier(honest.frontier)
    new_root = honest.add(leaves[150:])
    forged_root = forged.add([leaves[1], leaves[0], *leaves[2:]])
    proof = merkle.consistency_proof(honest.fetch, 150, 200)
    assert merkle.verify_consistency(150, 200, (old_root, new_root), proof)
    forged_proof = merkle.consistency_proof(forged.fetch, 150, 200)
    assert not merkle.verify_consistency(150, 200, (old_root, forged_root), forged_proof)
    assert not merkle.verify_consistency(150, 200, (old_root, forged_root), proof)
    assert not merkle.verify_consistency(150, 200, (old_root, new_root), [])
    assert not merkle.verify_consistency(200, 150, (new_root, old_root), proof)
    assert merkle.verify_consistency(150, 150, (old_root, old_root), [])
    assert not merkle.verify_consistency(150, 150, (old_root, new_root), [])
    assert merkle.verify_consistency(0, 150, (merkle.EMPTY_ROOT, old_root), [])


def test_a_leaf_outside_the_tree_has_no_proof() -> None:
    with pytest.raises(ValueError):
        merkle.inclusion_proof(Store().fetch, 0, 0)
    with pytest.raises(ValueError):
        merkle.consistency_proof(Store().fetch, 2, 1)
