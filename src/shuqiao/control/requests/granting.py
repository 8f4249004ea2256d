"""From an answer to access: issuing the grant, opening it on its first day, ending what it renews.

Information counts as provided when the grant is in force: from then on the plane answers.
Source: guangzhou-2016 art. 35(1); xiamen-2015 art. 12(2); shenyang-2016 art. 20(4).
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal, cast

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.models import Account
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.clocks.actions import meet_clock
from shuqiao.control.disputes.actions import case_provided
from shuqiao.control.files.granting import files_kept
from shuqiao.control.grants.actions import PLATFORM, GrantInput, issue_grant, replace_by_renewal
from shuqiao.control.grants.models import ENDED, Grant
from shuqiao.control.interfaces.granting import operations_kept
from shuqiao.control.regulations.current import named
from shuqiao.control.requests.models import KIND, Request, RequestItem
from shuqiao.control.requests.steps import add_event, case_ref
from shuqiao.control.requests.terms import kept_of, rows_from, together
from shuqiao.rules.procedures import Accepted
from shuqiao.rules.rows import Row
from shuqiao.wire.grant import Channel

PROVIDED = "provided"
"""The event that ends a term of provision; regulation files share the word."""

REQUEST_PREFIX = "R-"


@dataclass(frozen=True)
class Granted:
    """What an answer gives: exactly these items, in this mode, to these applications, for this time."""

    fields: tuple[str, ...]
    mode: str
    match: str
    purpose: str
    applications: tuple[str, ...]
    case_required: bool
    valid_from: date
    valid_until: date
    channels: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    unmasked: tuple[str, ...] = ()
    pseudonyms: bool = False
    signed_calls: bool = False
    operations: tuple[str, ...] | None = None
    files: tuple[str, ...] | None = None


def issue(request: Request, given: Granted, issuer: Viewer | None) -> Grant:
    """Issue the grant of a locked request, and open it where it begins today."""
    grant = issue_grant(
        GrantInput(
            request_number=request.number or "",
            round=request.round,
            resource=request.resource_id,
            consumer=request.requester_id,
            provider=request.provider_id,
            mode=cast(Literal["verify", "query", "bulk"], given.mode),
            match=cast(Literal["all", "each"], given.match),
            fields=given.fields,
            applications=given.applications,
            purpose=given.purpose,
            case_required=given.case_required,
            valid_from=given.valid_from,
            valid_until=given.valid_until,
            regulation=request.regulation,
            conditions=tuple(request.accepted_conditions),
            channels=cast(tuple[Channel, ...], given.channels),
            rows=given.rows,
            unmasked=given.unmasked,
            pseudonyms=given.pseudonyms,
            signed_calls=given.signed_calls,
            operations=given.operations,
            renews=_renewed(request),
            files=given.files,
        ),
        issuer,
    )
    return grant


def _renewed(request: Request) -> str:
    """The number of the grant to be replaced, where it still is one."""
    old = Grant.objects.filter(pk=request.renews_id).exclude(phase=ENDED).exclude(renewals__phase="granted")
    return old.values_list("number", flat=True).first() or ""


def grant_at_once(request: Request, accepted: Accepted) -> Grant:
    """Give what the regulation shares at once: the items and mode asked for, signed by the platform."""
    RequestItem.objects.filter(request=request).update(granted=True)
    Request.objects.filter(pk=request.pk).update(granted_mode=request.mode)
    given = _as_asked(request)
    grant = issue(request, given, None)
    append_entry(
        "request_decided",
        actor=f"system:{PLATFORM}",
        at=clock.now(),
        outcome=accepted.to_state,
        department=request.requester_id,
        provider=request.provider_id,
        resource_id=request.resource_id,
        grant_id=grant.number,
        case_no=request.number,
        facts={
            "regulation": request.regulation,
            "articles": [accepted.article],
            "granted": list(given.fields),
        },
    )
    open_access(request, grant)
    tell_requester(request, grant.number)
    return grant


def _as_asked(request: Request) -> Granted:
    """What a request asks for, as it is given where nobody answers it.

    Mode and channels are those that the provider published, sensitive items are masked; what continues an
    older grant keeps its narrower terms.
    """
    kept = kept_of(request)
    fields = tuple(request.items.values_list("item__field", flat=True))
    return Granted(
        fields=fields,
        mode=request.mode,
        match=kept.match if kept else "each",
        purpose=request.purpose,
        applications=tuple(request.applications.order_by("id").values_list("id", flat=True)),
        case_required=kept.case_required if kept else False,
        valid_from=clock.today(),
        valid_until=request.wanted_until or clock.today(),
        channels=tuple(request.channels),
        rows=together(rows_from(request.rows), kept.rows if kept else ()),
        pseudonyms=kept.pseudonyms if kept else False,
        signed_calls=kept.signed_calls if kept else False,
        operations=operations_kept(
            request.resource_id, request.mode, fields, (), kept.operations if kept else None
        ),
        files=files_kept(request.resource_id, request.mode, kept.files if kept else ()),
    )


def tell_requester(request: Request, grant: str) -> None:
    """Tell whoever wrote the request that it has been answered."""
    notify(
        request.requester_id,
        "request_answered",
        request.number or "",
        account=Account.objects.filter(pk=request.created_by_id).first(),
        occasion=f"round {request.round}",
        params={"state": request.state, "grant": grant},
    )


def open_access(request: Request, grant: Grant) -> bool:
    """Note that a grant has come into force, on its first day; False where that is still to come.

    Meets the term of provision, ends the grant it renews, and tells a dispute that its decision is carried
    out. The request is locked by the caller.
    """
    if grant.valid_from > clock.today():
        return False
    Grant.objects.filter(pk=grant.pk).update(opened_at=clock.now())
    for deadline in named(request.regulation).deadlines:
        if deadline.met_by == PROVIDED:
            meet_clock(case_ref(request), deadline.key, clock.today())
    entry = append_entry(
        "grant_opened",
        actor="system:worker",
        at=clock.now(),
        outcome=grant.state,
        department=request.requester_id,
        provider=request.provider_id,
        resource_id=request.resource_id,
        grant_id=grant.number,
        case_no=request.number,
        facts={"valid_from": grant.valid_from.isoformat()},
    )
    add_event(request, PROVIDED, None, entry=str(entry), params={"grant": grant.number})
    old = Grant.objects.select_for_update().filter(pk=grant.renews_id).first() if grant.renews_id else None
    if old is not None:
        replace_by_renewal(old, grant.number)
    case_provided(KIND, request.number or "")
    return True


def open_begun() -> int:
    """Open the grants whose first day has come; safe late, twice, and beside another worker."""
    requests = Grant.objects.filter(request_number__startswith=REQUEST_PREFIX)
    begun = requests.filter(opened_at=None, valid_from__lte=clock.today()).exclude(phase=ENDED)
    return sum(_open(number) for number in list(begun.order_by("number").values_list("number", flat=True)))


@transaction.atomic
def _open(number: str) -> int:
    numbers = Grant.objects.filter(number=number).values_list("request_number", flat=True)
    request = Request.objects.select_for_update(skip_locked=True).filter(number__in=numbers).first()
    open_ones = Grant.objects.exclude(phase=ENDED).filter(number=number, opened_at=None)
    grant = open_ones.select_for_update(skip_locked=True).first() if request else None
    if request is None or grant is None:
        return 0
    return int(open_access(request, grant))


def is_provided(number: str) -> bool:
    """Tell whether what a request asked for has been given, after the latest dispute about it."""
    current = Request.objects.filter(number=number).values_list("round", flat=True).first() or 0
    return Grant.objects.filter(request_number=number, round=current, opened_at__isnull=False).exists()
