"""Telling followers what has changed in the sharing catalogue: each change once, however it came about.

What has changed is read from the sharing catalogue's own history, so whatever writes it (publishing, a ruling
on the share type, the end of a sharing period) needs to know nothing of followers.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from shuqiao.control import clock
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.models import Notification
from shuqiao.control.catalogue.models import SharingVersion
from shuqiao.control.catalogue.search import Sort, Wanted, matching
from shuqiao.control.catalogue.search_page import Asked
from shuqiao.control.finding.actions import asked_of
from shuqiao.control.finding.models import FollowedEntry, SavedSearch, Told, ToldMark

BATCH = 2_000
SETTLED_AFTER = timedelta(hours=1)
"""No transaction lasts this long: what has a lower key than something told so long ago is there by now."""

CHANGES = {
    "added": ("新增", "added"),
    "changed": ("变更", "changed"),
    "removed": ("移出", "taken out"),
}


@dataclass(frozen=True)
class Change:
    """One change of the sharing catalogue."""

    key: int
    resource: str
    name_zh: str
    name_en: str
    change: str
    version: int


def tell() -> int:
    """Tell everyone of what has changed since the last time; return how many changes there were.

    Safe to run late, twice or beside another run: a batch and its notices stand in one transaction.
    """
    told = 0
    while batch := _tell_batch():
        told += batch
    return told


@transaction.atomic
def _tell_batch() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('finding.tell'))")
    mark, _ = ToldMark.objects.get_or_create(id=1)
    changes = _untold(mark.up_to)
    if not changes:
        return 0
    _leave(_of_entries(changes))
    _leave(_of_searches(changes))
    now = timezone.now()
    Told.objects.bulk_create(Told(version_id=change.key, told_at=now) for change in changes)
    settled = Told.objects.filter(told_at__lt=now - SETTLED_AFTER).order_by("-version_id").first()
    if settled is not None:
        ToldMark.objects.filter(id=1).update(up_to=settled.version_id)
        Told.objects.filter(version_id__lte=settled.version_id).delete()
    return len(changes)


def _untold(up_to: int) -> list[Change]:
    rows = SharingVersion.objects.filter(id__gt=up_to, told=None).order_by("id")
    given = rows.annotate(number=F("of__version")).values_list(
        "id", "resource_id", "resource__name_zh", "resource__name_en", "change", "number"
    )
    return [Change(*row) for row in given[:BATCH]]


def _of_entries(changes: Sequence[Change]) -> Iterator[Notification]:
    """A notice for each follower of each entry."""
    followers: dict[str, list[tuple[int, str]]] = defaultdict(list)
    rows = FollowedEntry.objects.filter(resource_id__in={change.resource for change in changes})
    for resource, account, department in rows.values_list(
        "resource_id", "account_id", "account__department_id"
    ):
        followers[resource].append((account, department))
    for change in changes:
        zh, en = CHANGES[change.change]
        params: dict[str, str | int] = {
            "resource": change.resource,
            "name_zh": change.name_zh,
            "name_en": change.name_en or change.name_zh,
            "change_zh": zh,
            "change_en": en,
        }
        for account, department in followers[change.resource]:
            yield _notice(account, department, "entry_followed", change.resource, str(change.key), params)


def _of_searches(changes: Sequence[Change]) -> Iterator[Notification]:
    """One notice for each watched search with something new among its results, however much it is."""
    watched = SavedSearch.objects.filter(watched=True, account__is_active=True).select_related("account")
    by_resource: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_resource[change.resource].append(change)
    known: dict[tuple[Asked, str], tuple[str, ...]] = {}
    for saved in watched.iterator(chunk_size=500):
        department = saved.account.department_id
        asked = replace(asked_of(saved), sort=Sort.RELEVANCE)
        # Many keep the same search; it is looked at once.
        same = (asked, department if asked.own else "")
        if same not in known:
            known[same] = matching(_wanted(*same), tuple(by_resource))
        found = [change for resource in known[same] for change in by_resource[resource]]
        if found:
            counts = Counter(change.change for change in found)
            params: dict[str, str | int] = {"search": saved.pk, "name": saved.name, "count": len(found)}
            params |= {kind: counts[kind] for kind in CHANGES}
            occasion = str(max(change.key for change in found))
            yield _notice(
                saved.account_id, department, "search_followed", f"search {saved.pk}", occasion, params
            )


def _wanted(asked: Asked, department: str) -> Wanted:
    return Wanted(asked.terms, asdict(asked.filters), department=department)


def _notice(
    account: int, department: str, code: str, reference: str, occasion: str, params: dict[str, str | int]
) -> Notification:
    return Notification(
        department_id=department,
        account_id=account,
        capability=Capability.CATALOGUE_SEARCH,
        code=code,
        reference=reference,
        occasion=occasion,
        params=params,
        created_at=clock.now(),
    )


def _leave(notices: Iterable[Notification]) -> None:
    Notification.objects.bulk_create(notices, batch_size=500, ignore_conflicts=True)
