"""Files under a grant as the pages show them: what there is, who fetched what, and fetching one."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

import httpx
from django.conf import settings
from django.db import connection

from shuqiao.client.files import FilesClient
from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.actors import ActorRef, actor_refs
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.deliveries.access import DOWNLOAD, BulkGrant, access_bulk_grant, access_to_use
from shuqiao.control.deliveries.copies import DOWNLOADS, MAX_CASE, HeldPieces, PartStream
from shuqiao.control.deliveries.portal import through_plane
from shuqiao.control.files.pages import FileRow, files_of
from shuqiao.control.grants.models import IN_USE, Grant
from shuqiao.control.texts import Text
from shuqiao.rules.errors import Overloaded
from shuqiao.rules.files import opens

MAX_SHOWN = 50
_PIECE_BYTES = 256 * 1024
_KEPT = ("content-length", "content-range", "etag", "accept-ranges", "repr-digest")


@dataclass(frozen=True)
class FetchedRow:
    """One delivery of the log: which file in which version, and who took it."""

    entry: str
    at: datetime
    actor: str
    title: str
    version: int | None
    who: ActorRef | None = None


@dataclass(frozen=True)
class GrantFilesPage:
    """The files that a grant opens, for both of its sides; `may_fetch` is the consumer's.

    While a grant can't be used, its consumer sees what was fetched, and not what there is now.
    """

    number: str
    resource_name: Text
    rows: tuple[FileRow, ...]
    fetched: tuple[FetchedRow, ...]
    may_fetch: bool
    case_required: bool


def grant_files_page(viewer: Viewer, number: str) -> GrantFilesPage:
    """Return the files that a grant opens; raises `NotFound` for whoever may not see the grant."""
    found = access_bulk_grant(viewer, number, of_files=True)
    rows = files_of(found.grant.resource_id)
    titles = {str(row.id): row.title for row in rows}
    is_shown = _shows_files(viewer, found.grant)
    return GrantFilesPage(
        number=number,
        resource_name=Text(found.grant.resource.name_zh, found.grant.resource.name_en),
        rows=tuple(
            row for row in rows if is_shown and row.withdrawn_at is None and opens(found.files, str(row.id))
        ),
        fetched=_fetched(found, titles),
        may_fetch=found.may(DOWNLOAD),
        case_required=found.case_required,
    )


def _shows_files(viewer: Viewer, grant: Grant) -> bool:
    """Tell whether the list is shown: always to its provider and to supervision, to others while it holds."""
    if grant.provider_id == viewer.department.code or viewer.can(Capability.AUDIT_VIEW_ALL):
        return True
    return grant.phase == IN_USE and grant.valid_from <= clock.today() <= grant.valid_until


def fetch_file(viewer: Viewer, number: str, file: uuid.UUID, case: str, wanted: str | None) -> PartStream:
    """Fetch a file for a reader; the plane records it before its first byte.

    Raises `FormRefused` where the case is missing, `Overloaded` where too many are under way here, and
    `PlaneRefused`.
    """
    found = access_to_use(viewer, number, DOWNLOAD, of_files=True)
    row = next((one for one in files_of(found.grant.resource_id, withdrawn=False) if one.id == file), None)
    if row is None or not opens(found.files, str(file)):
        raise NotFound
    if (found.case_required and not case) or len(case) > MAX_CASE or not case.isprintable():
        words = Text("请填写办件编号", "Give the number of the case")
        raise FormRefused((Fault("case", "field_required", words),))
    if not DOWNLOADS.acquire(blocking=False):
        raise Overloaded
    with ExitStack() as held:
        held.callback(DOWNLOADS.release)
        plane, context = held.enter_context(through_plane(viewer, found))
        files = FilesClient(plane.plane, settings.CONFIG.plane_url)
        held.callback(files.close)
        answer = files.list(found.grant.resource_id, context, file=file, case=case, channel="download")
        response = files.open(answer.files[0].path, wanted)
        held.callback(response.close)
        # Place and connection are held until the reader has all of it, or goes.
        return _stream(response, answer.files[0].name, held.pop_all())


def _stream(response: httpx.Response, name: str, held: ExitStack) -> PartStream:
    headers = {one: response.headers[one] for one in _KEPT if one in response.headers}
    headers["content-type"] = "application/octet-stream"
    return PartStream(response.status_code, headers, name, HeldPieces(response.iter_raw(_PIECE_BYTES), held))


def _fetched(found: BulkGrant, titles: dict[str, str]) -> tuple[FetchedRow, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, occurred_at, actor, body FROM audit.entry WHERE provider = %s AND grant_id = %s"
            f" AND event = 'file_delivered' ORDER BY occurred_at DESC LIMIT {MAX_SHOWN}",
            [found.grant.provider_id, found.grant.number],
        )
        rows = cursor.fetchall()
    who = actor_refs(row[2] for row in rows)
    found_rows = (_fetched_row(str(entry), at, actor, body, titles) for entry, at, actor, body in rows)
    return tuple(replace(one, who=who.get(one.actor)) for one in found_rows)


def _fetched_row(
    entry: str, at: datetime, actor: str, body: str | None, titles: dict[str, str]
) -> FetchedRow:
    """Read what the database saw of a delivery; a body past its retention says nothing any more."""
    said, _, seen = (body or "").partition("\n")
    facts = json.loads(seen) if said and seen else {}
    title = titles.get(str(facts.get("file_id", "")), "")
    return FetchedRow(entry, at, actor, title, facts.get("file_version"))
