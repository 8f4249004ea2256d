"""Online browse: one page of records for one reader, recorded before it is shown.

What leaves masked can be neither filtered nor sorted by: the order alone would tell its value.
Source: shenyang-2016 art. 21 (在线浏览); our choice, decision 22.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from shuqiao.plane.answers import Reply
from shuqiao.plane.bulk import asking
from shuqiao.plane.bulk.asking import Allowed, Promising
from shuqiao.plane.bulk.columns import Columns, columns_of
from shuqiao.plane.bulk.statements import Done, Statements
from shuqiao.plane.calls import Call, CallRefused, actor_of
from shuqiao.plane.keeper import Keeper
from shuqiao.plane.state import Snapshot
from shuqiao.rules.errors import ItemNotGranted, RequestMalformed
from shuqiao.rules.masking import mask
from shuqiao.rules.rows import Row, fault_of
from shuqiao.wire.bulk import BrowseAnswer, BrowseRequest
from shuqiao.wire.vault import VaultClient

_encoder = msgspec.json.Encoder()
_records = msgspec.json.Decoder(list[dict[str, str | None]])


class Browsing:
    """Reads pages."""

    def __init__(
        self, statements: Statements, keeper: Keeper, vault: VaultClient, promising: Promising
    ) -> None:
        """Keep the parts."""
        self._statements = statements
        self._keeper = keeper
        self._vault = vault
        self._promising = promising

    async def page(self, call: Call, resource: str, request: BrowseRequest) -> Reply:
        """Give one page; raises what a request for a copy raises, and for an item outside the grant."""
        call.resource_id = resource
        found: list[tuple[int, str]] = []

        def decided(snapshot: Snapshot) -> Allowed:
            allowed = asking.decide(call, snapshot, "browse", request.case)
            _check(request, columns_of(allowed.resource, allowed.held), allowed)
            return allowed

        async def record(allowed: Allowed) -> Done:
            done, total, page = await self._statements.browse(
                allowed.snapshot.epoch,
                call.entry,
                call.at,
                call.application.department,
                actor_of(call),
                allowed.held.document.id,
                resource,
                _encoder.encode(request.filters).decode(),
                request.sort,
                request.descending,
                request.offset,
                request.limit,
                asking.entry_of(call, "browse_viewed", "shown", allowed, request.case),
            )
            found[:] = [(total, page)]
            return done

        allowed, done = await asking.recorded(self._keeper, decided, record)
        total, page = found[0]
        columns = columns_of(allowed.resource, allowed.held)
        records = await self._completed(call, columns, _records.decode(page))
        fields = tuple(item.field for item in columns.items)
        answer = BrowseAnswer(fields, records, total, call.entry, call.at)
        return self._promising.reply(call.entry, done.digest, answer, call.language)

    async def _completed(
        self, call: Call, columns: Columns, page: Sequence[dict[str, str | None]]
    ) -> tuple[tuple[str | None, ...], ...]:
        """Add what the vault keeps, and mask."""
        identity: dict[str, Sequence[str | None]] = {}
        if columns.treatment.identity and page:
            reveal = columns.reveal_call()
            ids = [UUID(record["_record"]) for record in page]
            revealed = await self._vault.reveal_records(call.resource_id, ids, reveal, [call.entry])
            identity = dict(zip(reveal.fields, revealed, strict=True))
        rows = []
        for place, record in enumerate(page):
            values: list[str | None] = []
            for item in columns.items:
                if item.identity:
                    values.append(identity[item.field][place])
                else:
                    value = record.get(item.field)
                    hidden = item.field in columns.treatment.masked
                    values.append(mask(item.kind, value) if hidden else value)
            rows.append(tuple(values))
        return tuple(rows)


def _check(request: BrowseRequest, columns: Columns, allowed: Allowed) -> None:
    """Refuse filters and orders by items that are not given in clear."""
    open_items = {item.field: item.type for item in columns.plain if not columns.is_masked(item)}
    asked = [*(one.field for one in request.filters), *([request.sort] if request.sort else [])]
    outside = [field for field in asked if field not in open_items]
    grant = allowed.held.document.id
    if outside:
        raise CallRefused(ItemNotGranted(items=", ".join(dict.fromkeys(outside))), grant)
    if any(fault_of(Row(one.field, one.op, one.values), open_items) for one in request.filters):
        raise CallRefused(RequestMalformed(part="filters"), grant)
