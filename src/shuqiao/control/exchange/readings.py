"""Reading states, ledger and subscriptions as they stand now, by the clock of the database.

Nodes and ledger live in real time, also where the office of a sample city plays days ahead.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import connection

from shuqiao.control import clock
from shuqiao.control.clock import LEGAL_ZONE
from shuqiao.wire.enrolment_token import fingerprint
from shuqiao.wire.node_state import NodeState

HOURS = 24
RATE_MINUTES = 5

_NODES = """
SELECT n.department, n.active, s.heard_at, s.silent_since, s.state::text, clock_timestamp(),
       n.public_key, n.nats_user,
       n.active AND n.admitted IS NOT NULL AND n.admitted <> exchange.resource_digests(n.department)
FROM exchange.node n LEFT JOIN exchange.node_state s USING (department)
WHERE %(department)s::text IS NULL OR n.department = %(department)s ORDER BY n.department
"""
_ORDERS = """
SELECT resource_id, paused, CASE WHEN let_through > 0 THEN let_rows END
FROM exchange.node_order WHERE department = %s
"""
_LINES = """
SELECT b.department, b.resource_id, sum(b.accepted) FILTER (WHERE b.merged_at >= day.start),
       coalesce(sum(jsonb_array_length(b.rejected)) FILTER (WHERE b.merged_at >= day.start), 0),
       sum(b.accepted) FILTER (WHERE b.merged_at >= clock_timestamp() - %(rate)s::interval), max(b.merged_at),
       extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (
           ORDER BY b.merged_at - (b.manifest::jsonb ->> 'created')::timestamptz)
           FILTER (WHERE b.merged_at >= clock_timestamp() - %(rate)s::interval))
FROM exchange.batch b,
     (SELECT date_trunc('day', clock_timestamp() AT TIME ZONE %(zone)s) AT TIME ZONE %(zone)s AS start) day
WHERE b.merged_at >= least(day.start, clock_timestamp() - %(rate)s::interval)
  AND (%(department)s::text IS NULL OR b.department = %(department)s)
GROUP BY b.department, b.resource_id ORDER BY b.department, b.resource_id
"""
GRANT_STATE = """
(SELECT CASE WHEN g.revoked_at IS NOT NULL THEN 'over'
             WHEN (g.document::jsonb ->> 'valid_until')::date < %(today)s THEN 'over'
             WHEN g.suspended_at IS NOT NULL THEN 'suspended' END
 FROM exchange."grant" g WHERE g.id = s.grant_id)
"""
"""Whether the grant of subscription `s` is over or suspended on the day `today`; null while it is in use."""
_FEEDS = f"""
SELECT s.id::text, s.department, s.provider, s.resource_id, s.last_number, s.taken_number, s.taken_at,
       coalesce((SELECT max(b.sequence) FROM exchange.batch b
                 WHERE b.department = s.provider AND b.resource_id = s.resource_id), 0) > s.position,
       (SELECT extract(epoch FROM clock_timestamp() - min(j.ready_at)) FROM exchange.bulk_job j
        WHERE j.subscription = s.id AND j.number > s.taken_number AND j.state = 'ready'),
       (SELECT coalesce(sum(j.rows), 0) FROM exchange.bulk_job j
        WHERE j.subscription = s.id AND j.ready_at >= clock_timestamp() - %(rate)s::interval),
       (SELECT coalesce(sum(j.rows), 0) FROM exchange.bulk_job j WHERE j.subscription = s.id AND j.ready_at >=
            date_trunc('day', clock_timestamp() AT TIME ZONE %(zone)s) AT TIME ZONE %(zone)s),
       (SELECT j.failure FROM exchange.bulk_job j WHERE j.subscription = s.id AND j.state = 'failed'
        ORDER BY j.number DESC LIMIT 1),
       {GRANT_STATE}
FROM exchange.subscription s
WHERE s.ended_at IS NULL
  AND (%(department)s::text IS NULL OR s.department = %(department)s OR s.provider = %(department)s)
ORDER BY s.department, s.resource_id
"""
_HOURLY = """
WITH hours AS (SELECT generate_series(date_trunc('hour', clock_timestamp()) - %(back)s::interval,
                                      date_trunc('hour', clock_timestamp()), interval '1 hour') AS hour),
received AS (SELECT date_trunc('hour', merged_at) AS hour, sum(accepted) AS rows FROM exchange.batch
             WHERE merged_at >= date_trunc('hour', clock_timestamp()) - %(back)s::interval
               AND (%(department)s::text IS NULL OR department = %(department)s) GROUP BY 1),
given AS (SELECT date_trunc('hour', ready_at) AS hour, sum(rows) AS rows FROM exchange.bulk_job
          WHERE subscription IS NOT NULL
            AND ready_at >= date_trunc('hour', clock_timestamp()) - %(back)s::interval
            AND (%(department)s::text IS NULL OR department = %(department)s) GROUP BY 1)
SELECT h.hour, coalesce(r.rows, 0), coalesce(g.rows, 0)
FROM hours h LEFT JOIN received r USING (hour) LEFT JOIN given g USING (hour) ORDER BY h.hour
"""
_BATCHES = """
SELECT r.id, b.*
FROM unnest(%(resources)s::text[]) r(id) CROSS JOIN LATERAL (
    SELECT b.sequence, b.merged_at, b.accepted, b.inserted, b.updated, b.unchanged, b.removed,
           jsonb_array_length(b.rejected), jsonb_path_query_array(b.rejected, '$[0 to 49]')::text
    FROM exchange.batch b WHERE b.department = %(department)s AND b.resource_id = r.id
    ORDER BY b.sequence DESC LIMIT %(most)s) b
