"""Holding records against what a node says of its own rows, so that marks and digests stay in the vault.

What the loader learns is which ranges differ, which records agree and which items of them do not. It never
gets a digest: with a key of its own choice it could try out numbers by the million. Between pages of sums
the loader carries the state, encrypted; so nothing is kept here, and a page may be asked for again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.rules.masking import mask
from shuqiao.security.sealing import SealRefusedError, open_sealed
from shuqiao.vault import store
from shuqiao.vault.batch import BatchUnreadable, ResourceForm, decode_content
from shuqiao.vault.keys import VaultKeys
from shuqiao.wire.lanes import Lanes
from shuqiao.wire.node_state import MAX_RANGES
from shuqiao.wire.reconciliation import (
    DIGEST_BYTES,
    MARK_BYTES,
    MOVING,
    SUMS,
    DetailsSealed,
    RowsSealed,
    RunKey,
    SumsSealed,
    range_of,
)
from shuqiao.wire.vault import MAX_REVEALED_BYTES, Held, Reconcile, Reconciled

_STEP_OF: dict[str, type[SumsSealed | RowsSealed | DetailsSealed]] = {
    "sums": SumsSealed,
    "rows": RowsSealed,
    "details": DetailsSealed,
}
_AT_ONCE = 256


class _State(msgspec.Struct, array_like=True):
    """Counts and sums of what was looked at so far, by range."""

    counts: list[int]
    sums: list[bytes]


@dataclass(frozen=True, slots=True)
class _Record:
    """A record as the vault holds it: its place on the page, its mark, its identity items."""

    place: int
    id: UUID
    mark: bytes
    identity: dict[str, str]
    shown: str


class Reconciling:
    """The operation `reconcile`."""

    def __init__(self, lanes: Lanes, keys: VaultKeys, sealing_key: X25519PrivateKey) -> None:
        """Take what the process opened at its start."""
        self._lanes = lanes
        self._keys = keys
        self._sealing_key = sealing_key

    async def reconcile(
        self, client: str, request: Reconcile, form: ResourceForm | None, digest: bytes
    ) -> Reconciled:
        """Hold a page against the node's rows; raises BatchUnreadable."""
        if len(request.plain) not in (0, DIGEST_BYTES * len(request.records)):
            raise BatchUnreadable("a digest is needed for each record")
        said = self._open(request)
        records, unknown = await self._records(client, request, form, RunKey(said.key), digest)
        match said:
            case SumsSealed():
                return self._sum(request, said, records, unknown)
            case RowsSealed():
                return Reconciled(request.id, held=tuple(_rows(request, said, records)), unknown=unknown)
            case DetailsSealed():
                return Reconciled(request.id, held=tuple(_details(request, said, records)), unknown=unknown)

    def _open(self, request: Reconcile) -> SumsSealed | RowsSealed | DetailsSealed:
        try:
            plain = open_sealed(self._sealing_key, request.sealed, request.context)
            return msgspec.msgpack.decode(plain, type=_STEP_OF[request.step])
        except (SealRefusedError, msgspec.MsgspecError, RecursionError) as error:
            raise BatchUnreadable("the sealed part can't be opened or read") from error

    async def _records(
        self, client: str, request: Reconcile, form: ResourceForm | None, run: RunKey, digest: bytes
    ) -> tuple[list[_Record], tuple[UUID, ...]]:
        """Read and decrypt the records of a page; those nobody knows come apart."""
        records: list[_Record] = []
        unknown: list[UUID] = []
        at = 0
        while form is not None and at < len(request.records):
            some = request.records[at:]
            count, found = await store.read_by_ids(
                self._lanes, client, "reconcile", request.resource, some, digest, MAX_REVEALED_BYTES
            )
            for place in range(count):
                if place not in found:
                    unknown.append(some[place])
                    continue
                records.append(self._read(form, run, at + place, found[place]))
                if place % _AT_ONCE == _AT_ONCE - 1:
                    # Verifications of others must not wait for a whole page.
                    await asyncio.sleep(0)
            at += count
        if form is None:
            unknown = list(request.records)
        return records, tuple(unknown)

    def _read(self, form: ResourceForm, run: RunKey, place: int, found: tuple[UUID, int, bytes]) -> _Record:
        record, _, payload = found
        identity = decode_content(self._keys.decrypt(record.bytes, payload))
        number = identity.get(form.key.field, "")
        mark = run.mark(form.key, number)
        return _Record(place, record, mark, identity, mask(form.key.kind, number) or "")

    def _sum(
        self, request: Reconcile, said: SumsSealed, records: Sequence[_Record], unknown: tuple[UUID, ...]
    ) -> Reconciled:
        run, state = RunKey(said.key), self._state(request, len(said.counts))
        sample = {row.mark: number for number, row in enumerate(said.sample)}
        held = []
        for one in records:
            digest = run.row(one.mark, one.identity, _plain_of(request, one.place))
            number = range_of(one.mark, len(said.counts))
            state.counts[number] += 1
            added = (int.from_bytes(state.sums[number], "big") + int.from_bytes(digest, "big")) % SUMS
            state.sums[number] = added.to_bytes(DIGEST_BYTES, "big")
            if one.mark in sample:
                wanted = said.sample[sample[one.mark]].identity
                held.append(
                    _held(sample[one.mark], one, _differing(wanted, run.items(one.mark, one.identity)))
                )
        if request.last:
            return Reconciled(
                request.id, held=tuple(held), ranges=tuple(_ranges(said, state)), unknown=unknown
            )
        sealed = self._keys.encrypt(_place(request), msgspec.msgpack.encode(state))
        return Reconciled(request.id, sealed, tuple(held), unknown=unknown)

    def _state(self, request: Reconcile, ranges: int) -> _State:
        if not 0 < ranges <= MAX_RANGES:
            raise BatchUnreadable("a number of ranges is needed")
        if not request.state:
            return _State([0] * ranges, [bytes(DIGEST_BYTES)] * ranges)
        try:
            state = msgspec.msgpack.decode(self._keys.decrypt(_place(request), request.state), type=_State)
        except (InvalidTag, msgspec.MsgspecError) as error:
            raise BatchUnreadable("the state is not of this run") from error
        if len(state.counts) != ranges:
            raise BatchUnreadable("the state is of other ranges")
        return state


