"""Querying from the pages: the granted items of one record, for a person with a case (MOD-03)."""

import json
from dataclasses import dataclass
from datetime import datetime

import msgspec

from shuqiao.client.plane import PlaneAnswer, PlaneClient
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.catalogue.models import Item
from shuqiao.control.grants.access import access_grant_to_use
from shuqiao.control.grants.models import Grant
from shuqiao.control.grants.verification import CallRefused, through_portal
from shuqiao.control.regulations.wording import worded
from shuqiao.control.texts import Text
from shuqiao.rules.errors import Unavailable
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.messages import QueryAnswer

MODE = "query"


@dataclass(frozen=True)
class QueryPage:
    """What the page of a query shows before anything is asked: the grant, and what names the record."""

    number: str
    resource: str
    resource_name: Text
    purpose: str
    subject: Text
    items: tuple[Text, ...]


@dataclass(frozen=True)
class Value:
    """One item that was given; `how` says that it is masked or a pseudonym."""

    name: Text
    value: str | None
    how: Text | None


@dataclass(frozen=True)
class Queried:
    """What the plane answered: the values, their audit entry, and when."""

    values: tuple[Value, ...]
    entry: str
    at: datetime


def may_query(viewer: Viewer, grant: Grant) -> bool:
    """Tell whether the viewer can query under a grant on the pages; operations are for systems alone."""
    try:
        found = access_grant_to_use(viewer, grant.number)
    except NotFound:
        return False
    document = json.loads(found.document)
    return (
        found.mode == MODE
        and not document.get("operations")
        and found.applications.filter(portal=True, active=True).exists()
    )


def query_page(viewer: Viewer, number: str) -> QueryPage:
    """Return the page of a query; raises `NotFound` for a grant that the viewer can't query under."""
    grant = access_grant_to_use(viewer, number)
    if not may_query(viewer, grant):
        raise NotFound
    names = _names(grant)
    return QueryPage(
        number=grant.number,
        resource=grant.resource_id,
        resource_name=grant.resource.name,
        purpose=grant.purpose,
        subject=names[grant.resource.record_key].name,
        items=tuple(names[field].name for field in grant.fields),
    )


def query_through_plane(viewer: Viewer, number: str, subject: str, case: str) -> Queried:
    """Ask for the granted items of one record; they are shown once and kept nowhere.

    Raises `NotFound` for a grant the viewer can't query under and `CallRefused` for what the plane refuses.
    """
    query_page(viewer, number)
    grant = access_grant_to_use(viewer, number)

    def ask(plane: PlaneClient, context: CallContext) -> PlaneAnswer:
        return plane.query(grant.resource_id, subject, [], case=case, context=context)

    given = msgspec.convert(through_portal(viewer, grant, ask).body, QueryAnswer)
    if not set(given.data) <= set(grant.fields):
        # Never show more than the grant covers, whatever answered.
        refusal = Unavailable()
        raise CallRefused(refusal.code, refusal.status, worded(refusal), str(given.entry))
    names = _names(grant)
    values = tuple(_value(names[field], given) for field in grant.fields if field in given.data)
    return Queried(values, str(given.entry), given.at)


def _names(grant: Grant) -> dict[str, Item]:
    return {item.field: item for item in Item.every.filter(resource_id=grant.resource_id)}


def _value(item: Item, given: QueryAnswer) -> Value:
    value = given.data[item.field]
    if item.field in given.pseudonyms:
        return Value(item.name, value, Text("假名标识", "pseudonym"))
    if item.field in given.masked:
        return Value(item.name, value, Text("脱敏", "masked"))
    meaning = (item.codes or {}).get(value or "", "")
    return Value(item.name, f"{value} {meaning}" if meaning and meaning != value else value, None)
