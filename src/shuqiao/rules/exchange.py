"""Whether a call of an application may be answered, and with what: one pure decision per call.

Closed by default: a call that no grant of the caller's department fits is refused as `not_available`, the
same answer an unknown resource gets. A grant that fitted and no longer does is named in the refusal: its
holder knew it, so nothing leaks.
Source: guangzhou-2016 art. 4, 30(1), 35(1), 42(3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum

from shuqiao.rules.ids import ApplicationId, DepartmentCode, GrantId, ResourceId

SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""Legal days are days of Asia/Shanghai, which has kept UTC+8 all year since 1991."""


class Mode(StrEnum):
    """How information is used: compared with a claim, read of one subject, or copied as a whole.

    Source: xiamen-2015 art. 13.
    """

    VERIFY = "verify"
    QUERY = "query"
    BULK = "bulk"


class Channel(StrEnum):
    """The way in which information is given. Source: shenyang-2016 art. 21."""

    INTERFACE = "interface"
    DOWNLOAD = "download"
    BROWSE = "browse"
    OFFLINE = "offline"


class Match(StrEnum):
    """What a verification answers: a result for each item, or one for all together."""

    EACH = "each"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What the signed call says. `grant` and `purpose` are None where the header says `auto`.

    `fields` are the items claimed (verify) or asked for (query); an empty query asks for all that is granted.
    `read_out` are those of them that a comparison would read out, see `rules.small_domain`. `channel` is the
    way in which the call came.
    """

    application: ApplicationId
    department: DepartmentCode
    resource_id: ResourceId
    mode: Mode
    fields: tuple[str, ...]
    grant: GrantId | None = None
    purpose: str | None = None
    read_out: tuple[str, ...] = ()
    channel: Channel = Channel.INTERFACE


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """What a grant allows. Both days of the period count, as days of Asia/Shanghai."""

    id: GrantId
    department: DepartmentCode
    resource_id: ResourceId
    mode: Mode
    items: frozenset[str]
    match: Match
    applications: frozenset[ApplicationId]
    purpose: str
    valid_from: date
    valid_until: date
    revoked_at: datetime | None = None
    revoked_reason: str | None = None
    suspended_at: datetime | None = None
    suspended_reason: str | None = None
    channels: frozenset[Channel] = frozenset({Channel.INTERFACE})


@dataclass(frozen=True, slots=True)
class Allowed:
    """The call may be answered under `grant`, with these fields and this way of matching."""

    grant: GrantFacts
    fields: tuple[str, ...]
    match: Match


@dataclass(frozen=True, slots=True)
class Refused:
    """The call may not be answered. `details` are the named fields of the error with this code.

    `grant` names the grant that fitted once, for the audit entry; `fields` the items outside it.
    """

    code: str
    fields: tuple[str, ...] = ()
    grant: GrantFacts | None = None
    details: tuple[tuple[str, str], ...] = ()


CallDecision = Allowed | Refused

_NOT_AVAILABLE = Refused("not_available")


def legal_day(now: datetime) -> date:
    """The day in Asia/Shanghai of an aware moment."""
    return now.astimezone(SHANGHAI).date()


def decide_call(call: CallFacts, state: Iterable[GrantFacts], now: datetime) -> CallDecision:
    """Find the grant that covers the call, or say why none does.

    `state` may hold any grants; those of other departments, resources, modes, applications, purposes or
    numbers count as not there. Of several that cover the call the one that lasts longest is taken.
    """
    held = [grant for grant in state if _fits(grant, call)]
    if not held:
        return _NOT_AVAILABLE
    given = [grant for grant in held if call.channel in grant.channels]
    if not given:
        return _refused_by_channel(call, max(held, key=_lasting))
    held = given
    today = legal_day(now)
    in_force = [grant for grant in held if _in_force(grant, today)]
    if not in_force:
        return _refused_by_period(max(held, key=_lasting), today)
    if call.mode is Mode.VERIFY and not call.fields:
        return Refused("request_malformed", details=(("part", "claims"),))
    covering = [grant for grant in in_force if grant.items.issuperset(call.fields)]
    if not covering:
        return _refused_by_items(call, in_force)
    whole = [grant for grant in covering if not _answers_part(grant, call)]
    if not whole:
        return _refused_as_incomplete(call, max(covering, key=_lasting))
    grant = max(whole, key=_lasting)
    if call.mode is Mode.VERIFY and call.read_out:
        named = (("items", ", ".join(call.read_out)),)
        return Refused("query_grant_needed", call.read_out, grant, named)
    return Allowed(grant, call.fields or tuple(sorted(grant.items)), grant.match)


def _fits(grant: GrantFacts, call: CallFacts) -> bool:
    return (
        grant.resource_id == call.resource_id
        and grant.department == call.department
        and grant.mode is call.mode
        and call.application in grant.applications
        and (call.grant is None or grant.id == call.grant)
        and (call.purpose is None or grant.purpose == call.purpose)
    )


def _in_force(grant: GrantFacts, today: date) -> bool:
    # Revocation and suspension count from the moment they are known, whatever the clocks of two machines say.
    stopped = grant.revoked_at is not None or grant.suspended_at is not None
    return not stopped and grant.valid_from <= today <= grant.valid_until


def _answers_part(grant: GrantFacts, call: CallFacts) -> bool:
    """Say whether the call would get single results from a grant that answers all together."""
    return call.mode is Mode.VERIFY and grant.match is Match.ALL and grant.items != set(call.fields)


def _lasting(grant: GrantFacts) -> tuple[date, str]:
    return grant.valid_until, grant.id


def _refused_by_period(grant: GrantFacts, today: date) -> Refused:
    named = ("grant", grant.id)
    if grant.revoked_at is not None:
        code, detail = "grant_revoked", ("reason", grant.revoked_reason or "–")
    elif grant.valid_until < today:
        code, detail = "grant_expired", ("valid_until", grant.valid_until.isoformat())
    elif grant.suspended_at is not None:
        code, detail = "grant_suspended", ("reason", grant.suspended_reason or "–")
    else:
        code, detail = "grant_not_yet_valid", ("valid_from", grant.valid_from.isoformat())
    return Refused(code, grant=grant, details=(named, detail))


def _refused_by_channel(call: CallFacts, grant: GrantFacts) -> Refused:
    """Name the ways in which the grant gives its information instead."""
    ways = ", ".join(sorted(grant.channels))
    details = (("grant", str(grant.id)), ("channel", call.channel.value), ("channels", ways))
    return Refused("channel_not_granted", grant=grant, details=details)


def _refused_by_items(call: CallFacts, in_force: list[GrantFacts]) -> Refused:
    """Name the items outside the grant that comes nearest to the call."""
    nearest = min(in_force, key=lambda grant: (len(set(call.fields) - grant.items), grant.id))
    outside = tuple(field for field in dict.fromkeys(call.fields) if field not in nearest.items)
    code = "item_not_granted"
    return Refused(code, outside, nearest, (("items", ", ".join(outside)),))


def _refused_as_incomplete(call: CallFacts, grant: GrantFacts) -> Refused:
    """Name the items that are missing for an answer to all of them together."""
    missing = tuple(sorted(grant.items.difference(call.fields)))
    code = "claims_incomplete"
    return Refused(code, missing, grant, (("items", ", ".join(missing)),))
