"""The page of the register of cross-department applications."""

from dataclasses import dataclass
from datetime import datetime

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.organisations.models import Application, Department
from shuqiao.control.organisations.queries import (
    ApplicationRef,
    DepartmentRef,
    application_ref,
    department_ref,
)
from shuqiao.control.projects.models import CrossApplication, Scope
from shuqiao.control.projects.register import may_end
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import SETTING

SCOPES = {
    Scope.CITY.value: Text("全市性", "City-wide"),
    Scope.SECTOR.value: Text("行业性", "Sector-wide"),
    Scope.DOMAIN.value: Text("领域性", "Domain-wide"),
}


@dataclass(frozen=True)
class RegisterRow:
    """One cross-department application of the register."""

    key: int
    name: Text
    scope: Text
    lead: DepartmentRef
    departments: tuple[DepartmentRef, ...]
    systems: tuple[Text, ...]
    purpose: str
    registered_at: datetime
    ended_at: datetime | None
    ended_reason: str
    entry: str
    can_end: bool


@dataclass(frozen=True)
class RegisterPage:
    """The register, with what its form needs where the viewer can register one."""

    rows: tuple[RegisterRow, ...]
    can_register: bool
    departments: tuple[DepartmentRef, ...]
    systems: tuple[ApplicationRef, ...]
    scopes: tuple[tuple[str, Text], ...]
    article: ArticleRef


def register_page(viewer: Viewer) -> RegisterPage:
    """Return the register of cross-department applications; whoever sees the catalogue sees it."""
    if not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    rules, can = regulation(), viewer.can(Capability.PROJECT_LEAD)
    rows = CrossApplication.objects.select_related("lead").prefetch_related("departments", "systems")
    others = Department.objects.filter(active=True).exclude(code=viewer.department.code)
    systems = Application.objects.filter(active=True, portal=False).order_by("id")
    return RegisterPage(
        rows=tuple(_register_row(viewer, row) for row in rows.order_by("ended_at", "name_zh")[:500]),
        can_register=can,
        departments=tuple(department_ref(one) for one in others.order_by("code")) if can else (),
        systems=tuple(application_ref(one) for one in systems[:500]) if can else (),
        scopes=tuple(SCOPES.items()),
        article=article_ref(rules.citations.get("cross_applications", SETTING), rules.id),
    )


def _register_row(viewer: Viewer, row: CrossApplication) -> RegisterRow:
    return RegisterRow(
        key=row.pk,
        name=Text(row.name_zh, row.name_en or row.name_zh),
        scope=SCOPES[row.scope],
        lead=department_ref(row.lead),
        departments=tuple(department_ref(one) for one in row.departments.all()),
        systems=tuple(Text(one.name_zh, one.name_en) for one in row.systems.all()),
        purpose=row.purpose,
        registered_at=row.registered_at,
        ended_at=row.ended_at,
        ended_reason=row.ended_reason,
        entry=str(row.entry_id),
        can_end=row.ended_at is None and may_end(viewer, row),
    )
