"""What pages show of the documents of a case."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shuqiao.control.documents.models import Document, MediaType
from shuqiao.control.organisations.queries import DepartmentRef, department_refs


@dataclass(frozen=True)
class DocumentRow:
    """A document as a page lists it; `department` is None where the platform wrote it."""

    id: UUID
    name: str
    label: str
    size_bytes: int
    sha256: str
    department: DepartmentRef | None
    stored_at: datetime


def documents_of(kind: str, number: str) -> tuple[DocumentRow, ...]:
    """Return the documents of a case, oldest first; the caller has shown that the case may be seen."""
    found = Document.objects.defer("content").filter(kind=kind, number=number)
    return document_rows(found)


def document_rows(found: Iterable[Document]) -> tuple[DocumentRow, ...]:
    """Show documents, two queries however many they are."""
    departments = department_refs()
    return tuple(
        DocumentRow(
            id=document.pk,
            name=document.name,
            label=str(MediaType(document.media_type).label),
            size_bytes=document.size_bytes,
            sha256=document.sha256,
            department=departments.get(document.department_id or ""),
            stored_at=document.stored_at,
        )
        for document in found
    )
