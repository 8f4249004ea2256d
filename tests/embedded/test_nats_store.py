"""What the message server keeps on the disk: nobody reads it there, and the key lies nowhere beside it."""

import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shuqiao.embedded.nats import STORE_KEY, nats_command, nats_environment
from shuqiao.loader.streams import ensure_stream
from tests.edge.test_accounts import HEALTH, RESOURCE, Server
from tests.plugins.ports import free_port


@pytest.fixture
def running(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Servers of the test; whatever still runs is ended."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait(timeout=60)


def _server(home: Path) -> Server:
    return Server(home, free_port(), free_port())


def _start(
    running: list[subprocess.Popen[bytes]], command: list[str], environment: dict[str, str], log: Path
) -> subprocess.Popen[bytes]:
    begun = len(log.read_bytes()) if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    running.append(process)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if b"Server is ready" in log.read_bytes()[begun:]:
            break
        time.sleep(0.02)
    return process


def _command(server: Server, *, cipher: bool = True) -> list[str]:
    command = nats_command(server.secrets, server.home / "data", port=server.port)
    if not cipher:
        config = server.home / "data" / "nats.conf"
        lines = config.read_text().splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(("  cipher:", f"  key: ${STORE_KEY}"))]
        assert len(kept) == len(lines) - 2
        config.write_text("".join(kept))
    return command


async def _publish(server: Server, content: bytes) -> None:
    async with server.client(server.secrets / "nats-hub.creds") as (loader, _):
        await ensure_stream(loader.jetstream(), 64 * 1024 * 1024)
        credentials = await server.admit(HEALTH)
        async with server.client(credentials, f"_INBOX_{HEALTH}") as (node, _):
            answer = await node.request(f"ingest.{HEALTH}.{RESOURCE}", content, timeout=30)
            assert b'"stream":"INGEST"' in answer.data


async def _waiting(server: Server) -> int:
    async with server.client(server.secrets / "nats-hub.creds") as (loader, _):
        state = (await loader.jetstream().stream_info("INGEST")).state
        assert isinstance(state.messages, int)
        return state.messages


def _found(folder: Path, marker: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and marker in path.read_bytes()]


def _stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    process.send_signal(number)
    process.wait(timeout=60)


@pytest.mark.requirement("SEC-01")
async def test_messages_lie_on_the_disk_encrypted_also_those_from_before_there_was_a_key(
    tmp_path: Path, running: list[subprocess.Popen[bytes]]
) -> None:
    server, log, store = _server(tmp_path), tmp_path / "nats.log", tmp_path / "data" / "jetstream"
    early, late = (secrets.token_hex(24).encode() for _ in range(2))
    process = _start(running, _command(server, cipher=False), {}, log)
    await _publish(server, early)
    _stop(process)
    assert _found(store, early), "without the cipher the message is readable where it lies"
    environment = nats_environment(server.secrets)
    process = _start(running, _command(server), environment, log)
    assert await _waiting(server) == 1
    await _publish(server, late)
    _stop(process, signal.SIGKILL)
    assert not _found(store, early)
    assert not _found(store, late)
    process = _start(running, _command(server), environment, log)
    assert await _waiting(server) == 2


async def test_a_server_without_the_stores_key_or_with_another_gives_nothing_out(
    tmp_path: Path, running: list[subprocess.Popen[bytes]]
) -> None:
    server, log = _server(tmp_path), tmp_path / "nats.log"
    process = _start(running, _command(server), nats_environment(server.secrets), log)
    await _publish(server, b"batch")
    _stop(process)
    process = _start(running, _command(server), {}, log)
    assert process.wait(timeout=60) != 0
    other = nats_environment(tmp_path / "other")
    process = _start(running, _command(server), other, log)
    if process.poll() is None:
        async with server.client(server.secrets / "nats-hub.creds") as (loader, _):
            with pytest.raises(Exception, match=r"(?i)not found|unavailable|timeout"):
                await loader.jetstream().stream_info("INGEST")


def test_the_key_is_a_secret_like_the_others(tmp_path: Path) -> None:
    server = _server(tmp_path)
    command = _command(server)
    environment = nats_environment(server.secrets)
    assert nats_environment(server.secrets) == environment, "made once"
    key = server.secrets / "nats-store.key"
    assert key.stat().st_mode & 0o777 == 0o400
    value = environment[STORE_KEY]
    assert value.endswith(key.read_bytes().hex()) and len(key.read_bytes()) == 32
    assert not any(value in argument for argument in command)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert value.encode() not in path.read_bytes(), path
