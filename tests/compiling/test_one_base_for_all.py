"""What departments bring is gathered in base and thematic databases, which then serve every department."""

import json
import uuid

import pytest
from django.db import connection

from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.services import offer_table
from tests.control.conftest import beyond_control, rows

from .conftest import HEALTH, HOUSING, PLATFORM


def batch(resource: str, sequence: int, record: uuid.UUID, value: str) -> None:
    """The loader merges a batch of the provider's: one row."""
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO staging.{resource} (record_id, subject_id, identity_version, approval_status)"
            " VALUES (%s, %s, 1, %s)",
            [record, record, value],
        )
        cursor.execute(
            f"SELECT * FROM exchange.merge_{resource}(%s, %s, '{{}}', sha256('x'), '[]', 'sample')",
            [HOUSING, sequence],
        )


def given(resource: str, department: str, record: uuid.UUID) -> dict[str, str]:
    """What the plane reads for a department, in its own words to the database."""
    with beyond_control():
        epoch = rows("SELECT value FROM exchange.epoch")[0][0]
    places = (
        "%s, ARRAY[%s]::uuid[], ARRAY[now()], ARRAY['query'], ARRAY[%s], ARRAY['app'], ARRAY['G-2026-0001']"
    )
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            f"SELECT data::text FROM exchange.read_{resource}({places}, NULL, ARRAY['answered'],"
            " ARRAY[%s]::uuid[], NULL, ARRAY['{}'])",
            [epoch, uuid.uuid4(), department, record],
        )
        return json.loads(cursor.fetchone()[0])


@pytest.mark.requirement("ING-06")
@pytest.mark.parametrize(("kind", "library"), [("base", "population"), ("thematic", "thematic")])
def test_one_table_of_the_platform_serves_every_department(guangzhou, kind, library):
    case = guangzhou.published(library_kind=kind, library=library)
    offer_table(guangzhou.viewer("hou"), case.resource)
    assert Resource.objects.get(pk=case.resource).library_kind == kind
    first, second = uuid.uuid4(), uuid.uuid4()
    batch(case.resource, 1, first, "approved")
    batch(case.resource, 2, second, "refused")
    with beyond_control():
        gathered = rows(f"SELECT source_department, batch_sequence FROM base.{case.resource} ORDER BY 2")
    assert gathered == [(HOUSING, 1), (HOUSING, 2)]
    # No node of the provider is there to be asked: both departments are served by the platform's table.
    for department in (HEALTH, PLATFORM):
        assert given(case.resource, department, first)["approval_status"] == "approved"
        assert given(case.resource, department, second)["approval_status"] == "refused"
    batch(case.resource, 3, first, "withdrawn")
    assert {given(case.resource, one, first)["approval_status"] for one in (HEALTH, PLATFORM)} == {
        "withdrawn"
    }
