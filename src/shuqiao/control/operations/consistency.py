"""That the log of one checkpoint begins that of another, as a document to take away.

Whoever kept an earlier one compares its root; RFC 9162, 2.1.4.2 says how the path is checked.
"""

import base64
from typing import Any

from django.conf import settings
from django.db import connection

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.operations.audit import may_read_audit
from shuqiao.control.operations.tree import stored_hashes
from shuqiao.rules import merkle
from shuqiao.rules.checkpoint import time_text

FORMAT = "shuqiao/audit-consistency/v1"


def consistency_proof(viewer: Viewer, older: int, newer: int | None) -> dict[str, Any]:
    """Prove it between two sizes, the newer being the newest checkpoint if none is named.

    Raises `NotFound` where there is no such checkpoint, or for who doesn't read the log.
    """
    if not may_read_audit(viewer):
        raise NotFound
    first, last = _checkpoint(older), _checkpoint(newer)
    sizes = first["size"], last["size"]
    if sizes[0] > sizes[1]:
        raise NotFound
    hashes = stored_hashes(merkle.nodes_for_consistency(*sizes))
    path = merkle.consistency_proof(lambda level, at: hashes.get((level, at), bytes(32)), *sizes)
    return {"format": FORMAT, "older": first, "newer": last, "path": [node.hex() for node in path]}


def _checkpoint(size: int | None) -> dict[str, Any]:
    which = "ORDER BY size DESC LIMIT 1" if size is None else "WHERE size = %s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT size, root, signed_at, key_id, signature FROM audit.checkpoint {which}",
            [] if size is None else [size],
        )
        found = cursor.fetchone()
    if found is None:
        raise NotFound
    return {
        "origin": settings.CONFIG.log_origin,
        "size": found[0],
        "root": base64.b64encode(bytes(found[1])).decode("ascii"),
        "signed_at": time_text(found[2]),
        "key_id": found[3],
        "signature": base64.b64encode(bytes(found[4])).decode("ascii"),
    }
