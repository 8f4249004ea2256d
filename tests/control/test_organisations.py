"""Departments become active with their three persons; the calendar is the office's to edit."""

from datetime import date, timedelta

import pytest

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound
from shuqiao.control.clocks.calendar import DayInput, set_day
from shuqiao.control.clocks.queries import clocks_of
from shuqiao.control.operations.persons import persons_register
from shuqiao.control.organisations.actions import (
    DepartmentInput,
    activate_department,
    name_person,
    register_department,
)
from shuqiao.control.organisations.models import Department, PersonDuty, PersonInCharge
from shuqiao.control.organisations.queries import persons_in_charge
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.pages import request_case
from shuqiao.control.texts import Text
from shuqiao.rules.errors import FieldRequired

from .conftest import NOW, audit_entries


@pytest.mark.requirement("ORG-04", source="GZ16:8¶2")
@pytest.mark.parametrize("missing", list(PersonDuty))
def test_a_department_is_not_active_while_one_of_three_persons_is_missing(city, missing):
    department = register_department(
        DepartmentInput("440100-archives", Text("市档案局", "Archives"), "市档案局", "organ", "city")
    )
    for duty in PersonDuty:
        if duty is not missing:
            name_person(department, duty, "张示例", "", date(2026, 11, 1))
    with pytest.raises(FieldRequired) as refused:
        activate_department(department, "account:ma")
    assert str(missing.label) in refused.value.explain("zh")
    assert not Department.objects.get(code="440100-archives").active
    name_person(department, missing, "李示例", "", date(2026, 11, 1))
    activate_department(department, "account:ma")
    assert Department.objects.get(code="440100-archives").active
    # Activating again files nothing again; the competent department reads the names.
    activate_department(department, "account:ma")
    filed = [entry for entry in audit_entries("department_enrolled") if entry[0] == "440100-archives"]
    assert [(entry[2], entry[6]) for entry in filed] == [("account:ma", "active")]
    register = {one.code: rows for one, rows in persons_register(city.viewer("zheng"))}
    named = {row.duty: row.name for row in register["440100-archives"]}
    assert named.pop(missing.value) == "李示例"
    assert set(named.values()) == {"张示例"}
    with pytest.raises(NotFound):
        persons_register(city.viewer("lin"))


def test_a_new_person_in_charge_replaces_the_old_one_and_the_old_one_is_remembered(city):
    health = Department.objects.get(code="440100-health")
    name_person(health, PersonDuty.SHARING, "新示例", "", date(2026, 11, 9))
    current = {row.duty: row for row in persons_in_charge(health.code)}
    assert (current["sharing"].name, current["sharing"].since) == ("新示例", date(2026, 11, 9))
    former = PersonInCharge.objects.filter(department=health, duty="sharing", until=date(2026, 11, 9))
    assert former.count() == 1


def due_day(number: str) -> date:
    """The last day of the one term that runs in a request."""
    [running] = clocks_of("request", [number])[number]
    return running.due_on


@pytest.mark.requirement("ORG-13")
def test_every_deadline_follows_the_calendar_the_office_keeps_and_shows_days_left(city):
    lin = city.viewer("lin")
    first = submit_request(lin, city.wanted())
    assert due_day(first) == date(2026, 11, 25)
    office = city.viewer("zheng")
    set_day(office, DayInput(date(2026, 11, 16), "off", "台风停工（示例）"))
    set_day(office, DayInput(date(2026, 11, 21), "working", "补班（示例）"))
    set_day(office, DayInput(date(2026, 11, 24), "off", "示例"))
    second = submit_request(lin, city.wanted(items={"father_name": "核对"}))
    assert due_day(second) == date(2026, 11, 26)
    for days, left, state in (
        (0, 10, "normal"),
        (10, 3, "normal"),
        (12, 2, "soon"),
        (15, 0, "soon"),
        (16, -1, "over"),
    ):
        with clock.fixed(NOW + timedelta(days=days)):
            shown = request_case(city.viewer("chen"), second).running.shown
            assert (shown.starts_on, shown.due_on) == (date(2026, 11, 11), date(2026, 11, 26))
            assert (shown.days_left, shown.state) == (left, state), days
