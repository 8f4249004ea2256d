"""The regular full maintenance: opened where the regulation sets it, checked, signed, told of when late."""

from datetime import UTC, date, datetime

import pytest
from django.db import IntegrityError, transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.operations.daily import CLOCK_JOBS
from shuqiao.control.upkeep.maintenance import (
    check_catalogue,
    open_maintenance,
    period_of,
    place_of,
    sign_maintenance,
    tell_maintenance,
    watch_upkeep,
)
from shuqiao.control.upkeep.models import Maintenance
from shuqiao.control.upkeep.report import supervision
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.errors import PermissionDenied
from tests.compiling.conftest import DATA, HOUSING
from tests.control.conftest import audit_entries

HALF = (date(2026, 7, 1), date(2026, 12, 31))


def at(year: int, month: int, day: int):
    """Hold the clock at the morning of a day."""
    return clock.fixed(datetime(year, month, day, 1, 0, tzinfo=UTC))


@pytest.mark.requirement("CAT-16", source="SY:12¶4")
@pytest.mark.parametrize(
    ("day", "months", "first", "last"),
    [
        (date(2026, 1, 1), 6, date(2026, 1, 1), date(2026, 6, 30)),
        (date(2026, 6, 30), 6, date(2026, 1, 1), date(2026, 6, 30)),
        (date(2026, 7, 1), 6, *HALF),
        (date(2026, 12, 31), 6, *HALF),
        (date(2024, 2, 29), 1, date(2024, 2, 1), date(2024, 2, 29)),
        (date(2026, 11, 11), 12, date(2026, 1, 1), date(2026, 12, 31)),
    ],
)
def test_periods_are_counted_from_january(day, months, first, last) -> None:
    period = period_of(day, months)
    assert (period.first, period.last) == (first, last)


@pytest.mark.requirement("CAT-16", source="SY:12¶4")
def test_every_department_with_entries_has_one_maintenance_each_half_year(under):
    office = under("shenyang-2016")
    office.published()
    opened = open_maintenance()
    rows = Maintenance.objects.all()
    holders = set(Resource.objects.values_list("department_id", flat=True))
    assert opened == len(holders) == rows.count() and HOUSING in holders
    assert {(row.starts_on, row.due_on) for row in rows} == {HALF}
    assert open_maintenance() == 0
    told = Notification.objects.filter(code="maintenance_open")
    assert set(told.values_list("department_id", flat=True)) == holders
    with at(2027, 1, 4):
        assert open_maintenance() == opened and Maintenance.objects.count() == 2 * opened
    assert "watch_upkeep" in {job.name for job in CLOCK_JOBS}


@pytest.mark.parametrize("name", ["guangzhou-2016", "guangzhou-2019", "xiamen-2015"])
def test_where_the_regulation_sets_none_no_period_is_opened_and_the_checks_run_all_the_same(under, name):
    office = under(name)
    office.published()
    assert watch_upkeep() == 0 and not Maintenance.objects.exists()
    assert check_catalogue(HOUSING).entries == 1


@pytest.mark.requirement("CAT-16", source="SY:12¶4")
def test_the_check_finds_what_is_incomplete_inconsistent_and_badly_named(under):
    office = under("shenyang-2016")
    resource = Resource.objects.get(id=office.published().resource)
    assert check_catalogue(HOUSING).total == 0
    content = resource.content | {"timeliness": "", "manner": ["platform_file"], "name_zh": "测试数据信息"}
    Resource.objects.filter(id=resource.id).update(content=content)
    checked = check_catalogue(HOUSING)
    found = {(one.finding.kind, one.finding.path) for one in checked.findings}
    assert found == {("completeness", "timeliness"), ("logic", "manner"), ("naming", "name_zh")}
    assert {one.place.zh for one in checked.findings} >= {"共享方式", "时效要求"}
    assert checked.counts == {"completeness": 1, "logic": 1, "naming": 1} and checked.entries == 1


