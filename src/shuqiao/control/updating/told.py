"""Telling every department that holds an entry of its update, and taking its confirmation.

Source: shenyang-2016 art. 22; UPD-04, MOD-14.
"""

from datetime import timedelta
from uuid import UUID

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.updating import ledger
from shuqiao.control.updating.models import DataChange, Told

CONFIRMED = "update_confirmed"
MATTER = "update_notice"
AGAIN_AFTER = timedelta(days=1)
"""Who has confirmed is told of later batches after so long; of a registered change at once."""


def tell_holders(resource: Resource, up_to: int, change: DataChange | None = None) -> int:
    """Tell all who hold an entry that it is up to date to a batch; return how many were told anew.

    While a department has not confirmed, its one notice moves on. Belongs in a transaction.
    """
    ways = ledger.holders(resource.department_id, resource.id)
    return sum(_tell(resource, recipient, found, up_to, change) for recipient, found in ways.items())


def _tell(
    resource: Resource, recipient: str, ways: tuple[str, ...], up_to: int, change: DataChange | None
) -> bool:
    rows = Told.objects.select_for_update().filter(resource=resource, recipient_id=recipient)
    waiting = rows.filter(confirmed_at=None).first()
    if waiting is not None:
        waiting.up_to, waiting.ways = max(waiting.up_to, up_to), list(ways)
        waiting.change = change or waiting.change
        waiting.save(update_fields=["up_to", "ways", "change"])
    elif change is None and rows.filter(told_at__gt=clock.now() - AGAIN_AFTER).exists():
        return False
    else:
        waiting = _new(resource, recipient, ways, up_to, change)
    # A feed whose node has signed for the batch already needs nobody; nor is anybody told.
    if confirm_by_receipt(waiting):
        return False
    return notify(
        recipient,
        "data_updated",
        resource.id,
        capability=Capability.GRANT_USE,
        occasion=str(waiting.pk),
        params={"name_zh": resource.name_zh, "name_en": resource.name_en or resource.name_zh},
    )


def _new(
    resource: Resource, recipient: str, ways: tuple[str, ...], up_to: int, change: DataChange | None
) -> Told:
    append_entry(
        "update_told",
        actor="system:control",
        at=clock.now(),
        outcome="told",
        department=recipient,
        provider=resource.department_id,
        resource_id=resource.id,
        case_no=change.number if change else None,
        facts={"batch": up_to, "articles": [rules_for(resource.department_id).cite_matter(MATTER)]},
    )
    return Told.objects.create(
        resource=resource,
        recipient_id=recipient,
        change=change,
        up_to=up_to,
        ways=list(ways),
        told_at=clock.now(),
    )


def confirm_by_receipt(told: Told) -> bool:
    """Confirm by the node's signed receipts where feeds are all that a department holds."""
    if told.ways != [ledger.FEED]:
        return False
    found = ledger.receipt_of(told.resource_id, told.recipient_id)
    if found is None or found[0] < told.up_to:
        return False
    told.receipt = found[1]
    _confirm(told, "system:control", "confirmed_by_receipt", found[1])
    return True


@transaction.atomic
def confirm_update(viewer: Viewer, key: int) -> None:
    """Confirm that one's department has compared its copy and brought it up to date; raises `NotFound`."""
    rows = Told.objects.select_for_update(of=("self",)).select_related("resource")
    told = rows.filter(pk=key, recipient_id=viewer.department.code, confirmed_at=None).first()
    if told is None or not viewer.can(Capability.GRANT_USE):
        raise NotFound
    told.confirmed_by_id = viewer.account_id
    _confirm(told, f"account:{viewer.username}", "copy_updated", None)


def _confirm(told: Told, actor: str, outcome: str, receipt: UUID | None) -> None:
    told.confirmed_at = clock.now()
    told.save(update_fields=["confirmed_at", "confirmed_by", "receipt"])
    append_entry(
        CONFIRMED,
        actor=actor,
        at=clock.now(),
        outcome=outcome,
        department=told.recipient_id,
        provider=told.resource.department_id,
        resource_id=told.resource_id,
        facts={"batch": told.up_to, "receipt": str(receipt or "")},
    )
