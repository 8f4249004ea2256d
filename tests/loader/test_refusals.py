"""Batches that can't be trusted are refused whole, noted in ledger and audit log, and change nothing."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from shuqiao.security.keys import (
    SigningKey,
    generate_signing_key,
    load_public_der,
)
from shuqiao.security.sealing import seal
from shuqiao.wire import nats_client
from shuqiao.wire.node_home import load_admission, load_key
from shuqiao.wire.package import (
    Manifest,
    decode_package,
    encode_package,
    encode_part,
    read_manifest,
    sealing_context,
)
from shuqiao.wire.schemas import arrow_schema, identity_items, plain_items
from shuqiao.wire.subjects import inbox_prefix
from tests.loader.line import BIRTH_SPEC, BIRTHS, HEALTH, POLICE, Line, wait_for

pytestmark = pytest.mark.database

ROW: dict[str, Any] = {
    "birth_certificate_number": "Z440000001",
    "sex_code": "1",
    "mother_name": "李示例",
    "mother_citizen_id_number": "44010519930517992X",
    "birth_date": datetime(2024, 9, 20, tzinfo=UTC).date(),
}


def make_batch(
    line: Line, sender: str, key: SigningKey, values: list[dict[str, Any]], **changes: Any
) -> bytes:
    """A batch as a node would send it, except for `changes` to its manifest."""
    sequence, generation = changes.get("sequence", 1), changes.get("generation", 1)
    vault_key = load_public_der(load_admission(line.node_home).vault_key.public_key)
    assert isinstance(vault_key, X25519PublicKey)

    def part(items: Any) -> bytes:
        schema = arrow_schema(items)
        columns = [[row.get(name) for row in values] for name in schema.names]
        return encode_part(pa.record_batch(columns, schema=schema))

    plain = part(plain_items(BIRTH_SPEC))
    context = sealing_context(sender, BIRTHS, generation, sequence)
    sealed = seal(vault_key, part(identity_items(BIRTH_SPEC)), context)
    fields: dict[str, Any] = {
        "department": sender,
        "resource": BIRTHS,
        "sequence": sequence,
        "generation": generation,
        "rows": len(values),
        "mapping_version": "test",
        "source": "test",
        "plain_digest": hashlib.sha256(plain).hexdigest(),
        "sealed_digest": hashlib.sha256(sealed).hexdigest(),
        "created": datetime.now(UTC),
    }
    return encode_package(Manifest(**fields | changes), plain, sealed, key)


async def send(line: Line, department: str, message: bytes, resource: str = BIRTHS) -> None:
    """Publish as the department's node does."""
    home = line.home / "nodes" / department
    client = await nats_client.connect(
        line.nats_url,
        home / "node.creds",
        home / "ca.pem",
        name="test",
        inbox_prefix=inbox_prefix(department),
    )
    try:
        await client.request(f"ingest.{department}.{resource}", message, timeout=5)
    finally:
        await client.close()


def refused(line: Line) -> list[dict[str, Any]]:
    """What ledger and audit log say about refusals."""
    return line.ask(
        "SELECT r.department, r.reason, e.outcome FROM exchange.batch_refusal r"
        " JOIN audit.entry e ON e.id = r.id AND e.event = 'batch_refused' ORDER BY r.refused_at"
    )


async def expect_refusal(line: Line, department: str, message: bytes, reason: str) -> None:
    """Send and see the refusal, and that nothing was merged."""
    await send(line, department, message)
    found = wait_for(lambda: refused(line), what="the refusal")
    assert found == [{"department": department, "reason": reason, "outcome": reason}]
    assert line.count() == 0
    assert line.ledger() == []


async def start_hub(line: Line) -> SigningKey:
    """Start everything but the node and return the node's key."""
    await line.set_up(people=50)
    line.start("loader")
    wait_for(lambda: "loader_ready" in line.children["loader"].written(), what="the loader")
    return load_key(line.node_home)


async def test_the_same_batch_untouched_is_merged(line: Line) -> None:
    # The counterpart of the refusals below: what they change is what they are refused for.
    key = await start_hub(line)
    await send(line, HEALTH, make_batch(line, HEALTH, key, [ROW]))
    wait_for(lambda: line.count() == 1, what="the merge")
    assert refused(line) == []


async def test_a_batch_signed_with_another_key_is_refused(line: Line) -> None:
    await start_hub(line)
    message = make_batch(line, HEALTH, generate_signing_key(), [ROW])
    await expect_refusal(line, HEALTH, message, "batch_signature_invalid")


