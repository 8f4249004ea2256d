"""Downloads by link: whoever brings a link of this platform gets what it names, once it is decided anew.

A link is made for whom asked. It says nothing about whether the grant still holds: what is handed out is
decided over once more, and its entry is durable before the first byte leaves.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar
from urllib.parse import parse_qs
from uuid import UUID

from shuqiao.plane.answers import Reply, Streamed
from shuqiao.plane.calls import AUTO, Call, CallRefused
from shuqiao.plane.connection import Request
from shuqiao.plane.database import DatabaseUnavailable
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.proofs import CallProof
from shuqiao.plane.state import Application
from shuqiao.plane.under_way import UnderWay
from shuqiao.rules.errors import (
    CallError,
    LinkExpired,
    NotAvailable,
    Overloaded,
    RangeUnsatisfiable,
    RequestMalformed,
    Unavailable,
)
from shuqiao.rules.exchange import Mode
from shuqiao.security.at_rest import FileRefused
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.bulk import ManifestUnreadable
from shuqiao.wire.messages import call_entry_id, refusal_entry_id

MAX_FIELDS = 4
Problem = Callable[[CallError], Reply]
Refuse = Callable[[Call, CallRefused, UUID], None]
RefuseUnused = Callable[[Call, CallError], None]


class AnyLink(Protocol):
    """What every link says: for whom it was made, and until when (seconds since 1970)."""

    @property
    def application(self) -> str:
        """The application that asked."""

    @property
    def grant(self) -> str:
        """The grant under which it asked."""

    @property
    def actor(self) -> str:
        """Who asked: the application, and behind a slash the person it named."""

    @property
    def expires(self) -> int:
        """When it ends."""


L = TypeVar("L", bound=AnyLink)


@dataclass(frozen=True, slots=True)
class Downloads(Generic[L]):
    """What downloads of one kind have in common.

    `route` is their path, of which a link must name every group; `opened` reads a token. `handed_out` names
    the resource, decides, records and makes the answer. `proof_of` says how the request was signed that the
    link follows from.
    """

    route: re.Pattern[str]
    opened: Callable[[str], L | None]
    named: Callable[[L], tuple[str, ...]]
    handed_out: Callable[[Call, Request, L], Awaitable[Streamed]]
    keeper: Keeper
    under_way: UnderWay
    refuse: Refuse
    refuse_unused: RefuseUnused
    proof_of: Callable[[L], CallProof | None] = lambda _: None

    def begin(self, request: Request, language: str, problem: Problem, admit: Callable[[str], None]) -> None:
        """Answer a request by link; raises a `CallError` where its form is wrong, or `admit` does."""
        found = self.route.fullmatch(request.path)
        if found is None:
            raise NotAvailable()
        if request.method != "GET":
            raise RequestMalformed(part="method")
        link = self.opened(_token(request.query))
        application = self.keeper.current.applications.get(link.application) if link is not None else None
        if link is None or application is None or self.named(link) != found.groups():
            raise NotAvailable()
        admit(link.application)
        call = _call_by(link, application, language, request, self.proof_of(link))
        if link.expires <= time.time():
            self.refuse_unused(call, LinkExpired())
        else:
            self.under_way.begin(
                self._work(call, request, link, problem), lambda: request.answer(problem(Unavailable()))
            )

    async def _work(self, call: Call, request: Request, link: L, problem: Problem) -> None:
        try:
            request.answer(await self.handed_out(call, request, link))
        except CallRefused as refused:
            self.refuse(call, refused, refusal_entry_id(call.entry, refused.error.code))
        except (Overloaded, RangeUnsatisfiable) as error:
            request.answer(problem(error))
        except CallError as error:
            self.refuse_unused(call, error)
        except (DatabaseUnavailable, FileRefused, ManifestUnreadable, OSError):
            request.answer(problem(Unavailable()))


def _token(query: str) -> str:
    """The token of a link; empty where the query has none, or more than one."""
    try:
        given = parse_qs(query, max_num_fields=MAX_FIELDS).get("link", [""])
    except ValueError:
        # So many fields are no link, whoever sends them.
        return ""
    return given[0] if len(given) == 1 else ""


def _call_by(
    link: AnyLink, application: Application, language: str, request: Request, proof: CallProof | None
) -> Call:
    """The call that a link stands for; its id is the link's, so whoever sends one again fills no log."""

    def answer(reply: Reply) -> None:
        request.answer(reply)

    named = hashlib.sha256(str(link).encode()).hexdigest()
    entry = call_entry_id(application.key_id, link.expires, named)
    context = CallContext(AUTO, link.actor.partition("/")[2], link.grant)
    at = datetime.now(UTC)
    return Call(entry, at, application, context, "", Mode.BULK, language, answer, proof=proof)
