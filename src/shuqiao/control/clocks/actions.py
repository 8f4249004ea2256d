"""Starting, stopping and moving the clocks of a case, in the transaction of the step that causes it.

The caller holds the case's own lock. What counts days takes the calendar's lock as well, shared: a change of
the calendar waits for steps under way, and a step counts by the calendar as it is committed, so that no new
clock is missed by a recount.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from django.db import connection
from django.db.models import Max

from shuqiao.control.clocks.models import Clock, ClockState
from shuqiao.control.clocks.terms import CaseRef, store_term, term_of
from shuqiao.control.regulations.current import committed_calendar
from shuqiao.rules import deadlines
from shuqiao.rules.procedures import Accepted
from shuqiao.rules.regulation import Deadline, Extension, Regulation
from shuqiao.rules.workdays import Calendar

OpenClocks = dict[str, Clock]


def follow(case: CaseRef, accepted: Accepted, rules: Regulation, on: date) -> None:
    """Apply what an accepted step does to the case's clocks, on this legal day.

    In order: what it meets, pauses, resumes and extends, then what ends with the case, then what it restarts
    and starts. A term that begins while one of its name is open voids that one and is a new round. A clock
    whose day had passed is marked as over.
    """
    kept = _counting_calendar()
    rows = _open_clocks(case, on)
    for key in accepted.meets:
        _end(rows, key, ClockState.MET, on)
    _change(rows, accepted.pauses, lambda term: deadlines.pause(term, on), kept, on)
    _change(rows, accepted.resumes, lambda term: deadlines.resume(term, on), kept, on)
    extension = accepted.extends
    if extension is not None:
        _change(rows, extension.clock, _extended_by(extension), kept, on)
    if accepted.ends:
        end_clocks(case, on)
        rows.clear()
    for key in dict.fromkeys((accepted.restarts, *accepted.starts)):
        if key:
            _start(rows, case, rules.deadline(key), rules, on=on, kept=kept)


def follow_all(cases: Sequence[CaseRef], accepted: Accepted, rules: Regulation, on: date) -> None:
    """Apply one accepted step to the clocks of many cases of a kind that take it together, as `follow` does.

    The number of statements doesn't grow with the cases, unless the step pauses, resumes or extends a term.
    """
    is_plain = not (accepted.pauses or accepted.resumes or accepted.restarts or accepted.extends)
    if len(cases) < 2 or not is_plain:
        for case in cases:
            follow(case, accepted, rules, on)
        return
    kept = _counting_calendar()
    numbers = [case.number for case in cases]
    rows = Clock.objects.filter(kind=cases[0].kind, number__in=numbers)
    open_ones = rows.filter(ended_on=None)
    list(open_ones.select_for_update().order_by("pk").values_list("pk"))
    open_ones.filter(state=ClockState.RUNNING, due_on__lt=on).update(state=ClockState.OVER)
    open_ones.filter(deadline__in=accepted.meets).update(state=ClockState.MET, ended_on=on)
    voided = open_ones if accepted.ends else open_ones.filter(deadline__in=accepted.starts)
    if accepted.ends:
        voided.filter(state=ClockState.OVER).update(ended_on=on)
    voided.update(state=ClockState.VOID, ended_on=on)
    for key in accepted.starts:
        earlier = rows.filter(deadline=key).values_list("number").annotate(last=Max("round"))
        rounds = dict(earlier.values_list("number", "last"))
        made = [
            _new_clock(case, rules.deadline(key), rules, rounds.get(case.number, 0) + 1) for case in cases
        ]
        for row in made:
            store_term(row, deadlines.begin(rules.deadline(key), on), kept, on)
        Clock.objects.bulk_create(made, batch_size=1000)


def start_clock(case: CaseRef, deadline: str, rules: Regulation, on: date) -> None:
    """Start a term that no procedure starts; an open one of its name is voided."""
    kept = _counting_calendar()
    _start(_open_clocks(case, on), case, rules.deadline(deadline), rules, on=on, kept=kept)


def meet_clock(case: CaseRef, deadline: str, on: date) -> None:
    """Meet a term that no procedure meets; nothing happens where none is open."""
    _end(_open_clocks(case, on), deadline, ClockState.MET, on)


def end_clocks(case: CaseRef, on: date) -> None:
    """End what is still open with its case: what is over stays over, the rest is void."""
    rows = _open_clocks(case, on)
    for key, row in list(rows.items()):
        _end(rows, key, ClockState.OVER if row.state == ClockState.OVER else ClockState.VOID, on)


def hand_over(case: CaseRef, deadlines_held: Iterable[str]) -> None:
    """Let the open clocks of these names run against the case's present holder, for who waits now."""
    Clock.objects.filter(
        kind=case.kind, number=case.number, deadline__in=tuple(deadlines_held), ended_on=None
    ).update(holder_id=case.holder, other_id=case.other or None)


def lock_calendar() -> None:
    """Wait for steps under way that count days, and let later ones wait until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('working-calendar'))")


def _counting_calendar() -> Calendar:
    """The calendar as committed; nobody changes it until the caller's transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(hashtext('working-calendar'))")
    return committed_calendar()


def _open_clocks(case: CaseRef, on: date) -> OpenClocks:
    """The case's open clocks, locked; those whose day has passed are over."""
    found = Clock.objects.select_for_update().filter(kind=case.kind, number=case.number, ended_on=None)
    rows = {row.deadline: row for row in found.order_by("pk")}
    for row in rows.values():
        if row.state == ClockState.RUNNING and row.due_on < on:
            row.state = ClockState.OVER
            row.save(update_fields=["state"])
    return rows


def _end(rows: OpenClocks, key: str, state: ClockState, on: date) -> None:
    row = rows.pop(key, None)
    if row is not None:
        row.state, row.ended_on = state, on
        row.save(update_fields=["state", "ended_on"])


def _change(
    rows: OpenClocks,
    key: str,
    changed: Callable[[deadlines.Term], deadlines.Term],
    kept: Calendar,
    on: date,
) -> None:
    row = rows.get(key)
    if row is not None:
        store_term(row, changed(term_of(row)), kept, on)
        row.save()


def _extended_by(extension: Extension) -> Callable[[deadlines.Term], deadlines.Term]:
    return lambda term: deadlines.extend(term, extension)


def _start(
    rows: OpenClocks,
    case: CaseRef,
    deadline: Deadline,
    rules: Regulation,
    *,
    on: date,
    kept: Calendar,
) -> None:
    _end(rows, deadline.key, ClockState.VOID, on)
    earlier = Clock.objects.filter(kind=case.kind, number=case.number, deadline=deadline.key)
    row = _new_clock(case, deadline, rules, (earlier.aggregate(last=Max("round"))["last"] or 0) + 1)
    store_term(row, deadlines.begin(deadline, on), kept, on)
    row.save()
    rows[deadline.key] = row


def _new_clock(case: CaseRef, deadline: Deadline, rules: Regulation, number: int) -> Clock:
    return Clock(
        kind=case.kind,
        number=case.number,
        deadline=deadline.key,
        round=number,
        regulation=rules.id,
        holder_id=case.holder,
        other_id=case.other or None,
    )
