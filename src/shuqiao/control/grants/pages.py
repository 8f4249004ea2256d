"""Filling the pages of grants: lists, one grant, and the verification page."""

import json
from collections.abc import Iterable
from datetime import datetime, time

from django.db import connection
from django.db.models import Case, IntegerField, QuerySet, Value, When

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels
from shuqiao.control.catalogue.models import Item
from shuqiao.control.grants.access import access_grant, access_grant_to_use, grants_visible
from shuqiao.control.grants.actions import RESUME, REVOKE, SUSPEND
from shuqiao.control.grants.handing_over import MEDIA, handovers_of, is_offline, may_hand_over
from shuqiao.control.grants.models import ENDED, IN_USE, KIND, Grant
from shuqiao.control.grants.queries import Delivery, GrantItem, GrantList, GrantRow, OwnCall, VerificationPage
from shuqiao.control.grants.querying import may_query
from shuqiao.control.grants.terms import grant_view
from shuqiao.control.organisations.queries import application_ref, department_ref
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.regulations.queries import article_ref, article_text, cited_text
from shuqiao.control.texts import Text
from shuqiao.rules.channels import OFFLINE
from shuqiao.rules.errors import CaseNumberDemanded
from shuqiao.rules.procedures import possible_actions
from shuqiao.rules.regulation import PROVIDER, SETTING
from shuqiao.wire.grant import decode_grant

PAGE_SIZE = 20
MAX_OTHERS = 50
MAX_OWN_CALLS = 50
# What can be had by sharing may not be asked of citizens again.
NO_REPEATED_PROOF = "no_repeat"

_Items = dict[str, dict[str, GrantItem]]


