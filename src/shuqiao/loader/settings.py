"""Settings of the loader, read from the environment once and checked all together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shuqiao.wire.nats_client import addresses

DEFAULT_STREAM_BYTES = 4 * 1024**3
REPLICAS = ("1", "3", "5")
"""On so many servers of a cluster a batch lies; a majority has it before its node hears that it was taken."""


class SettingsError(Exception):
    """The settings can't be used; the message lists every fault."""


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """What the loader needs: the hub's database, NATS, the vault's socket, the key that signs receipts.

    In a cluster `stream_replicas` says on how many servers each batch lies.
    """

    database_url: str
    nats_url: str
    credentials_file: Path
    authority_file: Path
    vault_socket: Path
    vault_key_file: Path
    receipt_key_file: Path
    stream_max_bytes: int
    stream_replicas: int = 1


_REQUIRED = (
    "LOADER_DATABASE_URL",
    "NATS_URL",
    "LOADER_CREDS",
    "LOADER_CA",
    "VAULT_SOCKET",
    "VAULT_CLIENT_KEY_FILE",
    "LOADER_RECEIPT_KEY_FILE",
)


def load_settings(environment: Mapping[str, str]) -> LoaderSettings:
    """Read LOADER_*, NATS_URL and VAULT_*; raise SettingsError naming all faults."""
    faults = [f"{name} is not set" for name in _REQUIRED if not environment.get(name)]
    url = environment.get("NATS_URL", "")
    if url:
        try:
            addresses(url)
        except ValueError as error:
            faults.append(f"NATS_URL {error}")
    size = environment.get("LOADER_STREAM_BYTES") or str(DEFAULT_STREAM_BYTES)
    if not size.isdecimal() or not 1024**2 <= int(size) <= 1024**4:
        faults.append("LOADER_STREAM_BYTES must be a whole number from 1048576 to 1099511627776")
    replicas = environment.get("LOADER_STREAM_REPLICAS") or "1"
    if replicas not in REPLICAS:
        faults.append(f"LOADER_STREAM_REPLICAS must be one of {', '.join(REPLICAS)}")
    if faults:
        raise SettingsError("; ".join(faults))
    return LoaderSettings(
        database_url=environment["LOADER_DATABASE_URL"],
        nats_url=url,
        credentials_file=Path(environment["LOADER_CREDS"]),
        authority_file=Path(environment["LOADER_CA"]),
        vault_socket=Path(environment["VAULT_SOCKET"]),
        vault_key_file=Path(environment["VAULT_CLIENT_KEY_FILE"]),
        receipt_key_file=Path(environment["LOADER_RECEIPT_KEY_FILE"]),
        stream_max_bytes=int(size),
        stream_replicas=int(replicas),
    )
