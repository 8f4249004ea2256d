"""Where a node asks to be admitted; what it sends is signed with its token's key, so it needs no session."""

from __future__ import annotations

import msgspec
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from shuqiao.control.exchange.enrolling import take_request
from shuqiao.control.exports.limits import Allowance
from shuqiao.control.web.api.answers import answer, problem
from shuqiao.control.web.outside_reading import address_of
from shuqiao.rules.errors import (
    AskedTooOften,
    BodyTooLarge,
    EnrolmentTokenUnusable,
    MethodNotAllowed,
    RequestMalformed,
    ShuqiaoError,
    Unavailable,
)
from shuqiao.wire.enrolment_token import MAX_REQUEST_BYTES, EnrolmentRequest

AT_ONCE = 30
A_MINUTE = 60
REMEMBERED = 4096
MAX_KEY_BYTES = 256
EACH = Allowance(AT_ONCE, A_MINUTE, REMEMBERED)
"""What one address may ask: a node that waits asks twenty times a minute."""


@csrf_exempt
def enrol(request: HttpRequest) -> HttpResponse:
    """Take a node's request to be admitted, and give the admission once it is there."""
    try:
        return answer(take_request(_read(request)))
    except ShuqiaoError as refusal:
        return problem(refusal)
    except OperationalError:
        return problem(Unavailable())


def _read(request: HttpRequest) -> EnrolmentRequest:
    if request.method != "POST":
        raise MethodNotAllowed(allowed="POST")
    if seconds := EACH.wait_s(address_of(request)):
        raise AskedTooOften(seconds=seconds)
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if not (announced.isascii() and announced.isdigit() and len(announced) <= 12):
        raise RequestMalformed(part="content-length")
    if int(announced) > MAX_REQUEST_BYTES:
        raise BodyTooLarge(limit_bytes=MAX_REQUEST_BYTES)
    try:
        asked = msgspec.json.decode(request.body, type=EnrolmentRequest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RequestMalformed(part="body") from None
    if max(len(asked.request.signing_key), len(asked.request.nats_user)) > MAX_KEY_BYTES:
        raise EnrolmentTokenUnusable
    return asked
