"""Five indicators of each data set, from what ledger, list, reconciliations and update duties hold."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.models import Account
from shuqiao.control.updating.models import DataChange
from shuqiao.control.updating.quality import QualityRow, quality_rows
from shuqiao.control.updating.schedule import watch_cycles
from shuqiao.rules.quality import Share
from tests.control.conftest import BIRTH, beyond_control, rows

from .conftest import HEALTH
from .test_changes import register
from .test_cycles import at, day, only_birth


def delivered(sequence: int, faults: list[tuple[int, str, str]], ahead: int = 0, accepted: int = 10) -> None:
    """A batch stands in the ledger, with the rows it refused."""
    rejected = [{"row": row, "item": item, "code": code} for row, item, code in faults]
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.batch (department, resource_id, sequence, manifest, manifest_digest,"
            " accepted, inserted, updated, unchanged, rejected, merged_at)"
            " VALUES (%s, %s, %s, '{}', sha256('x'), %s, %s, 0, 0, %s, %s)",
            [HEALTH, BIRTH, sequence, accepted, accepted, json.dumps(rejected), at(day(ahead))],
        )


def listed(*sexes: str | None) -> None:
    """Records of the list, with nothing but their sex."""
    with beyond_control(), connection.cursor() as cursor:
        for sex in sexes:
            cursor.execute(
                f"INSERT INTO base.{BIRTH} (record_id, subject_id, identity_version, version,"
                " source_department, source_system, batch_sequence, first_received_at, received_at, sex_code)"
                " VALUES (%s, %s, 1, 1, %s, 'sample', 1, now(), now(), %s)",
                [uuid4(), uuid4(), HEALTH, sex],
            )


def compared(found: int, of: int, minutes_ago: int = 0) -> None:
    """A reconciliation has ended."""
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO exchange.node (department, name, public_key, nats_user, active)"
            " VALUES (%s, 'sample', %s, 'sample', true) ON CONFLICT DO NOTHING",
            [HEALTH, b"0" * 44],
        )
        cursor.execute(
            "INSERT INTO exchange.reconciliation (id, department, resource_id, asked_by, asked_at, salt,"
            " state, phase, source_rows, shared_rows, found, finished_at) VALUES (%s, %s, %s, 'sample',"
            " now(), %s, %s, 'done', %s, %s, %s, now() - make_interval(mins => %s))",
            [uuid4(), HEALTH, BIRTH, b"0" * 32, "differs" if found else "agreed", of, of, found, minutes_ago],
        )


def birth_of(office, name: str = "zheng") -> QualityRow:
    """The row of the birth list as somebody sees it."""
    [found] = [row for row in quality_rows(office.viewer(name)) if row.resource == BIRTH]
    return found


@pytest.mark.requirement("UPD-06")
def test_rows_delivered_say_how_valid_and_how_unique_they_were(under) -> None:
    office = under("guangzhou-2016")
    delivered(1, [(0, "sex_code", "item_code_unknown"), (0, "birth_date", "date_impossible")], ahead=-29)
    delivered(2, [(3, "birth_certificate_number", "duplicate_key")])
    # Thirty days ago and more counts no longer.
    delivered(3, [(0, "sex_code", "item_type")] * 5, ahead=-30)
    shares = birth_of(office).shares
    assert shares["validity"] == Share(21, 22)
    assert shares["uniqueness"] == Share(21, 22)
    assert birth_of(office).weakest == "validity"


@pytest.mark.requirement("UPD-06")
def test_values_that_records_lack_are_counted_without_being_read(under) -> None:
    office = under("guangzhou-2016")
    assert birth_of(office).shares["completeness"] is None
    listed("1", None, "2", "1")
    row = birth_of(office)
    found = row.shares["completeness"]
    # Every record holds its sex or not, and none of the other plain items.
    assert found is not None and found.part == 3 and found.whole > 4 and found.whole % 4 == 0
    assert row.weakest == "completeness" and len(row.emptiest) == 3
    assert all(one.filled == Share(0, 4) for one in row.emptiest)
    [(counted,)] = rows("SELECT exchange.filled_items(%s, 5000)", BIRTH)
    assert json.loads(counted)["items"]["sex_code"] == 3
    for most in (0, 2_000_000):
        assert rows("SELECT exchange.filled_items(%s, %s)", BIRTH, most) == [(None,)]
    assert rows("SELECT exchange.filled_items('pg_class', 10)") == [(None,)]


def test_of_a_large_list_a_sample_is_counted_before_it_has_statistics(under) -> None:
    under("guangzhou-2016")
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO base.{BIRTH} (record_id, subject_id, identity_version, version, source_department,"
            " source_system, batch_sequence, first_received_at, received_at, sex_code)"
            " SELECT gen_random_uuid(), gen_random_uuid(), 1, 1, %s, 'sample', 1, now(), now(), '1'"
            " FROM generate_series(1, 20000)",
            [HEALTH],
        )
    [(counted,)] = rows("SELECT exchange.filled_items(%s, 500)", BIRTH)
    found = json.loads(counted)
    assert 250 <= found["rows"] < 10_000 and found["items"]["sex_code"] == found["rows"]
    # What was removed leaves its room behind: the few that are left are counted, whatever the size says.
    with beyond_control(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM base.{BIRTH}")
    listed("1", None)
    [(counted,)] = rows("SELECT exchange.filled_items(%s, 500)", BIRTH)
    found = json.loads(counted)
    assert found["rows"] == 2 and found["items"]["sex_code"] == 1


@pytest.mark.requirement("UPD-06")
def test_the_last_reconciliation_says_how_far_the_list_agrees_with_its_source(under) -> None:
    office = under("guangzhou-2016")
    assert birth_of(office).shares["consistency"] is None
    compared(50, 200, minutes_ago=60)
    compared(1, 200)
    assert birth_of(office).shares["consistency"] == Share(199, 200)


@pytest.mark.requirement("UPD-06")
def test_changes_and_cycles_say_how_timely_updates_are(under) -> None:
    office = under("guangzhou-2016")
    only_birth("daily")
    delivered(1, [], ahead=-4)
    # Of the four days that were watched and are over, the first brought something.
    for ahead in range(-4, 1):
        watch_cycles(day(ahead))
    assert birth_of(office).shares["timeliness"] == Share(1, 4)


@pytest.mark.requirement("UPD-06")
def test_a_change_that_is_late_counts_against_its_list(under) -> None:
    office = under("shenyang-2016")
    number = register(office)
    assert birth_of(office).shares["timeliness"] is None
    DataChange.objects.filter(pk=number).update(deadline="", due_on=clock.today() - timedelta(days=1))
    assert birth_of(office).shares["timeliness"] == Share(0, 1)
    assert birth_of(office).weakest == "timeliness"


@pytest.mark.requirement("UPD-06")
def test_a_department_sees_its_own_and_who_watches_everybodys(under, client) -> None:
    office = under("guangzhou-2016")
    delivered(1, [(0, "sex_code", "item_type")])
    everyone = {row.department.code for row in quality_rows(office.viewer("zheng"))}
    assert len(everyone) > 1
    # What is known to be weak stands before what nothing is known of.
    first, *_, last = quality_rows(office.viewer("zheng"))
    assert first.resource == BIRTH and not any(last.shares.values())
    assert {row.department.code for row in quality_rows(office.viewer("chen"))} == {HEALTH}
    client.force_login(Account.objects.get(username="zheng"))
    shown = client.get("/updates/quality/").content.decode()
    assert "数据质量" in shown and "90.90%" in shown and "10 / 11" in shown
