"""Reads stored hashes of the log's tree."""

from collections.abc import Sequence

from django.db import connection

from shuqiao.rules.merkle import Place


def stored_hashes(places: Sequence[Place]) -> dict[Place, bytes]:
    """Read the hashes at these places; what is gone is left out, so that a proof fails and not a page."""
    leaves = [at for level, at in places if level == 0]
    inner = [(level, at) for level, at in places if level > 0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT 0, position, hash FROM audit.leaf WHERE position = ANY(%s)", [leaves])
        rows = cursor.fetchall()
        cursor.execute(
            "SELECT n.level, n.position, n.hash FROM audit.node n"
            " JOIN unnest(%s::smallint[], %s::bigint[]) AS w(level, position) USING (level, position)",
            [[level for level, _ in inner], [at for _, at in inner]],
        )
        rows += cursor.fetchall()
    return {(int(level), int(at)): bytes(value) for level, at, value in rows}
