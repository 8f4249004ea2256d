"""Laying out the platform's own documents as PDF.

The font is one that every reader of PDF has for Chinese, so no font file is needed.
"""

from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Table

FONT = "STSong-Light"


def write_pdf(title: str, number: str, story: list[Flowable]) -> bytes:
    """Return a document as PDF; every page bears its number and its place."""
    target = BytesIO()
    SimpleDocTemplate(
        target,
        pagesize=A4,
        leftMargin=26 * mm,
        rightMargin=24 * mm,
        topMargin=28 * mm,
        bottomMargin=24 * mm,
        title=title,
        author="数桥 Shuqiao",
    ).build(story, onFirstPage=_foot(number), onLaterPages=_foot(number))
    return target.getvalue()


def text_of(words: str, style: str = "body") -> Paragraph:
    """A paragraph: body, title, heading, small, or end (set to the right)."""
    return Paragraph(escape(words).replace("\n", "<br/>"), _styles()[style])


def table_of(rows: list[list[Paragraph]], widths_mm: tuple[int, ...]) -> Table:
    """A table with thin lines; its rows may break across pages."""
    table = Table(rows, colWidths=[width * mm for width in widths_mm], splitInRow=1)
    table.setStyle([("GRID", (0, 0), (-1, -1), 0.4, "#888888"), ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return table


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


def _foot(number: str) -> Callable[[Any, Any], None]:
    def draw(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(FONT, 9)
        canvas.drawString(26 * mm, 14 * mm, f"{number}　数桥 Shuqiao")
        canvas.drawRightString(A4[0] - 24 * mm, 14 * mm, str(document.page))
        canvas.restoreState()

    return draw
