"""Copies under a grant as the pages show them: ask for one, see how far it is, fetch its parts."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

import httpx
from django.db import connection

from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.actors import ActorRef, actor_refs
from shuqiao.control.deliveries.access import DOWNLOAD, BulkGrant, access_bulk_grant, access_to_use
from shuqiao.control.deliveries.portal import through_plane
from shuqiao.control.operations.labels import outcome_label
from shuqiao.control.texts import Text
from shuqiao.rules.bulk import FORMATS, XLSX_CELLS, XLSX_ROWS, suffix
from shuqiao.rules.errors import Overloaded
from shuqiao.wire.bulk import Manifest, read_manifest

MAX_SHOWN = 50
MAX_CASE = 128
MAX_DOWNLOADS = 2
_PIECE_BYTES = 256 * 1024
DOWNLOADS = threading.BoundedSemaphore(MAX_DOWNLOADS)
"""Places for copies and files together: each holds a thread of the office, which has four."""

FORMAT_LABELS = {
    "csv": Text("CSV 表格文本", "CSV"),
    "xlsx": Text("Excel 工作簿", "Excel workbook"),
    "parquet": Text("Parquet 列式文件", "Parquet"),
    "arrow": Text("Arrow 数据流", "Arrow stream"),
}
STATES = {
    "waiting": Text("排队中", "Waiting"),
    "preparing": Text("正在准备", "Being prepared"),
    "ready": Text("可以下载", "Ready"),
    "failed": Text("未能准备", "Failed"),
    "expired": Text("已过期", "Expired"),
}
_COLUMNS = (
    "j.id, j.number, j.application, j.actor, j.channel, j.format, j.asked_at, j.state,"
    " coalesce(p.rows_done, 0), p.rows_total, j.rows, j.failure, j.ready_at, j.expires_at, j.manifest,"
    " encode(j.signature, 'base64'), j.key_id, left(encode(sha256(j.recipient), 'hex'), 16)"
)
_FROM = "exchange.bulk_job j LEFT JOIN exchange.bulk_progress p ON p.job = j.id AND p.attempt = j.attempt"


@dataclass(frozen=True)
class CopyRow:
    """One copy: who asked for it, in which form, how far it is, until when it can be fetched.

    `recipient` is the id of the key to which it is sealed; None where the platform keeps its key.
    """

    id: str
    number: int | None
    application: str
    actor: str
    channel: str
    format: str
    asked_at: datetime
    state: str
    rows_done: int
    rows_total: int | None
    rows: int | None
    failure: str | None
    ready_at: datetime | None
    expires_at: datetime | None
    manifest: str | None
    signature: str | None
    key_id: str | None
    recipient: str | None
    who: ActorRef | None = None

    @property
    def format_label(self) -> Text:
        """The format's name."""
        return FORMAT_LABELS[self.format]

    @property
    def state_label(self) -> Text:
        """The state's name."""
        return STATES[self.state]

    @property
    def works(self) -> bool:
        """Tell whether it is still on its way."""
        return self.state in ("waiting", "preparing")

    @property
    def percent(self) -> int:
        """How much of it is done."""
        return 0 if not self.rows_total else min(100, 100 * self.rows_done // self.rows_total)

    @property
    def failure_label(self) -> Text:
        """Why it failed."""
        code = self.failure or ""
        return outcome_label(code, "bulk_prepared")


@dataclass(frozen=True)
class Delivered:
    """One delivery of the log: a part of a copy that began to leave."""

    entry: str
    at: datetime
    actor: str
    who: ActorRef | None = None


@dataclass(frozen=True)
class CopiesPage:
    """The copies under a grant, the newest first, and what the viewer may do.

    `is_over` tells that the grant has ended or rests: nothing is given out then, not even what is ready.
    """

    number: str
    resource_name: Text
    rows: tuple[CopyRow, ...]
    deliveries: tuple[Delivered, ...]
    may_ask: bool
    may_browse: bool
    case_required: bool
    is_over: bool
    formats: tuple[tuple[str, Text], ...]
    workbook_rows: int = XLSX_ROWS
    workbook_cells: int = XLSX_CELLS


@dataclass(frozen=True)
class CopyPage:
    """One copy with its manifest."""

    number: str
    resource_name: Text
    row: CopyRow
    manifest: Manifest | None
    may_fetch: bool
    is_over: bool

    @property
    def items(self) -> tuple[tuple[Text, bool], ...]:
        """The items it holds, and whether each is masked."""
        found = self.manifest.items if self.manifest is not None else ()
        return tuple((Text(item.zh, item.en), item.masked) for item in found)


def copies_page(viewer: Viewer, number: str) -> CopiesPage:
    """Return the copies under a grant; raises `NotFound` for what this viewer may not see."""
    found = access_bulk_grant(viewer, number)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM {_FROM} WHERE j.grant_id = %s"
            f" ORDER BY j.asked_at DESC LIMIT {MAX_SHOWN}",
            [number],
        )
        rows = tuple(CopyRow(str(row[0]), *row[1:]) for row in cursor.fetchall())
        cursor.execute(
            "SELECT id, occurred_at, actor FROM audit.entry WHERE provider = %s AND grant_id = %s"
            f" AND event = 'bulk_delivered' ORDER BY occurred_at DESC LIMIT {MAX_SHOWN}",
            [found.grant.provider_id, number],
        )
        deliveries = tuple(Delivered(str(row[0]), row[1], row[2]) for row in cursor.fetchall())
    named = actor_refs([*(one.actor for one in rows), *(one.actor for one in deliveries)])
    formats = tuple((form, FORMAT_LABELS[form]) for form in ("csv", "xlsx", "parquet", "arrow"))
    name = found.grant.resource.name
    return CopiesPage(
        number,
        name,
        tuple(replace(one, who=named.get(one.actor)) for one in rows),
        tuple(replace(one, who=named.get(one.actor)) for one in deliveries),
        found.may(DOWNLOAD),
        found.may("browse"),
        found.case_required,
        found.is_over,
        formats,
    )


