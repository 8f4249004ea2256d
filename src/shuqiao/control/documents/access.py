"""Who may read a document: whoever may see its case, which only the owner of that kind of case knows."""

import uuid
from collections.abc import Callable

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.documents.models import Document

MaySee = Callable[[Viewer, str], bool]

_owners: dict[str, MaySee] = {}


def register(kind: str, may_see: MaySee) -> None:
    """Name who decides about the documents of one kind of case; called once, from `AppConfig.ready`.

    A kind that nobody has registered is seen by nobody.
    """
    _owners[kind] = may_see


def may_read(viewer: Viewer, kind: str, number: str) -> bool:
    """Tell whether the viewer may read the documents of a case."""
    may_see = _owners.get(kind)
    return may_see is not None and may_see(viewer, number)


def access_document(viewer: Viewer, key: uuid.UUID) -> Document:
    """Return a document whose case the viewer may see, without its content."""
    document = Document.objects.defer("content").filter(pk=key).first()
    if document is None or not may_read(viewer, document.kind, document.number):
        raise NotFound
    return document


def download_document(viewer: Viewer, key: uuid.UUID) -> Document:
    """Return a document with its content and record that it was read."""
    document = access_document(viewer, key)
    append_entry(
        "document_downloaded",
        actor=f"account:{viewer.username}",
        at=clock.now(),
        outcome="accepted",
        department=viewer.department.code,
        provider=document.department_id,
        case_no=document.number,
        facts={"document": str(document.pk), "sha256": document.sha256},
    )
    document.refresh_from_db(fields=["content"])
    return document
