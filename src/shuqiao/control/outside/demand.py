"""The demands that departments keep in the catalogue system: what they want and nobody offers yet.

A demand is registered by asking for it and brought up to date in its case; what it said before stays in the
history. Source: xiamen-2015 art. 7; CAT-17.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, OuterRef, Subquery

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.organisations.queries import DepartmentRef, department_ref
from shuqiao.control.outside.access import visible
from shuqiao.control.outside.actions import AMENDED
from shuqiao.control.outside.models import CaseEvent, OutsideRequest
from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Phase

PAGE_SIZE = 30


@dataclass(frozen=True)
class DemandRow:
    """One demand; `amended_at` is when it was last brought up to date by whoever wants it."""

    number: str
    wanted: str
    requester: DepartmentRef
    holder: DepartmentRef
    state: Text
    phase: str
    registered_at: datetime
    amended_at: datetime | None
    may_amend: bool


@dataclass(frozen=True)
class DemandList:
    """A page of demands, the latest changed first."""

    rows: tuple[DemandRow, ...]
    page: int
    pages: int
    total: int


def demand_list(viewer: Viewer, page: int) -> DemandList:
    """List the demands that the viewer may see: its own, those asked of it, all for who co-ordinates."""
    amended = CaseEvent.objects.filter(kind="outside", number=OuterRef("number"), action=AMENDED)
    last = amended.values("number").annotate(at=Max("occurred_at")).values("at")
    found = visible(viewer, OutsideRequest).filter(submitted_at__isnull=False)
    total = found.count()
    rows = found.annotate(amended_at=Subquery(last)).select_related("requester", "provider")
    rows = rows.order_by("-changed_at", "-pk")[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    return DemandList(tuple(_row(viewer, row) for row in rows), page, max(1, -(-total // PAGE_SIZE)), total)


def _row(viewer: Viewer, case: OutsideRequest) -> DemandRow:
    state = named(case.regulation).procedure("outside").state(case.state)
    own = case.requester_id == viewer.department.code
    return DemandRow(
        number=case.number or "",
        wanted=case.wanted,
        requester=department_ref(case.requester),
        holder=department_ref(case.provider),
        state=Text(state.zh, state.en) if state else Text(case.state, case.state),
        phase=case.phase,
        registered_at=case.submitted_at or case.created_at,
        amended_at=getattr(case, "amended_at", None),
        may_amend=own and case.phase == Phase.WAITING,
    )