async def test_a_batch_of_a_node_no_longer_active_is_refused(line: Line) -> None:
    key = await start_hub(line)
    line.ask("UPDATE exchange.node SET active = false WHERE department = %s", HEALTH)
    await expect_refusal(line, HEALTH, make_batch(line, HEALTH, key, [ROW]), "batch_signature_invalid")


async def test_a_department_cannot_fill_another_ones_resource(line: Line) -> None:
    await start_hub(line)
    await line.enrol(POLICE)
    key = load_key(line.home / "nodes" / POLICE)
    await expect_refusal(line, POLICE, make_batch(line, POLICE, key, [ROW]), "batch_wrong_department")


@pytest.mark.requirement("ING-05")
async def test_a_batch_without_a_catalogue_entry_in_force_is_refused(line: Line) -> None:
    key = await start_hub(line)
    line.ask("UPDATE exchange.resource SET active = false WHERE id = %s", BIRTHS)
    await expect_refusal(line, HEALTH, make_batch(line, HEALTH, key, [ROW]), "batch_unknown_resource")


async def test_a_manifest_for_another_department_than_the_subject_is_refused(line: Line) -> None:
    key = await start_hub(line)
    message = make_batch(line, HEALTH, key, [ROW], department=POLICE)
    await expect_refusal(line, HEALTH, message, "batch_wrong_department")


@pytest.mark.parametrize(
    "changes",
    [
        {"plain_digest": "0" * 64},
        {"sealed_digest": "0" * 64},
        {"rows": 2},
        {"faults": [(0, "no_such_item", "item_type")]},
    ],
)
async def test_a_batch_that_contradicts_its_manifest_is_refused(line: Line, changes: dict[str, Any]) -> None:
    key = await start_hub(line)
    await expect_refusal(line, HEALTH, make_batch(line, HEALTH, key, [ROW], **changes), "batch_malformed")


async def test_a_sealed_part_of_another_batch_is_refused(line: Line) -> None:
    key = await start_hub(line)
    first = make_batch(line, HEALTH, key, [ROW], sequence=7)
    package = decode_package(first)
    moved = msgspec.structs.replace(read_manifest(package), sequence=1)
    message = encode_package(moved, package.plain, package.sealed, key)
    await expect_refusal(line, HEALTH, message, "batch_malformed")


async def test_a_message_on_no_resource_is_refused_and_holds_up_nothing(line: Line) -> None:
    key = await start_hub(line)
    await send(line, HEALTH, b"nonsense", resource="nonsense")
    await send(line, HEALTH, make_batch(line, HEALTH, key, [ROW]))
    wait_for(lambda: line.count() == 1, what="the merge")
    assert [row["reason"] for row in refused(line)] == ["batch_malformed"]


async def test_a_batch_sent_twice_is_merged_once(line: Line) -> None:
    key = await start_hub(line)
    message = make_batch(line, HEALTH, key, [ROW])
    await send(line, HEALTH, message)
    await send(line, HEALTH, message)
    second = dict(ROW, birth_certificate_number="Z440000002")
    await send(line, HEALTH, make_batch(line, HEALTH, key, [second], sequence=2))
    wait_for(lambda: line.count() == 2, what="the merges")
    assert [entry["sequence"] for entry in line.ledger()] == [1, 2]
    assert refused(line) == []


async def test_a_batch_after_a_gap_waits_for_the_missing_one(line: Line) -> None:
    key = await start_hub(line)
    second = dict(ROW, birth_certificate_number="Z440000002")
    await send(line, HEALTH, make_batch(line, HEALTH, key, [second], sequence=2))
    await send(line, HEALTH, make_batch(line, HEALTH, key, [ROW], sequence=1))
    wait_for(lambda: line.count() == 2, what="the merges")
    assert [entry["sequence"] for entry in line.ledger()] == [1, 2]
    assert refused(line) == []


async def test_a_batch_its_node_has_given_up_is_not_merged_any_more(line: Line) -> None:
    key = await start_hub(line)
    await send(line, HEALTH, make_batch(line, HEALTH, key, [ROW], generation=4))
    given_up = dict(ROW, birth_certificate_number="Z440000002")
    await send(line, HEALTH, make_batch(line, HEALTH, key, [given_up], sequence=2, generation=3))
    second = dict(ROW, birth_certificate_number="Z440000003")
    await send(line, HEALTH, make_batch(line, HEALTH, key, [second], sequence=2, generation=4))
    wait_for(lambda: line.count() == 2, what="the merges")
    assert [entry["accepted"] for entry in line.ledger()] == [1, 1]
    assert refused(line) == []
    manifests = line.ask("SELECT manifest::jsonb ->> 'generation' AS g FROM exchange.batch")
    assert manifests == [{"g": "4"}] * 2
