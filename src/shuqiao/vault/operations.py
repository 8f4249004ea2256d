"""What the vault does when asked: resolve, compare, reveal, find by name, assign, reconcile.

An unknown number costs the same steps as a known one: its record id is random, and claims are compared with
a decoy of the same form that is decrypted like a record. Neither answer nor work says who is in the vault.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID
from weakref import WeakValueDictionary

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.rules.masking import TOKEN_KINDS, mask
from shuqiao.rules.name_variants import Variants, fold
from shuqiao.rules.normalise import normalise, normalise_value
from shuqiao.security.sealing import SealRefusedError, open_sealed
from shuqiao.vault import store
from shuqiao.vault.assign import BatchOrigin, BlindRow, blind_row, place_in_line, store_batch
from shuqiao.vault.batch import (
    BatchUnreadable,
    ResourceForm,
    Said,
    decode_content,
    last_rows,
    open_batch,
    read_slices,
)
from shuqiao.vault.keys import VaultKeys, random_pieces
from shuqiao.vault.reconciling import Reconciling
from shuqiao.wire.call_proof import PROMISE_CONTEXT, REQUEST_CONTEXT
from shuqiao.wire.lanes import Lanes
from shuqiao.wire.package import sealing_context
from shuqiao.wire.schemas import ResourceSpec
from shuqiao.wire.vault import (
    MAX_FOUND,
    MAX_REVEALED_BYTES,
    Assign,
    Assigned,
    Compare,
    Compared,
    CompareResult,
    FindByName,
    Found,
    Opened,
    OpenSealed,
    Reconcile,
    Reconciled,
    RecordsRevealed,
    Resolve,
    Resolved,
    Reveal,
    RevealCall,
    Revealed,
    RevealRecords,
    RevealResult,
    RowFault,
)

if TYPE_CHECKING:
    from shuqiao.vault.store import Pool

_spec_decoder: msgspec.msgpack.Decoder[ResourceSpec] = msgspec.msgpack.Decoder(ResourceSpec)
_content_encoder = msgspec.msgpack.Encoder()
_FIRST_VERSION = 1
WRITERS = 3
"""How many lists are stored at once; the pool's other connections are for readings and refusals."""


@dataclass(slots=True)
class WorkCount:
    """How often the costly steps ran; tells that known and unknown numbers cost the same."""

    decryptions: int = 0
    comparisons: int = 0


@dataclass(frozen=True, slots=True)
class _Known:
    """A resource's form and the decoy that stands for every number it doesn't have."""

    form: ResourceForm
    decoy: tuple[UUID, int, bytes]


