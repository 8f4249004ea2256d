"""The sample city: the same on every machine, well-formed, believable, and large enough."""

import itertools
import time

import pytest

from shuqiao.demo import people as city
from shuqiao.demo.enterprises import enterprises
from shuqiao.demo.names import DISTRICT_NAMES
from shuqiao.rules.identifiers import (
    birth_date_of,
    check_birth_certificate,
    check_citizen_id,
    check_credit_code,
    is_male,
)

COUNT = 8_000


@pytest.fixture(scope="module")
def residents() -> list[city.Resident]:
    """Some thousand persons."""
    return list(city.people(COUNT))


@pytest.fixture(scope="module")
def births() -> list[city.Birth]:
    """As many births."""
    return list(city.births(COUNT))


def test_same_seed_gives_the_same_city(residents: list[city.Resident]) -> None:
    assert list(city.people(COUNT)) == residents
    assert list(city.people(100, seed=1)) != residents[:100]


def test_larger_city_contains_the_smaller(residents: list[city.Resident]) -> None:
    assert list(city.people(501)) == residents[:501]


def test_every_number_is_valid_and_nobodys_twice(residents: list[city.Resident]) -> None:
    for resident in residents:
        person = resident.person
        assert check_citizen_id(person.citizen_id, regions=DISTRICT_NAMES, today=city.CITY_DAY).ok
        assert check_citizen_id(person.citizen_id, regions=DISTRICT_NAMES).warnings == ()
        assert birth_date_of(person.citizen_id) == person.birth_date
        assert is_male(person.citizen_id) == (person.sex == "M")
    assert len({resident.person.citizen_id for resident in residents}) == COUNT


def test_exactly_as_many_births_as_asked(births: list[city.Birth]) -> None:
    assert len(births) == COUNT
    assert len({birth.certificate for birth in births}) == COUNT
    assert all(check_birth_certificate(birth.certificate).ok for birth in births)


def test_births_among_the_residents() -> None:
    for count in (1, 2, 3, 4, 57, 2_000):
        there = {resident.person.citizen_id for resident in city.people(count)}
        expected = [b for b in city.births(2_000) if b.child.citizen_id in there]
        assert list(city.births_of(count)) == expected


def test_families_are_believable(births: list[city.Birth]) -> None:
    for birth in births:
        ages = [
            (birth.child.birth_date - parent.birth_date).days / 365.25
            for parent in (birth.mother, birth.father)
        ]
        assert 20 < ages[0] < 46
        assert 17 < ages[1] < 60
        assert birth.child.birth_date < birth.issued_at.date() <= city.CITY_DAY
    named = sum(birth.child.name[0] == birth.father.name[0] for birth in births)
    assert 0.93 * COUNT < named < COUNT
    boys = sum(birth.child.sex == "M" for birth in births)
    assert 0.48 * COUNT < boys < 0.56 * COUNT


def test_story_family_comes_first(births: list[city.Birth]) -> None:
    story = births[0]
    assert story.certificate == city.STORY_CHILD_CERTIFICATE == "Z440000123"
    assert (story.mother.name, story.mother.citizen_id) == (city.STORY_MOTHER_NAME, city.STORY_MOTHER_ID)
    assert not any(birth.certificate.startswith("Z") for birth in births[1:])
    mothers = {birth.mother.citizen_id for birth in births[1:]}
    assert city.STORY_MOTHER_ID not in mothers


def test_enterprises_are_led_by_residents() -> None:
    companies = list(enterprises(500))
    assert len(companies) == 500
    for company in companies:
        found = check_credit_code(company.credit_code, regions=DISTRICT_NAMES)
        assert (found.ok, found.warnings) == (True, ())
        assert company.established_on < city.CITY_DAY
        assert (company.established_on - company.representative.birth_date).days > 18 * 365
    assert len({company.credit_code for company in companies}) == 500
    assert len({company.name for company in companies}) == 500
    parents = itertools.islice(city.families(), 4_000)
    numbers = {person.citizen_id for family in parents for person in (family.father, family.mother)}
    assert {company.representative.citizen_id for company in companies} <= numbers


def test_fifty_thousand_persons_are_made_quickly() -> None:
    began = time.process_time()
    assert sum(1 for _ in city.people(50_000)) == 50_000
    assert time.process_time() - began < 3.0
