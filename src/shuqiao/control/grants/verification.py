"""Verifying from the pages: the plane is called as everybody else calls it, under the portal's own key."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.conf import settings
from django.utils.translation import get_language

from shuqiao.client.plane import PlaneAnswer, PlaneClient, PlaneUnreachable, PromiseBroken
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.grants.access import access_grant_to_use
from shuqiao.control.grants.keys import portal_signer, promise_keys
from shuqiao.control.grants.models import Grant
from shuqiao.control.regulations.wording import worded
from shuqiao.control.texts import Text
from shuqiao.rules.errors import BY_CODE, Unavailable
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.messages import VerifyAnswer

Ask = Callable[[PlaneClient, CallContext], PlaneAnswer]
"""One call of the plane."""


@dataclass(frozen=True)
class Verification:
    """What the plane answered: a word per item or one for all, its audit entry and the checked promise."""

    result: dict[str, bool] | bool
    entry: str
    at: datetime
    elapsed_ms: int
    promise: str


class CallRefused(Exception):
    """The plane refused the call; `message` is its own, `entry` the audit entry where there is one."""

    def __init__(self, code: str, status: int, message: Text, entry: str | None) -> None:
        """Keep what the page shows."""
        self.code = code
        self.status = status
        self.message = message
        self.entry = entry
        super().__init__(code)


def verify_through_plane(
    viewer: Viewer, number: str, subject: str, claims: Mapping[str, str], case: str
) -> Verification:
    """Compare what a person says with the record, under one grant; the values are sent and kept nowhere.

    Raises `NotFound` for a grant the viewer may not use and `CallRefused` for whatever the plane refuses.
    """
    grant = access_grant_to_use(viewer, number)
    if grant.mode != "verify":
        raise NotFound
    started = time.perf_counter()

    def ask(plane: PlaneClient, context: CallContext) -> PlaneAnswer:
        return plane.verify(grant.resource_id, subject, claims, case=case, context=context)

    answer = through_portal(viewer, grant, ask)
    return _verification(answer, grant, round((time.perf_counter() - started) * 1000))


def through_portal(viewer: Viewer, grant: Grant, ask: Ask) -> PlaneAnswer:
    """Call the plane under the key of the department's pages, in the name of a person.

    Raises `NotFound` where the grant doesn't name the pages, and `CallRefused` for whatever is not answered.
    """
    portal = grant.applications.filter(portal=True, active=True).first()
    if portal is None:
        raise NotFound
    context = CallContext(purpose=grant.purpose, end_user=viewer.username, grant=grant.number)
    language = "en" if (get_language() or "").startswith("en") else "zh"
    try:
        with PlaneClient(
            settings.CONFIG.plane_url,
            portal_signer(portal),
            promise_keys=promise_keys(),
            language=language,
            ca_file=settings.CONFIG.plane_ca_file,
        ) as plane:
            answer = ask(plane, context)
    except (PlaneUnreachable, PromiseBroken) as error:
        refusal = Unavailable()
        raise CallRefused(refusal.code, refusal.status, _words(refusal.code, None), None) from error
    if not answer.is_answered:
        entry = answer.promise.entry if answer.promise else None
        code = answer.code or "unavailable"
        detail = str(answer.body.get("detail", ""))
        raise CallRefused(code, answer.status, _words(code, detail), str(entry) if entry else None)
    return answer


def _verification(answer: PlaneAnswer, grant: Grant, elapsed_ms: int) -> Verification:
    given = msgspec.convert(answer.body, VerifyAnswer)
    if isinstance(given.result, dict) and not set(given.result) <= set(grant.fields):
        # Never show more than the grant covers, whatever answered.
        raise CallRefused("unavailable", 503, _words("unavailable", None), str(given.entry))
    return Verification(given.result, str(given.entry), given.at, elapsed_ms, answer.promise_text)


def _words(code: str, detail: str | None) -> Text:
    """Word a refusal: the plane's own detail is in the reader's language already."""
    if detail:
        return Text(detail, detail)
    return worded(BY_CODE.get(code, Unavailable)())
