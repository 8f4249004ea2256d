"""The audit log from month to month: room for those to come, and the end of what is older than its retention.

Control owns nothing of the log. It tells the database how long the regulation in force keeps the text of an
entry; the functions of the database decide what may go, and write it down.
Source: our choice, decision 25.
"""

from django.db import connection, transaction

from shuqiao.control.regulations.current import regulation

ACTOR = "system:log"
MONTHS_AHEAD = 15
BATCH = 5_000
BATCHES = 200
"""So many in one run, each a transaction of its own; the rest goes with the next run."""


def keep_log() -> int:
    """Bring the log up to date with the month and the regulation; how many entries lost their text.

    May run late, twice, or beside itself.
    """
    rules = regulation()
    _call("SELECT audit.add_parts(%s)", MONTHS_AHEAD)
    _call("SELECT audit.set_retention(%s, %s, %s)", rules.body_months, rules.id, ACTOR)
    gone = 0
    for _ in range(BATCHES):
        removed = _call("SELECT audit.prune(%s, %s)", BATCH, ACTOR)
        gone += removed
        if not removed:
            break
    return gone


@transaction.atomic
def _call(statement: str, *values: int | str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row = cursor.fetchone()
    return int(row[0]) if row else 0
