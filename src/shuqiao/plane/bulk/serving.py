"""The plane's side of copies: ask for one, see how far it is, fetch its parts; subscribe, take; browse.

Requests are signed with the application's own key. A part is fetched by a link that was made for whom asked,
for that one part and for ten minutes; whether the grant still holds is looked at once more, and an entry is
durable before the first byte leaves.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import msgspec

from shuqiao.plane.answers import Reply, Streamed
from shuqiao.plane.bulk import asking
from shuqiao.plane.bulk.asking import Allowed, Promising
from shuqiao.plane.bulk.browsing import Browsing
from shuqiao.plane.bulk.content_keys import read_recipient_key
from shuqiao.plane.bulk.fetching import extent_of, part_reply, stored_of
from shuqiao.plane.bulk.following import Notices, ready_after, with_receipt
from shuqiao.plane.bulk.links import Downloads, Problem, Refuse, RefuseUnused
from shuqiao.plane.bulk.recalls import Recalls
from shuqiao.plane.bulk.settings import Spool
from shuqiao.plane.bulk.statements import Done, FeedRow, JobRow, Statements
from shuqiao.plane.calls import AUTO, Call, CallRefused, actor_of
from shuqiao.plane.connection import Request
from shuqiao.plane.database import DatabaseUnavailable
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.places import Places
from shuqiao.plane.settings import Settings
from shuqiao.plane.state import Snapshot
from shuqiao.plane.under_way import UnderWay
from shuqiao.rules.bulk import LINK_S
from shuqiao.rules.channels import ON_PAGES
from shuqiao.rules.errors import (
    CallError,
    NotAvailable,
    RequestMalformed,
    Unavailable,
)
from shuqiao.security.http_signatures import WINDOW_S, CallContext
from shuqiao.wire.bulk import (
    BrowseRequest,
    BulkAsked,
    BulkRequest,
    BulkState,
    FeedAsked,
    FeedPart,
    FeedRequest,
    FeedState,
    FeedStateRequest,
    FeedTaken,
    Link,
    PartLink,
    StateRequest,
    TakenRequest,
    link_token,
    open_link,
    read_manifest,
)
from shuqiao.wire.messages import new_entry_id
from shuqiao.wire.recalls import NUMBER, DeletionRequest, FeedEndRequest, RecallsRequest
from shuqiao.wire.vault import VaultClient, VaultError

MAX_STREAMS = 32
MAX_STREAMS_EACH = 8
REPLAY_S = 2 * WINDOW_S + 60
"""How long a signature could be sent again: it may be dated ahead as far as it may be old."""

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ROUTES = {
    "bulk": re.compile(r"/v1/bulk"),
    "bulk-state": re.compile(rf"/v1/bulk/({_UUID})"),
    "feed": re.compile(r"/v1/feeds"),
    "feed-state": re.compile(rf"/v1/feeds/({_UUID})"),
    "feed-taken": re.compile(rf"/v1/feeds/({_UUID})/taken"),
    "feed-end": re.compile(rf"/v1/feeds/({_UUID})/end"),
    "recalls": re.compile(r"/v1/recalls"),
    "deletion": re.compile(rf"/v1/recalls/({NUMBER})/receipt"),
    "browse": re.compile(r"/v1/resources/(r[0-9]{6}[a-z2-7]{10})/browse"),
}
PART_ROUTE = re.compile(rf"/v1/bulk/({_UUID})/parts/([1-9][0-9]{{0,4}})")
PREFIXES = ("/v1/bulk", "/v1/feeds", "/v1/recalls")

Answer = Callable[[Reply], None]

DECODERS: dict[str, msgspec.json.Decoder[msgspec.Struct]] = {
    name: msgspec.json.Decoder(form)
    for name, form in (
        ("bulk", BulkRequest),
        ("bulk-state", StateRequest),
        ("feed", FeedRequest),
        ("feed-state", FeedStateRequest),
        ("feed-taken", TakenRequest),
        ("feed-end", FeedEndRequest),
        ("recalls", RecallsRequest),
        ("deletion", DeletionRequest),
        ("browse", BrowseRequest),
    )
}


def is_route(path: str) -> bool:
    """Tell whether a path is one of copies, feeds or browsing."""
    return path.startswith(PREFIXES) or ROUTES["browse"].fullmatch(path) is not None


def route_of(path: str) -> tuple[str, str] | None:
    """Give the name of a signed request and what its path names; None for any other path."""
    for name, pattern in ROUTES.items():
        found = pattern.fullmatch(path)
        if found is not None:
            return name, found.group(1) if found.groups() else ""
    return None


class Copies:
    """A worker's part in copies; prepares none."""

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        keeper: Keeper,
        vault: VaultClient,
        refuse: Refuse,
        refuse_unused: RefuseUnused,
    ) -> None:
        """Keep the parts; nothing is connected yet."""
        self._spool = spool
        self._keeper = keeper
        self._statements = Statements(settings.database_url, is_pooled=settings.is_pooled)
        self._promising = Promising(settings.promise_key)
        self._recalls = Recalls(self._statements, keeper, self._promising, REPLAY_S)
        self._browsing = Browsing(self._statements, keeper, vault, self._promising)
        self._notices = Notices(settings.database_url, is_pooled=settings.is_pooled)
        self._refuse = refuse
        self.refuse_unused = refuse_unused
        self._under_way = UnderWay()
        self._places = Places(MAX_STREAMS, MAX_STREAMS_EACH)
        self._downloads = Downloads(
            PART_ROUTE,
            partial(open_link, spool.link_secret),
            lambda link: (str(link.job), str(link.part)),
            self._handed_out,
            keeper,
            self._under_way,
            refuse,
            refuse_unused,
        )

    async def close(self) -> None:
        """End what is under way."""
        await self._under_way.close()
        await self._notices.close()
        await self._statements.close()

    def begin(self, named: str, call: Call, request: msgspec.Struct, problem: Problem) -> None:
        """Work on a request whose body has come."""
        self._under_way.begin(
            self._work(named, call, request, problem), lambda: call.answer(problem(Unavailable()))
        )

    def fetch(self, request: Request, language: str, problem: Problem, admit: Callable[[str], None]) -> None:
        """Answer the request for a part; raises a `CallError` where its form is wrong, or `admit` does."""
        self._downloads.begin(request, language, problem, admit)

    async def _work(self, named: str, call: Call, request: msgspec.Struct, problem: Problem) -> None:
        try:
            call.answer(await self._reply(named, call, request))
        except CallRefused as refused:
            self._refuse(call, refused, call.entry)
        except CallError as error:
            self._refuse(call, CallRefused(error), call.entry)
        except (DatabaseUnavailable, VaultError):
            call.answer(problem(Unavailable()))

    async def _reply(self, named: str, call: Call, request: msgspec.Struct) -> Reply:
        match request:
            case BulkRequest():
                return await self._ask(call, request)
            case FeedRequest():
                return await self._subscribe(call, request)
            case TakenRequest():
                return await self._taken(call, UUID(named), request)
            case BrowseRequest():
                return await self._browsing.page(call, named, request)
            case FeedEndRequest():
                return await self._recalls.end_feed(call, UUID(named), request)
            case RecallsRequest():
                return await self._recalls.list(call, request)
            case DeletionRequest():
                return await self._recalls.keep(call, named, request)
            case FeedStateRequest():
                return await self._feed_state(call, UUID(named), request)
            case _:
                return await self._state(call, UUID(named))

    async def _ask(self, call: Call, request: BulkRequest) -> Reply:
        call.resource_id = request.resource
        if not request.case.isprintable():
            raise RequestMalformed(part="case")
        is_on_pages = request.channel in ON_PAGES
        recipient = read_recipient_key(request.recipient, self._spool.suite, is_on_pages=is_on_pages)

        async def record(allowed: Allowed) -> Done:
            return await self._statements.ask(
                allowed.snapshot.epoch,
                call.entry,
                call.at,
                call.application.department,
                actor_of(call),
                call.application.id,
                allowed.held.document.id,
                call.resource_id,
                request.format,
                self._spool.suite.digest_name if request.digest == "auto" else request.digest,
                request.channel,
                request.case,
                recipient,
                asking.entry_of(call, "bulk_asked", "asked", allowed, request.case, recipient=recipient),
            )

        decided = _decided(call, request.channel, request.case)
        _, done = await asking.recorded(self._keeper, decided, record)
        answer = BulkAsked(call.entry, call.entry, call.at)
        return self._promising.reply(call.entry, done.digest, answer, call.language)

    async def _subscribe(self, call: Call, request: FeedRequest) -> Reply:
        call.resource_id = request.resource
        recipient = read_recipient_key(request.recipient, self._spool.suite, is_on_pages=False)
        there: tuple[UUID | None, bytes | None] = (None, None)

        async def record(allowed: Allowed) -> Done:
            nonlocal there
            done, feed, sealed_to = await self._statements.subscribe(
                allowed.snapshot.epoch,
                call.entry,
                call.at,
                call.application.department,
                actor_of(call),
                call.application.id,
                allowed.held.document.id,
                call.resource_id,
                request.format,
                recipient,
                asking.entry_of(
                    call, "feed_subscribed", "subscribed", allowed, request.case, recipient=recipient
                ),
            )
            there = feed, sealed_to
            return done

        decided = _decided(call, "interface", request.case)
        _, done = await asking.recorded(self._keeper, decided, record)
        feed, key = there[0] or call.entry, base64.b64encode(there[1] or b"").decode("ascii")
        answer = FeedAsked(feed, call.entry, call.at, key)
        return self._promising.reply(call.entry, done.digest, answer, call.language)

    async def _taken(self, call: Call, feed: UUID, request: TakenRequest) -> Reply:
        await self._own_feed(call, feed)

        async def record(allowed: Allowed) -> Done:
            said = asking.entry_of(call, "feed_taken", "taken", allowed)
            if request.receipt is not None:
                said = with_receipt(said, request.receipt)
            return await self._statements.take(
                request.receipt,
                allowed.snapshot.epoch,
                call.entry,
                call.at,
                feed,
                request.number,
                call.application.department,
                actor_of(call),
                call.application.id,
                said,
            )

        # The case was named when the feed was subscribed to.
        _, done = await asking.recorded(self._keeper, _decided(call, "interface", "-"), record)
        answer = FeedTaken(request.number, call.entry, call.at)
        return self._promising.reply(call.entry, done.digest, answer, call.language)

    async def _state(self, call: Call, job_id: UUID) -> Reply:
        job = await self._own_job(call, job_id)
        # Whoever may no longer fetch is told so now, and not at the first part.
        await asking.recorded(self._keeper, _decided(call, job.channel, "-"), self._used(call))
        return asking.plain_reply(self._job_state(call, job))

    def _job_state(self, call: Call, job: JobRow) -> BulkState:
        """What whoever asked for a copy may know of it; links to its parts once it is ready."""
        expires = datetime.fromtimestamp(int(time.time()) + LINK_S, UTC)
        links: tuple[PartLink, ...] = ()
        if job.state == "ready" and job.manifest is not None:
            links = tuple(
                PartLink(part.number, self._path(call, job, part.number, expires), expires)
                for part in read_manifest(job.manifest).parts
            )
        return BulkState(
            job=job.id,
            state=job.state,  # type: ignore[arg-type]  # the table's check allows these words only
            format=job.format,  # type: ignore[arg-type]  # as above
            rows_done=job.rows_done,
            rows_total=job.rows_total,
            failure=job.failure or "",
            expires_at=job.expires_at,
            manifest=job.manifest or "",
            signature=base64.b64encode(job.signature or b"").decode("ascii"),
            key_id=job.key_id or "",
            links=links,
            sealed_key=_sealed_key(job),
        )

    def _used(self, call: Call) -> Callable[[Allowed], Awaitable[Done]]:
        """What uses the signature of a request up that leaves no entry."""

        async def used(allowed: Allowed) -> Done:
            return await self._statements.use_signature(allowed.snapshot.epoch, call.entry, REPLAY_S)

        return used

    def _path(self, call: Call, job: JobRow, part: int, expires: datetime) -> str:
        link = Link(job.id, part, call.application.id, job.grant_id, actor_of(call), int(expires.timestamp()))
        return f"/v1/bulk/{job.id}/parts/{part}?link={link_token(self._spool.link_secret, link)}"

    async def _feed_state(self, call: Call, feed_id: UUID, request: FeedStateRequest) -> Reply:
        feed = await self._own_feed(call, feed_id)
        await asking.recorded(self._keeper, _decided(call, "interface", "-"), self._used(call))
        parts = await self._statements.feed_parts(feed)
        if request.wait > 0 and ready_after(parts, request.after) is None:

            async def is_there() -> bool:
                return ready_after(await self._statements.feed_parts(feed), request.after) is not None

            await self._notices.wait(feed_id, feed.department, request.wait, is_there)
            # A grant may have ended while this waited.
            await asking.decided_now(self._keeper, _decided(call, "interface", "-"))
            feed = await self._own_feed(call, feed_id)
            parts = await self._statements.feed_parts(feed)
        ready = ready_after(parts, request.after)
        job = None if ready is None else await self._statements.job(ready.id)
        state = FeedState(
            feed.id,
            feed.resource_id,
            feed.last_number,
            feed.taken_number,
            tuple(
                FeedPart(one.number, one.id, one.state, one.from_sequence, one.to_sequence) for one in parts
            ),
            None if job is None else self._job_state(call, job),
        )
        return asking.plain_reply(state)

    async def _own_job(self, call: Call, job_id: UUID) -> JobRow:
        """Read a job of the calling application; another's is not there."""
        job = await self._statements.job(job_id)
        if job is None or job.application != call.application.id:
            raise NotAvailable()
        call.resource_id = job.resource_id
        call.context = CallContext(AUTO, call.context.end_user, job.grant_id)
        return job

    async def _own_feed(self, call: Call, feed_id: UUID) -> FeedRow:
        feed = await self._statements.feed(feed_id)
        if feed is None or feed.application != call.application.id:
            raise NotAvailable()
        call.resource_id = feed.resource_id
        call.context = CallContext(AUTO, call.context.end_user, feed.grant_id)
        return feed

    async def _handed_out(self, call: Call, request: Request, link: Link) -> Streamed:
        """Hand out a part: decide anew, record, then let the first byte go."""
        job = await self._statements.job(link.job)
        if job is None or job.application != link.application:
            raise NotAvailable()
        call.resource_id = job.resource_id
        if job.state != "ready" or job.grant_id != link.grant or job.manifest is None:
            raise NotAvailable()
        # Each start of a download has an entry of its own.
        delivery = replace(call, entry=new_entry_id(call.at))
        return await self._delivered(delivery, request, job, link)

    async def _delivered(self, call: Call, request: Request, job: JobRow, link: Link) -> Streamed:
        manifest = read_manifest(job.manifest or "")
        part = next((part for part in manifest.parts if part.number == link.part), None)
        if part is None:
            raise NotAvailable()
        headers = request.headers
        given = stored_of(job, part)
        extent = extent_of(given, headers.get("range"), headers.get("if-range"))

        async def record(allowed: Allowed) -> Done:
            return await self._statements.deliver(
                allowed.snapshot.epoch,
                call.entry,
                call.at,
                job.id,
                part.number,
                extent.first,
                job.department,
                actor_of(call),
                asking.entry_of(call, "bulk_delivered", "delivering", allowed),
            )

        # Counted while it is decided over too, or many begun together would pass the bound.
        with self._places.held(job.department):
            await asking.recorded(self._keeper, _decided(call, job.channel, "-"), record)
            reply = part_reply(self._spool, job, manifest, given, extent)
        return self._places.while_sent(job.department, reply)


def _sealed_key(job: JobRow) -> str:
    """The content key of a copy as its recipient gets it; a key under the platform's secret stays here."""
    sealed = job.wrapped_key if job.recipient is not None and job.state == "ready" else None
    return base64.b64encode(sealed or b"").decode("ascii")


def _decided(call: Call, channel: str, case: str = "") -> Callable[[Snapshot], Allowed]:
    def decided(snapshot: Snapshot) -> Allowed:
        return asking.decide(call, snapshot, channel, case)

    return decided
