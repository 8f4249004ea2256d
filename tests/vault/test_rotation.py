"""The master key is changed while the vault runs; killed at any line, the file opens the database."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from shuqiao.vault.keys import VaultKeys
from shuqiao.vault.roots import master_id, open_keys
from shuqiao.vault.store import WrongMasterKey, migrate, open_pool
from shuqiao.wire.vault import CompareCall, RevealCall

from .births import RESOURCE, birth, certificate
from .conftest import Vault

KILLED_AT_LINE = """
import os, signal, sys
from shuqiao.vault import rotate

left = int(sys.argv[1])

def watch(frame, event, argument):
    global left
    if frame.f_code.co_filename != rotate.__file__:
        return None
    if event == "line":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return watch

sys.settrace(watch)
sys.exit(rotate.main())
"""


def key_file(vault: Vault) -> Path:
    return vault.folder / "secrets" / "vault.key"


def run(vault: Vault, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command, or a script that does."""
    return subprocess.run(
        [sys.executable, *(arguments or ("-m", "shuqiao.vault.rotate"))],
        env=vault.environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )


def wrappings(vault: Vault) -> list[str]:
    with psycopg.connect(vault.url) as connection:
        return [row[0] for row in connection.execute("SELECT master_id FROM vault.wrapped_root ORDER BY 1")]


def rotations(vault: Vault) -> int:
    with psycopg.connect(vault.url) as connection:
        row = connection.execute("SELECT count(*) FROM vault.operation WHERE op = 'rotate_master_key'")
        return row.fetchone()[0]  # type: ignore[index]


async def keys_under(vault: Vault, master: bytes) -> VaultKeys:
    pool = await open_pool(vault.url, 1)
    try:
        return await open_keys(pool, master)
    finally:
        await pool.close()


async def test_the_new_key_opens_everything_and_the_old_one_nothing(vault: Vault) -> None:
    await vault.assign([birth(1), birth(2)])
    plane = vault.client("plane")
    claims = [CompareCall(certificate(1), {"mother_name": "样例母亲1"})]
    before = await plane.compare(RESOURCE, claims, [])
    old = key_file(vault).read_bytes()
    done = run(vault)
    assert done.returncode == 0, done.stderr
    new = key_file(vault).read_bytes()
    assert new != old and wrappings(vault) == [master_id(new)] and rotations(vault) == 1
    assert master_id(new).encode() in done.stdout
    # The running vault goes on, and one that is started anew takes the new file.
    assert await plane.compare(RESOURCE, claims, []) == before
    await plane.close()
    vault.kill()
    vault.start()
    plane = vault.client("plane")
    assert await plane.compare(RESOURCE, claims, []) == before
    calls = [RevealCall(certificate(2), ("mother_name",), "G-2026-0001")]
    [revealed] = await plane.reveal(RESOURCE, calls, [])
    assert revealed.values == {"mother_name": "样例母亲2"}
    # What comes again is known: the blind indexes are the old ones.
    await vault.assign([birth(1)], sequence=2)
    assert (await plane.compare(RESOURCE, claims, []))[0].record == before[0].record
    await plane.close()
    with pytest.raises(WrongMasterKey, match=f"{master_id(new)}, and the file holds {master_id(old)}"):
        await keys_under(vault, old)
    kept = key_file(vault).with_name(f"vault.key.old-{master_id(old)}")
    assert kept.read_bytes() == old
    for path in (kept, key_file(vault)):
        assert path.stat().st_mode & 0o777 == 0o400
    kept.unlink()
    again = run(vault)
    assert again.returncode == 0 and rotations(vault) == 2, "the old key can go"


@pytest.mark.timeout(240)
async def test_killed_at_any_line_the_file_opens_the_database_and_the_next_run_ends_it(vault: Vault) -> None:
    await vault.assign([birth(1)])
    vault.kill()
    check = (await keys_under(vault, key_file(vault).read_bytes())).check_value
    line, killed, left_open = 0, 0, 0
    while True:
        line += 1
        done = run(vault, "-c", KILLED_AT_LINE, str(line))
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        killed += 1
        left_open += len(wrappings(vault)) > 1
        keys = await keys_under(vault, key_file(vault).read_bytes())
        assert keys.check_value == check, line
        if left_open and line % 3 == 0:
            done = run(vault)
            assert done.returncode == 0, done.stderr
            assert wrappings(vault) == [master_id(key_file(vault).read_bytes())]
            assert not key_file(vault).with_name("vault.key.new").exists()
    assert killed > 25 and left_open > 5
    assert wrappings(vault) == [master_id(key_file(vault).read_bytes())]
    vault.start()
    plane = vault.client("plane")
    [answer] = await plane.compare(RESOURCE, [CompareCall(certificate(1), {"mother_name": "样例母亲1"})], [])
    assert answer.matches == {"mother_name": True}
    await plane.close()


async def test_a_database_from_before_roots_were_wrapped_is_taken_over(vault_home: Vault) -> None:
    """There the master key was the root itself; it is wrapped at the next start, and can then be changed."""
    master = os.urandom(32)
    secrets = vault_home.folder / "secrets"
    secrets.mkdir(mode=0o700)
    key_file(vault_home).write_bytes(master)
    key_file(vault_home).chmod(0o400)
    pool = await open_pool(vault_home.url, 1)
    await migrate(pool)
    earlier = VaultKeys(master)
    await pool.execute(
        "INSERT INTO vault.key_version (version, written_form, check_value) VALUES (1, 1, $1)",
        earlier.check_value,
    )
    await pool.close()
    vault_home.start()
    assert wrappings(vault_home) == [master_id(master)]
    assert run(vault_home).returncode == 0
    keys = await keys_under(vault_home, key_file(vault_home).read_bytes())
    assert keys.check_value == earlier.check_value


async def test_a_wrong_or_missing_key_changes_nothing(vault: Vault) -> None:
    before = wrappings(vault)
    key_file(vault).chmod(0o600)
    key_file(vault).write_bytes(hashlib.sha256(b"another").digest())
    key_file(vault).chmod(0o400)
    done = run(vault)
    assert done.returncode == 2 and b"another master key" in done.stderr
    assert wrappings(vault) == before
    assert not key_file(vault).with_name("vault.key.new").exists()
    key_file(vault).unlink()
    done = run(vault)
    assert done.returncode == 2 and b"does not exist" in done.stderr


async def test_the_root_is_random_and_lies_nowhere_in_clear(vault: Vault) -> None:
    with psycopg.connect(vault.url) as connection:
        row = connection.execute("SELECT wrapped FROM vault.wrapped_root").fetchone()
    assert row is not None
    master = key_file(vault).read_bytes()
    assert (await keys_under(vault, master)).check_value != VaultKeys(master).check_value
    assert master not in bytes(row[0]) and len(row[0]) == 12 + 32 + 16
