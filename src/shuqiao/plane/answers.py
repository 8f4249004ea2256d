"""Answers and their headers; refusals as problem details (RFC 9457), Chinese unless English is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from shuqiao.rules.errors import CallError
from shuqiao.wire.messages import Problem
from shuqiao.wire.receipt import HEADER as PROMISE_HEADER

TYPE_PREFIX = "urn:shuqiao:problem:"
PROBLEM_TYPE = "application/problem+json"
JSON_TYPE = "application/json"
RETRY_AFTER_S = 1

_TITLES_ZH = {
    400: "请求不符合接口要求",
    401: "未通过身份鉴别",
    403: "授权不允许",
    404: "没有可供使用的信息",
    408: "请求超时",
    413: "请求过大",
    422: "填写的内容有误",
    429: "调用过于频繁",
    502: "责任部门的接口未应答",
    503: "服务暂不可用",
    504: "责任部门的前置机未应答",
}
_TITLES_EN = {
    400: "The request does not have the form of the interface",
    401: "Not authenticated",
    403: "The grant does not allow this",
    404: "Nothing is available",
    408: "The request took too long",
    413: "The request is too large",
    422: "A value is wrong",
    429: "Too many calls",
    502: "The department's interface did not answer",
    503: "Not available for the moment",
    504: "The department's node did not answer",
}
_AGAIN_LATER = (429, 503)
_ALWAYS = "cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
_encoder = msgspec.json.Encoder()


class Reply(NamedTuple):
    """What goes back: status, header lines each with its CRLF, body."""

    status: int
    headers: str
    body: bytes


class Streamed(NamedTuple):
    """An answer whose body comes piece by piece, each asked for when the one before has left."""

    status: int
    headers: str
    size_bytes: int
    pieces: AsyncIterator[bytes]


def answer_reply(body: bytes, content_type: str = JSON_TYPE) -> Reply:
    """Give what was asked for, without a promise."""
    return Reply(200, f"content-type: {content_type}\r\n{_ALWAYS}", body)


def recorded_reply(status: int, body: bytes, language: str, promise: str) -> Reply:
    """Answer a call that has an audit entry."""
    if status == 200:
        return Reply(200, f"content-type: {JSON_TYPE}\r\n{_ALWAYS}{PROMISE_HEADER}: {promise}\r\n", body)
    headers = (
        f"content-type: {PROBLEM_TYPE}\r\n{_ALWAYS}{PROMISE_HEADER}: {promise}\r\n"
        f"content-language: {language}\r\n"
    )
    return Reply(status, headers, body)


def problem_reply(error: CallError, language: str, citations: Mapping[str, str]) -> Reply:
    """Refuse without an entry; who meets a full or broken plane is told when to come again."""
    again = f"retry-after: {RETRY_AFTER_S}\r\n" if error.status in _AGAIN_LATER else ""
    headers = f"content-type: {PROBLEM_TYPE}\r\n{_ALWAYS}content-language: {language}\r\n{again}"
    return Reply(error.status, headers, problem_body(error, language, citations))


@lru_cache(maxsize=256)
def language_of(accept: str | None) -> str:
    """Pick `en` only when the header prefers English to Chinese; Chinese is the first language."""
    best, chosen = 0.0, "zh"
    for part in (accept or "")[:200].split(","):
        name, _, parameters = part.strip().lower().partition(";")
        weight = _weight(parameters)
        primary = name.partition("-")[0]
        if primary in ("zh", "en") and weight > best:
            best, chosen = weight, primary
    return chosen


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def problem_body(error: CallError, language: str, citations: Mapping[str, str]) -> bytes:
    """Write a refusal as problem details, with what the regulation in force says of its matter."""
    titles = _TITLES_EN if language == "en" else _TITLES_ZH
    return _encoder.encode(
        Problem(
            type=TYPE_PREFIX + error.code,
            title=titles.get(error.status, HTTPStatus(error.status).phrase),
            status=error.status,
            code=error.code,
            detail=error.explain(language, citations),
            rule=error.cited(citations) or "",
        )
    )
