"""The commands `shuqiao audit evidence` and `shuqiao audit keys`: what is handed to a third party.

The evidence is read as the auditor; the signed request and the promise come out of the vault, which records
that they were opened. The file holds no value and no number of a person, but with the digest of the request's
body whoever has it can try numbers out: it is for those who may know whom the call was about.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

import shuqiao
from shuqiao.auditlog import proofs
from shuqiao.auditlog.entries import StoredEntry
from shuqiao.security import keys
from shuqiao.wire.call_proof import decode_promises, decode_request
from shuqiao.wire.evidence import RegulationPart
from shuqiao.wire.evidence_making import assemble, with_copy
from shuqiao.wire.vault import VaultError, open_sealed_sync

CLIENT: Final = "auditor"
PURPOSES: Final = ("log", "promise", "grants")
_REGULATION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class VaultPlace:
    """Where the vault listens, and the file with the auditor's secret."""

    socket: Path
    key_file: Path


class EvidenceError(Exception):
    """Evidence can't be made; the message says why and what to do."""


def make_evidence(
    connection: proofs.Connection, entry: StoredEntry, proof: proofs.InclusionProof, vault: VaultPlace | None
) -> dict[str, object]:
    """Put the evidence of an entry together as JSON values, with its copy's; raises `EvidenceError`."""
    copy = _read(connection, "evidence_of_copy", entry.id)
    # The evidence of what the platform itself did names no application, but the keys that sign it.
    own = {"keys": copy.get("keys")}
    made = _made(entry, proof, vault, _read(connection, "evidence", entry.id) or own)
    if not copy:
        return made
    others = []
    for wanted in copy["entries"]:
        other = proofs.read_entry(connection, UUID(wanted))
        position = None if other is None else proofs.read_position(connection, other.id)
        if other is None or position is None or proof.signed.checkpoint.size <= position:
            raise EvidenceError("An entry of the copy is not numbered yet; ask again in a second.")
        its = proofs.prove_inclusion(connection, other, position, proof.signed)
        others.append(_made(other, its, vault, _read(connection, "evidence", other.id) or own))
    return with_copy(made, copy, others)


def _read(connection: proofs.Connection, function: str, entry: UUID) -> dict[str, Any]:
    row = connection.execute(f"SELECT exchange.{function}(%b)", [entry], binary=True).fetchone()
    return row[0] if row is not None and isinstance(row[0], dict) else {}


def _made(
    entry: StoredEntry, proof: proofs.InclusionProof, vault: VaultPlace | None, kept: Mapping[str, Any]
) -> dict[str, object]:
    opened = _opened(entry.id, kept, vault)
    words = (entry.body or "", entry.salt.hex() if entry.body is not None else "")
    regulation = regulation_part(str(kept.get("regulation") or ""))
    return assemble(proof.document(), words, kept, opened, regulation)


def _opened(
    entry: UUID, kept: Mapping[str, Any], vault: VaultPlace | None
) -> tuple[bytes | None, bytes | None]:
    """Let the vault open what was sealed: the request, and the promises of the call's batch."""
    asked: list[tuple[Literal["request", "promises"], bytes]] = []
    if kept.get("sealed"):
        asked.append(("request", base64.b64decode(kept["sealed"])))
    if kept.get("promise"):
        asked.append(("promises", base64.b64decode(kept["promise"]["sealed"])))
    if not asked:
        return None, None
    if vault is None:
        raise EvidenceError("The signed request is sealed: set VAULT_SOCKET and AUDIT_VAULT_KEY_FILE.")
    try:
        key = keys.load_secret_file(vault.key_file)
        plain = open_sealed_sync(
            vault.socket, CLIENT, key, resource=kept.get("resource"), sealed=asked, entries=[entry]
        )
    except (keys.KeyRefusedError, VaultError) as error:
        raise EvidenceError(f"The vault did not open the signed request: {error}") from error
    found = dict(zip((kind for kind, _ in asked), plain, strict=True))
    return _readable(found.get("request"), decode_request), _readable(found.get("promises"), decode_promises)


def _readable(raw: bytes | None, decode: Any) -> bytes | None:
    if raw is None:
        return None
    try:
        decode(raw)
    except msgspec.MsgspecError as error:
        raise EvidenceError("What was sealed with the entry can't be read.") from error
    return raw


def regulation_part(citation: str) -> RegulationPart | None:
    """Name the regulation a grant rests on, with the SHA-256 of its file as this platform has it."""
    name = citation.partition(" ")[0]
    if _REGULATION.fullmatch(name) is None:
        return None
    package = Path(shuqiao.__file__).resolve().parent
    for folder in (package / "regulations", package.parent.parent / "regulations"):
        file = folder / f"{name}.yaml"
        if file.is_file():
            return RegulationPart(name, hashlib.sha256(file.read_bytes()).hexdigest())
    return RegulationPart(name, "")


def public_keys_text(connection: proofs.Connection) -> str:
    """Write the platform's public keys as a verifier keeps them: PEM blocks, each after its purpose."""
    parts = []
    for purpose in PURPOSES:
        for number, key in sorted(proofs.read_keys(connection, purpose).items()):
            der = base64.b64encode(keys.public_der(key)).decode("ascii")
            lines = "\n".join(der[at : at + 64] for at in range(0, len(der), 64))
            parts.append(
                f"purpose: {purpose}\nid: {number}\n"
                f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"
            )
    return "\n".join(parts)
