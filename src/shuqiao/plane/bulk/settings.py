"""Settings of the process that prepares copies, and what it shares with the workers that hand them out."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shuqiao.security import keys
from shuqiao.security.suites import INTERNATIONAL, Suite, read_suite
from shuqiao.security.volumes import Volume, read_volume_settings

MAX_REPLICA_WAIT_S = 600
MIN_LEASE_S, MAX_LEASE_S = 2, 300


class BulkSettingsFaulty(Exception):
    """The environment can't be used; the message names every fault."""


@dataclass(frozen=True, slots=True)
class Spool:
    """Where prepared files lie, the secrets under which their keys are wrapped and links made, and the suite
    by which new ones are written."""

    folder: Path
    wrapping_secret: bytes
    link_secret: bytes
    suite: Suite = INTERNATIONAL

    def __repr__(self) -> str:
        """Leave the secrets out."""
        return f"Spool({self.folder})"


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """What the process needs to know; `slots` is how many copies it prepares at once.

    `is_pooled` says that the database's address is a pooler's in transaction mode. Copies are read on a
    standby where `replica_url` names one, unless it lags by more than `replica_wait_s`. What a process that
    was killed had begun is taken over after `lease_s`.
    """

    database_url: str
    vault_socket: Path
    vault_key: bytes
    signing_key: Ed25519PrivateKey
    spool: Spool
    slots: int = 2
    is_pooled: bool = False
    volumes: tuple[Volume, ...] = ()
    replica_url: str | None = None
    replica_wait_s: float = 30.0
    lease_s: int = 15

    def __repr__(self) -> str:
        """Leave addresses and keys out: they hold passwords."""
        return f"BulkSettings({self.spool!r})"


def open_spool(folder: Path, secret_file: Path, suite: Suite = INTERNATIONAL) -> Spool:
    """Read the secret and derive one for each use; the folder is made if it is missing."""
    secret = keys.load_secret_file(secret_file)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    wrapping, link = (hmac.digest(secret, use, hashlib.sha256) for use in (b"bulk keys", b"bulk links"))
    return Spool(folder, wrapping, link, suite)


def read_spool(environment: Mapping[str, str]) -> Spool | None:
    """Read BULK_SPOOL, BULK_SECRET_FILE and SHUQIAO_SUITE; None where this plane hands out no copies."""
    folder, secret = environment.get("BULK_SPOOL", ""), environment.get("BULK_SECRET_FILE", "")
    if not folder and not secret:
        return None
    try:
        if not folder or not secret:
            raise ValueError("both or neither must be set")
        return open_spool(Path(folder), Path(secret), read_suite(environment))
    except (ValueError, OSError, keys.KeyRefusedError) as error:
        raise BulkSettingsFaulty(f"BULK_SPOOL, BULK_SECRET_FILE: {error}") from error


def read_pooler(text: str) -> bool:
    """Tell whether a database's address is that of a pooler in transaction mode; raises ValueError."""
    if text not in ("none", "transaction"):
        raise ValueError("must be none or transaction")
    return text == "transaction"


def read_settings(environment: Mapping[str, str]) -> BulkSettings:
    """Read and check everything; raises `BulkSettingsFaulty` with all faults at once.

    BULK_DATABASE_URL, VAULT_SOCKET, VAULT_CLIENT_KEY_FILE, BULK_SIGNING_KEY_FILE, BULK_SPOOL and
    BULK_SECRET_FILE are required; BULK_SLOTS says how many copies are prepared at once, BULK_DATABASE_POOLER
    (none or transaction) whether a pooler stands before the database, BULK_REPLICA_URL a standby to read on
    and BULK_REPLICA_WAIT_S (30) for how long it may lag; BULK_LEASE_S (15) after how long a killed
    process's work is taken over; SHUQIAO_SUITE and SHUQIAO_VOLUMES… as everywhere.
    """
    names = (
        "BULK_DATABASE_URL",
        "VAULT_SOCKET",
        "VAULT_CLIENT_KEY_FILE",
        "BULK_SIGNING_KEY_FILE",
        "BULK_SPOOL",
    )
    faults = [f"{name} is not set" for name in (*names, "BULK_SECRET_FILE") if not environment.get(name)]
    if faults:
        raise BulkSettingsFaulty("; ".join(faults))
    try:
        slots = int(environment.get("BULK_SLOTS", "2"))
        signing_key = keys.load_signing_key(Path(environment["BULK_SIGNING_KEY_FILE"]))
        vault_key = keys.load_secret_file(Path(environment["VAULT_CLIENT_KEY_FILE"]))
        spool = read_spool(environment)
        is_pooled = read_pooler(environment.get("BULK_DATABASE_POOLER", "none"))
        wait_s = float(environment.get("BULK_REPLICA_WAIT_S", "30"))
        if not 0 < wait_s <= MAX_REPLICA_WAIT_S:
            raise ValueError(f"BULK_REPLICA_WAIT_S must lie between 0 and {MAX_REPLICA_WAIT_S}")
        lease_s = int(environment.get("BULK_LEASE_S", "15"))
        if not MIN_LEASE_S <= lease_s <= MAX_LEASE_S:
            raise ValueError(f"BULK_LEASE_S must lie in {MIN_LEASE_S} to {MAX_LEASE_S}")
        named = read_volume_settings(environment)
    except (ValueError, OSError, keys.KeyRefusedError) as error:
        raise BulkSettingsFaulty(str(error)) from error
    if not isinstance(signing_key, Ed25519PrivateKey) or not 1 <= slots <= 8 or spool is None:
        raise BulkSettingsFaulty("BULK_SIGNING_KEY_FILE must hold an Ed25519 key, BULK_SLOTS lie in 1 to 8")
    socket = Path(environment["VAULT_SOCKET"])
    url = environment["BULK_DATABASE_URL"]
    volumes = named.volumes({"copies": spool.folder})
    replica_url = environment.get("BULK_REPLICA_URL") or None
    return BulkSettings(
        url, socket, vault_key, signing_key, spool, slots, is_pooled, volumes, replica_url, wait_s, lease_s
    )
