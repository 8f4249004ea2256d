"""Receipts of consumers, for those who take part and for nobody else."""

import uuid

import pytest
from django.db import connection

from shuqiao.control.exchange.receipts import read_receipts

from .conftest import BIRTH, beyond_control

HEALTH, HOUSING, POLICE = "440100-health", "440100-housing", "440100-police"


@pytest.mark.usefixtures("city")
def test_a_receipt_is_for_its_consumer_and_its_provider() -> None:
    feed = uuid.uuid4()
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.subscription (id, grant_id, resource_id, department, provider, application,"
            " format, started_at, last_number)"
            " VALUES (%s, 'G-2026-0001', %s, %s, %s, 'app', 'arrow', now(), 2)",
            [feed, BIRTH, HOUSING, HEALTH],
        )
        cursor.execute(
            "INSERT INTO exchange.subscription_receipt (subscription, number, entry, said_at, applied_at,"
            " applied, gone, dead, manifest_digest)"
            " SELECT %s, n, gen_random_uuid(), now() + n * interval '1 second', now(), 10 * n, n, 0,"
            " sha256('x')"
            " FROM generate_series(1, 2) n",
            [feed],
        )
    for department in (HOUSING, HEALTH, None):
        found = read_receipts(department)
        assert [(one.number, one.applied, one.gone, one.consumer) for one in found] == [
            (2, 20, 2, HOUSING),
            (1, 10, 1, HOUSING),
        ]
    assert read_receipts(POLICE) == []
    assert len(read_receipts(None, str(feed))) == 2
    assert read_receipts(None, str(uuid.uuid4())) == []
