"""What is said in a reconciliation: equal on both sides, bound to its row, and of no use without its keys."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.security.keys import load_or_create_signing_key
from shuqiao.security.sealing import SealRefusedError, open_sealed, seal
from shuqiao.wire.node_signed import NotTheNodes
from shuqiao.wire.node_state import MAX_RANGES
from shuqiao.wire.reconciliation import (
    MAX_MESSAGE_BYTES,
    MAX_SAMPLE,
    Details,
    Failed,
    Rows,
    RowsSealed,
    RunKey,
    Step,
    Sums,
    identity_of,
    plain_digest,
    plain_items_digests,
    range_of,
    ranges_for,
    read_step,
    sealing_context,
    sign_step,
    structure_of,
)
from shuqiao.wire.schemas import ItemSpec, ResourceSpec

KEY = ItemSpec("number", "编号", "Number", "string", identity=True, kind="document", required=True)
NAME = ItemSpec("name", "姓名", "Name", "string", identity=True, kind="name")
SPEC = ResourceSpec("number", ("query",), (KEY, NAME, ItemSpec("note", "备注", "Note", "string")))
RUN, SALT = RunKey(b"k" * 32), b"s" * 32
STEP = Step("440100-health", "r440100aaaaaaaaaa", "0" * 32, "1" * 16, 1, Failed("paused"))


def test_a_key_has_one_mark_however_it_is_written() -> None:
    assert RUN.mark(KEY, "ｎ００１") == RUN.mark(KEY, " N001") != RUN.mark(KEY, "N002")
    assert RUN.mark(KEY, "N001") != RunKey(b"K" * 32).mark(KEY, "N001"), "another run, other marks"


def test_a_digest_is_bound_to_its_record_and_all_its_items() -> None:
    one, other = RUN.mark(KEY, "N001"), RUN.mark(KEY, "N002")
    plain = plain_digest(SALT, ["甲", None])
    digest = RUN.row(one, {"number": "N001", "name": "样例"}, plain)
    assert digest != RUN.row(other, {"number": "N001", "name": "样例"}, plain), "values of two rows swapped"
    assert digest != RUN.row(one, {"number": "N001"}, plain)
    assert digest != RUN.row(one, {"number": "N001", "name": "样例"}, plain_digest(SALT, [None, "甲"]))
    assert RUN.items(one, {"name": "样例"})["name"] != RUN.items(other, {"name": "样例"})["name"]


def test_both_sides_write_plain_values_alike() -> None:
    at = datetime(2016, 7, 1, 8, 30, tzinfo=timezone(timedelta(hours=8)))
    node = plain_digest(SALT, ["甲", date(2016, 7, 1), at, None])
    hub = plain_digest(SALT, ["甲", "2016-07-01", datetime(2016, 7, 1, 0, 30, tzinfo=UTC), None])
    assert node == hub != plain_digest(b"t" * 32, ["甲", date(2016, 7, 1), at, None])
    items = plain_items_digests(SALT, ("a", "b"), ["甲", "甲"])
    assert items["a"] != items["b"] and all(len(one) == 8 for one in items.values())


def test_a_value_that_is_blank_counts_as_none_as_in_the_vault() -> None:
    assert identity_of((KEY, NAME), ["N001", " 　"]) == {"number": "N001"}
    assert identity_of((KEY, NAME), [None, "样例"]) == {"name": "样例"}


def test_ranges_part_all_marks_evenly_and_are_bounded() -> None:
    assert [ranges_for(rows) for rows in (0, 1, 499, 1000, 10**9)] == [1, 1, 1, 4, MAX_RANGES]
    found = [range_of(secrets.token_bytes(16), 16) for _ in range(3200)]
    assert set(found) == set(range(16)) and max(found.count(n) for n in range(16)) < 320
    assert (range_of(bytes(16), 2048), range_of(b"\xff" * 16, 2048)) == (0, 2047)


def test_what_is_said_shows_nothing_without_the_key_of_the_run() -> None:
    vault = X25519PrivateKey.generate()
    mark = RUN.mark(KEY, "44010000000012")
    content = RowsSealed(RUN.secret, 1, (0,), mark, RUN.row(mark, {"number": "44010000000012"}, bytes(16)))
    context = sealing_context("440100-health", STEP.resource, STEP.id, STEP.run, 2)
    sealed = seal(vault.public_key(), msgspec.msgpack.encode(content), context)
    message = msgspec.msgpack.encode(Rows((0,), 1, 7, (), sealed))
    for secret in (mark, content.digests, RUN.secret, b"44010000000012"):
        assert secret not in message
    assert msgspec.msgpack.decode(open_sealed(vault, sealed, context), type=RowsSealed) == content
    for other in (
        sealing_context("440100-police", STEP.resource, STEP.id, STEP.run, 2),
        sealing_context("440100-health", STEP.resource, STEP.id, "2" * 16, 2),
        sealing_context("440100-health", STEP.resource, STEP.id, STEP.run, 4),
    ):
        with pytest.raises(SealRefusedError):
            open_sealed(vault, sealed, other)


def test_a_step_is_believed_only_from_the_node_and_within_bounds(tmp_path: Path) -> None:
    own, other = (load_or_create_signing_key(tmp_path / name) for name in ("own", "other"))
    message = sign_step(STEP, own)
    assert read_step(message, own.public_key()) == STEP
    for wrong in (sign_step(STEP, other), message[:-1], b"", bytes(MAX_MESSAGE_BYTES + 1)):
        with pytest.raises(NotTheNodes):
            read_step(wrong, own.public_key())
    sums = Sums(bytes(16), "m", 1, MAX_RANGES + 1, (), b"")
    sample = Sums(bytes(16), "m", 1, 1, ({},) * (MAX_SAMPLE + 1), b"")
    details = Details((), b"")
    for said in (sums, sample, msgspec.structs.replace(sums, ranges=0), Failed("Not A Code")):
        with pytest.raises(NotTheNodes):
            read_step(sign_step(msgspec.structs.replace(STEP, said=said), own), own.public_key())
    assert read_step(sign_step(msgspec.structs.replace(STEP, said=details), own), own.public_key())


def test_another_structure_is_noticed() -> None:
    same = msgspec.structs.replace(SPEC, modes=("verify",))
    moved = msgspec.structs.replace(SPEC, items=(KEY, msgspec.structs.replace(NAME, identity=False)))
    assert structure_of(SPEC) == structure_of(same) != structure_of(moved)
