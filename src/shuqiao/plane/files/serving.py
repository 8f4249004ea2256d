"""The plane's side of files: list what a grant opens, hand a file out.

A list is asked for by a request signed with the application's own key. It has a link for each file, made for
whom asked, for that one version and for ten minutes; whether the grant still holds is looked at once more,
and an entry is durable before the first byte leaves.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import msgspec

from shuqiao.plane.answers import Reply, Streamed
from shuqiao.plane.bulk.asking import (
    Allowed,
    Promising,
    asked,
    check_use,
    entry_of,
    granted,
    recorded,
)
from shuqiao.plane.bulk.fetching import extent_of
from shuqiao.plane.bulk.links import Downloads, Problem, Refuse, RefuseUnused
from shuqiao.plane.bulk.statements import Done, FileRow, Statements
from shuqiao.plane.calls import Call, CallRefused, actor_of, facts_of
from shuqiao.plane.connection import Request
from shuqiao.plane.database import DatabaseUnavailable
from shuqiao.plane.files.fetching import file_reply
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.places import Places
from shuqiao.plane.proofs import NO_PROOF, CallProof
from shuqiao.plane.state import Snapshot
from shuqiao.plane.under_way import UnderWay
from shuqiao.rules.errors import (
    CallError,
    NotAvailable,
    RequestMalformed,
    Unavailable,
)
from shuqiao.rules.exchange import Channel, Mode
from shuqiao.rules.files import LINK_S, gives_whole, opens
from shuqiao.security.at_rest import unwrap_key
from shuqiao.security.pieces import StoreSecrets
from shuqiao.wire.files import (
    FileLine,
    FileLink,
    FilesAnswer,
    FilesRequest,
    file_link_token,
    open_file_link,
)
from shuqiao.wire.messages import new_entry_id

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
LIST_ROUTE = re.compile(r"/v1/resources/(r[0-9]{6}[a-z2-7]{10})/files", re.ASCII)
FILE_ROUTE = re.compile(rf"/v1/files/({_UUID})", re.ASCII)
PREFIX = "/v1/files/"
MAX_STREAMS = 16
MAX_STREAMS_EACH = 4
DECODER = msgspec.json.Decoder(FilesRequest)


class _Listed(msgspec.Struct, frozen=True):
    """A file as `exchange.list_files` gives it."""

    id: UUID
    file: UUID
    title: str
    name: str
    media_type: str
    size_bytes: int
    digest: str
    number: int
    stored_at: datetime


_listed_decoder = msgspec.json.Decoder(tuple[_Listed, ...])


def decide(call: Call, snapshot: Snapshot, channel: str, case: str = "", file: UUID | None = None) -> Allowed:
    """Decide over a request for files, or for one of them; raises `CallRefused`."""
    application, resource = asked(call, snapshot, Mode.BULK)
    facts = facts_of(call, application, Mode.BULK, Channel(channel))
    held = snapshot.file_grants.get((application.department, call.resource_id), ())
    if file is not None:
        held = tuple(one for one in held if opens(snapshot.grants[one.id].document.files, str(file)))
    chosen = granted(call, snapshot, facts, held)
    document = chosen.document
    masked = [field for field, item in resource.items.items() if item.masked]
    if not gives_whole(resource.items, masked, document.items, document.unmasked):
        # The entry has got an item since that this grant withholds: a file can't leave it out.
        raise CallRefused(NotAvailable(), document.id)
    check_use(call, application, document, channel, case)
    return Allowed(chosen, resource, snapshot)


class Files:
    """A worker's part in files."""

    def __init__(
        self,
        secrets: StoreSecrets,
        statements: Statements,
        keeper: Keeper,
        promising: Promising,
        refuse: Refuse,
        refuse_unused: RefuseUnused,
    ) -> None:
        """Keep the parts; nothing is connected yet."""
        self._secrets = secrets
        self._statements = statements
        self._keeper = keeper
        self._promising = promising
        self._refuse = refuse
        self.refuse_unused = refuse_unused
        self._places = Places(MAX_STREAMS, MAX_STREAMS_EACH)
        self._under_way = UnderWay()
        self._downloads = Downloads(
            FILE_ROUTE,
            partial(open_file_link, secrets.link),
            lambda link: (str(link.version),),
            self._handed_out,
            keeper,
            self._under_way,
            refuse,
            refuse_unused,
            _proof_of,
        )

    async def close(self) -> None:
        """End what is under way."""
        await self._under_way.close()
        await self._statements.close()

    def begin(self, call: Call, request: FilesRequest, problem: Problem) -> None:
        """Work on a request for the list; raises `RequestMalformed` for an unprintable case."""
        if not request.case.isprintable():
            raise RequestMalformed(part="case")
        self._under_way.begin(self._list(call, request, problem), lambda: call.answer(problem(Unavailable())))

    def fetch(self, request: Request, language: str, problem: Problem, admit: Callable[[str], None]) -> None:
        """Answer the request for a file; raises a `CallError` where its form is wrong, or `admit` does."""
        self._downloads.begin(request, language, problem, admit)

    async def _list(self, call: Call, request: FilesRequest, problem: Problem) -> None:
        try:
            call.answer(await self._listed(call, request))
        except CallRefused as refused:
            self._refuse(call, refused, call.entry)
        except CallError as error:
            call.answer(problem(error))
        except DatabaseUnavailable:
            call.answer(problem(Unavailable()))

    async def _listed(self, call: Call, request: FilesRequest) -> Reply:
        found: list[str] = []

        async def record(allowed: Allowed) -> Done:
            done, files = await self._statements.list_files(
                allowed.snapshot.epoch,
                call.entry,
                call.at,
                call.application.department,
                actor_of(call),
                allowed.held.document.id,
                call.resource_id,
                request.file,
                request.channel,
                request.case,
                entry_of(call, "files_listed", "listed", allowed, request.case),
            )
            found.append(files)
            return done

        def decided(snapshot: Snapshot) -> Allowed:
            return decide(call, snapshot, request.channel, request.case, request.file)

        allowed, done = await recorded(self._keeper, decided, record)
        grant, expires = allowed.held.document.id, int(time.time()) + LINK_S
        lines = tuple(
            self._line(one, _link(one, call, request, grant, expires))
            for one in _listed_decoder.decode(found[-1])
        )
        answer = FilesAnswer(grant, lines, call.entry, call.at)
        return self._promising.reply(call.entry, done.digest, answer, call.language)

    def _line(self, one: _Listed, link: FileLink) -> FileLine:
        path = f"{PREFIX}{one.id}?link={file_link_token(self._secrets.link, link)}"
        return FileLine(
            one.file,
            one.title,
            one.name,
            one.media_type,
            one.size_bytes,
            one.digest,
            one.number,
            one.stored_at,
            path,
            datetime.fromtimestamp(link.expires, UTC),
        )

    async def _handed_out(self, call: Call, request: Request, link: FileLink) -> Streamed:
        """Hand out a file: decide anew, record, then let the first byte go."""
        row = await self._statements.file_version(link.version)
        if row is None:
            raise NotAvailable()
        call.resource_id = row.resource_id
        # Each start of a download has an entry of its own.
        delivery = replace(call, entry=new_entry_id(call.at))
        return await self._delivered(delivery, request, row, link)

    async def _delivered(self, call: Call, request: Request, row: FileRow, link: FileLink) -> Streamed:
        headers = request.headers
        extent = extent_of(row, headers.get("range"), headers.get("if-range"))
        wrapped: list[bytes | None] = []

        async def record(allowed: Allowed) -> Done:
            done, key = await self._statements.deliver_file(
                allowed.snapshot.epoch,
                call.entry,
                call.at,
                row.id,
                extent.first,
                extent.size_bytes,
                call.application.department,
                actor_of(call),
                link.grant,
                link.channel,
                link.case,
                entry_of(call, "file_delivered", "delivering", allowed, link.case, asked=link.call),
            )
            wrapped.append(key)
            return done

        def decided(snapshot: Snapshot) -> Allowed:
            return decide(call, snapshot, link.channel, link.case, row.file)

        # Counted while it is decided over too, or many begun together would pass the bound.
        department = call.application.department
        with self._places.held(department):
            _, done = await recorded(self._keeper, decided, record)
            key = unwrap_key(self._secrets.wrapping, wrapped[-1] or b"", row.id.bytes)
            promise = self._promising.header(call.entry, done.digest or b"", bytes.fromhex(row.digest))
            reply = file_reply(self._statements, row, key, extent, promise)
        return self._places.while_sent(department, reply)


def _link(one: _Listed, call: Call, request: FilesRequest, grant: str, expires: int) -> FileLink:
    proof = call.proof or NO_PROOF
    return FileLink(
        one.id,
        call.application.id,
        grant,
        actor_of(call),
        request.channel,
        request.case,
        expires,
        call.entry,
        proof.algorithm,
        proof.request,
    )


def _proof_of(link: FileLink) -> CallProof:
    """What was signed is kept with the entry of the request that asked; this one says which it was."""
    return CallProof(link.algorithm, link.request, "")
