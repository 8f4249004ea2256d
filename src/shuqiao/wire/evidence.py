"""Evidence of one call, or of one copy, in one file.

The file begins with the proof that the entry is in the log, as `shuqiao audit prove --out` writes it, and
adds what shows the call: the signed request, the promise, the grant, and for a session's call the head that
the application signed. Of a copy or a part of a feed it adds the signed manifest and the other entries about
it, each as a file of its own would have it. `wire.evidence_checking` checks it.

Source: our choice, decisions 21 and 22
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated
from uuid import UUID

import msgspec

from shuqiao.rules.checkpoint import is_origin
from shuqiao.wire.call_proof import MAC
from shuqiao.wire.receipt import Promise

PROOF_FORMAT = "shuqiao/audit-proof/v1"
EVIDENCE = "shuqiao/evidence/v1"
SIGNED = "signed"
BY_CHAIN = "confirmed-by-chain"
UNCONFIRMED = "unconfirmed"
PLATFORM = "platform"
MAX_FILE_BYTES = 4 * 1024 * 1024

Base64 = Annotated[str, msgspec.Meta(max_length=8192)]
Name = Annotated[str, msgspec.Meta(max_length=200)]


class CheckpointPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The signed checkpoint over the log that holds the entry."""

    origin: Name
    size: Annotated[int, msgspec.Meta(gt=0)]
    root: Base64
    signed_at: Name
    key_id: Name
    signature: Base64


class KeyPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A public key of the platform (SubjectPublicKeyInfo DER in base64) and what it signs."""

    id: Name
    purpose: Name
    algorithm: Name
    public_key: Base64
    certificate: Base64 = ""


class ApplicationPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The application's key the request was signed with, or the session agreed."""

    id: Name
    application: Name
    department: Name
    algorithm: Name
    public_key: Base64
    certificate: Base64 = ""


class RequestPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The signed request: `covered` as `security.http_signatures.base_of` reads it."""

    algorithm: Name
    covered: Annotated[str, msgspec.Meta(max_length=8192)]
    signature: Base64


class HeadPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list of a session's calls as the application signed it."""

    body: Annotated[str, msgspec.Meta(max_length=1024 * 1024)]
    covered: Annotated[str, msgspec.Meta(max_length=8192)]
    algorithm: Name
    signature: Base64
    key_id: Name


class GrantPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The grant's document and the platform's signature over it."""

    document: Annotated[str, msgspec.Meta(max_length=1024 * 1024)]
    signature: Base64
    key_id: Name


class RegulationPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version of the regulation the grant rests on: its id and SHA-256 of its file."""

    id: Name
    sha256: Annotated[str, msgspec.Meta(pattern="^(?:[0-9a-f]{64})?$")]


class CopyPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest of a copy as it was signed, and the entries about it besides the file's own."""

    manifest: Annotated[str, msgspec.Meta(max_length=1024 * 1024)]
    signature: Base64
    key_id: Name
    entries: Annotated[tuple[Evidence, ...], msgspec.Meta(max_length=80)]


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file of evidence. `body` and `salt` are empty where its maker may not see the entry's words."""

    format: str
    entry: UUID
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    body: Annotated[str, msgspec.Meta(max_length=1024 * 1024)]
    salt: Annotated[str, msgspec.Meta(pattern="^(?:[0-9a-f]{32})?$")]
    position: Annotated[int, msgspec.Meta(ge=0)]
    path: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")], ...], msgspec.Meta(max_length=64)
    ]
    checkpoint: CheckpointPart
    evidence: str
    confirmed: str
    keys: Annotated[tuple[KeyPart, ...], msgspec.Meta(max_length=16)]
    application: ApplicationPart | None = None
    request: RequestPart | None = None
    head: HeadPart | None = None
    promise: Promise | None = None
    grant: GrantPart | None = None
    regulation: RegulationPart | None = None
    copy: CopyPart | None = None


class EvidenceUnreadable(ValueError):
    """A file that is no evidence, or holds more than evidence does."""


_decoder = msgspec.json.Decoder(Evidence, strict=True)


def read_evidence(content: bytes) -> Evidence:
    """Read a file; raises `EvidenceUnreadable`."""
    if len(content) > MAX_FILE_BYTES:
        raise EvidenceUnreadable("the file is larger than evidence is")
    try:
        evidence = _decoder.decode(content)
        twice = json.loads(content, object_pairs_hook=_no_key_twice)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise EvidenceUnreadable(f"not evidence: {error}") from error
    if not isinstance(twice, dict):
        raise EvidenceUnreadable("not evidence of a log")
    others = evidence.copy.entries if evidence.copy is not None else ()
    if any(other.copy is not None for other in others):
        raise EvidenceUnreadable("evidence of a copy stands in evidence of a copy")
    for one in (evidence, *others):
        _refuse_unknown(one)
    return evidence


def _refuse_unknown(evidence: Evidence) -> None:
    try:
        moment = dt.datetime.fromisoformat(evidence.checkpoint.signed_at)
    except ValueError as error:
        raise EvidenceUnreadable(f"not evidence: {error}") from error
    if (evidence.format, evidence.evidence) != (PROOF_FORMAT, EVIDENCE) or moment.tzinfo is None:
        raise EvidenceUnreadable("not evidence of a known version")
    if not is_origin(evidence.checkpoint.origin):
        raise EvidenceUnreadable("not evidence of a log")


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def confirmation(evidence: Evidence) -> str:
    """Say by what the application confirmed the call, going by what the file holds."""
    if evidence.request is None:
        return UNCONFIRMED
    if evidence.request.algorithm != MAC:
        return SIGNED
    return BY_CHAIN if evidence.head is not None else UNCONFIRMED
