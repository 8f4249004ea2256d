"""Admission of a department's node seen from the hub: an account, a user, a registered key, an audit entry.

May be repeated: the account stays the same, user and key are replaced by those of the request.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import msgspec

from shuqiao.security import nats_accounts
from shuqiao.security.keys import KeyRefusedError, algorithm_of, load_public_der
from shuqiao.security.nats_secrets import (
    load_authority,
    load_certificates,
    load_department_account,
    write_system_credentials,
)
from shuqiao.wire import nats_client
from shuqiao.wire.enrolment import Admission, HubKey, NodeRequest
from shuqiao.wire.messages import new_entry_id
from shuqiao.wire.node_home import accept, create_request
from shuqiao.wire.schemas import ResourceSpec
from shuqiao.wire.subjects import check_department

_UPDATE_SUBJECT = "$SYS.REQ.CLAIMS.UPDATE"
_TIMEOUT_S = 10.0


class EnrolmentError(Exception):
    """The node can't be admitted; the message says why."""


@dataclass(frozen=True)
class HubAccess:
    """Where the hub's secrets, its database (as owner) and its NATS server are."""

    secrets: Path
    database_url: str
    nats_url: str


async def enrol_department(
    *,
    department: str,
    node_home: Path,
    secrets: Path,
    database_url: str,
    nats_url: str,
    name: str = "",
    actor: str = "system:enrolment",
) -> Admission:
    """Admit a node whose folder is on this machine: request, admission and acceptance in one call."""
    request = create_request(node_home, department)
    hub = HubAccess(secrets, database_url, nats_url)
    admission = await admit(request, hub, name=name or department, actor=actor)
    accept(node_home, admission)
    return admission


async def admit(request: NodeRequest, hub: HubAccess, *, name: str, actor: str) -> Admission:
    """Register the node and give its account to the NATS server; `actor` stands in the audit entry.

    The database comes first: an account without a registered key can send nothing that is accepted.
    """
    check_department(request.department)
    _check_keys(request)
    account = load_department_account(hub.secrets, request.department)
    connection = await asyncpg.connect(hub.database_url, timeout=_TIMEOUT_S)
    try:
        async with connection.transaction():
            await _register(connection, request, name, actor)
            admission = await _admission(connection, request, hub.secrets, account)
    finally:
        await connection.close(timeout=_TIMEOUT_S)
    await push_account(hub, account, request.department)
    return admission


async def push_account(hub: HubAccess, account: bytes, department: str) -> None:
    """Give the server a department's account; it keeps it over restarts."""
    authority = load_authority(hub.secrets)
    claims = nats_accounts.department_account_jwt(authority, account, department)
    credentials, ca = write_system_credentials(hub.secrets), load_certificates(hub.secrets)
    client = await nats_client.connect(hub.nats_url, credentials, ca, name="enrolment")
    try:
        answer = await client.request(_UPDATE_SUBJECT, claims.encode(), timeout=_TIMEOUT_S)
    finally:
        await client.close()
    code = json.loads(answer.data).get("data", {}).get("code")
    if code != 200:
        raise EnrolmentError(f"the NATS server did not take the account of {department} (code {code})")


def _check_keys(request: NodeRequest) -> None:
    try:
        key = load_public_der(request.signing_key)
        is_fit = algorithm_of(key) == "ed25519"  # type: ignore[arg-type]
    except KeyRefusedError:
        is_fit = False
    if not is_fit or not request.nats_user.startswith("U") or len(request.nats_user) != 56:
        raise EnrolmentError("the request does not hold an Ed25519 key and a NATS user key")


async def _register(connection: asyncpg.Connection, request: NodeRequest, name: str, actor: str) -> None:
    await connection.execute(
        "INSERT INTO exchange.node (department, name, public_key, nats_user, active)"
        " VALUES ($1, $2, $3, $4, true) ON CONFLICT (department) DO UPDATE"
        " SET name = excluded.name, public_key = excluded.public_key, nats_user = excluded.nats_user,"
        " active = true",
        request.department,
        name,
        request.signing_key,
        request.nats_user,
    )
    at = datetime.now(UTC)
    entry = new_entry_id(at)
    body = {
        "event": "department_enrolled",
        "id": str(entry),
        "at": at.isoformat(),
        "department": request.department,
        "actor": actor,
        "outcome": "enrolled",
        "nats_user": request.nats_user,
    }
    await connection.execute(
        "SELECT audit.append($1, $2, 'department_enrolled', $3, NULL, $4, NULL, NULL, NULL, NULL,"
        " 'enrolled', $5)",
        entry,
        at,
        request.department,
        actor,
        json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    )


async def _admission(
    connection: asyncpg.Connection, request: NodeRequest, secrets: Path, account: bytes
) -> Admission:
    keys = await connection.fetch(
        "SELECT id, purpose, public_key FROM exchange.signing_key"
        " WHERE active AND purpose IN ('receipts', 'vault', 'grants') ORDER BY id"
    )
    resources = await connection.fetch(
        "SELECT id, spec::text AS spec FROM exchange.resource WHERE active AND department = $1",
        request.department,
    )
    by_purpose = {
        purpose: [HubKey(row["id"], row["public_key"]) for row in keys if row["purpose"] == purpose]
        for purpose in ("receipts", "vault", "grants")
    }
    vault_keys, receipt_keys = by_purpose["vault"], by_purpose["receipts"]
    if not vault_keys or not receipt_keys:
        raise EnrolmentError(
            "the hub has no active key of the vault or for receipts yet: register them first"
        )
    return Admission(
        department=request.department,
        user_jwt=nats_accounts.department_user_jwt(account, request.nats_user, request.department),
        authority_pem=load_certificates(secrets).read_text(encoding="ascii"),
        receipt_keys=tuple(receipt_keys),
        vault_key=vault_keys[-1],
        resources={row["id"]: msgspec.json.decode(row["spec"], type=ResourceSpec) for row in resources},
        grant_keys=tuple(by_purpose["grants"]),
    )
