"""Telling a department something on its pages, in the transaction of the action that caused it."""

from collections.abc import Mapping

from django.db.models import Q, QuerySet

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.models import Account, Notification


def notify(
    department: str,
    code: str,
    reference: str,
    *,
    capability: str = "",
    account: Account | None = None,
    occasion: str = "",
    params: Mapping[str, str | int] | None = None,
) -> None:
    """Leave a notice for a department, for those of it who hold a capability, or for one account.

    The same event about the same reference is told once, however often a job runs; `occasion` tells apart
    events of one code that may happen again, such as the rounds of a dispute.
    """
    Notification.objects.get_or_create(
        department_id=department,
        capability=capability,
        account=account,
        code=code,
        reference=reference,
        occasion=occasion,
        defaults={"params": dict(params or {}), "created_at": clock.now()},
    )


def notices_for(viewer: Viewer) -> QuerySet[Notification]:
    """Return the notices a viewer may see: the department's, for this account or for what it may do."""
    return Notification.objects.filter(
        Q(account=None) | Q(account_id=viewer.account_id),
        Q(capability="") | Q(capability__in=viewer.capabilities),
        department_id=viewer.department.code,
    )
