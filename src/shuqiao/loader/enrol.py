"""Admission of a department's node seen from the hub: an account, a user, a registered key, an audit entry.

May be repeated: the account stays the same, user and key are replaced by those of the request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
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
from shuqiao.wire.node_home import accept, create_request
from shuqiao.wire.schemas import ResourceSpec
from shuqiao.wire.subjects import check_department

_UPDATE_SUBJECT = "$SYS.REQ.CLAIMS.UPDATE"
_TIMEOUT_S = 10.0


class EnrolmentError(Exception):
    """The node can't be admitted; the message says why."""


class KeysRefusedError(EnrolmentError):
    """The node's keys can't be admitted, now or later."""


@dataclass(frozen=True)
class HubAccess:
    """Where the hub's secrets, its database (as owner) and its NATS server are.

    `nodes_url` is the server's address as nodes reach it, where that is another one than ours.
    """

    secrets: Path
    database_url: str
    nats_url: str
    nodes_url: str = ""


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

    All is repeated where it is killed: the server has the account before the database says that it is done.
    """
    connection = await asyncpg.connect(hub.database_url, timeout=_TIMEOUT_S)
    try:
        async with connection.transaction():
            return await admit_within(connection, request, hub, name=name, actor=actor)
    finally:
        await connection.close(timeout=_TIMEOUT_S)


async def admit_within(
    connection: asyncpg.Connection, request: NodeRequest, hub: HubAccess, *, name: str, actor: str
) -> Admission:
    """Do so in a transaction of the caller's, who commits; raises `EnrolmentError`.

    The server is told first: an account without a registered key can send nothing that is accepted.
    """
    check_department(request.department)
    _check_keys(request)
    account = load_department_account(hub.secrets, request.department)
    try:
        await connection.execute(
            "SELECT exchange.admit_node($1, $2, $3, $4, $5)",
            request.department,
            name,
            request.signing_key,
            request.nats_user,
            actor,
        )
    except asyncpg.InvalidParameterValueError as error:
        raise KeysRefusedError("keys that were revoked are not admitted again") from error
    admission = await _admission(connection, request, hub, account)
    await push_account(hub, account, request.department, await revoked_users(connection, request.department))
    return admission


async def revoked_users(connection: asyncpg.Connection, department: str) -> dict[str, int]:
    """Return the department's users that count no more, each with the second up to which its claims don't."""
    rows = await connection.fetch(
        "SELECT nats_user, ceil(extract(epoch FROM revoked_at))::bigint AS second FROM exchange.revoked_user"
        " WHERE department = $1 ORDER BY nats_user",
        department,
    )
    return {row["nats_user"]: row["second"] for row in rows}


async def push_account(
    hub: HubAccess, account: bytes, department: str, revoked: Mapping[str, int] | None = None
) -> None:
    """Give the server a department's account; it keeps it over restarts, and cuts users that are revoked."""
    authority = load_authority(hub.secrets)
    claims = nats_accounts.department_account_jwt(authority, account, department, revoked)
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
        raise KeysRefusedError("the request does not hold an Ed25519 key and a NATS user key")


async def _admission(
    connection: asyncpg.Connection, request: NodeRequest, hub: HubAccess, account: bytes
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
        authority_pem=load_certificates(hub.secrets).read_text(encoding="ascii"),
        receipt_keys=tuple(receipt_keys),
        vault_key=vault_keys[-1],
        resources={row["id"]: msgspec.json.decode(row["spec"], type=ResourceSpec) for row in resources},
        grant_keys=tuple(by_purpose["grants"]),
        nats_url=hub.nodes_url or hub.nats_url,
    )
