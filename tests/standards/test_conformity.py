"""Conformity of delivered data with the standards, from the ledger of batches as the loader writes it."""

import json
from datetime import date

import pytest
from django.db import connection

from shuqiao.control.accounts.models import Account
from shuqiao.control.standards.conformity import Figures, conformity, conformity_page, month_of
from tests.control.conftest import BIRTH, HOUSEHOLD, beyond_control

FAULTS = [
    (0, "sex_code", "item_code_unknown"),
    (0, "newborn_name", "item_too_long"),
    (3, "birth_date", "date_impossible"),
    (4, "mother_name", "item_required"),
]


def deliver(department: str, resource: str, sequence: int, accepted: int, faults, at: str) -> None:
    """A line of the ledger as the loader leaves it."""
    rejected = [{"row": row, "item": item, "code": code} for row, item, code in faults]
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.batch (department, resource_id, sequence, manifest, manifest_digest,"
            " accepted, inserted, updated, unchanged, rejected, merged_at)"
            " VALUES (%s, %s, %s, '{}', %s, %s, %s, 0, 0, %s, %s)",
            [department, resource, sequence, b"0" * 32, accepted, accepted, json.dumps(rejected), at],
        )


@pytest.fixture
def delivered(city):
    """Health delivered two batches in November and one in October, police one in November."""
    deliver("440100-health", BIRTH, 1, 10, [(0, "sex_code", "item_type")], "2026-10-31 15:59:59+00")
    deliver("440100-health", BIRTH, 2, 6, FAULTS, "2026-10-31 16:00:00+00")
    deliver("440100-health", BIRTH, 3, 11, [], "2026-11-10 01:00:00+00")
    deliver("440100-police", HOUSEHOLD, 1, 5, [], "2026-11-10 01:00:00+00")
    return city


@pytest.mark.requirement("STD-02")
def test_the_rate_counts_rows_against_a_standard_once_and_other_faults_apart(delivered) -> None:
    health, police = conformity(date(2026, 11, 1), date(2026, 12, 1))
    # Rows 0 and 3 break a standard, row 4 only lacks a value; 17 rows were stored and 3 refused.
    assert health.figures == Figures(20, 17, 2) and health.figures.rate == 90.0
    assert dict(health.by_kind) == {"type": 0, "length": 1, "code": 1, "form": 1, "other": 1}
    assert (police.department, police.figures.rate) == ("440100-police", 100.0)
    named = {(fault.name.zh, fault.kind, fault.count) for fault in health.lists[0].faults}
    assert ("性别代码", "code", 1) in named and ("出生日期", "form", 1) in named


@pytest.mark.requirement("STD-02")
def test_a_month_ends_at_midnight_in_the_city(delivered) -> None:
    (october,) = conformity(date(2026, 10, 1), date(2026, 11, 1))
    assert october.figures == Figures(11, 10, 1)
    assert conformity(date(2026, 9, 1), date(2026, 10, 1)) == ()
    assert Figures(0, 0, 0).rate is None


@pytest.mark.requirement("STD-02")
def test_supervisors_see_everyone_and_a_department_its_own(delivered, client) -> None:
    month = month_of("2026-11")
    everyone = conformity_page(delivered.viewer("zheng"), month, "440100-health")
    assert len(everyone.departments) == 2 and everyone.whole.rows == 25
    own = conformity_page(delivered.viewer("zhao"), month, "440100-health")
    assert [one.department for _, one in own.departments] == ["440100-police"] and own.whole.rows == 5
    client.force_login(Account.objects.get(username="zheng"))
    shown = client.get("/standards/conformity/?month=2026-11&department=440100-health").content.decode()
    assert "90.00%" in shown and "item_code_unknown" in shown and "出生登记信息" in shown
    assert "本月没有数据" in client.get("/standards/conformity/?month=2020-01").content.decode()


@pytest.mark.parametrize("text", ["", "2026-13", "x", "2026-1", "9999-01", "２０２６-11", "2026/11"])
def test_a_month_that_is_none_is_the_current_one(city, text) -> None:
    assert str(month_of(text)) == "2026-11"


def test_months_follow_each_other_over_the_year() -> None:
    december = month_of("2025-12")
    assert (str(december.next), str(december.next.before), str(month_of("2026-01").before)) == (
        "2026-01",
        "2025-12",
        "2025-12",
    )
