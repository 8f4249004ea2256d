"""What the worker does for recalls: due dates that passed are told once; dates follow the calendar."""

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.organisations.bodies import COMPETENT, PLATFORM_AGENCY, bodies_with
from shuqiao.control.recalls import ledger
from shuqiao.control.recalls.calling import due_of, tell
from shuqiao.control.recalls.ledger import RecallRow
from shuqiao.control.regulations.current import committed_calendar
from shuqiao.rules.workdays import Calendar

EVENT = "recall_overdue"
BATCH = 2000
"""So many are looked at in one run; the rest comes with the next."""


def watch_recalls() -> int:
    """Tell of recalls that are overdue; return how many. Safe late, twice, and beside another worker."""
    opened = ledger.recalls(
        "d.recall IS NULL AND r.told_over IS NULL", {}, f"ORDER BY r.due_on, r.number LIMIT {BATCH}"
    )
    calendar = committed_calendar()
    return sum(_watch(row, calendar) for row in opened)


def _watch(row: RecallRow, calendar: Calendar) -> bool:
    due_on = due_of(row.regulation, row.ended_on, calendar)
    if due_on != row.due_on:
        ledger.set_due(row.number, due_on)
    return due_on < clock.today() and _tell_over(row.number)


@transaction.atomic
def _tell_over(number: str) -> bool:
    """Tell holder, provider, data bureau and agency, once; False where it was told or signed for."""
    if not ledger.lock(number):
        return False
    row = ledger.recalls("r.number = %(number)s", {"number": number})[0]
    if row.receipt is not None or row.told_over is not None:
        return False
    now = clock.now()
    append_entry(
        EVENT,
        actor="system:control",
        at=now,
        outcome="overdue",
        department=row.holder,
        provider=row.provider,
        resource_id=row.resource,
        grant_id=row.grant,
        case_no=number,
        facts={"application": row.application, "due_on": row.due_on.isoformat()},
    )
    ledger.set_told(number, now)
    told = [(row.holder, can) for can in (Capability.GRANT_USE, Capability.DATA_CLEAR)]
    told.append((row.provider, Capability.DATA_CLEAR))
    told += [(office, Capability.CATALOGUE_REVIEW) for office in bodies_with(COMPETENT)]
    told += [(agency, Capability.APPLICATION_ADMIT) for agency in bodies_with(PLATFORM_AGENCY)]
    tell(EVENT, number, row.resource, row.due_on, told)
    return True
