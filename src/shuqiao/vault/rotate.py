"""Changing the vault's master key: `python -m shuqiao.vault.rotate`, beside the running vault.

Takes VAULT_DATABASE_URL and VAULT_KEY_FILE as the vault does, and is run by the vault's own user. A new key
is made beside the file, the root is wrapped under it too, the new file takes the old one's place, and the old
key's wrapping is removed. Killed at any line, it goes on where it stood when it is run again, and at every
moment the file opens the database.

The old key stays beside the file as `….old-<name>`: backups of the database from before need it. Once none
of them is kept it can be destroyed. The root is not changed: whoever held both the old key and the database
has it.
Source: our choice, decision 31
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from shuqiao.security.keys import KeyRefusedError, load_secret_file, random_secret_file
from shuqiao.security.replacing import flush_folder
from shuqiao.vault.keys import MASTER_KEY_BYTES, VaultKeys
from shuqiao.vault.roots import ROOT_LOCK, add_wrapped, master_id, open_root, read_wrapped
from shuqiao.vault.store import WrongMasterKey, check_keys
from shuqiao.wire.outages import DATABASE_TROUBLES

if TYPE_CHECKING:
    from shuqiao.vault.store import Connection

log = logging.getLogger("shuqiao.vault")


async def rotate(database_url: str, key_file: Path) -> str:
    """Change the master key; returns the new one's name. Raises `WrongMasterKey` or `KeyRefusedError`."""
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=60)
    try:
        # Held by the session: two runs at once would make two new keys.
        await connection.execute("SELECT pg_advisory_lock($1)", ROOT_LOCK)
        current = load_secret_file(key_file, MASTER_KEY_BYTES)
        wrapped = await read_wrapped(connection)
        root = open_root(current, wrapped)
        await check_keys(connection, VaultKeys(root))
        # Two wrappings and no key that waits: an earlier run was killed after the new file was in place.
        if len(wrapped) == 1 or _waiting(key_file).exists():
            current = await _put_new(connection, key_file, current, root)
        # Again where an earlier run was killed before it: a power cut must not bring the old file back.
        flush_folder(key_file.parent)
        await _let_go(connection, master_id(current))
    finally:
        await connection.close(timeout=10)
    return master_id(current)


async def _put_new(connection: Connection, key_file: Path, old: bytes, root: bytes) -> bytes:
    new = random_secret_file(_waiting(key_file), MASTER_KEY_BYTES)
    await add_wrapped(connection, new, root)
    if open_root(new, await read_wrapped(connection)) != root:
        raise WrongMasterKey("the new key does not open the root: nothing was changed")
    kept = key_file.with_name(f"{key_file.name}.old-{master_id(old)}")
    with suppress(FileExistsError):
        os.link(key_file, kept)
    _waiting(key_file).replace(key_file)
    return new


async def _let_go(connection: Connection, kept: str) -> None:
    async with connection.transaction():
        await connection.execute("DELETE FROM vault.wrapped_root WHERE master_id <> $1", kept)
        await connection.execute(
            "INSERT INTO vault.operation (client, op, count, entries_digest, outcome)"
            " VALUES ('operator', 'rotate_master_key', 0, $1, 'done')",
            hashlib.sha256(kept.encode()).digest(),
        )


def _waiting(key_file: Path) -> Path:
    return key_file.with_name(key_file.name + ".new")


def main() -> int:
    """Change the master key; returns the exit status."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    url, file = os.environ.get("VAULT_DATABASE_URL"), os.environ.get("VAULT_KEY_FILE")
    if not url or not file:
        log.error("setting_invalid VAULT_DATABASE_URL and VAULT_KEY_FILE must be set")
        return 2
    try:
        name = asyncio.run(rotate(url, Path(file)))
    except (WrongMasterKey, KeyRefusedError) as error:
        log.error("rotation_refused %s", error)
        return 2
    except DATABASE_TROUBLES as error:
        log.error("rotation_failed reason=%s: run it again", type(error).__name__)
        return 1
    print(f"the vault's master key is now {name}; keep {file}.old-* as long as backups from before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
