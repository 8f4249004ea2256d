"""The evidence of one entry as a file: what was recorded and its proof, to be checked without the platform.

The proof part is the document that `shuqiao audit prove --out` writes, so `shuqiao audit verify --since FILE`
reads the downloaded file as well; `body` and `salt` are there for recomputing the digest.
"""

import base64

from django.conf import settings
from django.db import connection

from shuqiao.control.operations.queries import AuditProof
from shuqiao.rules.checkpoint import time_text

PROOF_FORMAT = "shuqiao/audit-proof/v1"
# An entry that waits for its number has no proof yet; its file says what was recorded and no more.
ENTRY_FORMAT = "shuqiao/audit-entry/v1"


def evidence_of(proof: AuditProof) -> dict[str, object]:
    """Return the evidence as JSON values; `body` and `salt` are empty where the viewer may not see them."""
    recorded: dict[str, object] = {
        "entry": proof.row.id,
        "digest": proof.digest,
        "body": proof.body,
        "salt": proof.salt,
    }
    checkpoint = _checkpoint(proof)
    if checkpoint is None:
        return {"format": ENTRY_FORMAT, **recorded}
    return {
        "format": PROOF_FORMAT,
        **recorded,
        "position": proof.row.position,
        "path": [sibling.hash for sibling in proof.path],
        "checkpoint": checkpoint,
        "public_key": _public_key(proof.key_id),
    }


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
