"""The register of applications that cross departments (SPC-04)."""

from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.organisations.bodies import COMPETENT, body_roles
from shuqiao.control.organisations.models import Application, Department
from shuqiao.control.projects.inputs import ApplicationInput, fault
from shuqiao.control.projects.models import (
    MAX_PURPOSE_CHARS,
    MAX_REASON_CHARS,
    MAX_TITLE_CHARS,
    CrossApplication,
    Scope,
)
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.errors import PermissionDenied, TransitionRefused

REGISTER = Text("登记跨部门应用", "Register a cross-department application")
END = Text("停用跨部门应用", "End a cross-department application")


@transaction.atomic
def register_application(viewer: Viewer, given: ApplicationInput) -> int:
    """Register an application that the viewer's department leads, and return its key.

    Source: shenyang-2016 art. 8, 20(2).
    """
    require(viewer, Capability.PROJECT_LEAD, REGISTER)
    departments = Department.objects.filter(code__in=given.departments, active=True)
    systems = Application.objects.filter(id__in=given.systems, active=True)
    faults = _faults(viewer, given, departments.count(), systems.count())
    if faults:
        raise FormRefused(tuple(faults))
    entry = _append(
        viewer, given.name_zh.strip(), "cross_application_registered", "in_use", given.departments
    )
    try:
        with transaction.atomic():
            row = CrossApplication.objects.create(
                name_zh=given.name_zh.strip(),
                name_en=given.name_en.strip()[:160],
                scope=given.scope,
                lead_id=viewer.department.code,
                purpose=given.purpose.strip(),
                regulation=regulation().id,
                registered_by_id=viewer.account_id,
                registered_at=clock.now(),
                entry_id=entry,
            )
    except IntegrityError:
        # Somebody else registered the same name a moment ago.
        zh, en = "已有同名应用", "An application of this name is registered"
        raise FormRefused((fault("name_zh", "name_taken", zh, en),)) from None
    row.departments.set(departments)
    row.systems.set(systems)
    return row.pk


@transaction.atomic
def end_application(viewer: Viewer, key: int, reason: str) -> None:
    """Take an application out of use: its lead may, and the department that manages all of them."""
    row = CrossApplication.objects.select_for_update().filter(pk=key).first()
    if row is None or not viewer.can(Capability.CATALOGUE_SEARCH):
        raise NotFound
    if not may_end(viewer, row):
        raise PermissionDenied(action=str(END))
    if row.ended_at is not None:
        raise TransitionRefused(case=row.name_zh, state="已停用", action="停用")
    words = reason.strip()
    if not words or len(words) > MAX_REASON_CHARS:
        raise FormRefused((fault("reason", "reason_required", "请写明停用理由", "Say why it ends"),))
    row.ended_at, row.ended_reason = clock.now(), words
    row.save(update_fields=["ended_at", "ended_reason"])
    _append(viewer, row.name_zh, "cross_application_ended", "ended", ())


def may_end(viewer: Viewer, row: CrossApplication) -> bool:
    """Tell whether the viewer leads the application or manages the register for the competent department."""
    leads = row.lead_id == viewer.department.code and viewer.can(Capability.PROJECT_LEAD)
    roles = body_roles(viewer.department.code)
    manages = viewer.can(Capability.CATALOGUE_REVIEW) and COMPETENT in roles
    return leads or manages


def _faults(viewer: Viewer, given: ApplicationInput, departments: int, systems: int) -> list[Fault]:
    faults = []
    if not 0 < len(given.name_zh.strip()) <= MAX_TITLE_CHARS:
        zh = f"请填写名称，不超过 {MAX_TITLE_CHARS} 字"
        en = f"Name it, in at most {MAX_TITLE_CHARS} characters"
        faults.append(fault("name_zh", "field_required", zh, en))
    if given.scope not in Scope.values:
        faults.append(fault("scope", "field_required", "请选择覆盖范围", "Choose how far it reaches"))
    if not 0 < len(given.purpose.strip()) <= MAX_PURPOSE_CHARS:
        zh = f"请写明用途，不超过 {MAX_PURPOSE_CHARS} 字"
        en = f"Say what it is for, in at most {MAX_PURPOSE_CHARS} characters"
        faults.append(fault("purpose", "field_required", zh, en))
    others = set(given.departments) - {viewer.department.code}
    if not others or departments != len(set(given.departments)):
        zh, en = "请选择至少一个其他参与部门", "Choose at least one other department"
        faults.append(fault("departments", "department_unknown", zh, en))
    if systems != len(set(given.systems)):
        zh, en = "所选系统不在平台上", "A system is not on the platform"
        faults.append(fault("systems", "application_unknown", zh, en))
    return faults


def _append(viewer: Viewer, name: str, event: str, outcome: str, departments: tuple[str, ...]) -> str:
    rules = regulation()
    article = rules.cite(rules.citations.get("cross_applications", "setting"))
    return str(
        append_entry(
            event,
            actor=f"account:{viewer.username}",
            at=clock.now(),
            outcome=outcome,
            department=viewer.department.code,
            facts={
                "application": name,
                "departments": sorted(departments),
                "regulation": rules.id,
                "articles": [article],
            },
        )
    )
