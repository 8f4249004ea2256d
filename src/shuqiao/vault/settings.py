"""The vault's settings, read from environment variables once, all faults reported together."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shuqiao.security.volumes import Volume, read_volume_settings
from shuqiao.wire.vault import ALLOWED

# The kernel's limit for the path of a Unix socket, with its closing zero.
_MAX_SOCKET_PATH_BYTES = 107


class SettingsInvalid(Exception):
    """Settings that can't be used; `faults` lists all of them."""

    def __init__(self, faults: list[str]) -> None:
        """Keep the faults, which are also the message."""
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """Where the vault finds its database and keys, and as whom it runs."""

    database_url: str
    socket: Path
    key_file: Path
    create_key: bool
    sealing_key_file: Path
    client_keys: Path
    user: str | None
    socket_group: str | None
    name_variants: Path | None = None
    volumes: tuple[Volume, ...] = ()

    def __repr__(self) -> str:
        """Leave the database URL out: it holds a password."""
        return f"VaultSettings(socket={str(self.socket)!r})"


def load_settings(environment: Mapping[str, str]) -> VaultSettings:
    """Read the settings or raise SettingsInvalid.

    VAULT_DATABASE_URL, VAULT_SOCKET, VAULT_KEY_FILE (32 raw bytes), VAULT_SEALING_KEY_FILE (X25519, PKCS #8
    PEM) and VAULT_CLIENT_KEYS (a folder with one file of 32 raw bytes per client) are required.
    VAULT_CREATE_KEY=1 lets missing keys be made. VAULT_USER is the account to become when started as root,
    VAULT_SOCKET_GROUP the group that may connect (default: the group of the socket's folder).
    VAULT_NAME_VARIANTS is a table of characters of names that count as one when claims are compared
    (`rules.name_variants`); without it every character counts as itself. SHUQIAO_VOLUMES and
    SHUQIAO_VOLUMES_DECLARED say where the database `vault-database` keeps its files, or what is declared of
    that volume.
    """
    faults: list[str] = []

    def required(name: str) -> str:
        value = environment.get(name, "").strip()
        if not value:
            faults.append(f"{name} is not set")
        return value

    settings = VaultSettings(
        database_url=required("VAULT_DATABASE_URL"),
        socket=Path(required("VAULT_SOCKET")),
        key_file=Path(required("VAULT_KEY_FILE")),
        create_key=environment.get("VAULT_CREATE_KEY", "") == "1",
        sealing_key_file=Path(required("VAULT_SEALING_KEY_FILE")),
        client_keys=Path(required("VAULT_CLIENT_KEYS")),
        user=environment.get("VAULT_USER") or None,
        socket_group=environment.get("VAULT_SOCKET_GROUP") or None,
        name_variants=Path(table) if (table := environment.get("VAULT_NAME_VARIANTS", "")) else None,
        volumes=_volumes(environment, faults),
    )
    faults += _faults_of(settings)
    if faults:
        raise SettingsInvalid(faults)
    return settings


def _volumes(environment: Mapping[str, str], faults: list[str]) -> tuple[Volume, ...]:
    try:
        return read_volume_settings(environment).volumes({}, ("vault-database",))
    except ValueError as error:
        faults.append(str(error))
        return ()


def _faults_of(settings: VaultSettings) -> list[str]:
    faults = []
    if settings.database_url and not settings.database_url.startswith(("postgresql://", "postgres://")):
        faults.append("VAULT_DATABASE_URL is not a postgresql:// URL")
    if len(bytes(settings.socket)) > _MAX_SOCKET_PATH_BYTES:
        faults.append(f"VAULT_SOCKET is longer than {_MAX_SOCKET_PATH_BYTES} bytes")
    if settings.user is not None and not _exists(pwd.getpwnam, settings.user):
        faults.append(f"VAULT_USER names no account: {settings.user}")
    if settings.socket_group is not None and not _exists(grp.getgrnam, settings.socket_group):
        faults.append(f"VAULT_SOCKET_GROUP names no group: {settings.socket_group}")
    if settings.name_variants is not None and not settings.name_variants.is_file():
        faults.append("VAULT_NAME_VARIANTS names no file")
    if str(settings.client_keys) != "." and not settings.create_key:
        missing = [name for name in sorted(ALLOWED) if not (settings.client_keys / name).exists()]
        faults += [f"VAULT_CLIENT_KEYS lacks the key of {name}" for name in missing]
    return faults


def _exists(look_up: Callable[[str], object], name: str) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True
