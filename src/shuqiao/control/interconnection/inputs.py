"""What the forms give, and checking it."""

from dataclasses import dataclass
from datetime import date

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.interconnection.models import BusinessSystem
from shuqiao.control.organisations.models import Application
from shuqiao.control.texts import Text
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.rules.interconnection import PLANNED, RETIRED

MAX_YEARS = 10
MAX_NOTE_CHARS = 500
LIMITS = {"name": 100, "purpose": 300}


@dataclass(frozen=True)
class SystemInput:
    """A system as its form gives it; `application` and `brings` are empty for a way it has not."""

    department: str
    name: str
    purpose: str
    application: str
    brings: str


@dataclass(frozen=True)
class ReportInput:
    """How a system stands to the platform now; `planned_until` where that is planned."""

    state: str
    planned_until: date | None
    note: str


@dataclass(frozen=True)
class AcceptanceInput:
    """Whether a system passes acceptance; `due_on` is by when what is wrong is put right."""

    passes: bool
    note: str
    due_on: date | None


def one_line(text: str) -> str:
    """The text in one line, with single blanks."""
    return " ".join(text.split())


def system_faults(given: SystemInput, number: str = "") -> list[Fault]:
    """What is wrong with a registration, field by field; `number` is that of a system that is changed."""
    found = [one for name, limit in LIMITS.items() if (one := _line_fault(name, getattr(given, name), limit))]
    return found + _way_faults(given, number)


def _line_fault(name: str, value: str, limit: int) -> Fault | None:
    """What is wrong with a text of one line; it stands in a sealed document, so nothing hides in it."""
    words = one_line(value)
    if not words:
        return _fault(name, "field_required", "必填", "It must be filled in")
    if not words.isprintable():
        return _fault(name, "text_not_plain", "不得含有控制字符", "No control characters")
    wrong = plain_fault(name, words, limit)
    return _fault(name, wrong.code, wrong.zh, wrong.en) if wrong else None


def application_taken() -> Fault:
    """The fault of a key that is another system's: its calls would prove both."""
    zh, en = "这个系统密钥已登记在另一个系统名下", "The key is registered for another system already"
    return _fault("application", "application_taken", zh, en)


def _way_faults(given: SystemInput, number: str) -> list[Fault]:
    own = Application.objects.filter(department_id=given.department, portal=False)
    others = BusinessSystem.objects.exclude(state=RETIRED).exclude(pk=number)
    found = []
    if given.application and not own.filter(id=given.application).exists():
        zh, en = "本部门没有登记这个系统密钥", "The department has no system key of this id"
        found.append(_fault("application", "application_unknown", zh, en))
    elif given.application and others.filter(application=given.application).exists():
        found.append(application_taken())
    offered = Resource.objects.filter(department_id=given.department, state="published")
    if given.brings and not offered.filter(pk=given.brings).exists():
        zh, en = "不是本部门已公布的目录条目", "It is no published entry of the department"
        found.append(_fault("brings", "entry_unknown", zh, en))
    return found


def report_faults(given: ReportInput) -> list[Fault]:
    """What is wrong with a report, field by field."""
    found = note_faults(given.note)
    return found + (day_faults("planned_until", given.planned_until) if given.state == PLANNED else [])


def note_faults(note: str) -> list[Fault]:
    """What is wrong with a note: it must be there and short."""
    if not note.strip():
        return [_fault("note", "field_required", "请写明情况", "Say what is the case")]
    wrong = plain_fault("note", note.strip(), MAX_NOTE_CHARS)
    return [_fault("note", wrong.code, wrong.zh, wrong.en)] if wrong else []


def day_faults(name: str, day: date | None) -> list[Fault]:
    """What is wrong with a day by which something is to be done."""
    today = clock.today()
    if day is None:
        return [_fault(name, "field_required", "请填写日期", "Give the day")]
    if not today <= day <= today.replace(year=today.year + MAX_YEARS, day=min(today.day, 28)):
        zh, en = f"须在今天之后、{MAX_YEARS} 年之内", f"From today on, within {MAX_YEARS} years"
        return [_fault(name, "date_impossible", zh, en)]
    return []


def _fault(name: str, code: str, zh: str, en: str) -> Fault:
    return Fault(name, code, Text(zh, en))
