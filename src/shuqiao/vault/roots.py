"""The root of the vault's keys, which its database holds wrapped under the master key.

The master key opens the root and does nothing else, so it can be changed (`vault.rotate`) while every blind
index, mark, payload and pseudonym stays as it is.
Source: our choice, decision 31
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shuqiao.vault.keys import MASTER_KEY_BYTES, VaultKeys
from shuqiao.vault.store import WrongMasterKey, check_keys

if TYPE_CHECKING:
    from shuqiao.vault.store import Connection, Pool

ROOT_LOCK = 0x76617503
_NONCE_BYTES = 12
_LABEL = b"shuqiao vault root 1\x00"


def master_id(master: bytes) -> str:
    """The name of a master key; it tells nothing of the key."""
    return hashlib.sha256(_derive(master, b"name")).hexdigest()[:16]


def wrap_root(master: bytes, root: bytes) -> bytes:
    """Encrypt the root under a master key."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_derive(master, b"wrap")).encrypt(nonce, root, _LABEL)


def unwrap_root(master: bytes, wrapped: bytes) -> bytes:
    """Give the root back; raises `WrongMasterKey` when it was altered or is another master key's."""
    try:
        nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        return AESGCM(_derive(master, b"wrap")).decrypt(nonce, sealed, _LABEL)
    except (InvalidTag, ValueError) as error:
        raise WrongMasterKey("the root of the vault's keys can't be opened") from error


async def open_keys(pool: Pool, master: bytes) -> VaultKeys:
    """Give the vault's keys; an empty database gets a root. Raises `WrongMasterKey`."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", ROOT_LOCK)
        wrapped = await read_wrapped(connection)
        if wrapped:
            root = open_root(master, wrapped)
        else:
            root = await _first_root(connection, master)
            await add_wrapped(connection, master, root)
        keys = VaultKeys(root)
        await check_keys(connection, keys)
    return keys


def open_root(master: bytes, wrapped: dict[str, bytes]) -> bytes:
    """Open the root; raises `WrongMasterKey`, which names the key that is needed."""
    mine = master_id(master)
    if mine not in wrapped:
        named = ", ".join(sorted(wrapped))
        raise WrongMasterKey(
            f"the vault's database was written under another master key: {named}, and the file holds {mine}"
        )
    return unwrap_root(master, wrapped[mine])


async def read_wrapped(connection: Connection) -> dict[str, bytes]:
    """Read the wrapped root, by the names of the master keys that open it."""
    rows = await connection.fetch("SELECT master_id, wrapped FROM vault.wrapped_root")
    return {row["master_id"]: bytes(row["wrapped"]) for row in rows}


async def add_wrapped(connection: Connection, master: bytes, root: bytes) -> None:
    """Let one more master key open the root."""
    await connection.execute(
        "INSERT INTO vault.wrapped_root (master_id, wrapped) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        master_id(master),
        wrap_root(master, root),
    )


async def _first_root(connection: Connection, master: bytes) -> bytes:
    # In a database from before roots were wrapped, the master key was the root itself.
    is_older = await connection.fetchval("SELECT EXISTS (SELECT FROM vault.key_version)")
    return master if is_older else secrets.token_bytes(MASTER_KEY_BYTES)


def _derive(master: bytes, use: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=_LABEL + use).derive(master)
