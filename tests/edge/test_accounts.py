"""What a department's NATS account can and can't do, asked of the real server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from shuqiao.embedded.nats import nats_command, nats_environment
from shuqiao.loader.enrol import HubAccess, push_account
from shuqiao.loader.streams import ensure_stream
from shuqiao.security import nats_accounts
from shuqiao.security.nats_accounts import department_account_jwt
from shuqiao.security.nats_secrets import (
    load_authority,
    load_certificates,
    load_department_account,
    write_system_credentials,
)
from shuqiao.wire import nats_client
from tests.plugins.certificates import new_place
from tests.plugins.ports import free_port

HEALTH, POLICE = "440100-health", "440100-police"
RESOURCE = "r440100aaaaaaaaaa"


@dataclass
class Server:
    """A running NATS server and the hub's secrets."""

    home: Path
    port: int
    websocket_port: int

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @property
    def url(self) -> str:
        return f"tls://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"wss://127.0.0.1:{self.websocket_port}"

    async def admit(self, department: str) -> Path:
        """Push the department's account and return credentials of a user of it."""
        account = load_department_account(self.secrets, department)
        await push_account(HubAccess(self.secrets, "", self.url), account, department)
        return self.credentials(account, department)

    def credentials(self, account: bytes, department: str) -> Path:
        """Write credentials of a new user."""
        user = nats_accounts.create_seed(nats_accounts.USER)
        jwt = nats_accounts.department_user_jwt(account, nats_accounts.public_key(user), department)
        path = self.home / f"{department}.creds"
        path.write_text(nats_accounts.credentials(jwt, user))
        return path

    @asynccontextmanager
    async def client(
        self, credentials: Path, prefix: str = "_INBOX", url: str = ""
    ) -> AsyncIterator[tuple[Client, list[str]]]:
        """Connect; the list collects what the server complains of."""
        complaints: list[str] = []

        async def note(error: Exception) -> None:
            complaints.append(str(error))

        made = await nats_client.connect(
            url or self.url, credentials, self.secrets / "ca.pem", name="test", inbox_prefix=prefix
        )
        made._error_cb = note
        try:
            yield made, complaints
        finally:
            await made.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, free_port(), free_port())
    command = nats_command(
        made.secrets, tmp_path / "data", port=made.port, websocket_port=made.websocket_port
    )
    with (tmp_path / "nats.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=nats_environment(made.secrets))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and b"Server is ready" not in (tmp_path / "nats.log").read_bytes():
        time.sleep(0.02)
    yield made
    process.terminate()
    process.wait(timeout=60)


@asynccontextmanager
async def hub(server: Server) -> AsyncIterator[Client]:
    """The loader's connection, with the stream made."""
    async with server.client(server.secrets / "nats-hub.creds") as (client, _):
        await ensure_stream(client.jetstream(), 64 * 1024 * 1024)
        yield client


@pytest.mark.requirement("SEC-01")
async def test_nothing_is_collected_in_clear(server: Server, tmp_path: Path) -> None:
    """The server takes no word before TLS 1.3, and no node one from a server that isn't the hub's."""
    credentials = await server.admit(HEALTH)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        assert b'"tls_required":true' in plain.recv(4096)
        plain.sendall(b"CONNECT {}\r\nPUB ingest.x 1\r\nx\r\nPING\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"PONG" not in plain.recv(4096)
    old = ssl.create_default_context(cafile=server.secrets / "ca.pem")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        link.recv(4096)
        with pytest.raises(ssl.SSLError, match="VERSION"):
            old.wrap_socket(link, server_hostname="localhost")
    stranger = new_place(tmp_path / "stranger").ca_file
    with pytest.raises(TimeoutError):
        # It tries again and again, as with a server that is away.
        async with asyncio.timeout(3):
            await nats_client.connect(server.url, credentials, stranger, name="test")
    async with server.client(credentials, f"_INBOX_{HEALTH}") as (node, _):
        assert node.is_connected


async def test_a_department_publishes_to_its_own_subject_and_gets_the_acknowledgement(server: Server) -> None:
    async with hub(server) as loader:
        credentials = await server.admit(HEALTH)
        async with server.client(credentials, f"_INBOX_{HEALTH}") as (node, complaints):
            answer = await node.request(f"ingest.{HEALTH}.{RESOURCE}", b"batch", timeout=30)
            assert b'"stream":"INGEST"' in answer.data
            assert complaints == []
        assert (await loader.jetstream().stream_info("INGEST")).state.messages == 1


# The NATS library names its time limit as aiohttp no longer likes.
@pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float':DeprecationWarning")
async def test_where_only_https_goes_out_a_node_comes_by_websocket(server: Server, tmp_path: Path) -> None:
    """The largest batch goes through, and nothing that isn't allowed over TLS is allowed here."""
    async with hub(server) as loader:
        credentials = await server.admit(HEALTH)
        async with server.client(credentials, f"_INBOX_{HEALTH}", server.websocket_url) as (node, complaints):
            answer = await node.request(f"ingest.{HEALTH}.{RESOURCE}", bytes(900 * 1024), timeout=60)
            assert b'"stream":"INGEST"' in answer.data
            with pytest.raises((NatsError, asyncio.TimeoutError)):
                await node.request(f"ingest.{POLICE}.{RESOURCE}", b"forged", timeout=1)
            assert any("permissions violation for publish" in text.lower() for text in complaints)
        assert (await loader.jetstream().stream_info("INGEST")).state.messages == 1
    stranger = new_place(tmp_path / "stranger").ca_file
    good, bad = (_comes(server, credentials, file) for file in (server.secrets / "ca.pem", stranger))
    assert good.wait(timeout=60) == 0 and bad.wait(timeout=60) == 1


def _comes(server: Server, credentials: Path, authority: Path) -> subprocess.Popen[bytes]:
    """A process that comes by WebSocket; it ends with 1 where it trusts no such server."""
    program = (
        "import asyncio, sys; from pathlib import Path; from shuqiao.wire import nats_client\n"
        "come = nats_client.connect(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), name='test')\n"
        "asyncio.run(asyncio.wait_for(come, 4))"
    )
    command = [sys.executable, "-c", program, server.websocket_url, str(credentials), str(authority)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "subject",
    [
        f"ingest.{POLICE}.{RESOURCE}",
        f"receipts.{POLICE}.{RESOURCE}",
        "$JS.API.STREAM.INFO.INGEST",
        "$JS.API.STREAM.PURGE.INGEST",
        "$SYS.REQ.CLAIMS.UPDATE",
        "_INBOX_440100-police.forged",
    ],
)
async def test_a_department_cannot_publish_elsewhere(server: Server, subject: str) -> None:
    async with hub(server) as loader:
        await server.admit(POLICE)
        credentials = await server.admit(HEALTH)
        async with server.client(credentials, f"_INBOX_{HEALTH}") as (node, complaints):
            with pytest.raises((NatsError, asyncio.TimeoutError)):
                await node.request(subject, b"forged", timeout=1)
            assert any("permissions violation for publish" in text.lower() for text in complaints)
        assert (await loader.jetstream().stream_info("INGEST")).state.messages == 0


@pytest.mark.parametrize(
    "subject", [">", "_INBOX_440100-police.>", "_INBOX.>", "ingest.>", "receipts.>", "_R_.>"]
)
async def test_a_department_cannot_listen_elsewhere(server: Server, subject: str) -> None:
    async with hub(server) as loader:

        async def answer(message: nats.aio.msg.Msg) -> None:
            await message.respond(b"secret of the police")

        await loader.subscribe("receipts.*.*", cb=answer)
        await loader.flush()
        police, health = await server.admit(POLICE), await server.admit(HEALTH)
        async with server.client(health, f"_INBOX_{HEALTH}") as (spy, complaints):
            heard: list[bytes] = []

            async def hear(message: nats.aio.msg.Msg) -> None:
                heard.append(message.data)

            await spy.subscribe(subject, cb=hear)
            await spy.flush()
            async with server.client(police, f"_INBOX_{POLICE}") as (node, _):
                reply = await node.request(f"receipts.{POLICE}.{RESOURCE}", b"{}", timeout=30)
                assert reply.data == b"secret of the police"
            await spy.flush()
            assert heard == []
            assert any("permissions violation for subscription" in text.lower() for text in complaints)


async def test_an_account_without_the_hubs_activation_reaches_nothing(server: Server) -> None:
    authority = load_authority(server.secrets)
    stranger = nats_accounts.create_authority()
    # The operator's signature is right, but the activation comes from another key than the hub's.
    forged = nats_accounts.NatsAuthority(
        authority.operator,
        authority.system,
        authority.system_user,
        stranger.hub,
        stranger.hub_user,
        stranger.plane_user,
    )
    account = nats_accounts.create_seed(nats_accounts.ACCOUNT)
    claims = department_account_jwt(forged, account, HEALTH).encode()
    async with hub(server) as loader:
        async with server.client(write_system_credentials(server.secrets)) as (system, _):
            await system.request("$SYS.REQ.CLAIMS.UPDATE", claims, timeout=30)
        async with server.client(server.credentials(account, HEALTH), f"_INBOX_{HEALTH}") as (node, _):
            with pytest.raises((NatsError, asyncio.TimeoutError)):
                await node.request(f"ingest.{HEALTH}.{RESOURCE}", b"batch", timeout=1)
        assert (await loader.jetstream().stream_info("INGEST")).state.messages == 0


async def test_an_account_of_another_operator_cannot_connect(server: Server) -> None:
    stranger = nats_accounts.create_authority()
    account = nats_accounts.create_seed(nats_accounts.ACCOUNT)
    claims = department_account_jwt(stranger, account, HEALTH).encode()
    async with server.client(write_system_credentials(server.secrets)) as (system, _):
        # The server files any claims it is handed; whose signature they bear is asked when somebody connects.
        await system.request("$SYS.REQ.CLAIMS.UPDATE", claims, timeout=30)
    with pytest.raises((NatsError, OSError, asyncio.TimeoutError)):
        await asyncio.wait_for(_connect(server, server.credentials(account, HEALTH)), 5)


async def test_accounts_survive_a_restart_and_keys_stay_the_same(server: Server) -> None:
    first = load_authority(server.secrets)
    nats_command(server.secrets, server.home / "data", port=server.port)
    assert load_authority(server.secrets) == first
    assert load_department_account(server.secrets, HEALTH) == load_department_account(server.secrets, HEALTH)


async def test_a_client_that_does_not_know_the_authority_does_not_connect(server: Server) -> None:
    credentials = await server.admit(HEALTH)
    other = load_certificates(server.home / "other")
    with pytest.raises((NatsError, OSError, asyncio.TimeoutError)):
        await asyncio.wait_for(nats_client.connect(server.url, credentials, other, name="test"), 5)


async def _connect(server: Server, credentials: Path) -> Client:
    return await nats_client.connect(server.url, credentials, server.secrets / "ca.pem", name="test")
