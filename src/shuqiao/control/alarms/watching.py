"""Reading the log as it grows and raising alarms: each entry is counted once, whenever the worker dies.

Leaves of the log are read in order of their positions, which the integrator gives each entry once; how far
they were read and what was counted are written in one transaction.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.alarms.models import Alarm, Reading, SubjectDay, UsageDay
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import regulation
from shuqiao.rules.ids import alarm_no
from shuqiao.rules.usage import Day, Finding, Kind, Limits, findings, is_shared_subject

CHUNK = 20_000
MAX_CHUNKS = 50
"""So many entries are read in one run at most; the next run goes on."""

EARLIER_DAYS = 30
KEPT_DAYS = 400
LIMITS = Limits()

_COUNT = """
WITH taken AS MATERIALIZED (
    SELECT e.event, e.department, e.resource_id, e.record_id, coalesce(e.grant_id, '') AS grant_id, e.outcome,
           e.event NOT IN ('call_refused', 'guessing_suspected') AS is_use,
           (e.occurred_at AT TIME ZONE %(zone)s)::date AS day,
           coalesce(split_part(e.body, E'\\n', 1)::jsonb ->> 'application',
                    split_part(e.actor, '/', 1)) AS application,
           coalesce(split_part(e.body, E'\\n', 1)::jsonb ->> 'purpose', '') AS purpose,
           coalesce((split_part(e.body, E'\\n', 1)::jsonb ->> 'near')::boolean, false) AS near,
           coalesce((nullif(split_part(e.body, E'\\n', 2), '')::jsonb ->> 'found')::boolean, true) AS found,
           -- What stays with a department is guarded by its node, which says so in its signed answer.
           e.outcome = 'case_number_demanded' AND strpos(split_part(e.body, E'\\n', 2), '"line_digest"') > 0
               AS is_guess_at_node
    FROM audit.leaf l JOIN audit.entry e ON e.id = l.entry_id
    WHERE l.position >= %(first)s AND l.position < %(end)s
      AND e.event IN ('verify', 'query', 'call_refused', 'guessing_suspected', 'interface_called',
                      'bulk_delivered', 'browse_viewed', 'file_delivered')
      AND e.department IS NOT NULL AND e.resource_id IS NOT NULL),
counted AS (
    INSERT INTO alarms_usageday AS u
           (day, department, application, resource, "grant", calls, unknown, near, refused, off_purpose,
            guessing)
    SELECT day, department, application, resource_id, grant_id,
           count(*) FILTER (WHERE is_use),
           count(*) FILTER (WHERE is_use AND NOT found),
           count(*) FILTER (WHERE is_use AND near),
           count(*) FILTER (WHERE event = 'call_refused'),
           count(*) FILTER (WHERE event = 'call_refused' AND outcome = 'not_available' AND purpose <> ''
               AND EXISTS (SELECT FROM grants_grant g
                           WHERE g.consumer_id = t.department AND g.resource_id = t.resource_id)
               AND NOT EXISTS (SELECT FROM grants_grant g WHERE g.consumer_id = t.department
                               AND g.resource_id = t.resource_id AND g.purpose = t.purpose)),
           count(*) FILTER (WHERE event = 'guessing_suspected' OR is_guess_at_node)
    FROM taken t GROUP BY day, department, application, resource_id, grant_id
    ON CONFLICT (department, application, resource, "grant", day) DO UPDATE SET
        calls = u.calls + excluded.calls, unknown = u.unknown + excluded.unknown,
        near = u.near + excluded.near, refused = u.refused + excluded.refused,
        off_purpose = u.off_purpose + excluded.off_purpose, guessing = u.guessing + excluded.guessing
    RETURNING u.id),
subjects AS (
    INSERT INTO alarms_subjectday (resource, record, department, day)
    SELECT DISTINCT resource_id, record_id, department, day FROM taken
    WHERE is_use AND found AND record_id IS NOT NULL
    ON CONFLICT DO NOTHING RETURNING record)
