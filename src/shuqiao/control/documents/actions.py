"""Storing files of a case: what people bring, and what the platform writes itself."""

import hashlib
from dataclasses import dataclass

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.documents.content import media_type_of, plain_name
from shuqiao.control.documents.models import MAX_BYTES, Document, MediaType
from shuqiao.control.texts import Text

# A case to which people have brought more files is no case but a store; what the platform writes is not
# counted, or a case could become impossible to end. Our choice, decision "documents of a case".
MAX_FILES_PER_CASE = 200

_LIMIT = Text(
    f"文件不得为空，且不超过 {MAX_BYTES // 1024 // 1024} MB",
    f"A file must not be empty and not be larger than {MAX_BYTES // 1024 // 1024} MB",
)
_KINDS = Text(
    "只接受内容与扩展名相符、不含宏的 PDF、DOCX、XLSX、PNG、JPG、TXT 文件",
    "Only PDF, DOCX, XLSX, PNG, JPG and TXT files whose content fits their name, without macros",
)
_FULL = Text(
    f"本案附件已达 {MAX_FILES_PER_CASE} 个的上限",
    f"The case already has the most files it may have: {MAX_FILES_PER_CASE}",
)


@dataclass(frozen=True)
class FileInput:
    """A file as a form gives it, or as the platform has written it; the name is not trusted."""

    name: str
    content: bytes


@dataclass(frozen=True)
class CaseKey:
    """The case a document belongs to: its kind and number."""

    kind: str
    number: str


def check_file(given: FileInput, field: str = "document") -> MediaType:
    """Return what the file is; raises `FormRefused` at `field` where it can't be taken in."""
    if not 0 < len(given.content) <= MAX_BYTES:
        raise FormRefused((Fault(field, "file_size", _LIMIT),))
    found = media_type_of(plain_name(given.name), given.content)
    if found is None:
        raise FormRefused((Fault(field, "file_kind", _KINDS),))
    return found


def store_document(
    case: CaseKey, given: FileInput, viewer: Viewer | None, *, field: str = "document"
) -> Document:
    """Store a file in the caller's transaction; without a viewer the platform wrote it.

    The caller has made sure that the viewer may act on the case and writes the audit entry, which carries
    the digest. Raises `FormRefused` at `field` where the file can't be taken in.
    """
    found = check_file(given, field)
    if viewer is not None and _brought(case) >= MAX_FILES_PER_CASE:
        raise FormRefused((Fault(field, "too_many_files", _FULL),))
    return Document.objects.create(
        kind=case.kind,
        number=case.number,
        name=plain_name(given.name),
        media_type=found,
        size_bytes=len(given.content),
        sha256=hashlib.sha256(given.content).hexdigest(),
        content=given.content,
        account_id=viewer.account_id if viewer else None,
        department_id=viewer.department.code if viewer else None,
        stored_at=clock.now(),
    )


def _brought(case: CaseKey) -> int:
    found = Document.objects.filter(kind=case.kind, number=case.number, account__isnull=False)
    return found.count()
