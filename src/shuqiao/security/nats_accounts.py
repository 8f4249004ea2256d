"""Operator, accounts and users of NATS as signed claims (JWT, version 2, algorithm `ed25519-nkey`).

The operator signs accounts, an account signs its users and its activations. A department's account holds no
signing key outside the hub, so what it may import is what the operator wrote into it. The hub's exports are
private: the server takes an import only with an activation the hub signed for that very account.

Does not talk to a server: `shuqiao.loader.enrol` pushes accounts, `shuqiao.embedded.nats` starts the server.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import nkeys

OPERATOR, ACCOUNT, USER = nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER

HUB_MAX_BYTES = 8 * 1024**3
"""Disk that the hub's streams may take in all, unless the caller says otherwise."""

_UNLIMITED = -1


@dataclass(frozen=True)
class NatsAuthority:
    """The seeds from which the hub's NATS rights are made: who holds them can admit departments.

    `system_user`, `hub_user` and `plane_user` are the users with which the hub itself connects.
    """

    operator: bytes
    system: bytes
    system_user: bytes
    hub: bytes
    hub_user: bytes
    plane_user: bytes


def create_seed(prefix: int) -> bytes:
    """Draw a new key of the given kind (`OPERATOR`, `ACCOUNT`, `USER`) and return its seed."""
    return cast(bytes, nkeys.encode_seed(os.urandom(32), prefix))


def create_authority() -> NatsAuthority:
    """Draw the keys of a new hub."""
    return NatsAuthority(
        operator=create_seed(OPERATOR),
        system=create_seed(ACCOUNT),
        system_user=create_seed(USER),
        hub=create_seed(ACCOUNT),
        hub_user=create_seed(USER),
        plane_user=create_seed(USER),
    )


def public_key(seed: bytes) -> str:
    """Return the public key of a seed in NATS's text form (`O…`, `A…` or `U…`)."""
    return cast(bytes, nkeys.from_seed(seed).public_key).decode("ascii")


def operator_jwt(authority: NatsAuthority) -> str:
    """Return the operator's own claims, which name the system account."""
    nats = {"type": "operator", "system_account": public_key(authority.system)}
    return _sign(authority.operator, public_key(authority.operator), "shuqiao", nats)


def system_account_jwt(authority: NatsAuthority) -> str:
    """Return the claims of the system account: only server events and claim updates, no data."""
    exports = [
        _export("account-monitoring-services", "$SYS.REQ.ACCOUNT.*.*", "service", position=4),
        _export("account-monitoring-streams", "$SYS.ACCOUNT.*.>", "stream", position=3),
    ]
    return _account(authority, authority.system, "SYS", exports=exports)


def hub_account_jwt(authority: NatsAuthority, max_bytes: int = HUB_MAX_BYTES) -> str:
    """Return the claims of the hub's account: streams on disk, and what is private to departments.

    A department hears of calls for its interfaces on `ask`, of those on data it keeps on `held`, and brings
    their answers to `answer`; to `reports` it brings the log of the latter.
    """
    exports = [
        _export("ingest", "ingest.*.*", "service", token_required=True),
        _export("receipts", "receipts.*.*", "service", token_required=True),
        _export("answer", "answer.*.*", "service", token_required=True),
        _export("ask", "ask.*", "stream", token_required=True),
        _export("held", "held.*", "stream", token_required=True),
        _export("reports", "reports.*.*", "service", token_required=True),
    ]
    return _account(authority, authority.hub, "HUB", exports=exports, max_disk_bytes=max_bytes)


def department_account_jwt(
    authority: NatsAuthority, account: bytes, department: str, revoked: Mapping[str, int] | None = None
) -> str:
    """Return the claims of a department's account: its own subjects of the hub, no more.

    `revoked` are public keys of users, each with the Unix second up to which claims of it count no more; the
    server cuts their connections when it takes the account.
    """
    imports = [
        _import(authority, public_key(account), "ingest", f"ingest.{department}.*"),
        _import(authority, public_key(account), "receipts", f"receipts.{department}.*"),
        _import(authority, public_key(account), "answer", f"answer.{department}.*"),
        _import(authority, public_key(account), "ask", f"ask.{department}", kind="stream"),
        _import(authority, public_key(account), "held", f"held.{department}", kind="stream"),
        _import(authority, public_key(account), "reports", f"reports.{department}.*"),
    ]
    return _account(authority, account, department, imports=imports, revoked=revoked)


