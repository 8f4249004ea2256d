"""In the sample city one list is answered by its department's own interface, to try that way."""

from pathlib import Path

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import viewer_of
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Service, ServiceKind
from shuqiao.control.interfaces.actions import offer_interface
from shuqiao.control.interfaces.models import Interface
from shuqiao.rules.ids import resource_id
from shuqiao.rules.regulation import Regulation

TIMEOUT_S = 10
OFFERING = "chen"
"""The account of the department that answers."""


@transaction.atomic
def offer_sample_interface(regulation: Regulation, list_key: str, description: Path) -> None:
    """Let the interface serve a base list instead of a table; a second call changes nothing."""
    resource = resource_id(regulation.region, list_key)
    if Interface.objects.filter(resource=resource, ended_at=None).exists():
        return
    tables = Service.objects.filter(resource=resource, kind=ServiceKind.TABLE, ended_at=None)
    tables.update(ended_at=clock.now())
    viewer = viewer_of(Account.objects.select_related("department").get(username=OFFERING))
    offer_interface(viewer, resource, description.read_bytes(), TIMEOUT_S)
