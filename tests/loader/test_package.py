"""What comes over the wire is refused with a stable code, whatever is wrong with it."""

from __future__ import annotations

import datetime
import hashlib
import json

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shuqiao.rules.errors import BatchMalformed
from shuqiao.security.keys import generate_signing_key, key_id
from shuqiao.wire.batch_receipt import (
    BatchReceipt,
    ReceiptsReply,
    Refusal,
    check_receipt,
    check_refusal,
    decode_reply,
    encode_reply,
    sign_receipt,
    sign_refusal,
)
from shuqiao.wire.package import (
    MAX_MESSAGE_BYTES,
    MAX_ROWS,
    Package,
    RowFault,
    decode_package,
    decode_part,
    encode_part,
    read_manifest,
)
from shuqiao.wire.subjects import ingest_subject, parse_subject

SCHEMA = pa.schema([("name", pa.string()), ("day", pa.date32()), ("at", pa.timestamp("us", tz="UTC"))])

ROWS = st.lists(
    st.tuples(
        st.none() | st.text(max_size=20),
        st.none() | st.dates(),
        st.none() | st.datetimes(timezones=st.just(datetime.UTC)),
    ),
    min_size=1,
    max_size=30,
)


def batch_of(rows: list[tuple[object, ...]]) -> pa.RecordBatch:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return pa.record_batch(columns, schema=SCHEMA)


@given(ROWS)
def test_a_part_reads_back_as_it_was(rows: list[tuple[object, ...]]) -> None:
    batch = batch_of(rows)
    assert decode_part(encode_part(batch), SCHEMA, len(rows), "plain").equals(batch)


@given(ROWS, st.data())
def test_a_damaged_part_is_refused_or_has_the_promised_shape(
    rows: list[tuple[object, ...]], data: st.DataObject
) -> None:
    part = bytearray(encode_part(batch_of(rows)))
    for _ in range(data.draw(st.integers(1, 4))):
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = decode_part(bytes(part), SCHEMA, len(rows), "plain")
    except BatchMalformed as refusal:
        assert refusal.fields == {"part": "plain"}
    else:
        assert read.schema.equals(SCHEMA)
        assert read.num_rows == len(rows)


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([SCHEMA.field(0), SCHEMA.field(1)]),
        pa.schema([*SCHEMA, ("extra", pa.string())]),
        pa.schema([("name", pa.large_string()), SCHEMA.field(1), SCHEMA.field(2)]),
        pa.schema([SCHEMA.field(1), SCHEMA.field(0), SCHEMA.field(2)]),
    ],
)
def test_other_columns_than_the_catalogues_are_refused(schema: pa.Schema) -> None:
    part = encode_part(pa.record_batch([pa.nulls(2, field.type) for field in schema], schema=schema))
    with pytest.raises(BatchMalformed):
        decode_part(part, SCHEMA, 2, "plain")


def test_a_small_part_cannot_unfold_into_a_large_one() -> None:
    bomb = encode_part(batch_of([("\0" * 20_000_000, None, None)] * 2))
    assert len(bomb) < 20_000
    with pytest.raises(BatchMalformed):
        decode_part(bomb, SCHEMA, 2, "plain")


@pytest.mark.parametrize("rows", [0, 2, MAX_ROWS + 1])
def test_another_number_of_rows_is_refused(rows: int) -> None:
    with pytest.raises(BatchMalformed):
        decode_part(encode_part(batch_of([("a", None, None)])), SCHEMA, rows, "plain")


@given(st.binary(max_size=300))
def test_no_bytes_make_a_package_by_chance(message: bytes) -> None:
    with pytest.raises(BatchMalformed):
        decode_package(message)


def test_a_message_above_the_limit_is_refused_unread() -> None:
    with pytest.raises(BatchMalformed):
        decode_package(b"\x94" + b"\0" * MAX_MESSAGE_BYTES)


@given(st.text(max_size=60))
def test_only_department_and_resource_make_a_subject(text: str) -> None:
    if text != "440100-health":
        try:
            subject = ingest_subject(text, "r440100aaaaaaaaaa")
        except ValueError:
            return
        assert parse_subject(subject) == (text, "r440100aaaaaaaaaa")


@pytest.mark.parametrize("part", [">", "*", "a.b", "440100-health.x", "", "440100-Health", "440100-health\n"])
def test_wildcards_and_dots_never_reach_a_subject(part: str) -> None:
    with pytest.raises(ValueError, match="not a department"):
        ingest_subject(part, "r440100aaaaaaaaaa")


