"""The certificate of interconnection as a PDF: what was found, by which rule, and where to look it up.

Source: guangzhou-2016 art. 43; SUP-11.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer

from shuqiao.control import clock
from shuqiao.control.documents.layout import table_of, text_of, write_pdf

TITLE = "信息系统互联共享测试证明"


@dataclass(frozen=True)
class Found:
    """One step of the system: what, when, and its entry in the audit log."""

    label: str
    said: str
    at: datetime
    entry: str


@dataclass(frozen=True)
class CertificateText:
    """Everything the certificate says."""

    number: str
    system: str
    name: str
    department: str
    purpose: str
    issuer: str
    role: str
    issued_at: datetime
    articles: tuple[str, ...]
    steps: tuple[Found, ...]
    address: str


def write_certificate(text: CertificateText) -> bytes:
    """Return the certificate as a PDF, not signed yet."""
    return write_pdf(f"{TITLE} {text.number}", text.number, list(_story(text)))


def _story(text: CertificateText) -> Iterator[Flowable]:
    yield text_of(TITLE, "title")
    yield text_of("Certificate of interconnection", "end")
    yield text_of(f"编号 No. {text.number}", "end")
    yield Spacer(1, 4 * mm)
    yield text_of(
        f"兹证明{text.department}的“{text.name}”（登记编号 {text.system}）已在政务信息共享平台登记、接入，"
        "并已通过与其他部门互联共享的测试。"
    )
    yield text_of(
        f"This certifies that the system {text.system} is registered with and connected to the platform, and"
        " has passed the test of sharing with other departments.",
        "small",
    )
    yield text_of("一、系统 System", "heading")
    yield table_of(
        [
            [text_of("部门 Department", "small"), text_of(text.department)],
            [text_of("系统 System", "small"), text_of(f"{text.name}　{text.system}")],
            [text_of("用途 Purpose", "small"), text_of(text.purpose)],
        ],
        (36, 124),
    )
    yield text_of("二、核查结果 What was found", "heading")
    yield _steps(text.steps)
    yield text_of("三、依据 Rules", "heading")
    yield text_of("；".join(text.articles))
    yield text_of("四、查验 Verification", "heading")
    yield text_of(
        "系统停用、密钥停用或前置机停止接入后，本证明自行失效。是否仍然有效，以下列地址的查验结果为准："
    )
    yield text_of(text.address, "small")
    yield text_of(
        "The certificate lapses when the system is disconnected; whether it is in force is said there.",
        "small",
    )
    yield Spacer(1, 10 * mm)
    yield text_of(f"{text.issuer}（{text.role}）", "end")
    yield text_of(clock.legal_day(text.issued_at).isoformat(), "end")


def _steps(steps: tuple[Found, ...]) -> Flowable:
    heads = [
        text_of(word, "small") for word in ("步骤 Step", "结果 Result", "时间 Time", "审计凭据 Audit entry")
    ]
    rows = [
        [
            text_of(cell, "small")
            for cell in (
                one.label,
                one.said,
                f"{one.at.astimezone(clock.LEGAL_ZONE):%Y-%m-%d %H:%M}",
                one.entry,
            )
        ]
        for one in steps
    ]
    return table_of([heads, *rows], (26, 48, 34, 52))
