"""The process itself: how it starts, refuses to start, gives up its rights, ends and comes back."""

import asyncio
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from shuqiao.vault.main import open_waiting_pool
from shuqiao.vault.settings import SettingsInvalid, load_settings
from shuqiao.vault.store import ASSIGN_LOCK
from shuqiao.wire.vault import VaultUnavailable

from .births import RESOURCE, birth, certificate
from .conftest import Vault


def refusal(vault: Vault, **changes: str) -> tuple[int, str]:
    """Exit status and words of a vault that must not start."""
    done = subprocess.run(
        [sys.executable, "-m", "shuqiao.vault.main"],
        env=vault.environment() | changes,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.decode()


def status_of(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_keys_and_socket_are_private(vault: Vault) -> None:
    secrets = vault.folder / "secrets"
    for name in ("vault.key", "vault-sealing.pem", "vault-clients/plane", "vault-clients/loader"):
        assert stat.S_IMODE((secrets / name).stat().st_mode) == 0o400
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert stat.S_IMODE(vault.socket.stat().st_mode) == 0o660


def test_all_missing_settings_are_told_together() -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load_settings({"VAULT_USER": "no-such-account"})
    for name in ("DATABASE_URL", "SOCKET", "KEY_FILE", "SEALING_KEY_FILE", "CLIENT_KEYS", "USER"):
        assert any(f"VAULT_{name}" in fault for fault in refused.value.faults)


def test_keys_are_not_made_unless_told(vault_home: Vault) -> None:
    status, words = refusal(vault_home, VAULT_CREATE_KEY="0")
    assert status == 2 and "VAULT_CLIENT_KEYS" in words
    assert not (vault_home.folder / "secrets").exists()


def test_another_master_key_is_refused(vault: Vault) -> None:
    vault.kill(signal.SIGTERM)
    (vault.folder / "secrets" / "vault.key").unlink()
    status, words = refusal(vault)
    assert status == 2 and "another master key" in words


def test_readable_key_is_refused(vault: Vault) -> None:
    vault.kill(signal.SIGTERM)
    (vault.folder / "secrets" / "vault.key").chmod(0o440)
    status, words = refusal(vault)
    assert status == 2 and "chmod 0400" in words


def test_second_vault_is_refused(vault: Vault) -> None:
    status, words = refusal(vault)
    assert status == 2 and "another vault" in words
    assert vault.process is not None and vault.process.poll() is None


def test_a_database_that_refuses_is_not_waited_for_and_its_secret_not_told(vault_home: Vault) -> None:
    url = vault_home.url.replace("shuqiao_vault:", "shuqiao_vault:geheim", 1)
    started = time.monotonic()
    status, words = refusal(vault_home, VAULT_DATABASE_URL=url)
    assert status == 1 and "geheim" not in words
    assert time.monotonic() - started < 20 and "waiting_for_database" not in words


async def test_waits_for_a_database_that_starts_later(vault_home: Vault) -> None:
    """Both start at once after a power cut; the vault says what it waits for, without the password."""
    later = vault_home.folder / "later"
    url = vault_home.url
    true_folder = parse_qs(urlsplit(url).query)["host"][0]
    vault_home.url = url.replace(true_folder, str(later), 1)
    starting = asyncio.create_task(asyncio.to_thread(vault_home.start))
    await asyncio.to_thread(until, lambda: log_of(vault_home).count("waiting_for_database") >= 2)
    assert " ready" not in log_of(vault_home)
    later.symlink_to(true_folder)
    await starting
    assert len((await vault_home.assign([birth(1)])).rows) == 1
    assert urlsplit(url).password not in log_of(vault_home)


def test_ends_while_it_waits_for_its_database(vault_home: Vault) -> None:
    vault_home.url = "postgresql://shuqiao_vault:geheim@127.0.0.1:1/nowhere"
    with vault_home.log.open("wb") as output:
        waiting = subprocess.Popen(
            [sys.executable, "-m", "shuqiao.vault.main"], env=vault_home.environment(), stderr=output
        )
    until(lambda: "waiting_for_database" in log_of(vault_home))
    waiting.send_signal(signal.SIGTERM)
    assert waiting.wait(timeout=60) == 0
    assert "geheim" not in log_of(vault_home) and "Traceback" not in log_of(vault_home)


async def test_a_database_that_never_comes_ends_the_wait() -> None:
    url = "postgresql://shuqiao_vault:geheim@127.0.0.1:1/nowhere"
    with pytest.raises(OSError, match="Connect"):
        await open_waiting_pool(url, asyncio.Event(), patience_s=1.2)


def log_of(vault: Vault) -> str:
    """What the process has written so far."""
    return vault.log.read_text() if vault.log.exists() else ""


async def test_ends_in_order_and_finishes_what_is_under_way(vault: Vault) -> None:
    assert vault.process is not None
    with psycopg.connect(vault.url, autocommit=True) as holder:
        # Holding the lock of assigning makes sure that the batch is under way when the vault is told to end.
        holder.execute("SELECT pg_advisory_lock(%s)", [ASSIGN_LOCK])
        sending = asyncio.create_task(vault.assign([birth(serial) for serial in range(1, 501)]))
        for _ in range(500):
            await asyncio.sleep(0.02)
            if holder.execute(
                "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
            ).fetchone():
                break
        vault.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        holder.execute("SELECT pg_advisory_unlock(%s)", [ASSIGN_LOCK])
    assert len((await sending).rows) == 500
    assert await asyncio.to_thread(vault.process.wait, 20) == 0
    assert "Traceback" not in vault.log.read_text()


async def test_client_survives_a_restart(vault: Vault) -> None:
    stored = await vault.assign([birth(1)])
    plane = vault.client("plane")
    before = await plane.resolve(RESOURCE, [certificate(1)], [])
    vault.kill()
    with pytest.raises(VaultUnavailable):
        await plane.resolve(RESOURCE, [certificate(1)], [])
    await asyncio.to_thread(vault.start)
    assert await plane.resolve(RESOURCE, [certificate(1)], []) == before == (stored.rows[0].record,)
    await plane.close()


async def test_client_gives_up_on_a_vault_that_hangs(vault: Vault) -> None:
    plane = vault.client("plane", timeout_s=0.5)
    await plane.ready()
    assert vault.process is not None
    vault.process.send_signal(signal.SIGSTOP)
    with pytest.raises(VaultUnavailable, match="in time"):
        await plane.resolve(RESOURCE, [certificate(1)], [])
    vault.process.send_signal(signal.SIGCONT)
    # The late answer to the call given up must not be taken for the answer to this one.
    first, second = [await plane.resolve(RESOURCE, [certificate(1)] * count, []) for count in (2, 3)]
    assert (len(first), len(second)) == (2, 3)
    await plane.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user: run the tests as root")
async def test_root_becomes_the_given_user(vault_home: Vault) -> None:
    """Opens its keys as root, then runs as somebody who can't read them, and still answers."""
    account = pwd.getpwnam("nobody")
    vault_home.extra["VAULT_USER"] = "nobody"
    vault_home.start()
    assert vault_home.process is not None
    fields = status_of(vault_home.process.pid)
    assert set(fields["Uid"].split()) == {str(account.pw_uid)}
    assert set(fields["Gid"].split()) == {str(account.pw_gid)}
    assert fields["Groups"].split() in ([], [str(account.pw_gid)])
    assert int(fields["CapEff"], 16) == 0
    assert len((await vault_home.assign([birth(1)])).rows) == 1
    assert vault_home.kill(signal.SIGTERM) == 0


PARENT = """
import signal, subprocess, sys
from shuqiao.embedded.processes import die_with_parent
command = [sys.executable, "-m", "shuqiao.vault.main"]
child = subprocess.Popen(command, preexec_fn=die_with_parent(signal.SIGTERM))
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user: run the tests as root")
def test_ends_with_its_parent_after_becoming_another_user(vault_home: Vault) -> None:
    """The kernel forgets the parent's death signal when the user changes; the vault renews it."""
    vault_home.extra["VAULT_USER"] = "nobody"
    with vault_home.log.open("wb") as output:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT],
            env=vault_home.environment(),
            stdout=subprocess.PIPE,
            stderr=output,
        )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    until(lambda: " ready" in vault_home.log.read_text())
    parent.kill()
    parent.wait(timeout=60)
    parent.stdout.close()
    until(lambda: "stopped" in vault_home.log.read_text() and not Path(f"/proc/{pid}").exists())


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so, at most a minute."""
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")