def receipt(rejected: int = 0) -> BatchReceipt:
    faults = tuple(
        RowFault(row, "mother_citizen_id_number", "identifier_check_digit") for row in range(rejected)
    )
    at = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
    return BatchReceipt("440100-health", "r440100aaaaaaaaaa", 1, "0" * 64, 1, 1, 0, 0, faults, at)


def test_a_receipt_is_believed_with_the_hubs_signature_only() -> None:
    key, other = generate_signing_key(), generate_signing_key()
    text = sign_receipt(receipt(), "k1", key)
    assert check_receipt(text, {"k1": key.public_key()}) == receipt()
    with pytest.raises(ValueError, match="not signed by the hub"):
        check_receipt(text, {"k1": other.public_key()})
    with pytest.raises(ValueError, match="not signed by the hub"):
        check_receipt(text, {key_id(key.public_key()): key.public_key()})
    altered = text.replace('\\"accepted\\":1', '\\"accepted\\":2')
    assert altered != text
    with pytest.raises(ValueError, match="not signed by the hub"):
        check_receipt(altered, {"k1": key.public_key()})


def test_a_refusal_is_believed_only_with_the_hubs_signature() -> None:
    key, other = generate_signing_key(), generate_signing_key()
    refusal = Refusal("440100-health", "r440100aaaaaaaaaa", "0" * 64, "batch_malformed")
    text = sign_refusal(refusal, "k1", key)
    assert check_refusal(text, {"k1": key.public_key()}) == refusal
    for believed, keys in (
        (text, {"k1": other.public_key()}),
        (text.replace("batch_malformed", "batch_out_of_sequence"), {"k1": key.public_key()}),
        # A receipt is no refusal, though the same key signs both.
        (sign_receipt(receipt(), "k1", key), {"k1": key.public_key()}),
    ):
        with pytest.raises(ValueError, match="not signed by the hub"):
            check_refusal(believed, keys)


def test_receipts_that_do_not_fit_are_left_for_the_next_request() -> None:
    import os

    texts = tuple(os.urandom(100_000).hex() for _ in range(20))
    reply = decode_reply(encode_reply(ReceiptsReply(20, texts)))
    assert 1 <= len(reply.receipts) < 20
    assert reply.receipts == texts[: len(reply.receipts)]


def test_the_largest_receipt_fits_into_a_reply() -> None:
    text = sign_receipt(receipt(MAX_ROWS), "k1", generate_signing_key())
    assert decode_reply(encode_reply(ReceiptsReply(1, (text,)))).receipts == (text,)


def test_a_reply_that_unfolds_into_too_much_is_refused() -> None:
    import zlib

    with pytest.raises(BatchMalformed):
        decode_reply(zlib.compress(b" " * 40_000_000 + msgspec.json.encode(ReceiptsReply(0, ()))))


def manifest_of(**said: object) -> Package:
    """A package with a manifest that says this, its parts empty; the signature is not looked at."""
    digest = hashlib.sha256(b"").hexdigest()
    whole = {
        "department": "440100-health",
        "resource": "r440100aaaaaaaaaa",
        "sequence": 1,
        "generation": 7,
        "rows": 3,
        "mapping_version": "1",
        "source": "his",
        "plain_digest": digest,
        "sealed_digest": digest,
        "created": "2026-01-01T00:00:00Z",
    }
    return Package(json.dumps(whole | said).encode(), bytes(64), b"", b"")


def test_a_manifest_names_removed_rows_or_the_end_of_a_load() -> None:
    plain = read_manifest(manifest_of())
    assert (plain.removed, plain.complete_since) == ((), None)
    assert read_manifest(manifest_of(removed=[0, 2])).removed == (0, 2)
    assert read_manifest(manifest_of(rows=0, complete_since=7)).complete_since == 7


@pytest.mark.parametrize(
    "said",
    [
        {"removed": [3]},
        {"removed": [1, 1]},
        {"removed": [-1]},
        {"removed": [0.5]},
        {"removed": list(range(MAX_ROWS + 1))},
        {"rows": 0},
        {"rows": 3, "complete_since": 7},
        {"rows": 0, "complete_since": 8},
        {"rows": 0, "complete_since": 0},
        {"rows": 0, "complete_since": 7, "removed": [0]},
        {"rows": 0, "complete_since": 7, "faults": [[0, "name", "item_type"]]},
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(BatchMalformed) as refused:
        read_manifest(manifest_of(**said))
    assert refused.value.fields == {"part": "manifest"}