@pytest.mark.requirement("CAT-16", source="SY:12¶4")
def test_a_signed_maintenance_keeps_what_was_found_and_who_signed(under):
    office = under("shenyang-2016")
    resource = Resource.objects.get(id=office.published().resource)
    open_maintenance()
    row = Maintenance.objects.get(department_id=HOUSING)
    Resource.objects.filter(id=resource.id).update(content=resource.content | {"timeliness": ""})
    with pytest.raises(FormRefused):
        sign_maintenance(office.viewer("hou"), row.pk, " ")
    with pytest.raises(FormRefused):
        sign_maintenance(office.viewer("hou"), row.pk, "<i>好</i>")
    sign_maintenance(office.viewer("hou"), row.pk, "时效要求于本月内补全")
    row.refresh_from_db()
    assert (row.entries, row.counts["completeness"], row.signed_by.username) == (1, 1, "hou")
    assert [one["path"] for one in row.findings] == ["timeliness"]
    entry = [one for one in audit_entries("catalogue_maintained") if one[0] == HOUSING]
    assert [one[6] for one in entry] == ["signed"]
    with pytest.raises(FormRefused):
        sign_maintenance(office.viewer("hou"), row.pk, "再签一次")
    [report] = [one for one in supervision(office.viewer("zheng")) if one.department.code == HOUSING]
    assert (report.maintained_on, report.maintenance_over) == (date(2026, 11, 11), 0)


def test_only_a_compiler_of_the_department_signs(under):
    office = under("shenyang-2016")
    office.published()
    open_maintenance()
    key = Maintenance.objects.get(department_id=HOUSING).pk
    with pytest.raises(NotFound):
        sign_maintenance(office.viewer("chen"), key, "")
    for other in ("lin", "zheng", "tan"):
        with pytest.raises((PermissionDenied, NotFound)):
            sign_maintenance(office.viewer(other), key, "")
    assert Maintenance.objects.get(pk=key).signed_at is None


@pytest.mark.requirement("CAT-16", source="SY:12¶4")
def test_a_period_that_ends_soon_or_unsigned_is_told_once_to_the_department_and_the_office(under):
    office = under("shenyang-2016")
    office.published()
    open_maintenance()
    assert tell_maintenance() == 0
    with at(2026, 12, 20):
        assert tell_maintenance() > 0 and tell_maintenance() == 0
        assert Notification.objects.filter(code="maintenance_soon", department_id=HOUSING).count() == 1
    with at(2027, 1, 5):
        open_maintenance()
        assert tell_maintenance() > 0 and tell_maintenance() == 0
        told = Notification.objects.filter(code="maintenance_over", reference=f"{HOUSING}:2026-07-01")
        assert set(told.values_list("department_id", flat=True)) == {HOUSING, DATA}
        [row] = [one for one in supervision(office.viewer("zheng")) if one.department.code == HOUSING]
        assert row.maintenance_over == 1


def test_a_record_is_never_signed_by_halves(under):
    under("shenyang-2016").published()
    open_maintenance()
    for change in ({"signed_at": clock.now()}, {"due_on": date(2026, 1, 1)}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Maintenance.objects.filter(department_id=HOUSING).update(**change)


@pytest.mark.requirement("CAT-16")
def test_the_pages_check_and_sign(under, client):
    office = under("shenyang-2016")
    resource = Resource.objects.get(id=office.published().resource)
    open_maintenance()
    Resource.objects.filter(id=resource.id).update(content=resource.content | {"timeliness": ""})
    client.force_login(Account.objects.get(username="hou"))
    shown = client.get("/upkeep/maintenance/?check=1").content.decode()
    assert "时效要求" in shown and "完整性" in shown and "每 6 个月" in shown
    key = Maintenance.objects.get(department_id=HOUSING).pk
    assert client.post("/upkeep/maintenance/", {"period": key, "statement": ""}).status_code == 422
    done = client.post("/upkeep/maintenance/", {"period": key, "statement": "本月补全"})
    assert done.status_code == 302
    record = client.get(f"/upkeep/maintenance/{key}/").content.decode()
    assert "本月补全" in record and "时效要求" in record
    assert client.post("/upkeep/maintenance/", {"period": "x"}).status_code == 404
    client.force_login(Account.objects.get(username="chen"))
    assert client.get(f"/upkeep/maintenance/{key}/").status_code == 404
    client.force_login(Account.objects.get(username="zheng"))
    assert "本月补全" in client.get(f"/upkeep/maintenance/{key}/").content.decode()


def test_a_place_is_named_by_its_field_or_its_item() -> None:
    entry = Entry(items=(EntryItem(field="full_name", zh="姓名", en="Name"),))
    assert place_of("items[0].length", entry) == place_of("items.full_name.length", entry)
    assert place_of("items[0].length", entry).zh == "信息项“姓名”·长度"
    assert place_of("items[0]", entry).en == "Item Name" and place_of("items[7].zh", entry).zh
