"""The evidence of one entry as a file: what was recorded and its proof, to be checked without the platform.

The proof part is the document that `shuqiao audit prove --out` writes, so `shuqiao audit verify --since FILE`
reads the downloaded file as well; `body` and `salt` are there for recomputing the digest. Of a call, the file
also holds the signed request, the promise, the grant and what confirmed it (`wire.evidence`); the vault opens
the request, and it is recorded who was given it. Of a copy it holds the signed manifest and the other entries
about it.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.operations.audit import audit_proof
from shuqiao.control.operations.queries import AuditProof
from shuqiao.control.regulations.files import regulation_ids, regulations_dir
from shuqiao.rules.checkpoint import time_text
from shuqiao.rules.errors import Unavailable
from shuqiao.security import keys
from shuqiao.wire.evidence import PROOF_FORMAT, RegulationPart
from shuqiao.wire.evidence_making import assemble, with_copy
from shuqiao.wire.vault import VaultError, open_sealed_sync

# An entry that waits for its number has no proof yet; its file says what was recorded and no more.
ENTRY_FORMAT = "shuqiao/audit-entry/v1"


def evidence_of(proof: AuditProof, viewer: Viewer) -> dict[str, object]:
    """Return the evidence as JSON values; `body` and `salt` are empty where the viewer may not see them."""
    copy, vault = _read("evidence_of_copy", proof.row.id), _vault()
    if not copy or vault is None:
        return _one(proof, viewer, vault, {})
    own = {"keys": copy["keys"]}
    others = [_one(audit_proof(viewer, entry), viewer, vault, own) for entry in copy["entries"]]
    made = _one(proof, viewer, vault, own)
    # While an entry waits for its number the file shows the one that was asked for, and no copy.
    is_waiting = any(one["format"] != PROOF_FORMAT for one in (made, *others))
    return made if is_waiting else with_copy(made, copy, others)


def _one(
    proof: AuditProof, viewer: Viewer, vault: tuple[Path, Path] | None, own: dict[str, Any]
) -> dict[str, object]:
    """Return the evidence of one entry; `own` is used where nothing is kept of a signed request."""
    recorded: dict[str, object] = {
        "entry": proof.row.id,
        "digest": proof.digest,
        "body": proof.body,
        "salt": proof.salt,
    }
    checkpoint = _checkpoint(proof)
    if checkpoint is None:
        return {"format": ENTRY_FORMAT, **recorded}
    shown: dict[str, object] = {
        "format": PROOF_FORMAT,
        "entry": proof.row.id,
        "digest": proof.digest,
        "position": proof.row.position,
        "path": [sibling.hash for sibling in proof.path],
        "checkpoint": checkpoint,
    }
    kept = _read("evidence", proof.row.id) or own
    if vault is None or not (kept.get("sealed") or own):
        return shown | recorded | {"public_key": _public_key(proof.key_id)}
    opened = (None, None) if not kept.get("sealed") else _opened(proof, kept, vault)
    if opened[0] is not None:
        _record(viewer, proof)
    return assemble(shown, (proof.body, proof.salt), kept, opened, _regulation(kept.get("regulation")))


def _read(function: str, entry: str) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT exchange.{function}(%s)", [UUID(entry)])
        found = (cursor.fetchone() or (None,))[0]
    kept = json.loads(found) if isinstance(found, str) else found
    return kept if isinstance(kept, dict) else {}


def _vault() -> tuple[Path, Path] | None:
    """Where the vault listens, and the file with control's secret; None where this control has none."""
    config = settings.CONFIG
    if config.vault_socket is None or config.vault_key_file is None:
        return None
    return config.vault_socket, config.vault_key_file


def _opened(
    proof: AuditProof, kept: dict[str, Any], vault: tuple[Path, Path]
) -> tuple[bytes | None, bytes | None]:
    """Let the vault open the signed request and the promise; raises `Unavailable`."""
    asked: list[tuple[Literal["request", "promises"], bytes]] = [
        ("request", base64.b64decode(kept["sealed"]))
    ]
    if kept.get("promise"):
        asked.append(("promises", base64.b64decode(kept["promise"]["sealed"])))
    try:
        plain = open_sealed_sync(
            vault[0],
            "control",
            keys.load_secret_file(vault[1]),
            resource=proof.row.resource or None,
            sealed=asked,
            entries=[UUID(proof.row.id)],
        )
    except (keys.KeyRefusedError, VaultError) as error:
        raise Unavailable() from error
    return plain[0], plain[1] if len(plain) > 1 else None


@transaction.atomic
def _record(viewer: Viewer, proof: AuditProof) -> None:
    """Write to the log who was given the signed request."""
    append_entry(
        "evidence_given",
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome="given",
        department=viewer.department.code,
        resource_id=proof.row.resource or None,
        grant_id=proof.row.grant or None,
        facts={"delivery": proof.row.id},
    )


def _regulation(citation: object) -> RegulationPart | None:
    name = str(citation or "").partition(" ")[0]
    if name not in regulation_ids():
        return None
    content = (regulations_dir() / f"{name}.yaml").read_bytes()
    return RegulationPart(name, hashlib.sha256(content).hexdigest())


def _checkpoint(proof: AuditProof) -> dict[str, object] | None:
    if proof.size is None or proof.signed_at is None or proof.row.position is None:
        return None
    if proof.row.position >= proof.size:
        return None
    return {
        "origin": settings.CONFIG.log_origin,
        "size": proof.size,
        "root": base64.b64encode(bytes.fromhex(proof.root)).decode("ascii"),
        "signed_at": time_text(proof.signed_at),
        "key_id": proof.key_id,
        "signature": _value("SELECT signature FROM audit.checkpoint WHERE size = %s", proof.size),
    }


def _public_key(key_id: str) -> str:
    """Return the log's public key; whoever doubts the platform takes it from somewhere else."""
    return _value("SELECT public_key FROM exchange.signing_key WHERE purpose = 'log' AND id = %s", key_id)


def _value(query: str, parameter: str | int) -> str:
    with connection.cursor() as cursor:
        cursor.execute(query, [parameter])
        row = cursor.fetchone()
    return base64.b64encode(bytes(row[0])).decode("ascii") if row else ""