def department_user_jwt(account: bytes, user: str, department: str) -> str:
    """Return the claims of a node's user: it publishes to its own subjects and reads its own inboxes.

    `account` is the seed of the department's account, `user` the public key the node made.
    """
    permissions = {
        "pub": {"allow": [f"{name}.{department}.*" for name in ("ingest", "receipts", "answer", "reports")]},
        "sub": {"allow": [f"_INBOX_{department}.>", f"ask.{department}", f"held.{department}"]},
    }
    return _user(account, user, f"node-{department}", permissions)


def hub_user_jwt(authority: NatsAuthority) -> str:
    """Return the claims of the user with which the loader reads batches and answers nodes."""
    permissions = {
        "pub": {"allow": ["$JS.API.>", "$JS.ACK.INGEST.>", "_R_.>", "_INBOX.>"]},
        "sub": {"allow": ["receipts.*.*", "reports.*.*", "_INBOX.>"]},
        "resp": {"max": 1, "ttl": 10_000_000_000},
    }
    return _user(authority.hub, public_key(authority.hub_user), "loader", permissions)


def plane_user_jwt(authority: NatsAuthority) -> str:
    """Return the claims of the user with which the plane asks nodes and takes their answers."""
    permissions = {
        "pub": {"allow": ["ask.*", "held.*"]},
        "sub": {"allow": ["answer.*.*", "_INBOX.>"]},
        "resp": {"max": 1, "ttl": 60_000_000_000},
    }
    return _user(authority.hub, public_key(authority.plane_user), "plane", permissions)


def system_user_jwt(authority: NatsAuthority) -> str:
    """Return the claims of the user that pushes new accounts to the server."""
    permissions = {
        "pub": {"allow": ["$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.CLAIMS.DELETE", "$SYS.REQ.SERVER.PING.>"]},
        "sub": {"allow": ["_INBOX.>"]},
    }
    return _user(authority.system, public_key(authority.system_user), "enrolment", permissions)


def credentials(jwt: str, seed: bytes) -> str:
    """Return the text of a `.creds` file: the user's claims and the seed that answers a challenge."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed.decode('ascii')}\n------END USER NKEY SEED------\n"
    )


def _export(
    name: str, subject: str, kind: str, *, token_required: bool = False, position: int = 0
) -> dict[str, Any]:
    export: dict[str, Any] = {"name": name, "subject": subject, "type": kind}
    if kind == "service":
        export["response_type"] = "Singleton"
    if token_required:
        export["token_req"] = True
    if position:
        export["account_token_position"] = position
    return export


def _import(
    authority: NatsAuthority, account: str, name: str, subject: str, *, kind: str = "service"
) -> dict[str, Any]:
    activation = {"type": "activation", "subject": subject, "kind": kind}
    return {
        "name": name,
        "subject": subject,
        "account": public_key(authority.hub),
        "type": kind,
        "token": _sign(authority.hub, account, subject, activation),
    }


def _account(
    authority: NatsAuthority,
    account: bytes,
    name: str,
    *,
    exports: list[dict[str, Any]] | None = None,
    imports: list[dict[str, Any]] | None = None,
    max_disk_bytes: int = 0,
    revoked: Mapping[str, int] | None = None,
) -> str:
    limits = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), _UNLIMITED)
    limits |= {"wildcards": True, "mem_storage": 0, "disk_storage": max_disk_bytes}
    limits |= {"streams": 8 if max_disk_bytes else 0, "consumer": _UNLIMITED if max_disk_bytes else 0}
    nats: dict[str, Any] = {"type": "account", "limits": limits}
    nats |= {"exports": exports or [], "imports": imports or []}
    if revoked:
        nats["revocations"] = dict(revoked)
    return _sign(authority.operator, public_key(account), name, nats)


def _user(account: bytes, user: str, name: str, permissions: dict[str, Any]) -> str:
    nats = {"type": "user", "subs": _UNLIMITED, "data": _UNLIMITED, "payload": _UNLIMITED, **permissions}
    return _sign(account, user, name, nats)


def _sign(issuer: bytes, subject: str, name: str, nats: dict[str, Any]) -> str:
    claims: dict[str, Any] = {
        "iat": int(time.time()),
        "iss": public_key(issuer),
        "name": name,
        "sub": subject,
        "nats": {**nats, "version": 2},
    }
    digest = hashlib.sha256(_json(claims)).digest()
    claims["jti"] = base64.b32encode(digest).rstrip(b"=").decode("ascii")
    header = _b64(_json({"typ": "JWT", "alg": "ed25519-nkey"}))
    signed = f"{header}.{_b64(_json(claims))}"
    return f"{signed}.{_b64(nkeys.from_seed(issuer).sign(signed.encode('ascii')))}"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
