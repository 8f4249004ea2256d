"""What consumers say of the parts of their subscriptions, as they signed it: for the provider's page."""

import json
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

MOST = 200

_RECEIPTS = """
SELECT s.id::text, s.department, s.provider, s.resource_id, s.grant_id, r.number, r.entry::text, r.said_at,
       r.applied_at, r.applied, r.gone, r.dead, encode(r.manifest_digest, 'hex'), r.unfit::text
FROM exchange.subscription_receipt r JOIN exchange.subscription s ON s.id = r.subscription
WHERE (%(department)s::text IS NULL OR s.department = %(department)s OR s.provider = %(department)s)
  AND (%(subscription)s::text IS NULL OR s.id = %(subscription)s::uuid)
ORDER BY r.said_at DESC, r.number DESC LIMIT %(most)s
"""


@dataclass(frozen=True)
class ReceiptReading:
    """One receipt: rows put in or changed, rows gone, rows that didn't fit; `entry` is its audit entry.

    `unfit` are the first of those that didn't fit: their number in the part, and the code of the reason.
    """

    subscription: str
    consumer: str
    provider: str
    resource: str
    grant: str
    number: int
    entry: str
    said_at: datetime
    applied_at: datetime
    applied: int
    gone: int
    dead: int
    manifest_digest: str
    unfit: tuple[tuple[int, str], ...]


def read_receipts(department: str | None, subscription: str | None = None) -> list[ReceiptReading]:
    """Return the newest receipts of what a department takes or provides, or of all; the newest first.

    `department` is what `access.scope_of` says of the viewer.
    """
    given = {"department": department, "subscription": subscription, "most": MOST}
    with connection.cursor() as cursor:
        cursor.execute(_RECEIPTS, given)
        return [
            ReceiptReading(*(*row[:13], tuple((one, why) for one, why in json.loads(row[13]))))
            for row in cursor.fetchall()
        ]
