"""The written application for a ruling, as a PDF that carries the case's documents.

Source: guangzhou-2016 art. 35(2).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from pypdf import PdfReader, PdfWriter
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer, Table

from shuqiao.control import clock
from shuqiao.control.documents import layout
from shuqiao.control.documents.layout import table_of, text_of

MAX_CARRIED_BYTES = 8 * 1024 * 1024
"""So much of the case's documents goes into the PDF itself; the others are named with their digests."""


@dataclass(frozen=True)
class Party:
    """A party that applies, who signed for it, and its reasons."""

    name: str
    signed_by: str
    applied_at: datetime
    reason: str


@dataclass(frozen=True)
class Line:
    """One step of the case: what was done and what was written then, by heading."""

    at: datetime
    label: str
    by: str
    article: str
    texts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Attached:
    """A document of the case."""

    name: str
    sha256: str
    size_bytes: int
    content: bytes


@dataclass(frozen=True)
class ApplicationText:
    """Everything the application says."""

    number: str
    addressee: str
    applicant: str
    respondent: str
    matter: str
    reason: str
    article: str
    parties: tuple[Party, ...]
    history: tuple[Line, ...]
    documents: tuple[Attached, ...]


def write_pdf(text: ApplicationText) -> bytes:
    """Return the application as a PDF, the case's documents attached to it."""
    made = layout.write_pdf(f"裁定申请 {text.number}", text.number, list(_story(text)))
    return _with_files(made, carried(text.documents))


def carried(documents: Iterable[Attached]) -> tuple[Attached, ...]:
    """Choose the documents that go into the PDF: in their order, as long as there is room."""
    left, chosen = MAX_CARRIED_BYTES, []
    for document in documents:
        if document.size_bytes <= left:
            chosen.append(document)
            left -= document.size_bytes
    return tuple(chosen)


def _with_files(pdf: bytes, documents: tuple[Attached, ...]) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(BytesIO(pdf)))
    for place, document in enumerate(documents, 1):
        # Numbered, because two documents of a case may have one name.
        writer.add_attachment(f"{place:02d}-{document.name}", document.content)
    target = BytesIO()
    writer.write(target)
    return target.getvalue()


def _story(text: ApplicationText) -> Iterator[Flowable]:
    yield text_of("政府信息共享争议裁定申请书", "title")
    yield text_of(f"{text.addressee}：")
    yield text_of(
        f"{text.applicant}与{text.respondent}就“{text.matter}”发生争议（编号 {text.number}），"
        f"经协商和联合会审仍不能解决，依据 {text.article}，现书面提请裁定。"
    )
    yield text_of("一、争议事项 Matter", "heading")
    yield _facts(text)
    yield text_of("二、提请裁定的理由 Why a ruling is asked for", "heading")
    for party in text.parties:
        yield text_of(f"{party.name}：{party.reason}")
    yield text_of("三、处理经过 What has been done", "heading")
    for line in text.history:
        yield from _line(line)
    yield text_of("四、附件 Documents of the case", "heading")
    yield _attachments(text.documents)
    yield Spacer(1, 10 * mm)
    for party in text.parties:
        yield text_of(f"{party.name}　{party.signed_by}　{_day(party.applied_at)}", "end")


def _facts(text: ApplicationText) -> Table:
    rows = [
        ("申请方 Applicant", text.applicant),
        ("被申请方 Respondent", text.respondent),
        ("争议事项 Matter", text.matter),
        ("起因与主张 Grounds", text.reason),
    ]
    return table_of([[text_of(heading, "small"), text_of(value)] for heading, value in rows], (36, 124))


def _line(line: Line) -> Iterator[Flowable]:
    yield text_of(f"{_day(line.at)}　{line.label}　{line.by}　{line.article}")
    for heading, words in line.texts:
        yield text_of(f"{heading}：{words}", "small")


def _attachments(documents: tuple[Attached, ...]) -> Flowable:
    inside = set(carried(documents))
    rows = [[text_of(word, "small") for word in ("序号", "名称", "SHA-256", "附于本文件")]]
    for place, document in enumerate(documents, 1):
        kept = "是" if document in inside else "否，见平台"
        cells = (str(place), document.name, document.sha256, kept)
        rows.append([text_of(cell, "small") for cell in cells])
    return table_of(rows, (12, 52, 74, 22)) if documents else text_of("无")


def _day(moment: datetime) -> str:
    return clock.legal_day(moment).isoformat()
