"""Force majeure: a provider records that it can't provide in time, and what it does about it.

The platform agency, the competent department and the users of the entry are told at once.
Source: xiamen-2015 art. 15; UPD-08.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.grants.models import IN_USE, Grant
from shuqiao.control.organisations.bodies import COMPETENT, PLATFORM_AGENCY, bodies_with
from shuqiao.control.texts import Text
from shuqiao.control.updating.access import may_provide, published
from shuqiao.control.updating.models import MAX_TEXT_CHARS, Hindrance
from shuqiao.rules.entry_faults import plain_fault

EVENT = "force_majeure"
MATTER = "force_majeure"


@dataclass(frozen=True)
class HindranceGiven:
    """A hindrance as its form gives it."""

    resource: str
    began_on: date | None
    cause: str
    remedy: str
    expected_on: date | None = None


@transaction.atomic
def record_hindrance(viewer: Viewer, given: HindranceGiven) -> int:
    """Record a hindrance and tell everybody concerned; raises `NotFound` or `FormRefused`."""
    resource = published(given.resource)
    if not may_provide(viewer, resource.department_id):
        raise NotFound
    Resource.objects.select_for_update().get(pk=resource.id)
    faults = tuple(_faults(given))
    if faults or given.began_on is None:
        raise FormRefused(faults)
    row = Hindrance.objects.create(
        resource=resource,
        department_id=resource.department_id,
        began_on=given.began_on,
        cause=given.cause.strip(),
        remedy=given.remedy.strip(),
        expected_on=given.expected_on,
        recorded_by_id=viewer.account_id,
        recorded_at=clock.now(),
        entry_id=_entry(viewer, resource, "hindrance_recorded", given.began_on),
    )
    _tell(row, resource, "hindrance_recorded")
    return row.pk


@transaction.atomic
def end_hindrance(viewer: Viewer, key: int) -> None:
    """Let the provider say that it can provide again; the same are told."""
    rows = Hindrance.objects.select_for_update(of=("self",)).select_related("resource")
    row = rows.filter(pk=key, ended_on=None).first()
    if row is None or not may_provide(viewer, row.department_id):
        raise NotFound
    row.ended_on = max(clock.today(), row.began_on)
    row.save(update_fields=["ended_on"])
    _entry(viewer, row.resource, "hindrance_ended", row.ended_on)
    _tell(row, row.resource, "hindrance_ended")


def hindrances_now(resources: list[str]) -> dict[str, Hindrance]:
    """What stands in the way of these entries now."""
    return {one.resource_id: one for one in Hindrance.objects.filter(resource__in=resources, ended_on=None)}


def hindrance_in(resource: str, first: date, last: date) -> Hindrance | None:
    """A hindrance that stood on a day of a period."""
    rows = Hindrance.objects.filter(resource=resource, began_on__lte=last)
    return rows.exclude(ended_on__lt=first).order_by("-began_on").first()


def _entry(viewer: Viewer, resource: Resource, outcome: str, day: date) -> UUID:
    rules = rules_for(resource.department_id)
    return append_entry(
        EVENT,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=outcome,
        department=viewer.department.code,
        provider=resource.department_id,
        resource_id=resource.id,
        facts={"day": day.isoformat(), "articles": [rules.cite_matter(MATTER)]},
    )


def _tell(row: Hindrance, resource: Resource, code: str) -> None:
    params = {
        "name_zh": resource.name_zh,
        "name_en": resource.name_en or resource.name_zh,
        "until": row.expected_on.isoformat() if row.expected_on else "—",
    }
    users = Grant.objects.filter(resource=resource, phase=IN_USE).values_list("consumer_id", flat=True)
    told = [(body, Capability.GRANT_USE) for body in users.distinct()]
    told += [(body, Capability.APPLICATION_ADMIT) for body in bodies_with(PLATFORM_AGENCY)]
    told += [(body, Capability.CATALOGUE_REVIEW) for body in bodies_with(COMPETENT)]
    for body, capability in told:
        notify(body, code, resource.id, capability=capability, occasion=str(row.pk), params=params)


def _faults(given: HindranceGiven) -> Iterator[Fault]:
    today = clock.today()
    if given.began_on is None or given.began_on > today:
        words = Text("请填写今天或以前的日期", "Enter a day, today or earlier")
        yield Fault("began_on", "day_out_of_range", words)
    if given.expected_on is not None and given.expected_on < today:
        yield Fault("expected_on", "day_out_of_range", Text("须在今天或以后", "Today or later"))
    for name, text in (("cause", given.cause.strip()), ("remedy", given.remedy.strip())):
        wrong = plain_fault(name, text, MAX_TEXT_CHARS)
        if not text:
            yield Fault(name, "field_required", Text("必填", "It must be filled in"))
        elif wrong:
            yield Fault(name, wrong.code, Text(wrong.zh, wrong.en))
    if Hindrance.objects.filter(resource=given.resource, ended_on=None).exists():
        words = Text("已有未结束的记录", "One has been recorded and not ended")
        yield Fault("cause", "already_done", words)
