"""Telling a department something on its pages, in the transaction of the action that caused it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
) -> bool:
    """Leave a notice for a department, for those of it who hold a capability, or for one account.

    True where it is new.

    The same event about the same reference is told once, however often a job runs; `occasion` tells apart
    events of one code that may happen again, such as the rounds of a dispute.
    """
    _, is_new = Notification.objects.get_or_create(
        department_id=department,
        capability=capability,
        account=account,
        code=code,
        reference=reference,
        occasion=occasion,
        defaults={"params": dict(params or {}), "created_at": clock.now()},
    )
    return is_new


@dataclass(frozen=True)
class ToTell:
    """What `notify` takes, for many at once."""

    department: str
    code: str
    reference: str
    capability: str = ""
    occasion: str = ""
    params: Mapping[str, str | int] = field(default_factory=dict)


def notify_all(told: Iterable[ToTell]) -> None:
    """Leave many notices at once; those that were told before are left as they are."""
    now = clock.now()
    Notification.objects.bulk_create(
        (
            Notification(
                department_id=one.department,
                capability=one.capability,
                code=one.code,
                reference=one.reference,
                occasion=one.occasion,
                params=dict(one.params),
                created_at=now,
            )
            for one in told
        ),
        batch_size=500,
        ignore_conflicts=True,
    )


def notices_for(viewer: Viewer) -> QuerySet[Notification]:
    """Return the notices a viewer may see: the department's, for this account or for what it may do."""
    return Notification.objects.filter(
        Q(account=None) | Q(account_id=viewer.account_id),
        Q(capability="") | Q(capability__in=viewer.capabilities),
        department_id=viewer.department.code,
    )
