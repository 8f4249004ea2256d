"""Uses of the information about one person or body: found through the vault, because the log knows no names.

The search stands in the log, with its reason and without the words searched for, before the vault is asked.
Who may ask: the department whose list it is, and supervision.
Source: guangzhou-2016 art. 42(3); shenyang-2016 art. 24(1); our choice, decision 25.
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.conf import settings
from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Item, Resource, Service, ServiceKind
from shuqiao.control.operations.audit import entries_about, may_read_audit
from shuqiao.control.operations.queries import AuditFilters, AuditRow
from shuqiao.control.texts import Text
from shuqiao.rules.errors import Unavailable
from shuqiao.security import keys
from shuqiao.wire.vault import VaultError, find_by_name_sync

MAX_REASON_CHARS = 300
MAX_NAME_CHARS = 128


@dataclass(frozen=True)
class SubjectField:
    """By what one may be searched for: a name, or the number that is the key of a list."""

    resource: str
    field: str
    list_name: Text
    name: Text

    @property
    def key(self) -> str:
        """Name the choice in a form."""
        return f"{self.resource}:{self.field}"


@dataclass(frozen=True)
class SubjectSearch:
    """What is searched for, why, and in which days."""

    field: str = ""
    name: str = ""
    reason: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class SubjectUses:
    """The newest uses found. `records` bear the name; `more`: so many do that not all were looked at."""

    rows: tuple[AuditRow, ...]
    records: int
    more: bool
    entry: UUID


def subject_fields(viewer: Viewer) -> tuple[SubjectField, ...]:
    """Return by what the viewer may search, list by list; raises `NotFound` for who doesn't read the log."""
    if not may_read_audit(viewer):
        raise NotFound
    # Of data that stay with a department the vault knows nobody.
    held = Service.objects.filter(kind=ServiceKind.NODE, ended_at=None).values("resource")
    lists = Resource.objects.exclude(record_key="").exclude(id__in=held).order_by("code")
    if not viewer.can(Capability.AUDIT_VIEW_ALL):
        lists = lists.filter(department_id=viewer.department.code)
    named = {one.id: one for one in lists}
    items = Item.objects.filter(resource__in=named, identity=True).order_by("number", "part")
    found = [
        SubjectField(
            item.resource_id,
            item.field,
            Text(named[item.resource_id].name_zh, named[item.resource_id].name_en),
            item.name,
        )
        for item in items
        if item.kind == "name" or item.field == named[item.resource_id].record_key
    ]
    order = list(named)
    return tuple(sorted(found, key=lambda one: order.index(one.resource)))


def search_subject(viewer: Viewer, search: SubjectSearch) -> SubjectUses:
    """Find the uses of the information about whoever bears a name or number.

    Raises `FormRefused` when something is missing, `Unavailable` when the vault gives no answer; the search
    stands in the log either way.
    """
    chosen = next((one for one in subject_fields(viewer) if one.key == search.field), None)
    name, reason = search.name.strip()[:MAX_NAME_CHARS], search.reason.strip()[:MAX_REASON_CHARS]
    faults = []
    if chosen is None:
        faults.append(Fault("field", "field_unknown", Text("请选择按什么查找", "Choose by what to search")))
    if not name or not name.isprintable():
        faults.append(Fault("name", "name_required", Text("请填写姓名或编号", "Give a name or number")))
    if not reason or not reason.isprintable():
        faults.append(Fault("reason", "reason_required", Text("请写明查找理由", "Say why you search")))
    if faults or chosen is None:
        raise FormRefused(tuple(faults))
    entry = _record(viewer, chosen, reason)
    config = settings.CONFIG
    if config.vault_socket is None or config.vault_key_file is None:
        raise Unavailable()
    try:
        found = find_by_name_sync(
            config.vault_socket,
            keys.load_secret_file(config.vault_key_file),
            resource=chosen.resource,
            field=chosen.field,
            name=name,
            reason=reason,
            entries=[entry],
        )
    except (keys.KeyRefusedError, VaultError) as error:
        raise Unavailable() from error
    days = AuditFilters(since=search.since, until=search.until, resource=chosen.resource)
    rows = entries_about(viewer, found.records, days, entry)
    return SubjectUses(rows, len(found.records), found.more, entry)


@transaction.atomic
def _record(viewer: Viewer, chosen: SubjectField, reason: str) -> UUID:
    return append_entry(
        "vault_searched",
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome="searched",
        department=viewer.department.code,
        provider=Resource.objects.values_list("department_id", flat=True).get(id=chosen.resource),
        resource_id=chosen.resource,
        facts={"field": chosen.field, "reason": reason},
    )
