"""What an entry said in each version, the sharing catalogue that follows it, and what was in force on a day.

Source: guangzhou-2019-165 art. 11(2); guangzhou-2016 art. 31; CAT-03, CAT-11, CAT-14.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as day_time
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.known import knows
from shuqiao.control.catalogue.models import Resource, ResourceVersion, SharingChange, SharingVersion
from shuqiao.control.texts import Text
from shuqiao.rules.entries import Entry

MAX_ROWS = 1000
READ = Text("查看往日目录", "Read the catalogue of a past day")


@dataclass(frozen=True)
class EntryThen:
    """An entry as it stood on a day."""

    resource: str
    version: int
    name_zh: str
    department: str
    published_at: datetime
    content: Mapping[str, Any]

    @property
    def entry(self) -> Entry:
        """Everything it said."""
        return entry_from(self.content)


@dataclass(frozen=True)
class Asked:
    """Which part of a past catalogue is read: one region or department, from the entry after `after` on."""

    region: str = ""
    department: str = ""
    after: str = ""
    limit: int = 100


def sharing_change(was_shared: bool, is_shared: bool) -> SharingChange | None:
    """What the sharing catalogue does when an entry gets a new version; None where it never held it."""
    if was_shared:
        return SharingChange.CHANGED if is_shared else SharingChange.REMOVED
    return SharingChange.ADDED if is_shared else None


def keep_version(
    resource: Resource, content: dict[str, Any], note: Text, *, shared: bool, withdrawn: bool = False
) -> None:
    """Give a locked entry its next version with what it says now, and the sharing catalogue its own in step.

    The entry itself is saved; in the caller's transaction.
    """
    now, was_shared = clock.now(), resource.shared
    resource.version += 1
    resource.content, resource.share_type = content, str(content.get("share_type", ""))
    resource.shared, resource.published_at = shared, now
    resource.save(update_fields=["version", "content", "share_type", "shared", "published_at"])
    version = ResourceVersion.objects.create(
        resource=resource,
        version=resource.version,
        content=content,
        note_zh=note.zh,
        note_en=note.en,
        published_at=now,
        withdrawn=withdrawn,
    )
    change = sharing_change(was_shared, shared)
    if change is not None:
        SharingVersion.objects.create(resource=resource, of=version, change=change, published_at=now)


def version_on(resource: str, day: date) -> EntryThen | None:
    """What an entry said at the end of a legal day; None where it was not in force."""
    newest = ResourceVersion.objects.filter(resource_id=resource, published_at__lt=_after(day)).first()
    return None if newest is None or newest.withdrawn else _then(newest)


def resource_catalogue_on(viewer: Viewer, day: date, asked: Asked) -> tuple[EntryThen, ...]:
    """The entries of the resource catalogue at the end of a legal day, in the order of their ids.

    Only those that the viewer knows of today.
    """
    require(viewer, Capability.CATALOGUE_SEARCH, READ)
    later = ResourceVersion.objects.filter(
        resource_id=OuterRef("resource_id"), version__gt=OuterRef("version"), published_at__lt=_after(day)
    )
    rows = ResourceVersion.objects.filter(~Exists(later), published_at__lt=_after(day), withdrawn=False)
    return _page(rows.filter(knows(viewer, "resource__")), asked)


def sharing_catalogue_on(viewer: Viewer, day: date, asked: Asked) -> tuple[EntryThen, ...]:
    """The entries of the sharing catalogue at the end of a legal day, in the order of their ids."""
    require(viewer, Capability.CATALOGUE_SEARCH, READ)
    before = SharingVersion.objects.filter(published_at__lt=_after(day))
    later = before.filter(resource_id=OuterRef("resource_id"), of__version__gt=OuterRef("of__version"))
    then = before.filter(~Exists(later)).exclude(change=SharingChange.REMOVED)
    return _page(ResourceVersion.objects.filter(pk__in=then.values("of_id")), asked)


def _page(rows: QuerySet[ResourceVersion], asked: Asked) -> tuple[EntryThen, ...]:
    found = rows.filter(resource_id__gt=asked.after)
    if asked.region:
        found = found.filter(resource__region=asked.region)
    if asked.department:
        found = found.filter(content__department=asked.department)
    limit = min(max(asked.limit, 1), MAX_ROWS)
    return tuple(_then(row) for row in found.order_by("resource_id")[:limit])


def _then(row: ResourceVersion) -> EntryThen:
    return EntryThen(
        row.resource_id,
        row.version,
        str(row.content.get("name_zh", "")),
        str(row.content.get("department", "")),
        row.published_at,
        row.content,
    )


def _after(day: date) -> datetime:
    """The moment at which the next legal day begins."""
    return datetime.combine(day + timedelta(days=1), day_time.min, tzinfo=clock.LEGAL_ZONE)
