"""What somebody learns who holds the vault's database, or asks about a stranger."""

import hashlib
from uuid import uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from psycopg import sql

from shuqiao.vault.keys import VaultKeys
from shuqiao.vault.operations import Operations
from shuqiao.vault.roots import open_keys
from shuqiao.vault.store import migrate, open_pool
from shuqiao.wire.vault import Compare, CompareCall, Resolve, RevealCall

from .births import RESOURCE, birth, certificate, citizen_number
from .conftest import Vault


def dump(url: str) -> str:
    """All rows of all tables of the vault's database, as text."""
    lines = []
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, table))
            lines += [f"{table} {row[0]}" for row in connection.execute(query)]
    return "\n".join(lines)


@pytest.mark.requirement("SEC-01")
async def test_dump_of_the_database_names_nobody(vault: Vault) -> None:
    row = birth(1)
    await vault.assign([row, birth(2)])
    plane, control = vault.client("plane"), vault.client("control")
    await plane.compare(RESOURCE, [CompareCall(certificate(1), {"mother_name": "样例母亲1"})], [uuid4()])
    await plane.reveal(RESOURCE, [RevealCall(certificate(1), ("mother_name",), "G-2026-0001")], [uuid4()])
    await control.find_by_name(RESOURCE, "mother_name", "样例母亲1", "核查样例母亲1", [uuid4()])
    await plane.close()
    await control.close()
    text = dump(vault.url)
    assert text.count("record (") == 2 and text.count("operation (") == 4
    for value in row.values():
        assert isinstance(value, str)
        for form in (value.encode(), hashlib.sha256(value.encode()).digest()):
            assert form.hex() not in text
        assert value not in text
        assert hashlib.sha256(value.encode()).hexdigest()[:32] not in text


async def test_blind_index_needs_the_key_and_differs_by_list(vault: Vault) -> None:
    keys, others = VaultKeys(bytes(32)), VaultKeys(bytes(31) + b"\x01")
    number = certificate(1)
    assert keys.record_key_blind("r440100aaaaaaaaaa", number) != keys.record_key_blind(RESOURCE, number)
    assert keys.record_key_blind(RESOURCE, number) != others.record_key_blind(RESOURCE, number)
    assert keys.identifier_blind("citizen_id", number) != keys.identifier_blind("credit_code", number)
    await vault.assign([birth(1)])
    with psycopg.connect(vault.url) as connection:
        (blind,) = connection.execute("SELECT key_blind FROM vault.record").fetchone() or (b"",)
    pool = await open_pool(vault.url, 1)
    own = await open_keys(pool, (vault.folder / "secrets" / "vault.key").read_bytes())
    await pool.close()
    assert blind == own.record_key_blind(RESOURCE, number)
    assert blind not in (hashlib.sha256(number.encode()).digest(), keys.record_key_blind(RESOURCE, number))


async def test_payload_opens_under_its_own_record_only(vault: Vault) -> None:
    await vault.assign([birth(1), birth(2)])
    with psycopg.connect(vault.url) as connection:
        connection.execute(
            "UPDATE vault.record a SET payload = b.payload FROM vault.record b "
            "WHERE a.record_id <> b.record_id"
        )
    plane = vault.client("plane")
    with pytest.raises(Exception, match="vault_unavailable"):
        await plane.compare(RESOURCE, [CompareCall(certificate(1), {"mother_name": "样例母亲2"})], [])
    await plane.close()
    assert "样例" not in vault.log.read_text()


async def test_unknown_number_answers_in_the_same_shape(vault: Vault) -> None:
    await vault.assign([birth(1)])
    claims = {"mother_name": "样例母亲9", "mother_citizen_id_number": citizen_number(9)}
    plane = vault.client("plane")
    calls = [CompareCall(number, claims) for number in (certificate(1), certificate(9), "no number", "")]
    known, *strangers = await plane.compare(RESOURCE, calls, [])
    for stranger in strangers:
        assert stranger.matches == known.matches
        assert stranger.version == known.version
        assert stranger.record.version == known.record.version == 4
    again = await plane.compare(RESOURCE, calls, [])
    assert again[0].record == known.record
    assert len({known.record, *(answer.record for answer in [*strangers, *again[1:]])}) == 7
    first, second = [await plane.resolve(RESOURCE, [certificate(9)], []) for _ in range(2)]
    assert first != second
    fields = ("mother_name", "newborn_name")
    revealed = await plane.reveal(RESOURCE, [RevealCall(certificate(9), fields, "G-2026-0001")], [])
    assert revealed[0].values == {"mother_name": None, "newborn_name": None}
    empty = await plane.compare("r440100zzzzzzzzzz", [CompareCall("1", {"a": "b"})], [])
    assert empty[0].matches == {"a": False}
    await plane.close()


async def test_unknown_number_costs_the_same_work(vault: Vault) -> None:
    """A stranger takes as many decryptions and comparisons as a known number, absent values included."""
    await vault.assign([birth(1, father_name=None)])
    pool = await open_pool(vault.url, 1)
    await migrate(pool)
    keys = await open_keys(pool, (vault.folder / "secrets" / "vault.key").read_bytes())
    operations = Operations(pool, keys, X25519PrivateKey.generate())
    claims = {"mother_name": "样例", "father_name": "样例", "absent": "样例"}
    costs = []
    for number in (certificate(1), certificate(2)):
        before = (operations.work.decryptions, operations.work.comparisons)
        await operations.compare("plane", Compare(1, RESOURCE, (CompareCall(number, claims),), ()))
        costs.append((operations.work.decryptions - before[0], operations.work.comparisons - before[1]))
        await operations.resolve("plane", Resolve(2, RESOURCE, (number,), ()))
    await operations.close()
    await pool.close()
    assert costs == [(1, 3), (1, 3)]
