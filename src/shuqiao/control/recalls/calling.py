"""Calling copies back: one recall for each system that holds some, with its due date, told to the holder.

Source: our choice, decision 42; the term is that of the regulation of the grant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.recalls import ledger
from shuqiao.control.recalls.ledger import HeldBy, RecallRow
from shuqiao.control.regulations.current import committed_calendar, named
from shuqiao.rules.ids import recall_no
from shuqiao.rules.workdays import Calendar, add_working_days
from shuqiao.wire.recalls import Held

EVENT = "copies_recalled"


@dataclass(frozen=True)
class EndedGrant:
    """A grant that has ended: what it was about, and what was handed over under it on media.

    `grants` are its number and those of the grants it had renewed, whose copies were kept under it.
    """

    grant: str
    grants: tuple[str, ...]
    resource: str
    holder: str
    provider: str
    regulation: str
    reason: str
    ended_on: date
    has_files: bool
    media: tuple[Held, ...] = ()


def call_back(ended: EndedGrant) -> int:
    """Call back what is held under an ended grant; how many recalls are new or name more than before.

    In the transaction that ends the grant, and again later: what was on its way then is named too.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("copies are called back in the transaction that ends their grant")
    held = ledger.held_under(ended.grants, ended.holder, has_files=ended.has_files)
    if ended.media:
        held.append(ledger.bounded("", ledger.MEDIUM, ended.media))
    if not held:
        return 0
    there = ledger.recalls("r.grant_id = %(grant)s", {"grant": ended.grant})
    known = {(row.application, row.kind): row for row in there}
    return sum(_call(ended, one, known.get((one.application, one.kind))) for one in held)


def _call(ended: EndedGrant, held: HeldBy, known: RecallRow | None) -> bool:
    if known is None:
        _begin(ended, held)
        return True
    if known.receipt is not None or (known.held, known.left_out) == (held.held, held.left_out):
        return False
    if not ledger.lock(known.number) or _has_receipt(known.number):
        return False
    ledger.update_held(known.number, held)
    return True


def _has_receipt(number: str) -> bool:
    rows = ledger.recalls("r.number = %(number)s", {"number": number})
    return bool(rows) and rows[0].receipt is not None


def due_of(regulation: str, ended_on: date, calendar: Calendar) -> date:
    """By when copies are deleted and signed for."""
    return add_working_days(calendar, ended_on, named(regulation).recall.working_days).day


def _begin(ended: EndedGrant, held: HeldBy) -> None:
    now, rules = clock.now(), named(ended.regulation)
    year = clock.legal_day(now).year
    number = recall_no(year, next_number("L", year))
    due_on = due_of(ended.regulation, ended.ended_on, committed_calendar())
    entry = append_entry(
        EVENT,
        actor="system:control",
        at=now,
        outcome="recalled",
        department=ended.holder,
        provider=ended.provider,
        resource_id=ended.resource,
        grant_id=ended.grant,
        case_no=number,
        facts={
            "application": held.application,
            "due_on": due_on.isoformat(),
            "copies": len(held.held) + held.left_out,
            "articles": [rules.cite(rules.recall.article)],
        },
    )
    ledger.insert_recall(_row_of(ended, held, number, due_on, entry))
    told = [(ended.holder, can) for can in (Capability.GRANT_USE, Capability.DATA_CLEAR)]
    if held.application:
        told.append((ended.holder, Capability.NODES_WATCH))
    tell("copies_recalled", number, ended.resource, due_on, told)


def _row_of(ended: EndedGrant, held: HeldBy, number: str, due_on: date, entry: UUID) -> RecallRow:
    return RecallRow(
        number=number,
        grant=ended.grant,
        resource=ended.resource,
        holder=ended.holder,
        provider=ended.provider,
        application=held.application,
        kind=held.kind,
        reason=ended.reason,
        regulation=ended.regulation,
        held=held.held,
        left_out=held.left_out,
        called_at=clock.now(),
        ended_on=ended.ended_on,
        due_on=due_on,
        entry=entry,
        told_over=None,
        receipt=None,
    )


def tell(code: str, number: str, resource: str, due_on: date, told: Sequence[tuple[str, Capability]]) -> None:
    """Leave a notice about a recall with those who hold a capability in a department."""
    row = Resource.objects.only("name_zh", "name_en").get(pk=resource)
    params = {
        "name_zh": row.name_zh,
        "name_en": row.name_en or row.name_zh,
        "due_on": due_on.isoformat(),
    }
    for body, capability in told:
        notify(body, code, number, capability=capability, params=params)