SELECT (SELECT array_agg(id ORDER BY id) FROM counted), (SELECT array_agg(DISTINCT record) FROM subjects)
"""
_SHARED_SUBJECTS = """
SELECT resource, record, array_agg(DISTINCT department ORDER BY department) FROM alarms_subjectday
WHERE day > %(since)s AND record = ANY(%(records)s)
GROUP BY resource, record HAVING count(DISTINCT department) >= %(least)s
"""


def watch_usage() -> int:
    """Read what is new in the log and raise alarms; return how many. Safe late, twice, and beside another."""
    raised = 0
    for _ in range(MAX_CHUNKS):
        more, new = _read_chunk()
        raised += new
        if not more:
            break
    _forget()
    return raised


@transaction.atomic
def _read_chunk() -> tuple[bool, int]:
    """Count one stretch of leaves; tell whether there may be more, and how many alarms were raised."""
    Reading.objects.get_or_create(pk=1)
    reading = Reading.objects.select_for_update(skip_locked=True).filter(pk=1).first()
    if reading is None:
        return False, 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(position) + 1, 0) FROM audit.leaf")
        size = int(cursor.fetchone()[0])
        end = min(size, reading.next_leaf + CHUNK)
        if end <= reading.next_leaf:
            return False, 0
        cursor.execute(_COUNT, {"zone": clock.LEGAL_ZONE.key, "first": reading.next_leaf, "end": end})
        counted, records = cursor.fetchone()
        since = clock.today() - timedelta(days=LIMITS.subject_days)
        given = {"since": since, "records": records or [], "least": LIMITS.subject_departments}
        cursor.execute(_SHARED_SUBJECTS, given)
        subjects = cursor.fetchall()
    raised = sum(_judge(row) for row in UsageDay.objects.filter(pk__in=counted or []).order_by("pk"))
    for resource, record, departments in subjects:
        if is_shared_subject(len(departments), LIMITS):
            found = Finding(Kind.SUBJECT, len(departments), LIMITS.subject_departments)
            raised += raise_alarm(found, clock.today(), resource, subject=_Subject(record, departments))
    reading.next_leaf = end
    reading.save(update_fields=["next_leaf"])
    return end < size, raised


def _judge(row: UsageDay) -> int:
    place = UsageDay.objects.filter(
        department=row.department, application=row.application, resource=row.resource, grant=row.grant
    )
    earlier = place.filter(day__lt=row.day, day__gte=row.day - timedelta(days=EARLIER_DAYS), calls__gt=0)
    today = Day(row.calls, row.unknown, row.near, row.off_purpose, row.guessing)
    found = findings(today, list(earlier.values_list("calls", flat=True)), LIMITS)
    return sum(raise_alarm(one, row.day, row.resource, row=row) for one in found)


@dataclass(frozen=True)
class _Subject:
    """One subject that stands out, by its random id, and the departments that asked for it."""

    record: UUID
    departments: list[str]


def raise_alarm(
    finding: Finding,
    day: date,
    resource_id: str,
    row: UsageDay | None = None,
    subject: _Subject | None = None,
    about: str = "",
) -> int:
    """Raise an alarm once a day for one thing, or bring its figure up to date; return 1 for a new one.

    `about` names the thing where it is neither the use of a system nor a record.
    """
    resource = Resource.objects.filter(pk=resource_id).first()
    if resource is None:
        return 0
    used = f"{row.application}/{resource_id}/{row.grant}" if row else ""
    key = used or about or str(subject.record if subject else "")
    known = Alarm.objects.filter(kind=finding.kind.value, key=key, day=day)
    departments = subject.departments if subject else []
    if known.update(measured=finding.measured, departments=departments):
        return 0
    now = clock.now()
    year = clock.legal_day(now).year
    alarm = Alarm.objects.create(
        number=alarm_no(year, next_number("W", year)),
        kind=finding.kind.value,
        key=key,
        day=day,
        department_id=row.department if row else None,
        provider_id=resource.department_id,
        resource=resource,
        application=row.application if row else "",
        grant=row.grant if row else "",
        record=subject.record if subject else None,
        departments=departments,
        measured=finding.measured,
        limit=finding.limit,
        raised_at=now,
        regulation=regulation().id,
    )
    _tell(alarm, resource)
    return 1


def _tell(alarm: Alarm, resource: Resource) -> None:
    """Record a new alarm and tell those who can end the grant."""
    append_entry(
        "alarm_raised",
        actor="system:worker",
        at=alarm.raised_at,
        outcome=alarm.kind,
        department=alarm.department_id,
        provider=alarm.provider_id,
        resource_id=resource.id,
        grant_id=alarm.grant or None,
        case_no=alarm.number,
        facts={"measured": alarm.measured, "limit": alarm.limit, "day": alarm.day.isoformat()},
    )
    notify(alarm.provider_id, "alarm_raised", alarm.number, capability=Capability.GRANT_REVOKE,
           params={"name_zh": resource.name_zh, "name_en": resource.name_en or resource.name_zh})  # fmt: skip


def _forget() -> None:
    """Forget who asked for whom, and old figures, when no alarm looks back so far."""
    today = clock.today()
    SubjectDay.objects.filter(day__lt=today - timedelta(days=2 * LIMITS.subject_days)).delete()
    UsageDay.objects.filter(day__lt=today - timedelta(days=KEPT_DAYS)).delete()
