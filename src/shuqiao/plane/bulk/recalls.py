"""Recalls of copies: which are open for an application, its receipts of deletion, and feeds it ends.

None of it rests on a grant: a receipt comes when the grant is over. Who may speak is whoever the recall or
the feed is of; for everybody else it is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

import msgspec

from shuqiao.plane.answers import Reply
from shuqiao.plane.bulk.asking import MAX_TRIES, Promising, plain_reply
from shuqiao.plane.bulk.statements import RecallRow, Statements
from shuqiao.plane.calls import Call, CallRefused, actor_of
from shuqiao.plane.keeper import Keeper
from shuqiao.rules.errors import DeletionUnfit, NotAvailable, SignatureReplayed, Unavailable
from shuqiao.wire.messages import CallEntry
from shuqiao.wire.recalls import (
    DeletionKept,
    DeletionRequest,
    FeedEnded,
    FeedEndRequest,
    Held,
    Recall,
    RecallsAnswer,
    RecallsRequest,
    StatementUnreadable,
    is_signed,
    names_all,
    read_deletion,
)

MAX_LISTED_CHARS = 2 * 1024 * 1024
"""What one answer names of what is held: clients read 4 MiB."""

_held_decoder = msgspec.json.Decoder(tuple[Held, ...])
_encoder = msgspec.json.Encoder()


class Recalls:
    """A worker's part in recalls."""

    def __init__(self, statements: Statements, keeper: Keeper, promising: Promising, replay_s: int) -> None:
        """Keep the parts; `replay_s` is how long a signature could be sent again."""
        self._statements = statements
        self._keeper = keeper
        self._promising = promising
        self._replay_s = replay_s

    async def list(self, call: Call, request: RecallsRequest) -> Reply:
        """Answer with the application's open recalls; leaves no entry and uses the signature up."""
        for _ in range(MAX_TRIES):
            epoch = self._keeper.current.epoch
            done = await self._statements.use_signature(epoch, call.entry, self._replay_s)
            if done.outcome == "stale":
                await self._keeper.refresh(done.epoch)
                continue
            if done.outcome == "replayed":
                raise CallRefused(SignatureReplayed())
            rows = await self._statements.open_recalls(call.application.id, request.feed)
            return plain_reply(RecallsAnswer(tuple(_recall(row) for row in fitting(rows))))
        raise CallRefused(Unavailable())

    async def keep(self, call: Call, number: str, request: DeletionRequest) -> Reply:
        """Keep the receipt of a deletion; raises `CallRefused` where it doesn't speak of what is held."""
        row = await self._statements.recall(call.application.id, number)
        if row is None:
            raise CallRefused(NotAvailable())
        call.resource_id = row.resource_id
        node_key = b"" if row.is_done else await self._checked(call, row, request)
        outcome, digest, entry, at = await self._statements.keep_deletion(
            call.entry,
            call.at,
            number,
            row.held,
            call.application.department,
            actor_of(call),
            call.application.id,
            "node" if node_key else "system",
            _entry(call, "copies_deleted", "deleted", (row.resource_id, row.provider, row.grant_id), number),
            request.statement,
            request.signature if node_key else "",
            node_key or None,
        )
        _check(outcome, row.grant_id)
        return self._promising.reply(entry, digest, DeletionKept(number, entry, at), call.language)

    async def _checked(self, call: Call, row: RecallRow, request: DeletionRequest) -> bytes:
        """Hold a receipt against its recall; gives the node's key that signed it, if one did."""
        try:
            deletion = read_deletion(request.statement)
        except StatementUnreadable:
            raise CallRefused(DeletionUnfit(recall=row.number), row.grant_id) from None
        if deletion.recall != row.number or not names_all(deletion, _held_decoder.decode(row.held)):
            raise CallRefused(DeletionUnfit(recall=row.number), row.grant_id)
        if not request.signature:
            return b""
        key = await self._statements.node_key(call.application.department)
        if key is None or not is_signed(request.statement, request.signature, key):
            raise CallRefused(DeletionUnfit(recall=row.number), row.grant_id)
        return key

    async def end_feed(self, call: Call, feed: UUID, request: FeedEndRequest) -> Reply:
        """End a feed of the application's own."""
        row = await self._statements.any_feed(feed, call.application.id)
        if row is None:
            raise CallRefused(NotAvailable())
        call.resource_id = row.resource_id
        said = "feed_rests" if request.rests else "feed_begins_anew"
        resource = self._keeper.current.resources.get(row.resource_id)
        about = (row.resource_id, resource.department if resource is not None else "", row.grant_id)
        outcome, digest = await self._statements.end_feed(
            call.entry,
            call.at,
            feed,
            request.rests,
            call.application.department,
            actor_of(call),
            call.application.id,
            _entry(call, "feed_ended", said, about, ""),
        )
        _check(outcome, row.grant_id)
        answer = FeedEnded(feed, call.entry, call.at)
        return self._promising.reply(call.entry, digest, answer, call.language)


def fitting(rows: Sequence[RecallRow]) -> Iterator[RecallRow]:
    """Give as many recalls as fit into one answer, one at least; the others come when these are signed."""
    size = 0
    for number, row in enumerate(rows):
        size += len(row.held)
        if number and size > MAX_LISTED_CHARS:
            return
        yield row


def _check(outcome: str, grant: str) -> None:
    match outcome:
        case "done":
            return
        case "replayed":
            raise CallRefused(SignatureReplayed(), grant)
        case "changed":
            raise CallRefused(Unavailable(), grant)
        case _:
            raise CallRefused(NotAvailable())


def _entry(call: Call, event: str, outcome: str, about: tuple[str, str, str], case: str) -> str:
    """Write the plane's line of an entry; `about` is resource, provider and grant."""
    resource, provider, grant = about
    proof = {} if call.proof is None else call.proof._asdict()
    entry = CallEntry(
        event=event,
        id=call.entry,
        at=call.at,
        department=call.application.department,
        actor=actor_of(call),
        application=call.application.id,
        key=call.application.key_id,
        outcome=outcome,
        end_user=call.context.end_user,
        provider=provider,
        resource=resource,
        grant=grant,
        case=case,
        **proof,
    )
    return _encoder.encode(entry).decode()


def _recall(row: RecallRow) -> Recall:
    return Recall(
        number=row.number,
        kind=row.kind,
        grant=row.grant_id,
        resource=row.resource_id,
        provider=row.provider,
        reason=row.reason,
        called_at=row.called_at,
        due_on=row.due_on,
        held=_held_decoder.decode(row.held),
        left_out=row.left_out,
    )
