"""The folder of a node: its keys, and what its admission by the hub gave it.

Private keys are made here and never leave it; the hub sees their public halves only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from shuqiao.security import nats_accounts
from shuqiao.security.keys import (
    SigningKey,
    load_or_create_signing_key,
    load_signing_key,
    public_der,
    read_secret_file,
    write_secret_file,
)
from shuqiao.security.replacing import replace_file
from shuqiao.wire.enrolment import Admission, NodeRequest


@dataclass(frozen=True)
class NodeFiles:
    """Where a node keeps what admission gives it, all below its home."""

    home: Path

    @property
    def signing_key(self) -> Path:
        """The key that signs batches."""
        return self.home / "keys" / "signing.pem"

    @property
    def nats_seed(self) -> Path:
        """The seed of the node's NATS user."""
        return self.home / "keys" / "nats-user.nk"

    @property
    def cover_key(self) -> Path:
        """The secret that keeps row keys out of the spool."""
        return self.home / "keys" / "cover.key"

    @property
    def credentials(self) -> Path:
        """The NATS credentials (NODE_CREDS)."""
        return self.home / "node.creds"

    @property
    def authority(self) -> Path:
        """The certificate of the authority that signs the hub's server (NODE_CA)."""
        return self.home / "ca.pem"

    @property
    def admission(self) -> Path:
        """The hub's answer: keys to trust and what each resource consists of."""
        return self.home / "admission.json"

    @property
    def enrolment(self) -> Path:
        """The token with which the node was admitted, and how often it asked: for renewals."""
        return self.home / "keys" / "enrolment.json"

    @property
    def spool(self) -> Path:
        """The spool file."""
        return self.home / "spool" / "spool.sqlite"

    @property
    def quarantine(self) -> Path:
        """Rows that the rules of screening hold here until a person has decided."""
        return self.home / "quarantine" / "quarantine.sqlite"

    @property
    def screening(self) -> Path:
        """The rules of screening that the hub has in force."""
        return self.home / "screening.json"

    @property
    def held(self) -> Path:
        """The log of calls on what stays with the department, and its word about grants."""
        return self.home / "held" / "held.sqlite"

    @property
    def orders(self) -> Path:
        """Which of the hub's wishes for a full load were followed."""
        return self.home / "orders.json"

    @property
    def subscriptions(self) -> Path:
        """The files of the department's subscriptions."""
        return self.home / "receive"

    @property
    def positions(self) -> Path:
        """How far subscriptions are whose database takes no table of ours."""
        return self.home / "receive" / "positions"

    @property
    def status(self) -> Path:
        """The status file."""
        return self.home / "status.json"


def create_request(home: Path, department: str) -> NodeRequest:
    """Make the node's keys where they are missing and return their public halves."""
    files = NodeFiles(home)
    signing = load_or_create_signing_key(files.signing_key)
    write_secret_file(files.nats_seed, nats_accounts.create_seed(nats_accounts.USER))
    user = nats_accounts.public_key(read_secret_file(files.nats_seed))
    return NodeRequest(department, public_der(signing.public_key()), user)


def accept(home: Path, admission: Admission) -> None:
    """Write credentials, authority and admission into the node's home; may be repeated."""
    files = NodeFiles(home)
    seed = read_secret_file(files.nats_seed)
    credentials = nats_accounts.credentials(admission.user_jwt, seed)
    replace_file(files.credentials, credentials.encode(), mode=0o400)
    replace_file(files.authority, admission.authority_pem.encode(), mode=0o444)
    replace_file(files.admission, msgspec.json.encode(admission), mode=0o400)


def load_admission(home: Path) -> Admission:
    """Read the hub's answer; raise FileNotFoundError where the node has not been admitted."""
    return msgspec.json.decode(NodeFiles(home).admission.read_bytes(), type=Admission)


def load_key(home: Path) -> SigningKey:
    """Read the key that signs batches."""
    return load_signing_key(NodeFiles(home).signing_key)