"""
_REFUSED = """
SELECT resource_id, reason, refused_at FROM exchange.batch_refusal
WHERE department = %s ORDER BY refused_at DESC LIMIT %s
"""


@dataclass(frozen=True)
class NodeReading:
    """A node as it was heard last; times are of the database, `now` is when this was read.

    `is_outdated`: its entries have changed since it was told of them.
    """

    department: str
    is_active: bool
    heard_at: datetime | None
    silent_since: datetime | None
    state: NodeState | None
    now: datetime
    fingerprint: str
    is_outdated: bool

    @property
    def quiet_s(self) -> float | None:
        """How long nothing has been heard, in seconds; None where nothing ever was."""
        return None if self.heard_at is None else max(0.0, (self.now - self.heard_at).total_seconds())


@dataclass(frozen=True)
class LineReading:
    """What the ledger says of one table's batches: rows today, faults today, rows in the last minutes."""

    department: str
    resource: str
    rows_today: int
    rejected_today: int
    rows_lately: int
    merged_at: datetime
    lag_s: float | None


@dataclass(frozen=True)
class FeedReading:
    """One subscription: parts made and taken; `waiting_s` is how long the oldest untaken part has waited."""

    id: str
    consumer: str
    provider: str
    resource: str
    made: int
    taken: int
    taken_at: datetime | None
    is_behind: bool
    waiting_s: float | None
    rows_lately: int
    rows_today: int
    failure: str | None
    grant_state: str | None


@dataclass(frozen=True)
class Hour:
    """Rows that came and rows that were made ready for subscribers within one hour."""

    hour: datetime
    received: int
    given: int


@dataclass(frozen=True)
class BatchReading:
    """One batch of the ledger; `rejected` counts its faults, `faults` are the first: row, item and code."""

    sequence: int
    merged_at: datetime
    accepted: int
    inserted: int
    updated: int
    unchanged: int
    removed: int
    rejected: int
    faults: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class OrderReading:
    """What is asked of a node about one table; `let_rows` is how many rows the last word let leave."""

    is_paused: bool = False
    let_rows: int | None = None


@dataclass(frozen=True)
class RefusalReading:
    """A batch that was refused whole."""

    resource: str | None
    reason: str
    refused_at: datetime


def read_nodes(department: str | None) -> list[NodeReading]:
    """Return the nodes of one department or of all."""
    return [
        NodeReading(code, active, heard, silent, _state(text), now, fingerprint(bytes(key), user), outdated)
        for code, active, heard, silent, text, now, key, user, outdated in _rows(
            _NODES, {"department": department}
        )
    ]


def read_lines(department: str | None) -> list[LineReading]:
    """Return what came from each table today and in the last minutes."""
    given = {"department": department, "zone": LEGAL_ZONE.key, "rate": timedelta(minutes=RATE_MINUTES)}
    return [
        LineReading(code, resource, int(today or 0), int(rejected), int(lately or 0), merged, _seconds(lag))
        for code, resource, today, rejected, lately, merged, lag in _rows(_LINES, given)
    ]


def read_feeds(department: str | None) -> list[FeedReading]:
    """Return the subscriptions that run, those the department takes and those about what it provides."""
    given = {
        "department": department,
        "zone": LEGAL_ZONE.key,
        "rate": timedelta(minutes=RATE_MINUTES),
        "today": clock.today(),
    }
    return [
        FeedReading(
            *(key, to, by, entry, made, taken, at, behind),
            *(_seconds(waiting), int(lately), int(today), failure, grant),
        )
        for key, to, by, entry, made, taken, at, behind, waiting, lately, today, failure, grant in _rows(
            _FEEDS, given
        )
    ]


def read_hours(department: str | None) -> list[Hour]:
    """Return the rows of each of the last hours, the running one last."""
    given = {"department": department, "back": timedelta(hours=HOURS - 1)}
    return [Hour(hour, int(came), int(went)) for hour, came, went in _rows(_HOURLY, given)]


def read_orders(department: str) -> dict[str, OrderReading]:
    """Return what is asked of a department's node, by resource."""
    return {resource: OrderReading(*said) for resource, *said in _rows(_ORDERS, [department])}


def read_batches(department: str, resources: list[str], most: int) -> dict[str, list[BatchReading]]:
    """Return the newest batches of each of these tables, the newest first."""
    found: dict[str, list[BatchReading]] = {resource: [] for resource in resources}
    given = {"department": department, "resources": resources, "most": most}
    for resource, number, at, accepted, new, changed, same, gone, count, faults in _rows(_BATCHES, given):
        batch = BatchReading(number, at, accepted, new, changed, same, gone, count, _faults(faults))
        found[resource].append(batch)
    return found


def read_refusals(department: str, most: int) -> list[RefusalReading]:
    """Return the newest batches of a department that were refused whole."""
    return [RefusalReading(*row) for row in _rows(_REFUSED, [department, most])]


def _rows(sql: str, given: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return list(cursor.fetchall())


def _seconds(value: Any) -> float | None:
    return None if value is None else max(0.0, float(value))


def _state(text: str | None) -> NodeState | None:
    """A state that an older or newer node sent, and this version can't read, counts as none."""
    try:
        return None if text is None else msgspec.json.decode(text, type=NodeState)
    except msgspec.ValidationError:
        return None


def _faults(text: str) -> tuple[tuple[int, str, str], ...]:
    found = msgspec.json.decode(text, type=list[dict[str, Any]])
    return tuple((int(one["row"]), str(one["item"]), str(one["code"])) for one in found)
