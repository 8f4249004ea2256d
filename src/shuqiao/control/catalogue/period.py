"""The sharing period of an entry: set when the entry is published, prolonged by its department, and ended.

No grant lasts longer than its entry. Source: guangzhou-2016 art. 30(1) (sharing period); VAL-02.
"""

from datetime import date, timedelta

from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.history import keep_version
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.errors import EntryPeriodExceeded
from shuqiao.rules.procedures import latest_until

ACTOR = "system:catalogue"
WARN_DAYS = 30
"""So long before its end the department of an entry is asked to prolong it."""


def period_fault(field: str, until: date | None, resource: Resource) -> tuple[Fault, ...]:
    """The fault of a period that ends after the entry's own; nothing where it does not."""
    if until is None or until <= resource.shared_until:
        return ()
    ends = resource.shared_until.isoformat()
    words = Text(
        f"目录条目的共享期限至 {ends}，最晚可填该日", f"The entry is shared until {ends}, the latest day"
    )
    return (Fault(field, EntryPeriodExceeded.code, words),)


def check_within_entry(resource_id: str, until: date) -> None:
    """Raise `EntryPeriodExceeded` for a grant that would outlive its entry."""
    ends = Resource.objects.values_list("shared_until", flat=True).get(pk=resource_id)
    if until > ends:
        raise EntryPeriodExceeded(ends=ends.isoformat())


@transaction.atomic
def prolong_entry(viewer: Viewer, resource_id: str, until: date | None) -> None:
    """Let an entry be shared until a later day, at most as long from today as the regulation allows.

    Raises `NotFound` for whoever may not edit it, and `FormRefused` for a day that is no prolongation.
    """
    if not viewer.can(Capability.CATALOGUE_EDIT):
        raise NotFound
    own = Resource.objects.select_for_update().filter(department_id=viewer.department.code)
    resource = own.filter(pk=resource_id, state="published").first()
    if resource is None:
        raise NotFound
    latest = latest_until(clock.today(), regulation().entry_months)
    if until is None or not resource.shared_until < until <= latest:
        zh = f"须晚于 {resource.shared_until}，最晚 {latest}"
        en = f"It must lie after {resource.shared_until}, at the latest {latest}"
        raise FormRefused((Fault("shared_until", "entry_period_refused", Text(zh, en)),))
    before, resource.shared_until = resource.shared_until, until
    resource.save(update_fields=["shared_until"])
    content = {**resource.content, "shared_until": until.isoformat()}
    keep_version(resource, content, Text("延长共享期限", "Sharing period prolonged"), shared=resource.shared)
    _record("entry_prolonged", resource, f"account:{viewer.username}", before)


def end_entries() -> int:
    """End the entries whose period is over and ask once for those that end soon; how many ended."""
    today = clock.today()
    published = Resource.objects.filter(state="published").order_by("pk")
    over = list(published.filter(shared_until__lt=today).values_list("pk", flat=True))
    soon = today + timedelta(days=WARN_DAYS)
    for resource in published.filter(shared_until__gte=today, shared_until__lte=soon):
        _tell(resource, "entry_ending")
    return sum(_end(key) for key in over)


@transaction.atomic
def _end(key: str) -> int:
    open_ones = Resource.objects.select_for_update(skip_locked=True).filter(state="published")
    resource = open_ones.filter(pk=key, shared_until__lt=clock.today()).first()
    if resource is None:
        return 0
    resource.state = "withdrawn"
    resource.save(update_fields=["state"])
    note = Text("共享期限届满", "Sharing period ended")
    keep_version(resource, resource.content, note, shared=False, withdrawn=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE exchange.resource SET active = false WHERE id = %s", [key])
    _record("entry_ended", resource, ACTOR, resource.shared_until)
    _tell(resource, "entry_ended")
    return 1


def _record(event: str, resource: Resource, actor: str, before: date) -> None:
    append_entry(
        event,
        actor=actor,
        at=clock.now(),
        outcome=resource.state,
        department=resource.department_id,
        provider=resource.department_id,
        resource_id=resource.pk,
        facts={
            "before": before.isoformat(),
            "until": resource.shared_until.isoformat(),
            "articles": [regulation().cite_matter("sharing_period")],
        },
    )


def _tell(resource: Resource, code: str) -> None:
    notify(
        resource.department_id,
        code,
        resource.pk,
        capability=Capability.CATALOGUE_EDIT,
        occasion=resource.shared_until.isoformat(),
        params={
            "name_zh": resource.name_zh,
            "name_en": resource.name_en,
            "until": resource.shared_until.isoformat(),
        },
    )
