"""The message in which a department's node sends one batch of rows, and how each side checks it.

A message is msgpack of four byte strings: manifest (JSON), the node's Ed25519 signature over the manifest,
the plain part and the sealed part. A part is an Arrow IPC stream of one record batch whose buffers are
compressed with zstd; the sealed part is such a part sealed to the vault. Row n of one part belongs to row n
of the other.

Everything here refuses with `BatchMalformed` or `BatchSignatureInvalid` and names the part at fault, never a
value. It does not look at values: the loader does that with the resource's rules.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from datetime import datetime
from typing import Annotated

import msgspec
import pyarrow as pa

from shuqiao.rules.errors import BatchMalformed, BatchSignatureInvalid
from shuqiao.security.keys import PublicKey, SigningKey, sign, verify

MAX_MESSAGE_BYTES = 900 * 1024
MAX_ROWS = 10_000
MAX_PART_BYTES = 32 * 1024 * 1024
"""Size of a part before compression; a smaller message can't be made to unfold into more than this."""

ALGORITHM = "ed25519"

_WRITE = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=3))
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Field = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,62}$")]
Row = Annotated[int, msgspec.Meta(ge=0, lt=MAX_ROWS)]
_Code = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
Mark = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class RowFault(msgspec.Struct, frozen=True, array_like=True):
    """A row (from 0, in the order sent), the item at fault and the stable code of the reason."""

    row: Row
    item: _Field
    code: _Code


class HeldRow(msgspec.Struct, frozen=True, array_like=True):
    """A row that the node holds back: where it was caught, by which rule, and the pseudonym of its key."""

    row: Row
    item: _Field
    rule: _Code
    mark: Mark


class ReleasedRow(msgspec.Struct, frozen=True, array_like=True):
    """A row that a person of the department has released although a rule catches it, and why."""

    row: Row
    item: _Field
    rule: _Code
    mark: Mark
    by: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the node says, under its signature, about one batch.

    `sequence` counts from 1 for each department and resource, without gaps. `generation` is higher after
    every new beginning with a full load, so that of two batches (generation, sequence) says which is newer,
    also where a sequence occurs again because the hub was restored to an older state. `faults` are rows
    with a value the node could not bring into the item's type: they travel empty at that item and are not
    to be merged. `removed` are rows that say that their record is gone from the source: they hold the record
    key in the sealed part and nothing else. A batch with `complete_since` has no rows: it says that all that
    the source holds was sent in this generation or later ones, so that records not met since are gone.
    `held` rows were caught by the rules of screening: faults like the others, without any value but the key.
    """

    department: Annotated[str, msgspec.Meta(max_length=64)]
    resource: Annotated[str, msgspec.Meta(max_length=32)]
    sequence: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    generation: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    rows: Annotated[int, msgspec.Meta(ge=0, le=MAX_ROWS)]
    mapping_version: Annotated[str, msgspec.Meta(max_length=64)]
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    plain_digest: _Digest
    sealed_digest: _Digest
    created: datetime
    faults: Annotated[tuple[RowFault, ...], msgspec.Meta(max_length=MAX_ROWS)] = ()
    removed: Annotated[tuple[Row, ...], msgspec.Meta(max_length=MAX_ROWS)] = ()
    complete_since: Annotated[int, msgspec.Meta(ge=1, lt=2**53)] | None = None
    held: Annotated[tuple[HeldRow, ...], msgspec.Meta(max_length=MAX_ROWS)] = ()
    released: Annotated[tuple[ReleasedRow, ...], msgspec.Meta(max_length=MAX_ROWS)] = ()


class Package(msgspec.Struct, frozen=True, array_like=True):
    """One message as it travels; nothing in it is trusted before the functions below have looked at it."""

    manifest: bytes
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
    plain: bytes
    sealed: bytes


_packages = msgspec.msgpack.Decoder(Package)
_manifests = msgspec.json.Decoder(Manifest)


def sealing_context(department: str, resource: str, generation: int, sequence: int) -> bytes:
    """Return what a sealed part is bound to, so that it can't be moved into another batch."""
    return f"shuqiao batch 2\n{department}\n{resource}\n{generation}\n{sequence}".encode("ascii")


def encode_package(manifest: Manifest, plain: bytes, sealed: bytes, key: SigningKey) -> bytes:
    """Return the message of a batch, signed with the node's key."""
    text = msgspec.json.encode(manifest)
    return msgspec.msgpack.encode(Package(text, sign(ALGORITHM, key, text), plain, sealed))


