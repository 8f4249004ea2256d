"""What hub and node exchange when a department's node is admitted; private keys stay where they were made."""

from __future__ import annotations

import msgspec

from shuqiao.wire.schemas import ResourceSpec


class NodeRequest(msgspec.Struct, frozen=True):
    """The public halves of the keys a node made: one signs batches (SPKI DER), one answers NATS (`U…`)."""

    department: str
    signing_key: bytes
    nats_user: str


class HubKey(msgspec.Struct, frozen=True):
    """A public key of the hub (SPKI DER) under its id."""

    id: str
    public_key: bytes


class Admission(msgspec.Struct, frozen=True):
    """The hub's answer: the user's claims, the keys to trust, and what each resource consists of.

    `grant_keys` are those of the platform's grants, which a node checks by itself. `nats_url` is where the
    node finds the message server: one address, or several of a cluster with commas between; empty in an
    admission of a hub that didn't say.
    """

    department: str
    user_jwt: str
    authority_pem: str
    receipt_keys: tuple[HubKey, ...]
    vault_key: HubKey
    resources: dict[str, ResourceSpec]
    grant_keys: tuple[HubKey, ...] = ()
    nats_url: str = ""
