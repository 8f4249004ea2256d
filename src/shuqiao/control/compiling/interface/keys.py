"""Which entry a key means: a department's own stable key, or the id of one of its entries."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.access import OPEN_PHASES
from shuqiao.control.compiling.interface.messages import KEY
from shuqiao.control.compiling.models import Compilation
from shuqiao.rules.errors import EntryNotFound, RequestMalformed

_RESOURCE = re.compile(r"r[1-9][0-9]{5}[a-z2-7]{10}", re.ASCII)


@dataclass(frozen=True)
class Place:
    """What a key of a department stands for; `resource` is empty while nothing has this key."""

    key: str
    resource: str
    published: Resource | None
    draft: Compilation | None


def place_of(department: str, key: str) -> Place:
    """Tell what a key stands for; raises `RequestMalformed` or `EntryNotFound`.

    An id that doesn't exist and one of another department's entry are refused alike.
    """
    if KEY.fullmatch(key) is None:
        raise RequestMalformed(part="key")
    is_id = _RESOURCE.fullmatch(key) is not None
    place = _place(department, key, key if is_id else _resource_with(department, key))
    if is_id and place.published is None and place.draft is None:
        raise EntryNotFound()
    return place


def lock_key(department: str, key: str) -> None:
    """Let one transaction at a time work on a key, whether anything has it yet or not."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"entry-key {department}/{key}"]
        )


def keys_of(department: str, resources: Collection[str]) -> dict[str, str]:
    """Return the department's own key of each of its entries that has one; the last one given counts."""
    rows = Compilation.objects.filter(department_id=department, resource__in=resources).exclude(key="")
    return dict(rows.order_by("created_at", "number").values_list("resource", "key"))


def _resource_with(department: str, key: str) -> str:
    """Return the entry that a key was last given to; one given up before it was published keeps its id."""
    cases = Compilation.objects.filter(department_id=department, key=key)
    return cases.order_by("-created_at", "-number").values_list("resource", flat=True).first() or ""


def _place(department: str, key: str, resource: str) -> Place:
    """Look at what is published and what is on its way; what is another department's now is not there."""
    held = Resource.objects.filter(id=resource).first() if resource else None
    if held is not None and held.department_id != department:
        raise EntryNotFound()
    published = held if held is not None and held.state == "published" else None
    drafts = Compilation.objects.filter(resource=resource, department_id=department, phase__in=OPEN_PHASES)
    draft = drafts.first() if resource else None
    if held is not None and published is None and draft is None:
        # It was withdrawn: the key begins a new entry, whose id is another.
        return Place(key, "", None, None)
    return Place(key, resource, published, draft)
