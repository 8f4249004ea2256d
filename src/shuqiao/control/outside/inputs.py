"""What forms give to the actions, and checking it against register, grants and regulation."""

from dataclasses import dataclass
from datetime import date

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, NotFound, Viewer
from shuqiao.control.grants.models import IN_USE, Grant
from shuqiao.control.organisations.models import Department, Duty
from shuqiao.control.texts import Text


@dataclass(frozen=True)
class OutsideInput:
    """A request outside the catalogue as its form gives it; `draft` is the key of a kept draft."""

    holder: str
    wanted: str = ""
    duty: int | None = None
    purpose: str = ""
    draft: int | None = None


@dataclass(frozen=True)
class PublicationInput:
    """A request to publish as its form gives it; `draft` is the key of a kept draft."""

    grant: str
    fields: tuple[str, ...] = ()
    content: str = ""
    audience: str = ""
    channel: str = ""
    purpose: str = ""
    draft: int | None = None


def holder_of(viewer: Viewer, code: str) -> tuple[Department | None, list[Fault]]:
    """Look the presumed holder up: another active body of the platform."""
    found = Department.objects.filter(code=code, active=True).exclude(code=viewer.department.code).first()
    if found is not None:
        return found, []
    words = Text("请选择可能持有该信息的单位", "Choose the body that presumably holds it")
    return None, [Fault("holder", "holder_unknown", words)]


def duty_of(viewer: Viewer, key: int | None) -> tuple[Duty | None, list[Fault]]:
    """Look a duty up among those registered for the viewer's department (REQ-02)."""
    if key is None:
        return None, []
    duty = Duty.objects.filter(pk=key, department_id=viewer.department.code).first()
    if duty is not None:
        return duty, []
    words = Text("所选职权不是本部门登记的职权", "Not a registered duty of your department")
    return None, [Fault("duty", "duty_unknown", words)]


def held_grant(viewer: Viewer, number: str, on: date | None = None) -> Grant:
    """Return a grant that the viewer's department holds and that is in force."""
    day = on or clock.today()
    held = Grant.objects.filter(consumer_id=viewer.department.code, phase=IN_USE, valid_until__gte=day)
    grant = held.select_related("resource", "provider").filter(number=number).first()
    if grant is None:
        raise NotFound
    return grant


def field_faults(grant: Grant, fields: tuple[str, ...]) -> list[Fault]:
    """Only what the grant gives can be passed on, and something must be named."""
    if not fields:
        words = Text("请选择拟对外提供或发布的信息项", "Choose the items to be passed on or published")
        return [Fault("fields", "field_required", words)]
    if set(fields) <= set(grant.fields):
        return []
    words = Text("所选信息项不在授权之内", "An item is not in the grant")
    return [Fault("fields", "item_unknown", words)]
