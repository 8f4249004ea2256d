"""The RFC 6962 Merkle tree of the audit log: proofs from stored nodes, and growth along the right edge.

A node (level, position) is the complete subtree over leaves [position * 2**level, (position+1) * 2**level).
Stored are level 0 (the leaves) and every eighth level; the levels between are computed from at most 128
stored nodes each. `fetch(level, position)` is only ever asked for stored nodes.
Source: RFC 6962 section 2.1; the stored levels are our choice, decision "audit tree".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Fetch = Callable[[int, int], bytes]
Place = tuple[int, int]

STEP = 8
"""Distance between stored levels."""

EMPTY_ROOT = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Node:
    """One complete subtree's hash, with its place."""

    level: int
    position: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: the hashes of its complete subtrees, largest first, one per bit of size."""

    size: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """What appending leaves yields: nodes of levels 8, 16, 24 … to store, and the new right edge."""

    nodes: tuple[Node, ...]
    frontier: Frontier
    root: bytes


EMPTY = Frontier(0, ())


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 of 0x00 and the data."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and both children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _folded(hashes: Sequence[bytes]) -> bytes:
    """The hash over subtrees of descending size, joined from the right."""
    result = hashes[-1]
    for left in reversed(hashes[:-1]):
        result = node_hash(left, result)
    return result


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over leaf hashes held in memory; the empty tree has the hash of nothing."""
    return append(EMPTY, leaf_hashes).root


def append(frontier: Frontier, leaf_hashes: Iterable[bytes]) -> Growth:
    """Add leaves at the right edge, reading nothing to its left; `nodes` leaves out the leaves themselves."""
    edge = list(frontier.hashes)
    size = frontier.size
    stored: list[Node] = []
    for leaf in leaf_hashes:
        current = leaf
        level = 0
        while (size >> level) & 1:
            current = node_hash(edge.pop(), current)
            level += 1
            if level % STEP == 0:
                stored.append(Node(level, size >> level, current))
        edge.append(current)
        size += 1
    return Growth(tuple(stored), Frontier(size, tuple(edge)), _folded(edge) if edge else EMPTY_ROOT)


def _complete_subtrees(start: int, end: int) -> list[Place]:
    """The complete subtrees, largest first, whose union is leaves [start, end).

    `start` is a multiple of the largest subtree, as every range of an RFC 6962 proof is.
    """
    places = []
    while start < end:
        level = (end - start).bit_length() - 1
        places.append((level, start >> level))
        start += 1 << level
    return places


def _stored_under(place: Place) -> list[Place]:
    """The stored nodes a complete subtree is computed from: itself, or those of the level below it."""
    level, position = place
    rest = level % STEP
    first = position << rest
    return [(level - rest, at) for at in range(first, first + (1 << rest))]


def _subtree_hash(fetch: Fetch, place: Place) -> bytes:
    hashes = [fetch(level, position) for level, position in _stored_under(place)]
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def _range_hash(fetch: Fetch, places: Sequence[Place]) -> bytes:
    return _folded([_subtree_hash(fetch, place) for place in places])


def _inclusion_ranges(index: int, size: int) -> list[list[Place]]:
    """The sibling ranges on the way from a leaf to the root, nearest first."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in a tree of this size")
    start, end = 0, size
    ranges = []
    while end - start > 1:
        half = start + (1 << (end - start - 1).bit_length() - 1)
        if index < half:
            ranges.append(_complete_subtrees(half, end))
            end = half
        else:
            ranges.append(_complete_subtrees(start, half))
            start = half
    return ranges[::-1]


def _consistency_ranges(old: int, new: int) -> list[list[Place]]:
    """The ranges of RFC 6962's PROOF(old, new), nearest first; none when old is 0 or new."""
    if not 0 <= old <= new:
        raise ValueError("the old tree is larger than the new one")
    if old in (0, new):
        return []
    start, end = 0, new
    whole = True
    ranges = []
    while old != end:
        half = start + (1 << (end - start - 1).bit_length() - 1)
        if old <= half:
            ranges.append(_complete_subtrees(half, end))
            end = half
        else:
            ranges.append(_complete_subtrees(start, half))
            start = half
            whole = False
    if not whole:
        ranges.append(_complete_subtrees(start, end))
    return ranges[::-1]


def _stored(ranges: Iterable[Sequence[Place]]) -> list[Place]:
    return [stored for places in ranges for place in places for stored in _stored_under(place)]


def nodes_for_inclusion(index: int, size: int) -> list[Place]:
    """The stored (level, position) that `inclusion_proof` will fetch, so that one query can read them all."""
    return _stored(_inclusion_ranges(index, size))


def nodes_for_consistency(old: int, new: int) -> list[Place]:
    """The stored (level, position) that `consistency_proof` will fetch."""
    return _stored(_consistency_ranges(old, new))


def nodes_for_frontier(size: int) -> list[Place]:
    """The stored (level, position) that `load_frontier` and `root_at` will fetch."""
    return _stored([_complete_subtrees(0, size)])


def inclusion_proof(fetch: Fetch, index: int, size: int) -> list[bytes]:
    """The audit path of the leaf at `index` in the tree of the first `size` leaves."""
    return [_range_hash(fetch, places) for places in _inclusion_ranges(index, size)]


def consistency_proof(fetch: Fetch, old: int, new: int) -> list[bytes]:
    """Proof that the tree of `old` leaves is the beginning of the tree of `new` leaves."""
    return [_range_hash(fetch, places) for places in _consistency_ranges(old, new)]


def load_frontier(fetch: Fetch, size: int) -> Frontier:
    """The right edge of the tree of `size` leaves, from stored nodes."""
    return Frontier(size, tuple(_subtree_hash(fetch, place) for place in _complete_subtrees(0, size)))


def root_of_frontier(frontier: Frontier) -> bytes:
    """The root of the tree whose right edge this is."""
    return _folded(frontier.hashes) if frontier.hashes else EMPTY_ROOT


def root_at(fetch: Fetch, size: int) -> bytes:
    """The root of the tree of the first `size` leaves, from stored nodes."""
    return root_of_frontier(load_frontier(fetch, size))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that the leaf hash stands at `index` under `root`. Source: RFC 9162 2.1.3.2."""
    if not 0 <= index < size:
        return False
    at, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            current = node_hash(sibling, current)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            current = node_hash(current, sibling)
        at >>= 1
        last >>= 1
    return last == 0 and current == root


def verify_consistency(old: int, new: int, roots: tuple[bytes, bytes], proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of `roots[0]` is the beginning of that of `roots[1]`.

    The empty tree is the beginning of every tree and takes an empty proof. Source: RFC 9162 2.1.4.2.
    """
    old_root, new_root = roots
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    return _consistent(old - 1, new - 1, (old_root, new_root), path)


def _consistent(at: int, last: int, roots: tuple[bytes, bytes], path: Sequence[bytes]) -> bool:
    if not path:
        return False
    while at & 1:
        at >>= 1
        last >>= 1
    old_root = new_root = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_root = node_hash(sibling, old_root)
            new_root = node_hash(sibling, new_root)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            new_root = node_hash(new_root, sibling)
        at >>= 1
        last >>= 1
    return last == 0 and (old_root, new_root) == roots
