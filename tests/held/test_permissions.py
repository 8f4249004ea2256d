"""The department's word about a grant: given about the very document that was shown, and no other."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from shuqiao.cli import main as shuqiao
from shuqiao.edge.held.store import MAX_WAITING_EACH, Permission, Store
from shuqiao.wire.grant import Grant, encode_grant
from shuqiao.wire.node_home import NodeFiles

KEY = "04bd6f89752c8b37"


def asked(serial: int, grant: str = "G-2026-0007", prefix: bytes = b"", document: str = "{}") -> Permission:
    """One document under a number; `prefix` begins its digest."""
    digest = prefix + serial.to_bytes(32 - len(prefix), "little")
    return Permission(grant, KEY, digest, document, "app / 440100-housing", "waiting")


def document(purpose: str) -> str:
    """A grant's text."""
    grant = Grant(
        id="G-2026-0007",
        resource="r440100permitab23",
        department="440100-housing",
        provider="440100-health",
        mode="query",
        items=("permit_no",),
        applications=("app",),
        purpose=purpose,
        valid_from=date(2026, 1, 1),
        valid_until=date(2026, 12, 31),
        regulation="guangzhou-2016 art. 35",
        request_no="R-2026-0007",
        issued_at=datetime(2026, 1, 1, tzinfo=UTC),
        issued_by="sample.reviewer",
    )
    return encode_grant(grant).decode()


def digits(one: Permission) -> str:
    """What the command shows of a document."""
    return one.digest.hex()[:12]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The file of a node."""
    one = Store(NodeFiles(tmp_path).held)
    yield one
    one.close()


@pytest.mark.requirement("MOD-05")
def test_a_document_swapped_between_showing_and_confirming_is_not_confirmed(store: Store) -> None:
    shown, swapped = asked(1), asked(2)
    assert store.offer(shown) == store.offer(swapped) == "waiting"
    assert store.decide(shown.grant, KEY, digits(shown), "confirmed")
    assert (store.offer(shown), store.offer(swapped)) == ("confirmed", "waiting")
    # Nor does another document take back what was said of this one.
    assert store.offer(shown) == "confirmed"
    assert store.decide(shown.grant, KEY, digits(shown).upper(), "withdrawn")
    assert store.offer(shown) == "withdrawn"


@pytest.mark.requirement("MOD-05")
def test_digits_must_name_exactly_one_document(store: Store) -> None:
    # Two documents that begin alike can be made; the first is never pushed out to leave only the second.
    twins = [asked(serial, prefix=b"twins!") for serial in (1, 2)]
    for one in twins:
        store.offer(one)
    for wrong in (digits(twins[0]), "", "74", "f" * 12, "%" * 12):
        assert not store.decide(twins[0].grant, KEY, wrong, "confirmed")
    assert store.decide(twins[0].grant, KEY, twins[0].digest.hex(), "confirmed")
    assert (store.offer(twins[0]), store.offer(twins[1])) == ("confirmed", "waiting")


def test_waiting_documents_are_bounded_and_keep_their_place(store: Store) -> None:
    many = [asked(serial) for serial in range(1, MAX_WAITING_EACH + 6)]
    assert {store.offer(one) for one in many} == {"waiting"}
    assert {one.digest for one in store.permissions()} == {one.digest for one in many[:MAX_WAITING_EACH]}
    other = asked(1, grant="G-2026-0008")
    store.offer(other)
    assert store.decide(other.grant, KEY, digits(other), "confirmed")
    # A word about one of them makes room.
    assert store.decide(many[0].grant, KEY, digits(many[0]), "withdrawn")
    store.offer(many[-1])
    assert store.decide(many[0].grant, KEY, digits(many[-1]), "confirmed")


def test_the_commands_name_documents_and_show_no_control_characters(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = document("\x1b[2J\x9b1A清\u202e")
    one = asked(1, document=words)._replace(signer="app\x1b[31m / x")
    store.offer(one)
    assert shuqiao(["node", "grants", "--home", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"key {KEY}  document {digits(one)}  app\\x1b[31m / x" in shown
    assert "\\x1b[2J\\x9b1A清\\u202e" in shown and shown.replace("\n", "").isprintable()
    command = ["node", "confirm", "--home", str(tmp_path), one.grant, KEY]
    assert shuqiao([*command, "0" * 12]) == 1
    assert "not exactly one document" in capsys.readouterr().err
    assert shuqiao([*command, digits(one)]) == 0 and store.offer(one) == "confirmed"
    other = asked(2, document=words)
    store.offer(other)
    capsys.readouterr()
    assert shuqiao(["node", "withdraw", *command[2:], digits(other)]) == 0
    assert f"still confirmed under this grant and key: {digits(one)}" in capsys.readouterr().out
