"""What the regulation in force cites for each matter, where the data plane reads it."""

from django.db import connection, transaction

from shuqiao.control.regulations.queries import citations


@transaction.atomic
def store_citations() -> int:
    """Bring `exchange.citation` to what the regulation in force says; the rows that changed.

    May run at any time and beside itself: only what differs is written, so the epoch stays where it is.
    """
    said = citations()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('exchange.citation'))")
        cursor.execute("SELECT matter, citation FROM exchange.citation")
        stored = dict(cursor.fetchall())
        gone = sorted(stored.keys() - said.keys())
        changed = sorted(said.items() - stored.items())
        if gone:
            cursor.execute("DELETE FROM exchange.citation WHERE matter = ANY(%s)", [gone])
        if changed:
            cursor.executemany(
                "INSERT INTO exchange.citation (matter, citation) VALUES (%s, %s)"
                " ON CONFLICT (matter) DO UPDATE SET citation = excluded.citation",
                changed,
            )
    return len(gone) + len(changed)
