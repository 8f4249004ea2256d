"""Keeping searches and following entries; each with its audit entry, each bounded for an account."""

from dataclasses import asdict
from typing import Any

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.models import Account
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.catalogue.search import Sort
from shuqiao.control.catalogue.search_page import MAX_QUERY_CHARS, Asked, SearchFilters
from shuqiao.control.finding.models import FollowedEntry, SavedSearch
from shuqiao.control.texts import Text

MAX_SEARCHES = 50
MAX_FOLLOWED = 200
MAX_NAME_CHARS = 40
_SAVE = Text("保存检索", "Save a search")


@transaction.atomic
def save_search(viewer: Viewer, name: str, asked: Asked, *, watched: bool = False) -> int:
    """Keep a search under a name and return its key; the same name again replaces what it held."""
    require(viewer, Capability.CATALOGUE_SEARCH, _SAVE)
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME_CHARS:
        most = MAX_NAME_CHARS
        words = Text(f"请填写名称，最多 {most} 字", f"Give a name of at most {most} characters")
        raise FormRefused((Fault("name", "field_required", words),))
    # The account's row is the lock: two windows of one reader can't pass the bound together.
    Account.objects.select_for_update().get(pk=viewer.account_id)
    held = SavedSearch.objects.filter(account_id=viewer.account_id)
    if held.exclude(name=name).count() >= MAX_SEARCHES:
        raise _full(MAX_SEARCHES, "name")
    saved, _ = SavedSearch.objects.update_or_create(
        account_id=viewer.account_id,
        name=name,
        defaults={**_columns(asked), "watched": watched, "created_at": clock.now()},
    )
    _append(viewer, "search_saved", "saved", {"search": saved.pk, "watched": watched})
    return saved.pk


def _columns(asked: Asked) -> dict[str, Any]:
    return {
        "text": asked.text.strip()[:MAX_QUERY_CHARS],
        "filters": {key: list(values) for key, values in asdict(asked.filters).items() if values},
        "sort": asked.sort.value,
        "own": asked.own,
        "plain": asked.plain,
    }


def asked_of(saved: SavedSearch) -> Asked:
    """The search that was kept; what later versions of the page no longer know is left out."""
    known = SearchFilters.__dataclass_fields__
    filters = {key: tuple(values) for key, values in saved.filters.items() if key in known}
    return Asked(saved.text, SearchFilters(**filters), Sort(saved.sort), saved.own, saved.plain)


@transaction.atomic
def watch_search(viewer: Viewer, key: int, *, watched: bool) -> None:
    """Begin or end to be told of changes among the results of a search."""
    saved = _own_search(viewer, key)
    SavedSearch.objects.filter(pk=saved.pk).update(watched=watched)
    _append(viewer, "search_saved", "saved", {"search": key, "watched": watched})


@transaction.atomic
def forget_search(viewer: Viewer, key: int) -> None:
    """Drop a search."""
    _own_search(viewer, key).delete()
    _append(viewer, "search_saved", "forgotten", {"search": key})


def _own_search(viewer: Viewer, key: int) -> SavedSearch:
    saved = SavedSearch.objects.filter(pk=key, account_id=viewer.account_id).first()
    if saved is None:
        raise NotFound
    return saved


@transaction.atomic
def follow_entry(viewer: Viewer, resource_id: str) -> None:
    """Be told of changes of an entry; a second time changes nothing."""
    access_resource(viewer, resource_id)
    Account.objects.select_for_update().get(pk=viewer.account_id)
    held = FollowedEntry.objects.filter(account_id=viewer.account_id)
    if held.filter(resource_id=resource_id).exists():
        return
    if held.count() >= MAX_FOLLOWED:
        raise _full(MAX_FOLLOWED, "entry")
    FollowedEntry.objects.create(
        account_id=viewer.account_id, resource_id=resource_id, created_at=clock.now()
    )
    _append(viewer, "entry_followed", "followed", {}, resource_id)


@transaction.atomic
def leave_entry(viewer: Viewer, resource_id: str) -> None:
    """No longer be told of an entry, whether it is still there or not."""
    given = FollowedEntry.objects.filter(account_id=viewer.account_id, resource_id=resource_id)
    if given.delete()[0]:
        _append(viewer, "entry_followed", "left", {}, resource_id)


def _full(limit: int, field: str) -> FormRefused:
    words = Text(
        f"最多保存 {limit} 项，请先删去不用的", f"At most {limit} are kept; drop those you no longer need"
    )
    return FormRefused((Fault(field, "too_many", words),))


def _append(
    viewer: Viewer, event: str, outcome: str, facts: dict[str, object], resource_id: str | None = None
) -> None:
    append_entry(
        event,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=outcome,
        department=viewer.department.code,
        resource_id=resource_id,
        facts=facts,
    )
