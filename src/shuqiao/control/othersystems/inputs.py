"""What the forms give, and checking it."""

from dataclasses import dataclass
from datetime import date

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.texts import Text
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.rules.exchange_systems import KINDS, STATES

MAX_YEARS = 10
LIMITS = {"name": 100, "purpose": 300, "partners": 300, "plan": 500}


@dataclass(frozen=True)
class SystemInput:
    """A system as its form gives it; `running_since` is None where it does not run yet.

    `department` is who runs it: the platform agency may register it for another.
    """

    department: str
    kind: str
    name: str
    purpose: str
    partners: str
    running_since: date | None
    plan: str
    planned_until: date | None


@dataclass(frozen=True)
class ReportInput:
    """A report of how far a system has moved, with the day by which it will have."""

    state: str
    note: str
    planned_until: date | None


@dataclass(frozen=True)
class MappingInput:
    """What the system calls something it exchanges, and the entry that stands for it."""

    what: str
    resource: str


def mapping_faults(given: MappingInput) -> list[Fault]:
    """What is wrong with a mapping, field by field: it names a published entry, of whichever department."""
    found = [one for one in (_text_fault("what", given.what, 200),) if one]
    if not Resource.objects.filter(pk=given.resource, state="published").exists():
        found.append(_fault("resource", "entry_unknown", "不是已公布的目录条目", "It is no published entry"))
    return found


def system_faults(given: SystemInput) -> list[Fault]:
    """What is wrong with a registration, field by field."""
    found = [one for name, limit in LIMITS.items() if (one := _text_fault(name, getattr(given, name), limit))]
    if given.kind not in KINDS:
        found.append(_fault("kind", "field_required", "请选择种类", "Choose what it is"))
    return found + _day_faults(given.planned_until)


def report_faults(given: ReportInput) -> list[Fault]:
    """What is wrong with a report, field by field."""
    found = [one for one in (_text_fault("note", given.note, 500),) if one]
    if given.state not in STATES:
        found.append(_fault("state", "field_required", "请选择状态", "Choose the state"))
    return found + ([] if given.state == "moved" else _day_faults(given.planned_until))


def _text_fault(name: str, value: str, limit: int) -> Fault | None:
    if not value.strip():
        return _fault(name, "field_required", "必填", "It must be filled in")
    if len(value.strip()) > limit:
        return _fault(name, "too_long", f"不超过 {limit} 字", f"At most {limit} characters")
    wrong = plain_fault(name, value.strip(), limit)
    return _fault(name, wrong.code, wrong.zh, wrong.en) if wrong else None


def _day_faults(day: date | None) -> list[Fault]:
    today = clock.today()
    if day is None:
        zh, en = "请填写计划完成的日期", "Give the day by which it will have moved"
        return [_fault("planned_until", "field_required", zh, en)]
    if not today <= day <= today.replace(year=today.year + MAX_YEARS, day=min(today.day, 28)):
        zh, en = f"须在今天之后、{MAX_YEARS} 年之内", f"From today on, within {MAX_YEARS} years"
        return [_fault("planned_until", "date_impossible", zh, en)]
    return []


def _fault(name: str, code: str, zh: str, en: str) -> Fault:
    return Fault(name, code, Text(zh, en))
