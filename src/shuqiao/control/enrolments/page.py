"""The page of systems and their keys."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.enrolments.actions import may_admit
from shuqiao.control.enrolments.models import EnrolmentState, KeyEnrolment
from shuqiao.control.organisations.models import Application
from shuqiao.control.organisations.queries import DepartmentRef, department_refs
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.security.keys import key_id

SHOWN = 100
STATES = {
    EnrolmentState.WAITING.value: Text("待审核", "Waiting"),
    EnrolmentState.ADMITTED.value: Text("已接入", "Admitted"),
    EnrolmentState.REFUSED.value: Text("未通过", "Refused"),
    EnrolmentState.WITHDRAWN.value: Text("已撤回", "Taken back"),
}


@dataclass(frozen=True)
class SystemRow:
    """A system on the platform."""

    id: str
    name: Text
    department: DepartmentRef
    algorithm: str
    key: str
    active: bool
    can_retire: bool


@dataclass(frozen=True)
class EnrolmentRow:
    """A request to enrol a key, with what the viewer can do about it."""

    id: UUID
    application: str
    name: Text
    department: DepartmentRef
    algorithm: str
    key: str
    state: str
    state_label: Text
    asked_by: str
    asked_at: datetime
    decided_at: datetime | None
    reason: str
    replaces: bool
    can_decide: bool
    can_withdraw: bool


@dataclass(frozen=True)
class SystemsPage:
    """Systems and requests: one's own department's, or all for the platform agency."""

    systems: tuple[SystemRow, ...]
    enrolments: tuple[EnrolmentRow, ...]
    may_ask: bool
    prefix: str
    article: ArticleRef


def sees_systems(viewer: Viewer) -> bool:
    """Tell whether the viewer has to do with systems and their keys."""
    return viewer.can(Capability.APPLICATION_ENROL) or viewer.can(Capability.APPLICATION_ADMIT)


def systems_page(viewer: Viewer) -> SystemsPage:
    """Return what the page shows; raises `NotFound` for who has nothing to do with it."""
    if not sees_systems(viewer):
        raise NotFound
    admits, asks = may_admit(viewer), viewer.can(Capability.APPLICATION_ENROL)
    systems = Application.objects.filter(portal=False)
    enrolments = KeyEnrolment.objects.select_related("asked_by")
    if not admits:
        systems = systems.filter(department_id=viewer.department.code)
        enrolments = enrolments.filter(department_id=viewer.department.code)
    known = set(Application.objects.filter(active=True).values_list("id", flat=True))
    refs = department_refs()
    # What waits comes first, however old it is.
    ordered = sorted(enrolments[:SHOWN], key=lambda row: row.state != EnrolmentState.WAITING)
    own = viewer.department.code
    return SystemsPage(
        systems=tuple(
            SystemRow(
                id=one.id,
                name=Text(one.name_zh, one.name_en),
                department=refs[one.department_id],
                algorithm=one.algorithm,
                key=key_id(bytes(one.public_key)),
                active=one.active,
                can_retire=one.active and (admits or (asks and one.department_id == own)),
            )
            for one in systems.order_by("department_id", "id")[:SHOWN]
        ),
        enrolments=tuple(
            _enrolment(row, refs, row.application in known, admits and row.department_id != own, viewer)
            for row in ordered
        ),
        may_ask=asks,
        prefix=f"app-{own.partition('-')[2]}-",
        article=article_ref(regulation().citations["security"]),
    )


def _enrolment(
    row: KeyEnrolment, refs: dict[str, DepartmentRef], known: bool, may_decide: bool, viewer: Viewer
) -> EnrolmentRow:
    waiting = row.state == EnrolmentState.WAITING
    own = row.department_id == viewer.department.code and viewer.can(Capability.APPLICATION_ENROL)
    return EnrolmentRow(
        id=row.pk,
        application=row.application,
        name=Text(row.name_zh, row.name_en or row.name_zh),
        department=refs[row.department_id],
        algorithm=row.algorithm,
        key=row.key_id,
        state=row.state,
        state_label=STATES[row.state],
        asked_by=row.asked_by.display_name,
        asked_at=row.asked_at,
        decided_at=row.decided_at,
        reason=row.reason,
        replaces=waiting and known,
        can_decide=waiting and may_decide and row.asked_by_id != viewer.account_id,
        can_withdraw=waiting and own,
    )
