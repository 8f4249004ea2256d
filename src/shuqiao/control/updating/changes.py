"""Registering a change of data, and meeting its due date when a batch brings it or the provider says so.

Source: guangzhou-2019 art. 19; shenyang-2016 art. 18, 22; xiamen-2015 art. 11; guangzhou-2016 art. 30(1);
UPD-01, UPD-02.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.clocks.actions import meet_clock, start_clock
from shuqiao.control.clocks.terms import CaseRef
from shuqiao.control.organisations.bodies import COMPETENT, bodies_with
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.regulations.current import committed_calendar, named
from shuqiao.control.texts import Text
from shuqiao.control.updating import ledger
from shuqiao.control.updating.access import may_notice, may_provide, published
from shuqiao.control.updating.duties import Duty, duty_of
from shuqiao.control.updating.models import MAX_TEXT_CHARS, DataChange
from shuqiao.control.updating.told import tell_holders
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.rules.ids import data_change_no
from shuqiao.rules.regulation import UpdateRule
from shuqiao.rules.updating import due_of, term_of

KIND = "data"
"""The name of these cases to the clocks."""

EVENT = "data_change"
LONGEST_BACK = timedelta(days=3660)


@dataclass(frozen=True)
class ChangeGiven:
    """A change as its form gives it."""

    resource: str
    happened_on: date | None
    description: str


@transaction.atomic
def register_change(viewer: Viewer, given: ChangeGiven) -> str:
    """Register a change of an entry's data and return its number; raises `NotFound` or `FormRefused`.

    The provider's own change counts as brought by a batch since its day; what somebody else has noticed
    as missing is brought by a later one only.
    """
    resource = published(given.resource)
    if not may_notice(viewer, resource):
        raise NotFound
    faults = tuple(_faults(given))
    if faults or given.happened_on is None:
        raise FormRefused(faults)
    own = may_provide(viewer, resource.department_id)
    change = _store(viewer, resource, given.happened_on, given.description.strip(), own=own)
    if not own:
        notify(
            resource.department_id,
            "data_change_registered",
            change.number,
            capability=Capability.DATA_CLEAR,
            params={"name_zh": resource.name_zh, "name_en": resource.name_en or resource.name_zh},
        )
    follow_batches(change)
    return change.number


def _store(viewer: Viewer, resource: Resource, day: date, description: str, *, own: bool) -> DataChange:
    duty, today = duty_of(resource, day), clock.today()
    deadline = term_of(duty.rule, duty.rules) if duty else ""
    number = data_change_no(today.year, next_number("V", today.year))
    begins = datetime.combine(day, time(), clock.LEGAL_ZONE) if own else None
    change = DataChange(
        number=number,
        resource=resource,
        department_id=resource.department_id,
        happened_on=day,
        description=description,
        noticed_by_id=viewer.department.code,
        registered_by_id=viewer.account_id,
        registered_at=clock.now(),
        regulation=duty.rules.id if duty else "",
        rule=duty.rule.key if duty else "",
        deadline=deadline,
        after_sequence=ledger.position(resource.department_id, resource.id, begins),
    )
    if duty and deadline:
        start_clock(case_of(change), deadline, duty.rules, day)
    elif duty:
        count_anew(change, duty.rule)
    change.entry_id = append_entry(
        EVENT,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome="data_change_registered",
        department=viewer.department.code,
        provider=resource.department_id,
        resource_id=resource.id,
        case_no=number,
        facts={"day": day.isoformat(), **_rule_facts(duty)},
    )
    change.save(force_insert=True)
    return change


def _rule_facts(duty: Duty | None) -> dict[str, object]:
    if duty is None:
        return {}
    return {"rule": duty.rule.zh, "articles": [duty.rules.cite(duty.rule.article)]}


def count_anew(change: DataChange, rule: UpdateRule) -> bool:
    """Count the day of a change that no clock counts, by the calendar as it is now; True where it moved."""
    counted = due_of(
        rule,
        change.happened_on,
        committed_calendar(),
        cycle=change.resource.update_cycle,
        start_day_counts=named(change.regulation).start_day_counts,
    )
    before = (change.due_on, change.provisional)
    change.due_on = counted.day if counted else None
    change.provisional = counted.provisional if counted else False
    return before != (change.due_on, change.provisional)


def rule_of(change: DataChange) -> UpdateRule | None:
    """The rule under which a change was registered."""
    if not change.regulation:
        return None
    return next((one for one in named(change.regulation).updates if one.key == change.rule), None)


@transaction.atomic
def state_update(viewer: Viewer, number: str, statement: str) -> None:
    """Let the provider state that a change is brought where no batch can show it; raises as a form does."""
    change = _open(number)
    if not may_provide(viewer, change.department_id):
        raise NotFound
    words = statement.strip()
    if not words:
        raise FormRefused((Fault("statement", "field_required", Text("请写明如何更新", "Say how")),))
    wrong = plain_fault("statement", words, MAX_TEXT_CHARS)
    if wrong:
        raise FormRefused((Fault("statement", wrong.code, Text(wrong.zh, wrong.en)),))
    change.statement = words
    _finish(change, clock.today(), f"account:{viewer.username}", "update_stated")


@transaction.atomic
def follow_batches(change: DataChange) -> bool:
    """Meet a change by the first batch that changed rows after it; False where none came yet."""
    found = ledger.first_change(change.department_id, change.resource_id, change.after_sequence)
    if found is None or not (locked := _still_open(change.number)):
        return False
    locked.by_batch, merged_at = found
    # The ledger lives in real time: in a sample whose office plays days ahead a batch may be of before.
    day = max(clock.legal_day(merged_at), locked.happened_on)
    _finish(locked, min(day, max(clock.today(), locked.happened_on)), "system:control", "data_updated")
    return True


def _finish(change: DataChange, on: date, actor: str, outcome: str) -> None:
    change.done_on = on
    change.save(update_fields=["done_on", "by_batch", "statement"])
    if change.deadline:
        meet_clock(case_of(change), change.deadline, on)
    append_entry(
        EVENT,
        actor=actor,
        at=clock.now(),
        outcome=outcome,
        department=change.department_id,
        provider=change.department_id,
        resource_id=change.resource_id,
        case_no=change.number,
        facts={"day": on.isoformat(), "batch": change.by_batch},
    )
    tell_holders(change.resource, change.by_batch or change.after_sequence, change)
    if change.noticed_by_id != change.department_id:
        notify(change.noticed_by_id, "data_updated_as_noticed", change.number)


def case_of(change: DataChange) -> CaseRef:
    """Name a change to the clocks: the provider must act, who noticed it waits."""
    other = change.noticed_by_id if change.noticed_by_id != change.department_id else ""
    return CaseRef(KIND, change.number, change.department_id, other)


def tell_overdue(change: DataChange) -> bool:
    """Tell provider and competent department, once, of a day that has passed and that no clock counts."""
    params = {
        "due_on": change.due_on.isoformat() if change.due_on else "",
        "name_zh": change.resource.name_zh,
        "name_en": change.resource.name_en or change.resource.name_zh,
    }
    told = [(change.department_id, Capability.DATA_CLEAR)]
    told += [(office, Capability.CATALOGUE_REVIEW) for office in bodies_with(COMPETENT)]
    made = [
        notify(
            body, "data_change_over", change.number, capability=can, occasion=params["due_on"], params=params
        )
        for body, can in told
    ]
    return any(made)


def _open(number: str) -> DataChange:
    change = _still_open(number)
    if change is None:
        raise NotFound
    return change


def _still_open(number: str) -> DataChange | None:
    rows = DataChange.objects.select_for_update(of=("self",)).select_related("resource")
    return rows.filter(number=number, done_on=None).first()


def _faults(given: ChangeGiven) -> Iterator[Fault]:
    today = clock.today()
    if given.happened_on is None:
        yield Fault("happened_on", "field_required", Text("请填写变化日期", "Enter the day"))
    elif not today - LONGEST_BACK <= given.happened_on <= today:
        words = Text("变化日期须在今天或以前", "The day is today or earlier")
        yield Fault("happened_on", "day_out_of_range", words)
    text = given.description.strip()
    wrong = plain_fault("description", text, MAX_TEXT_CHARS)
    if not text:
        yield Fault("description", "field_required", Text("请写明什么变了", "Say what has changed"))
    elif wrong:
        yield Fault("description", wrong.code, Text(wrong.zh, wrong.en))
