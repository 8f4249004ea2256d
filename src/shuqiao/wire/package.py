"""The message in which a department's node sends one batch of rows, and how each side checks it.

A message is msgpack of four byte strings: manifest (JSON), the node's Ed25519 signature over the manifest,
the plain part and the sealed part. A part is an Arrow IPC stream of one record batch, compressed as a whole
with zstd behind its size in 4 bytes; the sealed part is such a part sealed to the vault. Row n of one part
belongs to row n of the other.

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

_SIZE = struct.Struct(">I")
_CODEC = pa.Codec("zstd", compression_level=3)
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Field = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,62}$")]
_Code = Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,40}$")]


class RowFault(msgspec.Struct, frozen=True, array_like=True):
    """A row (from 0, in the order sent), the item at fault and the stable code of the reason."""

    row: Annotated[int, msgspec.Meta(ge=0, lt=MAX_ROWS)]
    item: _Field
    code: _Code


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the node says, under its signature, about one batch.

    `sequence` counts from 1 for each department and resource, without gaps. `faults` are rows with a value
    the node could not bring into the item's type: they travel empty at that item and are not to be merged.
    """

    department: Annotated[str, msgspec.Meta(max_length=64)]
    resource: Annotated[str, msgspec.Meta(max_length=32)]
    sequence: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    rows: Annotated[int, msgspec.Meta(ge=1, le=MAX_ROWS)]
    mapping_version: Annotated[str, msgspec.Meta(max_length=64)]
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    plain_digest: _Digest
    sealed_digest: _Digest
    created: datetime
    faults: Annotated[tuple[RowFault, ...], msgspec.Meta(max_length=MAX_ROWS)] = ()


class Package(msgspec.Struct, frozen=True, array_like=True):
    """One message as it travels; nothing in it is trusted before the functions below have looked at it."""

    manifest: bytes
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
    plain: bytes
    sealed: bytes


_packages = msgspec.msgpack.Decoder(Package)
_manifests = msgspec.json.Decoder(Manifest)


def sealing_context(department: str, resource: str, sequence: int) -> bytes:
    """Return what a sealed part is bound to, so that it can't be moved into another batch."""
    return f"shuqiao batch 1\n{department}\n{resource}\n{sequence}".encode("ascii")


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
    if manifest.created.tzinfo is None or any(fault.row >= manifest.rows for fault in manifest.faults):
        raise BatchMalformed(part="manifest")
    for part, digest in (("plain", manifest.plain_digest), ("sealed", manifest.sealed_digest)):
        actual = hashlib.sha256(getattr(package, part)).hexdigest()
        if not hmac.compare_digest(actual, digest):
            raise BatchMalformed(part=part)
    return manifest


def encode_part(rows: pa.RecordBatch) -> bytes:
    """Return one record batch as a part: size in 4 bytes, then the zstd-compressed Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    stream = sink.getvalue()
    return _SIZE.pack(stream.size) + bytes(_CODEC.compress(stream, asbytes=True))


def decode_part(part: bytes, schema: pa.Schema, rows: int | None, name: str) -> pa.RecordBatch:
    """Read a part that must hold exactly these columns and, if given, this many rows.

    Without `rows`, any number up to `MAX_ROWS` is taken. `name` is for the refusal.
    """
    try:
        return _decode_part(part, schema, rows)
    except (pa.ArrowException, ValueError, struct.error, IndexError, OSError, MemoryError):
        raise BatchMalformed(part=name) from None


def _decode_part(part: bytes, schema: pa.Schema, rows: int | None) -> pa.RecordBatch:
    (size,) = _SIZE.unpack_from(part)
    if size > MAX_PART_BYTES:
        raise ValueError("too large")
    stream = _CODEC.decompress(part[_SIZE.size :], decompressed_size=size)
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(stream))
    head, body = reader.read_next_message(), reader.read_next_message()
    if head.type != "schema" or body.type != "record batch":
        raise ValueError("unexpected message")
    if not pa.ipc.read_schema(head).equals(schema):
        raise ValueError("other columns than the catalogue's")
    if _has_compressed_body(body.metadata.to_pybytes()):
        raise ValueError("compressed twice")
    batch = pa.ipc.read_record_batch(body, schema)
    # A batch without columns has no row count of its own: the other part carries all items.
    if len(schema) and rows is not None and batch.num_rows != rows:
        raise ValueError("other number of rows")
    if batch.num_rows > MAX_ROWS:
        raise ValueError("too many rows")
    batch.validate(full=True)
    return batch


def _has_compressed_body(metadata: bytes) -> bool:
    """Say whether a record batch compresses its buffers, which could unfold to any size when it is read.

    Arrow has no switch against that, so the flag is read from the flatbuffer: field 2 of the message is the
    record batch, field 3 of that its compression.
    """
    (message,) = struct.unpack_from("<I", metadata)
    header = _table_field(metadata, message, 2)
    if header is None:
        raise ValueError("no header")
    (offset,) = struct.unpack_from("<I", metadata, header)
    return _table_field(metadata, header + offset, 3) is not None


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
    return table + offset if offset else None
