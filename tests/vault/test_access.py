"""Who may connect and ask what, and what becomes of a peer that misbehaves."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from uuid import uuid4

import msgspec
import psycopg
import pytest

from shuqiao.wire.vault import (
    ALLOWED,
    MAX_FRAME_BYTES,
    Challenge,
    Hello,
    RevealCall,
    VaultClient,
    VaultRefused,
    VaultUnavailable,
    Welcome,
    client_proof,
    encode_message,
)

from .births import BIRTH, DEPARTMENT, RESOURCE, birth
from .conftest import Vault

ASK: dict[str, Callable[[VaultClient], Awaitable[object]]] = {
    "resolve": lambda client: client.resolve(RESOURCE, ["1"], [uuid4()]),
    "compare": lambda client: client.compare(RESOURCE, [], [uuid4()]),
    "reveal": lambda client: client.reveal(RESOURCE, [], [uuid4()]),
    "reveal_records": lambda client: client.reveal_records(
        RESOURCE, [uuid4()], RevealCall("", ("mother_name",), "G-1"), [uuid4()]
    ),
    "find_by_name": lambda client: client.find_by_name(RESOURCE, "mother_name", "样例", "核查", [uuid4()]),
    "open_sealed": lambda client: client.open_sealed(RESOURCE, "request", b"no seal", [uuid4()]),
    "reconcile": lambda client: client.reconcile(RESOURCE, "rows", b"no seal", b""),
    "assign": lambda client: client.assign(
        RESOURCE, BIRTH, department=DEPARTMENT, generation=1, sequence=1, sealed=b"no seal"
    ),
}


def operations(vault: Vault) -> list[tuple[str, str, str | None, int, str]]:
    """The recorded operations, oldest first."""
    with psycopg.connect(vault.url) as connection:
        return connection.execute(
            "SELECT client, op, resource, count, outcome FROM vault.operation ORDER BY id"
        ).fetchall()


async def test_each_client_may_only_ask_its_own(vault: Vault) -> None:
    expected = []
    for name in sorted(ALLOWED):
        client = vault.client(name)
        for operation, ask in ASK.items():
            if operation in ALLOWED[name] and operation not in ("assign", "reconcile"):
                await ask(client)
                outcome = "done"
            else:
                with pytest.raises(VaultRefused) as refused:
                    await ask(client)
                outcome = "batch_malformed" if operation in ALLOWED[name] else "vault_operation_not_allowed"
                assert refused.value.code == outcome
            counted = operation in ("resolve", "reveal_records", "find_by_name")
            count = 1 if outcome == "done" and counted else 0
            expected.append((name, operation, RESOURCE, count, outcome))
        await client.close()
    assert operations(vault) == expected


@pytest.mark.parametrize("name", ["plane", "stranger"])
async def test_wrong_key_or_name_is_refused_and_recorded(vault: Vault, name: str) -> None:
    client = VaultClient(vault.socket, name, secrets.token_bytes(32))
    with pytest.raises(VaultRefused) as refused:
        await client.ready()
    assert refused.value.code == "vault_access_refused"
    for _ in range(3000):
        if operations(vault):
            break
        await asyncio.sleep(0.02)
    assert operations(vault) == [("unknown", "hello", None, 0, "vault_access_refused")]


async def test_key_of_one_client_does_not_open_for_another(vault: Vault) -> None:
    client = VaultClient(vault.socket, "loader", vault.key_of("plane"))
    with pytest.raises(VaultRefused):
        await client.ready()


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The body of one frame, read by hand."""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))


async def greeted(vault: Vault) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has been let in, to send by hand."""
    reader, writer = await asyncio.open_unix_connection(str(vault.socket))
    challenge = msgspec.msgpack.decode(await read_frame(reader), type=Challenge)
    nonce = secrets.token_bytes(32)
    proof = client_proof(vault.key_of("plane"), "plane", challenge.nonce, nonce)
    writer.write(encode_message(Hello("plane", nonce, proof)))
    await read_frame(reader)
    return reader, writer


@pytest.mark.parametrize(
    "sent",
    [
        (7).to_bytes(4, "big") + b"garbage",
        (MAX_FRAME_BYTES + 1).to_bytes(4, "big"),
        b"\xff" * 64,
        encode_message(Hello("plane", bytes(32), bytes(32))),
    ],
)
async def test_garbage_ends_the_connection_and_harms_nobody_else(vault: Vault, sent: bytes) -> None:
    honest = vault.client("plane")
    await honest.ready()
    reader, writer = await greeted(vault)
    writer.write(sent)
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()
    await ASK["resolve"](honest)
    await honest.close()
    assert "connection_dropped" in vault.log.read_text()


async def test_requests_before_the_greeting_are_not_read(vault: Vault) -> None:
    reader, writer = await asyncio.open_unix_connection(str(vault.socket))
    await read_frame(reader)
    writer.write(encode_message(Challenge(1, bytes(32))))
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()
    assert operations(vault) == []


async def test_silent_strangers_are_dropped_and_too_many_turned_away(vault: Vault) -> None:
    peers = [await asyncio.open_unix_connection(str(vault.socket)) for _ in range(80)]
    async with asyncio.timeout(60):
        greetings = await asyncio.gather(*(reader.read(4) for reader, _ in peers))
        assert sum(1 for greeting in greetings if greeting) == 64
        await asyncio.gather(*(reader.read() for reader, _ in peers))
    for _, writer in peers:
        writer.close()
    client = vault.client("plane")
    await client.ready()
    await client.close()


async def test_client_refuses_a_false_vault(vault: Vault) -> None:
    """Somebody who takes the vault's place at the socket without its keys gets no request."""

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_message(Challenge(1, bytes(32))))
        await read_frame(reader)
        writer.write(encode_message(Welcome(bytes(32))))
        writer.close()
        answered.set()

    answered = asyncio.Event()
    place = vault.folder / "run" / "false.sock"
    server = await asyncio.start_unix_server(pretend, path=str(place))
    client = VaultClient(place, "plane", vault.key_of("plane"), timeout_s=5)
    with pytest.raises(VaultUnavailable, match="does not hold"):
        await ASK["resolve"](client)
    await answered.wait()
    server.close()
    await server.wait_closed()


async def test_many_calls_share_one_connection(vault: Vault) -> None:
    await vault.assign([birth(serial) for serial in range(1, 21)])
    client = vault.client("plane", max_in_flight=4)
    alone = [await client.resolve(RESOURCE, [f"S{serial:09d}"], []) for serial in range(1, 21)]
    together = await asyncio.gather(
        *(client.resolve(RESOURCE, [f"S{serial:09d}"], []) for serial in range(1, 21))
    )
    assert together == alone and len(set(alone)) == 20
    await client.close()
    assert vault.log.read_text().count("client_connected client=plane") == 1
