"""Keeping a draft: what was filled in is never lost, complete or not."""

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue.queries import access_resource
from shuqiao.control.grants.models import ENDED, Grant
from shuqiao.control.grants.terms import rows_of
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.inputs import (
    MAX_PURPOSE_CHARS,
    MAX_REASON_CHARS,
    MAX_WORDING_CHARS,
    Checked,
    RequestInput,
    check_input,
)
from shuqiao.control.requests.models import KIND, Request, RequestItem
from shuqiao.control.requests.terms import rows_json
from shuqiao.rules.channels import CHANNELS
from shuqiao.rules.regulation import Phase
from shuqiao.wire.grant import decode_grant


@transaction.atomic
def save_draft(viewer: Viewer, given: RequestInput) -> int:
    """Keep a draft, complete or not, and return its key; an account has one draft for each entry.

    A draft binds nobody, so it leaves no audit entry.
    """
    request, _ = write_draft(viewer, given)
    return request.pk


@transaction.atomic
def start_renewal(viewer: Viewer, number: str) -> str:
    """Fill a draft with what a grant gives, to ask for its continuation; return the entry's id.

    Raises `NotFound` where the grant isn't the department's own or has been revoked or replaced. A draft
    about the entry that is there already is filled anew. Source: guangzhou-2016 art. 30(1).
    """
    own = Grant.objects.filter(number=number, consumer_id=viewer.department.code)
    grant = own.exclude(phase=ENDED).prefetch_related("applications").first()
    if grant is None or not viewer.can(Capability.REQUEST_SUBMIT):
        raise NotFound
    before = Request.objects.filter(number=grant.request_number).first()
    reasons = dict(before.items.values_list("item__field", "reason")) if before else {}
    clear = dict(before.items.values_list("item__field", "unmask_reason")) if before else {}
    document = decode_grant(grant.document)
    write_draft(
        viewer,
        RequestInput(
            resource=grant.resource_id,
            mode=grant.mode,
            duty=before.duty_id if before else None,
            purpose=grant.purpose,
            case_wording=before.case_wording if before else "",
            items={field: reasons.get(field, "") for field in grant.fields},
            applications=tuple(one.id for one in grant.applications.all() if one.active),
            channels=document.channels,
            rows=rows_of(document),
            unmask={field: clear.get(field, "") for field in document.unmasked},
            renews=number,
        ),
    )
    return grant.resource_id


def write_draft(viewer: Viewer, given: RequestInput) -> tuple[Request, Checked]:
    """Store what can be stored of an input; the row is locked until the transaction ends."""
    resource = access_resource(viewer, given.resource)
    if not viewer.can(Capability.REQUEST_SUBMIT) or resource.department_id == viewer.department.code:
        raise NotFound
    checked = check_input(viewer, given, resource)
    now, begins = clock.now(), regulation().procedure(KIND).initial
    drafts = Request.objects.select_for_update().filter(created_by_id=viewer.account_id, resource=resource)
    request = drafts.filter(phase=Phase.DRAFT.value).first() or Request(
        requester_id=viewer.department.code,
        provider_id=resource.department_id,
        resource=resource,
        created_by_id=viewer.account_id,
        created_at=now,
    )
    # A draft binds nobody yet: it is always one of the regulation in force.
    request.regulation = regulation().id
    request.state, request.phase = begins.key, begins.phase.value
    request.mode = given.mode if given.mode in resource.modes else resource.modes[0]
    request.channels = [one for one in checked.terms.channels if one in CHANNELS]
    request.rows = rows_json(given.rows)
    request.duty = checked.duty
    request.purpose = given.purpose.strip()[:MAX_PURPOSE_CHARS]
    request.case_wording = given.case_wording.strip()[:MAX_WORDING_CHARS]
    request.accepted_conditions = sorted(set(given.accepted_conditions) & condition_keys())
    request.wanted_until = given.wanted_until
    request.renews_id = checked.renews
    request.changed_at = now
    request.save()
    request.items.all().delete()
    RequestItem.objects.bulk_create(
        RequestItem(
            request=request,
            item=item,
            reason=reason,
            unmask_reason=given.unmask[item.field].strip()[:MAX_REASON_CHARS]
            if item.field in checked.terms.unmasked
            else "",
        )
        for item, reason in checked.items
    )
    request.applications.set(checked.applications)
    return request, checked


def condition_keys() -> set[str]:
    """The keys of the conditions of use that every requester accepts."""
    return {condition.key for condition in regulation().conditions}
