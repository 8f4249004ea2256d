"""The register of sources follows the entries in force; a datum has one responsible department."""

import pytest
from django.db import IntegrityError, transaction

from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.onesource.models import Source
from shuqiao.control.onesource.register import keep_in_step, take_in, take_in_missing
from tests.control.conftest import HOUSEHOLD as HOUSEHOLD_ENTRY


def copy_of_household(key: str, department: str, **changes: object) -> Resource:
    """A second entry with the items of the household list, published by another department."""
    made = Resource.objects.get(id=HOUSEHOLD_ENTRY)
    items = list(Item.objects.filter(resource=made))
    made.id, made.list_key, made.code = key, f"copy-{key}", f"10100901/{len(key):06d}9"
    made.department_id = department
    for name, value in changes.items():
        setattr(made, name, value)
    made.save(force_insert=True)
    for one in items:
        one.pk, one.resource = None, made
        one.save(force_insert=True)
    return made


@pytest.mark.requirement("COL-01", source="GZ16:3¶1-3")
@pytest.mark.requirement("COL-01", source="GZINT:§1¶3")
@pytest.mark.requirement("COL-01", source="GZINT:§1¶5")
def test_every_item_of_the_law_has_one_responsible_department(city) -> None:
    assert Source.objects.count() == Item.objects.exclude(zh="").count() > 250
    assert set(Source.objects.values_list("role", flat=True)) <= {"responsible", "repeated"}
    held = Source.objects.get(resource_id=HOUSEHOLD_ENTRY, field="household_police_station")
    assert (held.department_id, held.role, held.key) == ("440100-police", "responsible", "户籍地派出所")
    assert take_in_missing() == 0


@pytest.mark.requirement("COL-01")
def test_what_another_department_publishes_beside_it_is_contested(city) -> None:
    second = copy_of_household("r440100bbbbbbbbbb", "440100-health")
    assert take_in_missing() == 1
    assert set(Source.objects.filter(resource=second).values_list("role", flat=True)) == {"contested"}
    take_in([second.id])
    assert Source.objects.filter(resource_id=HOUSEHOLD_ENTRY, role="responsible").count() == 12


def test_a_second_entry_of_the_same_department_is_no_second_source(city) -> None:
    second = copy_of_household("r440100cccccccccc", "440100-police")
    take_in([second.id])
    assert set(Source.objects.filter(resource=second).values_list("role", flat=True)) == {"repeated"}


def test_departments_that_name_each_other_collect_jointly(city) -> None:
    second = copy_of_household("r440100dddddddddd", "440100-health")
    second.joint_departments.set(["440100-health", "440100-police"])
    Resource.objects.get(id=HOUSEHOLD_ENTRY).joint_departments.set(["440100-police", "440100-health"])
    take_in([second.id])
    assert set(Source.objects.filter(resource=second).values_list("role", flat=True)) == {"joint"}


def test_when_an_entry_is_withdrawn_whoever_still_collects_the_datum_becomes_its_source(city) -> None:
    second = copy_of_household("r440100eeeeeeeeee", "440100-health")
    take_in([second.id])
    Resource.objects.filter(id=HOUSEHOLD_ENTRY).update(state="withdrawn")
    take_in([HOUSEHOLD_ENTRY])
    assert not Source.objects.filter(resource_id=HOUSEHOLD_ENTRY).exists()
    assert set(Source.objects.filter(resource=second).values_list("role", flat=True)) == {"responsible"}


@pytest.mark.requirement("COL-01")
def test_the_database_itself_keeps_a_datum_to_one_source(city) -> None:
    second = copy_of_household("r440100ffffffffff", "440100-health")
    take_in([second.id])
    with pytest.raises(IntegrityError, match="one_source_for_a_datum"), transaction.atomic():
        Source.objects.filter(resource=second).update(role="responsible")


def test_removed_items_leave_the_register(city) -> None:
    Item.objects.filter(resource_id=HOUSEHOLD_ENTRY, field="sex").update(removed_in=2)
    take_in([HOUSEHOLD_ENTRY])
    assert not Source.objects.filter(resource_id=HOUSEHOLD_ENTRY, field="sex").exists()


def test_an_entry_whose_period_has_ended_is_no_source_any_more(city) -> None:
    """Whoever ends an entry need not know of the register: a job of the day brings it into step."""
    Resource.objects.filter(id=HOUSEHOLD_ENTRY).update(state="withdrawn")
    assert keep_in_step() == 1
    assert not Source.objects.filter(resource_id=HOUSEHOLD_ENTRY).exists()
    assert keep_in_step() == 0
