"""The office of the compiling tests, under any city's rules, and a ledger to write batches into."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db import connection

from shuqiao.control.accounts.models import Account
from shuqiao.control.regulations.current import forget_calendar
from tests.compiling.conftest import Office, run_under, seeded, set_time
from tests.control.conftest import BIRTH, City, beyond_control

__all__ = ["seeded", "set_time"]

HEALTH, HOUSING = "440100-health", "440100-housing"
DATA, PLATFORM = "440100-data", "440100-platform"


@pytest.fixture
def under(seeded, db, settings) -> Callable[[str], Office]:
    """Run the city under a regulation; who answers for the data of health does so in every city."""
    forget_calendar()

    def switch(name: str) -> Office:
        run_under(settings, name)
        Account.objects.filter(username="chen").update(role="sharing_officer")
        return Office(City(), name)

    return switch


def merged(
    sequence: int,
    *,
    at: datetime | None = None,
    changed: int = 5,
    resource: str = BIRTH,
    department: str = HEALTH,
) -> None:
    """A batch stands in the ledger: so many rows of it were updated."""
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.batch (department, resource_id, sequence, manifest, manifest_digest,"
            " accepted, inserted, updated, unchanged, rejected, merged_at) VALUES (%s, %s, %s,"
            " '{}', sha256('x'), 9, 0, %s, 9, '[]', %s)",
            [department, resource, sequence, changed, at or datetime.now(UTC)],
        )