def decode_package(message: bytes) -> Package:
    """Split a message into its four parts; the parts are not looked at yet."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise BatchMalformed(part="message")
    try:
        return _packages.decode(message)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        raise BatchMalformed(part="message") from None


def check_signature(package: Package, key: PublicKey) -> None:
    """Refuse a package whose manifest is not signed by this key."""
    if not verify(ALGORITHM, key, package.signature, package.manifest):
        raise BatchSignatureInvalid()


def read_manifest(package: Package) -> Manifest:
    """Parse the manifest and compare its digests with the parts that came with it."""
    try:
        manifest = _manifests.decode(package.manifest)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        raise BatchMalformed(part="manifest") from None
    if not _is_consistent(manifest):
        raise BatchMalformed(part="manifest")
    for part, digest in (("plain", manifest.plain_digest), ("sealed", manifest.sealed_digest)):
        actual = hashlib.sha256(getattr(package, part)).hexdigest()
        if not hmac.compare_digest(actual, digest):
            raise BatchMalformed(part=part)
    return manifest


def _is_consistent(manifest: Manifest) -> bool:
    """Say whether rows are named that are there, each once, and a batch is either of rows or an end."""
    named = [one.row for one in manifest.faults] + [one.row for one in manifest.held]
    named += [one.row for one in manifest.released] + list(manifest.removed)
    if manifest.created.tzinfo is None or any(row >= manifest.rows for row in named):
        return False
    if len(set(manifest.removed)) < len(manifest.removed):
        return False
    # What is held back must not be merged.
    if not {(one.row, one.item) for one in manifest.held} <= {(one.row, one.item) for one in manifest.faults}:
        return False
    if manifest.complete_since is None:
        return manifest.rows > 0
    return manifest.rows == 0 and manifest.complete_since <= manifest.generation


def encode_part(rows: pa.RecordBatch) -> bytes:
    """Return one record batch as a part."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=_WRITE) as writer:
        writer.write_batch(rows)
    part: bytes = sink.getvalue().to_pybytes()
    return part


def decode_part(part: bytes, schema: pa.Schema, rows: int | None, name: str) -> pa.RecordBatch:
    """Read a part that must hold exactly these columns and, if given, this many rows.

    Without `rows`, any number up to `MAX_ROWS` is taken. `name` is for the refusal.
    """
    try:
        return _decode_part(part, schema, rows)
    except (pa.ArrowException, ValueError, struct.error, StopIteration, OSError, MemoryError):
        raise BatchMalformed(part=name) from None


def _decode_part(part: bytes, schema: pa.Schema, rows: int | None) -> pa.RecordBatch:
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(part))
    head, body = reader.read_next_message(), reader.read_next_message()
    if head.type != "schema" or body.type != "record batch":
        raise ValueError("unexpected message")
    if not pa.ipc.read_schema(head).equals(schema):
        raise ValueError("other columns than the catalogue's")
    if _unfolded_bytes(body.metadata.to_pybytes(), body.body.to_pybytes()) > MAX_PART_BYTES:
        raise ValueError("unfolds into too much")
    batch = pa.ipc.read_record_batch(body, schema)
    # A batch without columns has no row count of its own: the other part carries all items.
    if len(schema) and rows is not None and batch.num_rows != rows:
        raise ValueError("other number of rows")
    if batch.num_rows > MAX_ROWS:
        raise ValueError("too many rows")
    batch.validate(full=True)
    return batch


def _unfolded_bytes(metadata: bytes, body: bytes) -> int:
    """Return how large a record batch becomes when its buffers are decompressed.

    Arrow has no bound of its own: each compressed buffer says in its first 8 bytes how large it gets, and
    that much is allocated before anything is checked. So the sizes are added up first, from the flatbuffer:
    field 2 of the message is the record batch, its field 2 the list of buffers, field 3 the compression.
    """
    (message,) = struct.unpack_from("<I", metadata)
    batch = _follow(metadata, _table_field(metadata, message, 2))
    if _table_field(metadata, batch, 3) is None:
        return len(body)
    buffers = _follow(metadata, _table_field(metadata, batch, 2))
    (count,) = struct.unpack_from("<I", metadata, buffers)
    total = 0
    for index in range(count):
        offset, length = struct.unpack_from("<qq", metadata, buffers + 4 + 16 * index)
        if length <= 0:
            continue
        (size,) = struct.unpack_from("<q", body, offset)
        # -1 marks a buffer that is stored as it is.
        total += length if size == -1 else size
        if offset < 0 or size < -1:
            raise ValueError("impossible buffer")
    return total


def _follow(metadata: bytes, field: int | None) -> int:
    """Return where the table or vector lies that a field refers to."""
    if field is None:
        raise ValueError("no such field")
    (offset,) = struct.unpack_from("<I", metadata, field)
    return field + int(offset)


def _table_field(metadata: bytes, table: int, number: int) -> int | None:
    """Return where a field of a flatbuffer table lies, or None where it is absent."""
    (back,) = struct.unpack_from("<i", metadata, table)
    directory = table - back
    if directory < 0:
        raise ValueError("directory outside the metadata")
    (length,) = struct.unpack_from("<H", metadata, directory)
    slot = 4 + 2 * number
    if slot + 2 > length:
        return None
    (offset,) = struct.unpack_from("<H", metadata, directory + slot)
    return table + int(offset) if offset else None
