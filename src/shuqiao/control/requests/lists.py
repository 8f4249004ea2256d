"""Filling the pages of requests: the form, a department's own list, and the inbox."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels as catalogue_labels
from shuqiao.control.clocks.models import Clock, ClockState
from shuqiao.control.clocks.queries import CaseClock, clocks_of, next_clock
from shuqiao.control.grants.models import Grant
from shuqiao.control.organisations.queries import (
    DepartmentRef,
    department_refs,
)
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.requests.actions import WITHDRAW
from shuqiao.control.requests.labels import state_label
from shuqiao.control.requests.models import DECIDED_PHASES, KIND, OPEN_PHASES, Request, RequestItem
from shuqiao.control.requests.queries import (
    RequestList,
    RequestRow,
)
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import possible_actions
from shuqiao.rules.regulation import PROVIDER, REQUESTER, Phase, Regulation

PAGE_SIZE = 20
VOID = ClockState.VOID.value


def my_requests(viewer: Viewer, state: str = "", page: int = 1) -> RequestList:
    """Return the requests of the viewer's department, newest change first; drafts only one's own."""
    if not (viewer.can(Capability.REQUEST_SUBMIT) or viewer.can(Capability.AUDIT_VIEW)):
        raise NotFound
    every = Request.objects.filter(requester_id=viewer.department.code)
    drafts = every.filter(phase=Phase.DRAFT.value, created_by_id=viewer.account_id)
    counts = _counts(drafts) + _counts(every.exclude(phase=Phase.DRAFT.value))
    found = every.filter(~Q(phase=Phase.DRAFT.value) | Q(created_by_id=viewer.account_id))
    place = _place(counts, state, page)
    if place.state:
        found = found.filter(phase=place.phase, state=place.state)
    window = found.order_by("-changed_at", "-pk")[place.offset : place.offset + PAGE_SIZE]
    return _list(request_rows(window), place, counts)


def inbox(viewer: Viewer, state: str = "", page: int = 1) -> RequestList:
    """Return the requests for the information of the viewer's department (REQ-08).

    Those that wait come first, the nearest due date at the top; then the others, newest change first.
    """
    if not (viewer.can(Capability.REQUEST_ANSWER) or viewer.can(Capability.ANSWER_CONFIRM)):
        raise NotFound
    own = viewer.department.code
    found = Request.objects.filter(provider_id=own, submitted_at__isnull=False)
    counts = _counts(found.exclude(phase=Phase.DRAFT.value))
    place = _place(counts, state, page)
    if place.state:
        found = found.filter(phase=place.phase, state=place.state)
    parts = _parts_of_inbox(own, found)
    if place.state:
        # One state waits or does not: what can't hold any of it is not asked.
        parts = parts[:2] if place.phase in OPEN_PHASES else parts[2:]
    numbers = _numbers(parts, place.offset)
    rows = {row.number: row for row in request_rows(Request.objects.filter(number__in=numbers))}
    return _list(tuple(rows[number] for number in dict.fromkeys(numbers)), place, counts)


def _parts_of_inbox(own: str, found: QuerySet[Request]) -> tuple[QuerySet[Any, Any], ...]:
    """Numbers: what waits with a term, read in the order of the terms; what waits without one; the rest."""
    waiting = found.filter(phase__in=OPEN_PHASES)
    open_clocks = Clock.objects.filter(kind=KIND, ended_on=None)
    with_term = open_clocks.filter(Exists(waiting.filter(number=OuterRef("number"))), holder_id=own)
    without = waiting.filter(~Exists(open_clocks.filter(number=OuterRef("number"), holder_id=own)))
    rest = found.filter(phase__in=[*DECIDED_PHASES, Phase.CLOSED.value])
    return (
        with_term.order_by("due_on", "pk").values_list("number", flat=True),
        without.order_by("pk").values_list("number", flat=True),
        rest.order_by("-changed_at", "-pk").values_list("number", flat=True),
    )


def _numbers(parts: tuple[QuerySet[Any, Any], ...], offset: int) -> list[str]:
    """A page out of parts that follow each other; a part is counted only where the page goes beyond it."""
    found: list[str] = []
    for part in parts:
        wanted = PAGE_SIZE - len(found)
        taken = list(part[offset : offset + wanted])
        found += taken
        if len(found) == PAGE_SIZE:
            break
        offset = 0 if taken else max(0, offset - part.count())
    return found


def waiting_for(viewer: Viewer) -> Q:
    """Those requests in which the viewer is the one who must act, by the regulations they stand under."""
    own, sides = viewer.department.code, {"provider_id": PROVIDER, "requester_id": REQUESTER}
    found = Q(pk__in=[])
    waiting = Request.objects.filter(phase__in=OPEN_PHASES).order_by()
    for name in waiting.values_list("regulation", flat=True).distinct():
        rules = named(name)
        for column, side in sides.items():
            states = _states_to_act(rules, side, viewer.capabilities)
            if states:
                found |= Q(**{column: own}, regulation=rules.id, state__in=states)
    return found & Q(phase__in=OPEN_PHASES)


def _states_to_act(rules: Regulation, side: str, capabilities: frozenset[str]) -> list[str]:
    """The open states in which a side has something to do; taking the request back is no duty."""
    procedure = rules.procedure(KIND)
    return [
        state.key
        for state in procedure.states
        if state.phase.value in OPEN_PHASES
        and any(
            step.action != WITHDRAW and step.to_state != state.key
            for step in possible_actions(procedure, state.key, capabilities, frozenset({side}))
        )
    ]


_Counts = list[tuple[str, str, int]]


def _counts(found: QuerySet[Request]) -> _Counts:
    """How many requests there are of each phase and state; read from an index alone."""
    rows = found.order_by().values_list("phase", "state").annotate(count=Count("*"))
    return [(phase, state, count) for phase, state, count in rows]


@dataclass(frozen=True)
class _Place:
    """Which page of which state is shown, of how many; no state shows all."""

    state: str
    phase: str
    total: int
    page: int
    pages: int

    @property
    def offset(self) -> int:
        """How many rows come before it."""
        return (self.page - 1) * PAGE_SIZE


def _place(counts: _Counts, state: str, page: int) -> _Place:
    phases = {key: phase for phase, key, _ in counts}
    chosen = state if state in phases else ""
    total = sum(count for _, key, count in counts if chosen in ("", key))
    pages = max(1, -(-total // PAGE_SIZE))
    return _Place(chosen, phases.get(chosen, ""), total, max(1, min(page, pages)), pages)


def _list(rows: tuple[RequestRow, ...], place: _Place, counts: _Counts) -> RequestList:
    return RequestList(rows, place.total, place.page, place.pages, place.state, _tabs(counts))


def _tabs(counts: _Counts) -> tuple[tuple[str, Text, int], ...]:
    """Name the states in the order of the procedure; those of another version are named by it."""
    rules = regulation()
    known = [state.key for state in rules.procedure(KIND).states]
    totals: dict[str, int] = {}
    for _, key, count in counts:
        totals[key] = totals.get(key, 0) + count
    order = [*(key for key in known if key in totals), *sorted(totals.keys() - set(known))]
    return tuple((key, _name_of(key, known, rules.id), totals[key]) for key in order)


def _name_of(state: str, known: list[str], regulation_id: str) -> Text:
    if state in known:
        return state_label(regulation_id, state)
    older = Request.objects.filter(state=state).values_list("regulation", flat=True).first()
    return state_label(older or regulation_id, state)


def request_rows(found: QuerySet[Request]) -> tuple[RequestRow, ...]:
    """Show requests as rows: five queries, however many they are."""
    requests = list(found.select_related("resource"))
    if not requests:
        return ()
    departments = department_refs()
    numbers = [one.number for one in requests if one.number]
    grants, clocks = grants_of(numbers), clocks_of(KIND, numbers)
    items = RequestItem.objects.filter(request__in=[one.pk for one in requests]).order_by()
    counted = items.values_list("request").annotate(
        asked=Count("pk"), given=Count("pk", filter=Q(granted=True))
    )
    counts = {key: (asked, given) for key, asked, given in counted}
    return tuple(
        _row(
            one,
            departments,
            grants.get(one.number or "", []),
            main_clock(clocks.get(one.number or "", ())),
            counts.get(one.pk, (0, 0)),
        )
        for one in requests
    )


def grants_of(numbers: Iterable[str | None]) -> dict[str, list[str]]:
    """Return the grants that requests have led to, oldest first."""
    found: dict[str, list[str]] = {}
    rows = Grant.objects.filter(request_number__in=[n for n in numbers if n]).order_by("round")
    for request, grant in rows.values_list("request_number", "number"):
        found.setdefault(request, []).append(grant)
    return found


def main_clock(clocks: Iterable[CaseClock]) -> CaseClock | None:
    """The clock a list shows: the one that runs, or the last that was met."""
    kept = tuple(clocks)
    met = [one for one in kept if not one.is_open and one.state != VOID]
    return next_clock(kept) or (met[-1] if met else None)


def _row(
    request: Request,
    departments: dict[str, DepartmentRef],
    grants: list[str],
    running: CaseClock | None,
    counts: tuple[int, int],
) -> RequestRow:
    return RequestRow(
        key=request.pk,
        number=request.number or "",
        resource=request.resource_id,
        resource_name=request.resource.name,
        requester=departments[request.requester_id],
        provider=departments[request.provider_id],
        item_count=counts[0],
        granted_count=counts[1],
        mode=request.mode,
        mode_label=catalogue_labels.label(catalogue_labels.MODES, request.mode),
        purpose=request.purpose,
        state=request.state,
        phase=request.phase,
        state_label=state_label(request.regulation, request.state),
        regulation=request.regulation,
        submitted_at=request.submitted_at,
        clock=running.shown if running else None,
        clock_label=running.label if running else None,
        running=running if running and running.is_open else None,
        grant=grants[-1] if grants else None,
    )
