"""What forms give to the actions on projects, and checking it against catalogue and register."""

from dataclasses import dataclass
from datetime import date

from shuqiao.control.accounts.access import Fault, Viewer
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.projects.models import MAX_PURPOSE_CHARS, MAX_TITLE_CHARS
from shuqiao.control.texts import Text


@dataclass(frozen=True)
class ProjectInput:
    """A project as its form gives it; `number` is empty for a new one."""

    title: str
    number: str = ""
    purpose: str = ""
    duty: int | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    participants: tuple[str, ...] = ()


@dataclass(frozen=True)
class LineInput:
    """What a department needs of an entry for the project."""

    user: str
    resource: str
    mode: str
    fields: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class JoinInput:
    """What a department says when it makes its requests: its duty, its systems, the conditions it accepts."""

    duty: int | None
    applications: tuple[str, ...]
    accepted_conditions: tuple[str, ...]


@dataclass(frozen=True)
class ApplicationInput:
    """A cross-department application as its form gives it."""

    name_zh: str
    scope: str
    purpose: str
    departments: tuple[str, ...]
    name_en: str = ""
    systems: tuple[str, ...] = ()


def fault(name: str, code: str, zh: str, en: str) -> Fault:
    """Word what is wrong with a field."""
    return Fault(name, code, Text(zh, en))


def project_faults(viewer: Viewer, given: ProjectInput) -> list[Fault]:
    """What of a project cannot be stored; what is missing for its start is the rules' to say."""
    faults = []
    if not given.title.strip():
        faults.append(fault("title", "field_required", "请填写专项名称", "Name the project"))
    for name, limit in (("title", MAX_TITLE_CHARS), ("purpose", MAX_PURPOSE_CHARS)):
        if len(getattr(given, name).strip()) > limit:
            faults.append(fault(name, "too_long", f"不超过 {limit} 字", f"At most {limit} characters"))
    if given.duty is not None and not _own_duty(viewer, given.duty):
        zh, en = "所选职权不是本部门登记的职权", "Not a registered duty of your department"
        faults.append(fault("duty", "duty_unknown", zh, en))
    if given.valid_from and given.valid_until and given.valid_until < given.valid_from:
        faults.append(
            fault("valid_until", "period_backward", "结束日期早于开始日期", "It ends before it begins")
        )
    if not _departments_exist(given.participants):
        zh, en = "所列部门不在平台上", "A department is not on the platform"
        faults.append(fault("participants", "department_unknown", zh, en))
    return faults


def line_faults(given: LineInput, users: frozenset[str], resource: Resource | None) -> list[Fault]:
    """What of a line cannot be asked for: nobody asks itself, and only what the catalogue offers."""
    if given.user not in users:
        zh, en = "使用部门须是牵头或参与部门", "The user must lead the project or take part in it"
        return [fault("user", "department_unknown", zh, en)]
    if resource is None:
        return [fault("resource", "resource_unknown", "目录中没有此条目", "No such entry in the catalogue")]
    faults = []
    if resource.department_id == given.user:
        zh, en = "使用部门就是该条目的责任部门", "The user is responsible for the entry itself"
        faults.append(fault("user", "own_entry", zh, en))
    offered = {item.field: item for item in resource.items.all()}
    chosen = [offered[name] for name in given.fields if name in offered]
    if not given.fields or len(chosen) != len(set(given.fields)):
        zh, en = "请选择目录中的信息项", "Choose items of the entry"
        faults.append(fault("fields", "item_unknown", zh, en))
    if given.mode not in resource.modes or any(given.mode not in item.modes for item in chosen):
        zh, en = "所选信息项不提供这种方式", "The items aren't offered in this mode"
        faults.append(fault("mode", "item_mode", zh, en))
    if not given.reason.strip() or len(given.reason.strip()) > MAX_PURPOSE_CHARS:
        zh = f"请写明为何需要，不超过 {MAX_PURPOSE_CHARS} 字"
        en = f"Say why they are needed, in at most {MAX_PURPOSE_CHARS} characters"
        faults.append(fault("reason", "field_required", zh, en))
    return faults


def _own_duty(viewer: Viewer, key: int) -> bool:
    return Duty.objects.filter(pk=key, department_id=viewer.department.code).exists()


def _departments_exist(codes: tuple[str, ...]) -> bool:
    known = Department.objects.filter(code__in=codes, active=True).count()
    return known == len(set(codes))