class Operations:
    """The operations over one database and one set of keys."""

    def __init__(
        self, pool: Pool, keys: VaultKeys, sealing_key: X25519PrivateKey, variants: Variants | None = None
    ) -> None:
        """Take what the process opened at its start; `variants` are characters of names that count as one."""
        self._pool = pool
        self._lanes = Lanes(pool, store.LANES)
        self._keys = keys
        self._sealing_key = sealing_key
        self._variants = variants
        self._known: dict[str, _Known] = {}
        self._lines: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._writers = asyncio.Semaphore(WRITERS)
        self._reconciling = Reconciling(self._lanes, keys, sealing_key)
        self._strangers = random_pieces(16, 256)
        self.work = WorkCount()

    async def close(self) -> None:
        """Give the pool its connections back, before it is closed."""
        await self._lanes.close()

    async def resolve(self, client: str, request: Resolve) -> Resolved:
        """Give a record id for each number."""
        known = await self._known_of(request.resource)
        blinds = self._blinds(known, request.resource, request.numbers)
        found = await store.read_record_ids(
            self._lanes, client, "resolve", request.resource, blinds, entries_digest(request.entries)
        )
        # A random id is drawn for every number, so that drawing it doesn't tell who is unknown.
        ids = [uuid.uuid4() for _ in blinds]
        return Resolved(request.id, tuple([found.get(place, ids[place]) for place in range(len(blinds))]))

    async def compare(self, client: str, request: Compare) -> Compared:
        """Answer each claim with yes or no."""
        known = await self._known_of(request.resource)
        blinds = self._blinds(known, request.resource, [call.number for call in request.calls])
        digest = entries_digest(request.entries)
        found = await store.read_records(self._lanes, client, "compare", request.resource, blinds, digest)
        results = []
        for place, call in enumerate(request.calls):
            answer_id, version, content = self._content_of(known, found.get(place))
            matches = {
                name: self._agrees(known, name, claim, content.get(name))
                for name, claim in call.claims.items()
            }
            mark = self._keys.guess_mark(blinds[place])
            results.append(CompareResult(answer_id, version, matches, mark))
        return Compared(request.id, tuple(results))

    async def reveal(self, client: str, request: Reveal) -> Revealed:
        """Give values as asked for; which grants permit it is bound into the operation's digest."""
        known = await self._known_of(request.resource)
        blinds = self._blinds(known, request.resource, [call.number for call in request.calls])
        digest = entries_digest(request.entries, [call.grant for call in request.calls])
        found = await store.read_records(self._lanes, client, "reveal", request.resource, blinds, digest)
        results = []
        for place, call in enumerate(request.calls):
            answer_id, version, content = self._content_of(known, found.get(place))
            # A decoy's values are masked too: the work must not tell who is unknown.
            given = {name: self._given(known, call, name, content.get(name)) for name in call.fields}
            values = given if place in found else dict.fromkeys(call.fields)
            results.append(RevealResult(answer_id, version, values))
        return Revealed(request.id, tuple(results))

    def _given(self, known: _Known | None, call: RevealCall, name: str, held: str | None) -> str | None:
        """Give a value in clear, masked, or as the consumer's token, as the call asks."""
        item = None if known is None else known.form.by_field.get(name)
        if held is None or item is None:
            return None
        if name in call.tokens:
            if item.kind not in TOKEN_KINDS:
                return mask(item.kind, held)
            return self._keys.pseudonym(call.consumer, normalise_value(item.kind, item.type, held))
        return mask(item.kind, held) if name in call.masked else held

    async def reveal_records(self, client: str, request: RevealRecords) -> RecordsRevealed:
        """Give values of records known by their ids; the grant is bound into the operation's digest.

        Where values are large, as pictures are, those of the first records come that fit into one answer.
        """
        known, call = await self._known_of(request.resource), request.call
        digest = entries_digest(request.entries, [call.grant])
        count, found = await store.read_by_ids(
            self._lanes,
            client,
            "reveal_records",
            request.resource,
            request.records,
            digest,
            MAX_REVEALED_BYTES,
        )
        columns: list[list[str | None]] = [[None] * count for _ in call.fields]
        for turn, (place, (record, _, payload)) in enumerate(found.items()):
            self.work.decryptions += 1
            content = decode_content(self._keys.decrypt(record.bytes, payload))
            for column, name in zip(columns, call.fields, strict=True):
                column[place] = self._given(known, call, name, content.get(name))
            if turn % 256 == 255:
                # Verifications of others must not wait for a whole copy.
                await asyncio.sleep(0)
        return RecordsRevealed(request.id, count, tuple([tuple(column) for column in columns]))

    async def find_by_name(self, client: str, request: FindByName) -> Found:
        """Give the records that bear a name, or the list's key; the reason is bound into the digest."""
        digest = entries_digest(request.entries, [request.reason])
        known = await self._known_of(request.resource)
        if known is not None and request.field == known.form.key.field:
            blinds = self._blinds(known, request.resource, [request.name])
            kept = await store.read_record_ids(
                self._lanes, client, "find_by_name", request.resource, blinds, digest
            )
            return Found(request.id, tuple(kept.values()), False)
        blind = self._keys.name_blind(request.resource, request.field, normalise("name", request.name))
        found = await store.find_name(self._lanes, client, request.resource, blind, MAX_FOUND + 1, digest)
        return Found(request.id, tuple(found[:MAX_FOUND]), len(found) > MAX_FOUND)

    async def open_sealed(self, client: str, request: OpenSealed) -> Opened:
        """Open what the plane sealed with a call; recorded before it is given."""
        context = REQUEST_CONTEXT if request.kind == "request" else PROMISE_CONTEXT
        try:
            plain = open_sealed(self._sealing_key, request.sealed, context)
        except SealRefusedError:
            plain = None
        digest, count = entries_digest(request.entries), int(plain is not None)
        await store.log_operation(self._pool, client, "open_sealed", request.resource, count, digest, "done")
        return Opened(request.id, plain)

    async def reconcile(self, client: str, request: Reconcile) -> Reconciled:
        """Hold records against what a node sealed about its rows; raises BatchUnreadable."""
        known = await self._known_of(request.resource)
        form = None if known is None else known.form
        return await self._reconciling.reconcile(client, request, form, entries_digest(request.entries))

    async def assign(self, client: str, request: Assign) -> Assigned:
        """Store a batch; raises BatchUnreadable when it can't be opened or has a wrong form."""
        # Batches of a list wait for each other here, not in the database, where each would hold a connection
        # that verifications need.
        line = self._lines.setdefault(request.resource, asyncio.Lock())
        async with place_in_line(line) as turn:
            form = _form_of(request.resource, request.spec)
            rows, faults, met = await self._prepare(request, form)
            origin = BatchOrigin(
                form,
                request.spec,
                request.department,
                request.generation,
                request.sequence,
                client,
                entries_digest(request.entries),
            )
            await turn
            async with self._writers:
                stored = await store_batch(self._pool, self._keys, origin, rows, met, request.complete_since)
        self._known.pop(request.resource, None)
        records, numbers, subjects, versions = zip(*stored.rows, strict=True) if stored.rows else ((),) * 4
        return Assigned(
            id=request.id,
            numbers=numbers,
            records=b"".join(records),
            subjects=b"".join(subjects),
            versions=versions,
            faults=tuple(sorted(faults, key=lambda fault: fault.row)),
            removed=tuple(stored.removed),
            new=stored.new,
        )

    async def _prepare(
        self, request: Assign, form: ResourceForm
    ) -> tuple[list[BlindRow], list[RowFault], list[bytes]]:
        """Return the sound rows, what is wrong, and the keys of rows at fault."""
        context = sealing_context(request.department, request.resource, request.generation, request.sequence)
        part = open_batch(self._sealing_key, request.sealed, context, form, request.rows)
        prepared, faults, met = [], [], []
        said = Said(frozenset(request.skip), frozenset(request.removed))
        for piece in read_slices(form, part, said):
            prepared += piece.rows
            faults += piece.faults
            met += [self._keys.record_key_blind(form.resource, key) for key in piece.met]
            # Verifications of others must not wait for a whole batch.
            await asyncio.sleep(0)
        kept, duplicates = last_rows(prepared, form.key.field)
        blind_rows = []
        for place, row in enumerate(kept):
            blind_rows.append(blind_row(self._keys, form, row))
            if place % 512 == 511:
                await asyncio.sleep(0)
        return blind_rows, faults + duplicates, met

    async def _known_of(self, resource: str) -> _Known | None:
        known = self._known.get(resource)
        if known is None:
            spec = await store.read_spec(self._pool, resource)
            if spec is None:
                return None
            known = self._make_known(_form_of(resource, spec))
            self._known[resource] = known
        return known

    def _make_known(self, form: ResourceForm) -> _Known:
        decoy_id = uuid.uuid4()
        content = {item.field: secrets.token_hex(9) for item in form.items}
        payload = self._keys.encrypt(decoy_id.bytes, _content_encoder.encode(content))
        return _Known(form, (decoy_id, _FIRST_VERSION, payload))

    def _blinds(self, known: _Known | None, resource: str, numbers: Sequence[str]) -> list[bytes]:
        kind = "document" if known is None else known.form.key.kind
        item_type = "string" if known is None else known.form.key.type
        return [
            self._keys.record_key_blind(resource, normalise_value(kind, item_type, number))
            for number in numbers
        ]

    def _content_of(
        self, known: _Known | None, found: tuple[UUID, int, bytes] | None
    ) -> tuple[UUID, int, dict[str, str]]:
        if known is None:
            return uuid.uuid4(), _FIRST_VERSION, {}
        stranger = UUID(bytes=next(self._strangers), version=4)
        record, version, payload = known.decoy if found is None else found
        self.work.decryptions += 1
        content = decode_content(self._keys.decrypt(record.bytes, payload))
        return stranger if found is None else record, version, content

    def _agrees(self, known: _Known | None, name: str, claim: str, held: str | None) -> bool:
        item = None if known is None else known.form.by_field.get(name)
        kind, item_type = ("plain", "string") if item is None else (item.kind, item.type)
        # An absent value is compared with a secret nobody can claim, so it takes as long as a present one.
        stored = secrets.token_hex(9) if held is None else held
        self.work.comparisons += 1
        claimed = normalise_value(kind, item_type, claim)
        written = normalise_value(kind, item_type, stored)
        if self._variants is not None and kind == "name":
            claimed, written = fold(self._variants, claimed), fold(self._variants, written)
        return hmac.compare_digest(claimed.encode(), written.encode())


def entries_digest(entries: Sequence[UUID], words: Sequence[str] = ()) -> bytes:
    """SHA-256 over the audit entries a call serves, and over grants or a reason given with it."""
    digest = hashlib.sha256(b"".join([entry.bytes for entry in entries]))
    for word in words:
        digest.update(hashlib.sha256(word.encode()).digest())
    return digest.digest()


def _form_of(resource: str, spec: bytes) -> ResourceForm:
    try:
        return ResourceForm.of(resource, _spec_decoder.decode(spec))
    except msgspec.MsgspecError as error:
        raise BatchUnreadable("the specification can't be read") from error
