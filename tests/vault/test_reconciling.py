"""Holding records against what a node sealed: what differs is told, and nothing that could be tried out."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

import msgspec
import pytest

from shuqiao.security.sealing import seal
from shuqiao.wire.reconciliation import (
    MOVING,
    SUMS,
    DetailsSealed,
    RowsSealed,
    RunKey,
    SampleRow,
    SumsSealed,
    identity_of,
    plain_digest,
    range_of,
)
from shuqiao.wire.schemas import identity_items
from shuqiao.wire.vault import Assigned, Reconciled, VaultClient, VaultRefused

from .births import BIRTH, KEY, RESOURCE, Row, birth
from .conftest import Vault

RUN, SALT, RANGES = RunKey(b"k" * 32), b"s" * 32, 8
ITEM = next(item for item in BIRTH.items if item.field == KEY)
CONTEXT = b"a context"


def seen(row: Row) -> tuple[bytes, dict[str, str], bytes]:
    """Mark, identity items and digest of a row, as its node computes them."""
    items = identity_items(BIRTH)
    identity = identity_of(items, [row.get(item.field) for item in items])
    mark = RUN.mark(ITEM, str(row[KEY]))
    return mark, identity, RUN.row(mark, identity, plain_digest(SALT, [row.get("sex_code")]))


def sealed(vault: Vault, content: msgspec.Struct, context: bytes = CONTEXT) -> bytes:
    """A part as a node seals it."""
    return seal(vault.sealing_key(), msgspec.msgpack.encode(content), context)


def sums(rows: Sequence[Row], sample: Sequence[Row] = ()) -> SumsSealed:
    """What a node says of all its rows."""
    counts, totals = [0] * RANGES, [0] * RANGES
    for mark, _, digest in map(seen, rows):
        counts[range_of(mark, RANGES)] += 1
        totals[range_of(mark, RANGES)] += int.from_bytes(digest, "big")
    packed = b"".join((total % SUMS).to_bytes(16, "big") for total in totals)
    chosen = tuple(SampleRow(mark, RUN.items(mark, found)) for mark, found, _ in map(seen, sample))
    return SumsSealed(RUN.secret, tuple(counts), packed, chosen)


def plain(rows: Sequence[Row]) -> bytes:
    """What the hub says of the plain items."""
    return b"".join(plain_digest(SALT, [row.get("sex_code")]) for row in rows)


async def added(client: VaultClient, part: bytes, records: Sequence[UUID], rows: Sequence[Row]) -> Reconciled:
    """All pages of the sums, two records at a time, and the last word."""
    state, held, unknown = b"", [], []
    for at in range(0, len(records), 2):
        some = records[at : at + 2]
        page = await client.reconcile(
            RESOURCE, "sums", part, CONTEXT, records=some, plain=plain(rows[at : at + 2]), state=state
        )
        state = page.state
        held += page.held
        unknown += page.unknown
    last = await client.reconcile(RESOURCE, "sums", part, CONTEXT, state=state, last=True)
    return msgspec.structs.replace(last, held=tuple(held), unknown=tuple(unknown), state=state)


def ids(assigned: Assigned) -> list[UUID]:
    """The records of a batch, in its order."""
    return [row.record for row in assigned.rows]


async def test_what_differs_is_told_by_range_by_row_and_by_item(vault: Vault) -> None:
    rows = [birth(serial, sex_code="1") for serial in range(20)]
    records = ids(await vault.assign(rows))
    client = vault.client("loader")
    same = await added(client, sealed(vault, sums(rows, rows[:3])), records, rows)
    assert same.ranges == () and [one.row for one in same.held if one.agrees] == [0, 1, 2]
    theirs = [row | {"mother_name": "样例另人"} if n == 4 else row for n, row in enumerate(rows) if n != 7]
    theirs.append(birth(99, sex_code="1"))
    stranger = uuid4()
    found = await added(client, sealed(vault, sums(theirs)), [*records, stranger], [*rows, rows[0]])
    wanted = {range_of(seen(row)[0], RANGES) for row in (rows[4], rows[7], theirs[-1])}
    assert {number for number, _, _ in found.ranges} == wanted and found.unknown == (stranger,)
    marks = [seen(row)[0] for row in theirs]
    digests = [seen(row)[2] for row in theirs]
    digests[0] = MOVING
    named = RowsSealed(RUN.secret, RANGES, tuple(range(RANGES)), b"".join(marks), b"".join(digests))
    answer = await client.reconcile(
        RESOURCE, "rows", sealed(vault, named), CONTEXT, records=records, plain=plain(rows)
    )
    wrong = {(one.row, records.index(one.record)) for one in answer.held if not one.agrees}
    assert wrong == {(4, 4), (-1, 7)}
    assert all("****" in one.shown for one in answer.held if not one.agrees)
    details = DetailsSealed(RUN.secret, (RUN.items(marks[4], seen(theirs[4])[1]),))
    (item,) = (
        await client.reconcile(
            RESOURCE, "details", sealed(vault, details), CONTEXT, records=[records[4]], places=[0]
        )
    ).held
    assert item.items == ("mother_name",)
    await client.close()


async def test_no_digest_leaves_the_vault(vault: Vault) -> None:
    rows = [birth(1, sex_code="1")]
    (record,) = ids(await vault.assign(rows))
    client = vault.client("loader")
    mark, identity, digest = seen(rows[0])
    secrets = [mark, digest, *RUN.items(mark, identity).values()]
    named = RowsSealed(RUN.secret, 1, (0,), bytes(16), bytes(16))
    details = DetailsSealed(RUN.secret, ({},))
    given = {"records": [record], "plain": plain(rows)}
    answers = [
        await client.reconcile(RESOURCE, "sums", sealed(vault, sums([])), CONTEXT, **given),
        await client.reconcile(RESOURCE, "sums", sealed(vault, sums([])), CONTEXT, last=True, **given),
        await client.reconcile(RESOURCE, "rows", sealed(vault, named), CONTEXT, **given),
        await client.reconcile(RESOURCE, "details", sealed(vault, details), CONTEXT, places=[0], **given),
    ]
    for answer in answers:
        packed = msgspec.msgpack.encode(answer)
        assert not any(secret in packed for secret in secrets)
    await client.close()


async def test_what_is_not_of_the_run_is_refused(vault: Vault) -> None:
    rows = [birth(1, sex_code="1")]
    (record,) = ids(await vault.assign(rows))
    client = vault.client("loader")
    part = sealed(vault, sums(rows))
    given = {"records": [record], "plain": plain(rows)}
    state = (await client.reconcile(RESOURCE, "sums", part, CONTEXT, **given)).state
    for step, content, context, more in (
        ("sums", b"no seal", CONTEXT, given),
        ("rows", part, CONTEXT, given),
        ("sums", part, b"another context", given),
        ("sums", sealed(vault, sums(rows)), CONTEXT, given | {"state": state}),
        ("sums", part, CONTEXT, given | {"plain": b"short"}),
        ("details", sealed(vault, DetailsSealed(RUN.secret, ())), CONTEXT, given | {"places": [0]}),
    ):
        with pytest.raises(VaultRefused) as refused:
            await client.reconcile(RESOURCE, step, content, context, **more)  # type: ignore[arg-type]
        assert refused.value.code == "batch_malformed"
    assert (await client.reconcile(RESOURCE, "sums", part, CONTEXT, state=state, last=True)).ranges == ()
    await client.close()
