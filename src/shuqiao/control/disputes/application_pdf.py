"""The written application for a ruling, as a PDF that carries the case's documents.

The font is one that every reader of PDF has for Chinese, so no font file is needed. Source: guangzhou-2016
art. 35(2).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from io import BytesIO
from xml.sax.saxutils import escape

from pypdf import PdfReader, PdfWriter
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

from shuqiao.control import clock

FONT = "STSong-Light"
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
    target = BytesIO()
    SimpleDocTemplate(
        target,
        pagesize=A4,
        leftMargin=26 * mm,
        rightMargin=24 * mm,
        topMargin=28 * mm,
        bottomMargin=24 * mm,
        title=f"裁定申请 {text.number}",
        author="数桥 Shuqiao",
    ).build(list(_story(text)), onFirstPage=_foot(text.number), onLaterPages=_foot(text.number))
    return _with_files(target.getvalue(), carried(text.documents))


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


@cache
def _styles() -> dict[str, ParagraphStyle]:
    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    body = ParagraphStyle("body", fontName=FONT, fontSize=11, leading=19, wordWrap="CJK")
    return {
        "body": body,
        "title": ParagraphStyle(
            "title", parent=body, fontSize=17, leading=28, alignment=1, spaceAfter=6 * mm
        ),
        "heading": ParagraphStyle("heading", parent=body, fontSize=12.5, leading=22, spaceBefore=4 * mm),
        "small": ParagraphStyle("small", parent=body, fontSize=9, leading=13),
        "end": ParagraphStyle("end", parent=body, alignment=2),
    }


def _text(words: str, style: str = "body") -> Paragraph:
    return Paragraph(escape(words).replace("\n", "<br/>"), _styles()[style])


def _story(text: ApplicationText) -> Iterator[Flowable]:
    yield _text("政府信息共享争议裁定申请书", "title")
    yield _text(f"{text.addressee}：")
    yield _text(
        f"{text.applicant}与{text.respondent}就“{text.matter}”发生争议（编号 {text.number}），"
        f"经协商和联合会审仍不能解决，依据 {text.article}，现书面提请裁定。"
    )
    yield _text("一、争议事项 Matter", "heading")
    yield _facts(text)
    yield _text("二、提请裁定的理由 Why a ruling is asked for", "heading")
    for party in text.parties:
        yield _text(f"{party.name}：{party.reason}")
    yield _text("三、处理经过 What has been done", "heading")
    for line in text.history:
        yield from _line(line)
    yield _text("四、附件 Documents of the case", "heading")
    yield _attachments(text.documents)
    yield Spacer(1, 10 * mm)
    for party in text.parties:
        yield _text(f"{party.name}　{party.signed_by}　{_day(party.applied_at)}", "end")


def _facts(text: ApplicationText) -> Table:
    rows = [
        ("申请方 Applicant", text.applicant),
        ("被申请方 Respondent", text.respondent),
        ("争议事项 Matter", text.matter),
        ("起因与主张 Grounds", text.reason),
    ]
    return _table([[_text(heading, "small"), _text(value)] for heading, value in rows], (36, 124))


def _line(line: Line) -> Iterator[Flowable]:
    yield _text(f"{_day(line.at)}　{line.label}　{line.by}　{line.article}")
    for heading, words in line.texts:
        yield _text(f"{heading}：{words}", "small")


def _attachments(documents: tuple[Attached, ...]) -> Flowable:
    inside = set(carried(documents))
    rows = [[_text(word, "small") for word in ("序号", "名称", "SHA-256", "附于本文件")]]
    for place, document in enumerate(documents, 1):
        kept = "是" if document in inside else "否，见平台"
        cells = (str(place), document.name, document.sha256, kept)
        rows.append([_text(cell, "small") for cell in cells])
    return _table(rows, (12, 52, 74, 22)) if documents else _text("无")


def _table(rows: list[list[Paragraph]], widths_mm: tuple[int, ...]) -> Table:
    table = Table(rows, colWidths=[width * mm for width in widths_mm], splitInRow=1)
    table.setStyle([("GRID", (0, 0), (-1, -1), 0.4, "#888888"), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return table


def _foot(number: str):  # type: ignore[no-untyped-def] # reportlab ships no types for its canvas
    def draw(canvas, document) -> None:  # type: ignore[no-untyped-def] # as above
        canvas.saveState()
        canvas.setFont(FONT, 9)
        canvas.drawString(26 * mm, 14 * mm, f"{number}　数桥 Shuqiao")
        canvas.drawRightString(A4[0] - 24 * mm, 14 * mm, str(document.page))
        canvas.restoreState()

    return draw


def _day(moment: datetime) -> str:
    return clock.legal_day(moment).isoformat()
