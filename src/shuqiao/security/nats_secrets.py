"""Files with the keys of NATS and its certificates in the hub's secrets folder, each made once.

Only the hub has these files: whoever can read the operator's seed can admit departments.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

from shuqiao.security import nats_accounts
from shuqiao.security.certificates import (
    KeyedCertificate,
    create_authority_certificate,
    issue_server_certificate,
)
from shuqiao.security.keys import read_secret_file, write_secret_file
from shuqiao.security.nats_accounts import NatsAuthority
from shuqiao.security.replacing import replace_file

HOSTS = ("localhost", "127.0.0.1", "::1")


def load_authority(secrets: Path) -> NatsAuthority:
    """Read the hub's NATS keys, making those that are not there yet."""
    seeds = {
        name: _once(secrets / f"nats-{name.replace('_', '-')}.nk", seed)
        for name, seed in asdict(nats_accounts.create_authority()).items()
    }
    return NatsAuthority(**{field.name: seeds[field.name] for field in fields(NatsAuthority)})


def load_department_account(secrets: Path, department: str) -> bytes:
    """Read the seed of a department's account, making it when the department is new."""
    seed = nats_accounts.create_seed(nats_accounts.ACCOUNT)
    return _once(secrets / f"nats-account-{department}.nk", seed)


def load_certificates(secrets: Path, hosts: tuple[str, ...] = HOSTS) -> Path:
    """Make the authority and the server's certificate where they are missing; return the authority's path."""
    authority_path, authority_key = secrets / "ca.pem", secrets / "ca.key"
    now = datetime.now(UTC)
    # The key is written last: a start that was cut short makes both anew.
    if not authority_key.exists():
        made = create_authority_certificate("Shuqiao", now)
        replace_file(authority_path, made.certificate, mode=0o444)
        write_secret_file(authority_key, made.key)
    server_path, server_key = secrets / "nats.pem", secrets / "nats.key"
    if not server_key.exists():
        authority = KeyedCertificate(authority_path.read_bytes(), read_secret_file(authority_key))
        issued = issue_server_certificate(authority, hosts, now)
        replace_file(server_path, issued.certificate, mode=0o444)
        write_secret_file(server_key, issued.key)
    return authority_path


def write_hub_credentials(secrets: Path) -> Path:
    """Write the credentials with which the loader connects and return their path."""
    authority = load_authority(secrets)
    text = nats_accounts.credentials(nats_accounts.hub_user_jwt(authority), authority.hub_user)
    return _credentials(secrets / "nats-hub.creds", text)


def write_plane_credentials(secrets: Path) -> Path:
    """Write the credentials with which the plane asks nodes and return their path."""
    authority = load_authority(secrets)
    text = nats_accounts.credentials(nats_accounts.plane_user_jwt(authority), authority.plane_user)
    return _credentials(secrets / "nats-plane.creds", text)


def write_system_credentials(secrets: Path) -> Path:
    """Write the credentials with which accounts are pushed to the server and return their path."""
    authority = load_authority(secrets)
    text = nats_accounts.credentials(nats_accounts.system_user_jwt(authority), authority.system_user)
    return _credentials(secrets / "nats-system.creds", text)


def _credentials(path: Path, text: str) -> Path:
    replace_file(path, text.encode(), mode=0o400)
    return path


def _once(path: Path, content: bytes) -> bytes:
    """Return what the file holds, writing `content` first where there is no file."""
    if not path.exists():
        write_secret_file(path, content)
    return read_secret_file(path)
