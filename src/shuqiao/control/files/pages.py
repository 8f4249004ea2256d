"""The provider's page of an entry's files: what is given now, every version there was, and who fetched it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db import connection

from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.actors import ActorRef, actor_refs
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.texts import Text
from shuqiao.rules.files import MAX_FILE_BYTES, TYPES

MAX_SHOWN = 50


@dataclass(frozen=True)
class VersionRow:
    """One version: what it was called and is, who stored it when; `entry` is its place in the log."""

    number: int
    name: str
    media_type: str
    size_bytes: int
    digest: str
    stored_by: str
    stored_at: datetime
    entry: uuid.UUID
    who: ActorRef | None = None


@dataclass(frozen=True)
class FileRow:
    """One file with its versions, the newest first."""

    id: uuid.UUID
    title: str
    registered_at: datetime
    withdrawn_at: datetime | None
    withdrawn_reason: str
    versions: tuple[VersionRow, ...]

    @property
    def newest(self) -> VersionRow:
        """The version that is given."""
        return self.versions[0]


@dataclass(frozen=True)
class FetchedRow:
    """One delivery of a file from the log."""

    entry: str
    at: datetime
    actor: str
    grant: str
    who: ActorRef | None = None


@dataclass(frozen=True)
class FilesPage:
    """The files of an entry as their provider sees them."""

    resource: str
    name: Text
    rows: tuple[FileRow, ...]
    fetched: tuple[FetchedRow, ...]
    may_offer: bool
    has_store: bool
    max_mb: int = MAX_FILE_BYTES // 1024 // 1024
    accepted: str = ",".join(TYPES)


def files_page(viewer: Viewer, resource_id: str) -> FilesPage:
    """Return the page; raises `NotFound` for everybody but the provider's, whether there are files or not."""
    resource = access_resource(viewer, resource_id)
    if resource.department_id != viewer.department.code:
        raise NotFound
    return FilesPage(
        resource=resource.id,
        name=Text(resource.name_zh, resource.name_en),
        rows=files_of(resource.id),
        fetched=_fetched(resource),
        may_offer=viewer.can(Capability.CATALOGUE_EDIT),
        has_store=settings.CONFIG.files_secret_file is not None,
    )


def files_of(resource_id: str, *, withdrawn: bool = True) -> tuple[FileRow, ...]:
    """Read the files of an entry with their versions, those given now first; two queries."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, title, registered_at, withdrawn_at, withdrawn_reason FROM exchange.file"
            " WHERE resource_id = %s AND (%s OR withdrawn_at IS NULL)"
            " ORDER BY withdrawn_at IS NOT NULL, title, registered_at",
            [resource_id, withdrawn],
        )
        found = cursor.fetchall()
        cursor.execute(
            "SELECT file, number, name, media_type, size_bytes, digest, stored_by, stored_at, entry"
            " FROM exchange.file_version WHERE file = ANY(%s) ORDER BY number DESC",
            [[row[0] for row in found]],
        )
        stored = cursor.fetchall()
    versions: dict[uuid.UUID, list[VersionRow]] = {}
    who = actor_refs(row[6] for row in stored)
    for row in stored:
        versions.setdefault(row[0], []).append(replace(VersionRow(*row[1:]), who=who.get(row[6])))
    return tuple(
        FileRow(file, title, registered, withdrawn, reason, tuple(versions[file]))
        for file, title, registered, withdrawn, reason in found
    )


def _fetched(resource: Resource) -> tuple[FetchedRow, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, occurred_at, actor, grant_id FROM audit.entry WHERE provider = %s"
            f" AND resource_id = %s AND event = 'file_delivered' ORDER BY occurred_at DESC LIMIT {MAX_SHOWN}",
            [resource.department_id, resource.id],
        )
        rows = tuple(FetchedRow(str(row[0]), *row[1:]) for row in cursor.fetchall())
    who = actor_refs(row.actor for row in rows)
    return tuple(replace(row, who=who.get(row.actor)) for row in rows)