def grant_list(viewer: Viewer, page: int = 1) -> GrantList:
    """Return the grants the viewer may see, those in force first, then the newest."""
    reading = {Capability.GRANT_USE, Capability.GRANT_REVOKE, Capability.AUDIT_VIEW_ALL}
    if not reading & viewer.capabilities:
        raise NotFound
    in_force = Case(When(phase=IN_USE, then=Value(0)), default=Value(1), output_field=IntegerField())
    found = grants_visible(viewer).order_by(in_force, "-issued_at", "number")
    total = found.count()
    pages = max(1, -(-total // PAGE_SIZE))
    number = max(1, min(page, pages))
    rows = _rows(viewer, found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE])
    return GrantList(rows, total, number, pages)


def grant_page(viewer: Viewer, number: str) -> GrantRow:
    """Return one grant; raises `NotFound` for what this viewer may not see."""
    grant = access_grant(viewer, number)
    return _row(viewer, grant, _items([grant]))


def delivery(viewer: Viewer, number: str) -> Delivery:
    """Return what the page of a grant says of delivery and of the boundary of liability (SEC-17, MOD-09)."""
    grant = access_grant(viewer, number)
    rules, document = named(grant.regulation), decode_grant(grant.document)
    return Delivery(
        terms=grant_view(grant),
        gives_files=bool(document.files),
        gives_copies=grant.mode == "bulk" and not document.files and set(document.channels) != {OFFLINE},
        may_query=may_query(viewer, grant),
        responsibility=article_ref(rules.citations["after_delivery"], rules.id),
        passing_on=article_ref(rules.citations["passing_on"], rules.id),
        is_offline=is_offline(grant),
        handovers=handovers_of(viewer, number),
        may_hand_over=may_hand_over(viewer, grant),
        media=tuple(MEDIA.items()),
    )


def usable_grants(viewer: Viewer) -> tuple[GrantRow, ...]:
    """Return the grants under which the viewer can verify from the pages now."""
    if not viewer.can(Capability.GRANT_USE):
        return ()
    today = clock.today()
    found = Grant.objects.filter(
        consumer_id=viewer.department.code,
        phase=IN_USE,
        mode="verify",
        valid_from__lte=today,
        valid_until__gte=today,
        applications__portal=True,
        applications__active=True,
    )
    return _rows(viewer, found.order_by("resource__search_row__pinyin_key", "number")[:MAX_OTHERS])


def verification_page(viewer: Viewer, number: str) -> VerificationPage:
    """Return what the verification page of a grant shows; raises `NotFound` where it can't be used."""
    grant = access_grant_to_use(viewer, number)
    if grant.mode != "verify":
        raise NotFound
    rows = usable_grants(viewer)
    row = next((row for row in rows if row.number == number), None)
    if row is None:
        raise NotFound
    items = _items([grant])[grant.resource_id]
    return VerificationPage(
        grant=row,
        subject=items[grant.resource.record_key],
        claims=row.items,
        case_wording=_case_wording(grant),
        case_required=bool(json.loads(grant.document).get("case_required")),
        article=cited_text(grant.resource.article, grant.resource.regulation),
        proof_article=article_text(regulation().citations[NO_REPEATED_PROOF]),
        others=tuple(other for other in rows if other.number != number),
        today=own_calls_today(viewer, grant),
    )


def _case_wording(grant: Grant) -> str:
    wording = grant.resource.requests.filter(number=grant.request_number).values_list(
        "case_wording", flat=True
    )
    return wording.first() or ""


def _rows(viewer: Viewer, found: QuerySet[Grant]) -> tuple[GrantRow, ...]:
    grants = list(
        found.select_related("resource", "provider", "consumer").prefetch_related("applications", "renewals")
    )
    items = _items(grants)
    return tuple(_row(viewer, grant, items) for grant in grants)


def _items(grants: Iterable[Grant]) -> _Items:
    """Return the items of the grants' resources by field, left out ones too: one query for all."""
    found: _Items = {}
    for item in Item.every.filter(resource_id__in={grant.resource_id for grant in grants}):
        found.setdefault(item.resource_id, {})[item.field] = GrantItem(
            field=item.field,
            name=item.name,
            type=item.type,
            kind=item.kind,
            identity=item.identity,
            codes=tuple((item.codes or {}).items()),
        )
    return found


def _row(viewer: Viewer, grant: Grant, items: _Items) -> GrantRow:
    known = items[grant.resource_id]
    rules = named(grant.regulation)
    state = rules.procedure(KIND).state(grant.state)
    sides = frozenset({PROVIDER}) if grant.provider_id == viewer.department.code else frozenset[str]()
    steps = possible_actions(rules.procedure(KIND), grant.state, viewer.capabilities, sides)
    possible = {step.action for step in steps}
    return GrantRow(
        number=grant.number,
        request_number=grant.request_number,
        resource=grant.resource_id,
        resource_name=grant.resource.name,
        provider=department_ref(grant.provider),
        consumer=department_ref(grant.consumer),
        mode=grant.mode,
        mode_label=labels.label(labels.MODES, grant.mode),
        match=grant.match,
        items=tuple(known[name] for name in grant.fields),
        applications=tuple(application_ref(one) for one in grant.applications.all()),
        purpose=grant.purpose,
        valid_from=grant.valid_from,
        valid_until=grant.valid_until,
        state=grant.state,
        state_label=Text(state.zh, state.en) if state else Text(grant.state, grant.state),
        issued_at=grant.issued_at,
        ended_at=grant.ended_at,
        revoked_reason=grant.revoked_reason,
        phase=grant.phase,
        suspended_at=grant.suspended_at,
        suspended_reason=grant.suspended_reason,
        renews=grant.renews_id or "",
        renewed_by=next((one.number for one in grant.renewals.all()), ""),
        article=article_ref(rules.citations.get("within_grant", SETTING), rules.id),
        can_suspend=SUSPEND in possible,
        can_resume=RESUME in possible,
        can_revoke=REVOKE in possible,
        can_renew=grant.phase != ENDED
        and grant.consumer_id == viewer.department.code
        and viewer.can(Capability.REQUEST_SUBMIT),
    )


def own_calls_today(viewer: Viewer, grant: Grant) -> tuple[OwnCall, ...]:
    """Return the viewer's own calls under a grant since midnight, newest first, from the log."""
    names = {item.field: item.name for item in _items([grant])[grant.resource_id].values()}
    together = grant.match == "all"
    portals = [one.id for one in grant.applications.all() if one.portal]
    midnight = datetime.combine(clock.today(), time(), clock.LEGAL_ZONE)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, occurred_at, case_no, event, outcome, body FROM audit.entry"
            " WHERE department = %s AND occurred_at >= %s AND actor = ANY(%s) AND resource_id = %s"
            " AND event IN ('verify', 'call_refused') AND grant_id = %s"
            f" ORDER BY occurred_at DESC LIMIT {MAX_OWN_CALLS}",
            [
                viewer.department.code,
                midnight,
                [f"{portal}/{viewer.username}" for portal in portals],
                grant.resource_id,
                grant.number,
            ],
        )
        rows = cursor.fetchall()
    return tuple(
        OwnCall(str(entry), at, case or "", event, outcome, _matches(body or "", names, together=together))
        for entry, at, case, event, outcome, body in rows
    )


def _matches(body: str, names: dict[str, Text], *, together: bool) -> tuple[tuple[Text, bool], ...]:
    """Read from an entry how each item compared: the vault's answers in line one, the base table's in two.

    Under a grant that answers all items together, only that one answer is shown here as well.
    """
    matched: dict[str, bool] = {}
    found = True
    for line in body.splitlines()[:2]:
        content = json.loads(line)
        if content.get("outcome") == CaseNumberDemanded.code:
            # Nothing was answered: the budget against guessing was used up.
            return ()
        if "line_digest" in content:
            # The department's own node compared; how each claim came out is in its log alone.
            return ()
        if content.get("event") == "verify":
            # What was asked and has no comparison agrees with nothing, as the plane answers it.
            matched = dict.fromkeys(content.get("items") or (), False)
        for key in ("identity", "matches"):
            part = content.get(key)
            if isinstance(part, dict):
                matched |= {field: bool(value) for field, value in part.items()}
        found = found and content.get("found") is not False
    if not found:
        # Somebody who is not there must look like a wrong value here as well.
        matched = dict.fromkeys(matched, False)
    if together and matched:
        return ((Text("全部项", "All items"), all(matched.values())),)
    return tuple((name, matched[field]) for field, name in names.items() if field in matched)