def copy_page(viewer: Viewer, number: str, job: str) -> CopyPage:
    """Return one copy."""
    found = access_bulk_grant(viewer, number)
    row = _row(found, job)
    manifest = read_manifest(row.manifest) if row.manifest else None
    name = found.grant.resource.name
    may_fetch = row.state == "ready" and row.channel == DOWNLOAD and found.may(DOWNLOAD)
    return CopyPage(number, name, row, manifest, may_fetch, found.is_over)


def ask_copy(viewer: Viewer, number: str, form: str, case: str) -> str:
    """Ask the plane for a copy; returns its job.

    Raises `FormRefused` for what can't be asked, and `PlaneRefused`. The plane records it.
    """
    found = access_to_use(viewer, number, DOWNLOAD)
    faults = []
    if form not in FORMATS:
        faults.append(Fault("format", "field_required", Text("请选择格式", "Choose a format")))
    if (found.case_required and not case.strip()) or len(case) > MAX_CASE or not case.isprintable():
        words = Text("请填写办件编号", "Give the number of the case")
        faults.append(Fault("case", "field_required", words))
    if faults:
        raise FormRefused(tuple(faults))
    with through_plane(viewer, found) as (bulk, context):
        return bulk.ask(found.grant.resource_id, form, case=case, context=context, channel=DOWNLOAD)


class HeldPieces:
    """Pieces of a part, with what is held for them until they end or the reader goes, read or not."""

    def __init__(self, pieces: Iterator[bytes], held: ExitStack) -> None:
        """Keep both."""
        self._pieces = pieces
        self._held = held

    def __iter__(self) -> Iterator[bytes]:
        """Be read once."""
        return self

    def __next__(self) -> bytes:
        """Give the next piece."""
        try:
            return next(self._pieces)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go; the server calls it however the answer ends."""
        self._held.close()


@dataclass(frozen=True)
class PartStream:
    """A part on its way from the plane to a reader."""

    status: int
    headers: dict[str, str]
    name: str
    pieces: HeldPieces


def fetch_part(viewer: Viewer, number: str, job: str, part: int, wanted: str | None) -> PartStream:
    """Fetch a part for a reader; the plane records it before its first byte.

    Raises `Overloaded` where too many are under way here, and `PlaneRefused`.
    """
    found = access_to_use(viewer, number, DOWNLOAD)
    row = _row(found, job)
    if row.channel != DOWNLOAD:
        raise NotFound
    if not DOWNLOADS.acquire(blocking=False):
        raise Overloaded
    with ExitStack() as held:
        held.callback(DOWNLOADS.release)
        bulk, context = held.enter_context(through_plane(viewer, found))
        path = next((one.path for one in bulk.state(job, context).links if one.number == part), None)
        if path is None:
            raise NotFound
        response = bulk.open_part(path, wanted)
        held.callback(response.close)
        # Place and connection are held until the reader has all of it, or goes.
        return _stream(response, row, part, held.pop_all())


def _stream(response: httpx.Response, row: CopyRow, part: int, held: ExitStack) -> PartStream:
    kept = ("content-length", "content-range", "etag", "accept-ranges", "content-type")
    headers = {name: response.headers[name] for name in kept if name in response.headers}

    name = f"copy-{row.id[:8]}-{part}.{suffix(row.format)}"
    return PartStream(response.status_code, headers, name, HeldPieces(response.iter_raw(_PIECE_BYTES), held))


def _row(found: BulkGrant, job: str) -> CopyRow:
    try:
        key = uuid.UUID(job)
    except ValueError:
        raise NotFound from None
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM {_FROM} WHERE j.id = %s AND j.grant_id = %s", [key, found.grant.number]
        )
        row = cursor.fetchone()
    if row is None:
        raise NotFound
    copy = CopyRow(str(row[0]), *row[1:])
    return replace(copy, who=actor_refs([copy.actor]).get(copy.actor))
