"""Registering a file of an entry, replacing it by a new version, withdrawing it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import connection, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Resource, Service, ServiceKind
from shuqiao.control.catalogue.offering import is_held, offer_of
from shuqiao.control.catalogue.services import write_exchange
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.files.storing import NewVersion, check_upload, store_version
from shuqiao.control.regulations.current import regulation
from shuqiao.control.texts import Text
from shuqiao.rules.channels import DOWNLOAD, INTERFACE
from shuqiao.rules.files import MAX_FILES, MAX_TITLE_CHARS
from shuqiao.rules.regulation import SETTING

OFFER = Text("登记文件", "Register files")
MAX_REASON_CHARS = 200


@transaction.atomic
def register_file(viewer: Viewer, resource_id: str, title: str, given: FileInput | None) -> uuid.UUID:
    """Register a file of an entry with its first version; returns its number.

    Raises `NotFound` for whoever does not provide the entry, `FormRefused` with every fault.
    """
    resource = _own(viewer, resource_id)
    words = " ".join(title.split())
    faults = _entry_faults(resource) + _title_faults(resource, words)
    new = _checked(given, faults)
    if faults or new is None:
        raise FormRefused(tuple(faults))
    now, file = clock.now(), uuid.uuid4()
    _serve(resource)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.file (id, resource_id, title, registered_at) VALUES (%s, %s, %s, %s)",
            [file, resource.id, words, now],
        )
    _store(viewer, resource, file, 1, new)
    return file


@transaction.atomic
def replace_file(viewer: Viewer, resource_id: str, file: uuid.UUID, given: FileInput | None) -> int:
    """Store a new version, which is given from now on; the older ones stay in the history."""
    resource = _own(viewer, resource_id)
    _title_of(resource, file)
    new = check_upload(given)
    most = settings.CONFIG.files_most_versions
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT number, digest FROM exchange.file_version WHERE file = %s ORDER BY number DESC LIMIT 1",
            [file],
        )
        number, digest = cursor.fetchone()
    if digest == new.digest:
        words = Text("与现有版本内容相同，不必更换", "The same content as the version there is")
        raise FormRefused((Fault("file", "file_unchanged", words),))
    if number >= most:
        zh = f"该文件已有 {number} 个版本，达到上限 {most}；请撤下后重新登记"
        en = f"The file has {number} versions, {most} at most: withdraw it and register it anew"
        raise FormRefused((Fault("file", "too_many_versions", Text(zh, en)),))
    _store(viewer, resource, file, number + 1, new)
    return int(number) + 1


@transaction.atomic
def withdraw_file(viewer: Viewer, resource_id: str, file: uuid.UUID, reason: str) -> None:
    """Give a file no more, from the next request on; its history stays."""
    resource = _own(viewer, resource_id)
    title, words = _title_of(resource, file), " ".join(reason.split())[:MAX_REASON_CHARS]
    if not words:
        said = Text("请写明撤下的理由", "Say why it is withdrawn")
        raise FormRefused((Fault("reason", "reason_required", said),))
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE exchange.file SET withdrawn_at = %s, withdrawn_reason = %s WHERE id = %s",
            [now, words, file],
        )
        cursor.execute(
            "SELECT EXISTS (SELECT FROM exchange.file WHERE resource_id = %s AND withdrawn_at IS NULL)",
            [resource.id],
        )
        is_served = cursor.fetchone()[0]
    if not is_served:
        Service.objects.filter(resource=resource, kind=ServiceKind.FILE, ended_at=None).update(ended_at=now)
    _record(viewer, resource, "file_withdrawn", "withdrawn", file, {"title": title, "reason": words})


def _own(viewer: Viewer, resource_id: str) -> Resource:
    require(viewer, Capability.CATALOGUE_EDIT, OFFER)
    own = Resource.objects.select_for_update().filter(department_id=viewer.department.code)
    resource = own.filter(pk=resource_id, state="published").first()
    if resource is None:
        raise NotFound
    return resource


def _title_of(resource: Resource, file: uuid.UUID) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT title FROM exchange.file WHERE id = %s AND resource_id = %s AND withdrawn_at IS NULL",
            [file, resource.id],
        )
        row = cursor.fetchone()
    if row is None:
        raise NotFound
    return str(row[0])


def _entry_faults(resource: Resource) -> list[Fault]:
    """Why an entry can't be served by files at all."""
    faults = []
    if "bulk" not in resource.modes:
        words = Text("该目录条目未提供批量方式", "The entry is not offered in bulk")
        faults.append(Fault("file", "mode_missing", words))
    offer = offer_of(resource, regulation())
    if not {DOWNLOAD, INTERFACE} & set(offer.channels):
        zh, en = (
            "该目录条目不以接口交换或文件下载提供",
            "The entry is given neither by interface nor by download",
        )
        words = Text(zh, en)
        faults.append(Fault("file", "channel_unknown", words))
    if all(item.field != resource.record_key for item in resource.items.all()):
        words = Text("该目录条目没有记录主键", "The entry has no record key")
        faults.append(Fault("file", "record_key_unknown", words))
    if Service.objects.filter(resource=resource, kind=ServiceKind.TABLE, ended_at=None).exists():
        zh, en = (
            "该目录条目已由平台数据表提供；文件请另编条目",
            "A table serves this entry; compile an entry of its own for files",
        )
        faults.append(Fault("file", "table_serves", Text(zh, en)))
    if is_held(resource):
        zh, en = (
            "该目录条目的数据留存部门，由前置机应答；文件请另编条目",
            "The data of this entry stay with the department; compile an entry of its own for files",
        )
        faults.append(Fault("file", "kept_at_node", Text(zh, en)))
    return faults