def _place(request: Reconcile) -> bytes:
    """Return what the state is bound to: this run of this resource."""
    return hashlib.sha256(request.resource.encode() + request.context + request.sealed).digest()[:16]


def _plain_of(request: Reconcile, place: int) -> bytes:
    return request.plain[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]


def _ranges(said: SumsSealed, state: _State) -> list[tuple[int, int, int]]:
    """Return the ranges that differ, with how many rows they have here and there."""
    found = []
    for number, (there, here) in enumerate(zip(said.counts, state.counts, strict=True)):
        total = said.sums[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]
        if (there, total) != (here, state.sums[number]):
            found.append((number, here, there))
    return found


def _rows(request: Reconcile, said: RowsSealed, records: Sequence[_Record]) -> list[Held]:
    """Hold the records of the chosen ranges against the node's rows."""
    run, chosen = RunKey(said.key), frozenset(said.chosen)
    rows = {
        said.marks[at : at + MARK_BYTES]: at // MARK_BYTES for at in range(0, len(said.marks), MARK_BYTES)
    }
    held = []
    for one in records:
        if range_of(one.mark, said.ranges) not in chosen:
            continue
        row = rows.get(one.mark, -1)
        wanted = said.digests[row * DIGEST_BYTES : (row + 1) * DIGEST_BYTES] if row >= 0 else b""
        own = run.row(one.mark, one.identity, _plain_of(request, one.place))
        agrees = wanted in (own, MOVING)
        held.append(Held(row, one.id, agrees, (), "" if agrees else one.shown))
    return held


def _details(request: Reconcile, said: DetailsSealed, records: Sequence[_Record]) -> list[Held]:
    """Say which identity items of records differ from those of the rows they are held against."""
    if len(request.places) != len(request.records):
        raise BatchUnreadable("a row is needed for each record")
    run, held = RunKey(said.key), []
    for one in records:
        row = request.places[one.place]
        if not 0 <= row < len(said.rows):
            raise BatchUnreadable("there is no such row")
        held.append(_held(row, one, _differing(said.rows[row], run.items(one.mark, one.identity))))
    return held


def _held(row: int, one: _Record, items: tuple[str, ...]) -> Held:
    return Held(row, one.id, not items, items, one.shown if items else "")


def _differing(wanted: dict[str, bytes], own: dict[str, bytes]) -> tuple[str, ...]:
    names: Any = wanted.keys() | own.keys()
    return tuple(sorted(name for name in names if wanted.get(name) != own.get(name)))