def _title_faults(resource: Resource, title: str) -> list[Fault]:
    if not title or not title.isprintable() or len(title) > MAX_TITLE_CHARS:
        words = Text(
            f"请填写标题，不超过 {MAX_TITLE_CHARS} 字", f"A title of at most {MAX_TITLE_CHARS} characters"
        )
        return [Fault("title", "field_required", words)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE title = %s) FROM exchange.file"
            " WHERE resource_id = %s AND withdrawn_at IS NULL",
            [title, resource.id],
        )
        there, same = cursor.fetchone()
    if same:
        zh, en = (
            "已有同名文件；要更换内容请登记新版本",
            "There is one of this title; replace it by a new version",
        )
        return [Fault("title", "title_taken", Text(zh, en))]
    if there >= MAX_FILES:
        words = Text(f"每个条目最多 {MAX_FILES} 个文件", f"At most {MAX_FILES} files for an entry")
        return [Fault("title", "too_many_files", words)]
    return []


def _checked(given: FileInput | None, faults: list[Fault]) -> NewVersion | None:
    """Check an upload among other faults, so that all are told together."""
    try:
        return check_upload(given)
    except FormRefused as refused:
        faults += refused.faults
        return None


def _serve(resource: Resource) -> None:
    """Let the plane and the catalogue know that files serve the entry, once."""
    services = Service.objects.filter(resource=resource, kind=ServiceKind.FILE, ended_at=None)
    if services.exists():
        return
    Service.objects.create(resource=resource, kind=ServiceKind.FILE, offered_at=clock.now())
    write_exchange(resource, list(resource.items.all()))


def _store(viewer: Viewer, resource: Resource, file: uuid.UUID, number: int, new: NewVersion) -> None:
    facts = {"file_version": number, "file_digest": new.digest, "size_bytes": len(new.content)}
    outcome = "registered" if number == 1 else "replaced"
    entry = _record(viewer, resource, "file_registered", outcome, file, facts)
    by = f"account:{viewer.username}"
    store_version(uuid.uuid4(), file, number, new, by, clock.now(), entry)


def _record(
    viewer: Viewer, resource: Resource, event: str, outcome: str, file: uuid.UUID, facts: dict[str, object]
) -> uuid.UUID:
    rules = regulation()
    return append_entry(
        event,
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome=outcome,
        department=viewer.department.code,
        provider=resource.department_id,
        resource_id=resource.id,
        facts={
            "file_id": str(file),
            **facts,
            "articles": [rules.cite(rules.citations.get("catalogue_entry", SETTING))],
        },
    )
