"""The families of the sample city: the same seed gives the same people on every machine.

Families come as one endless stream; `people(n)` and `births(n)` are prefixes of it, so a larger city contains
the smaller one. Nobody here exists: names are drawn from word lists, and the sequence part of each citizen
number is counted down from 989, which the police hardly ever issue.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Final

from shuqiao.demo.names import (
    DISTRICT_CODES,
    DISTRICT_NAMES,
    DISTRICT_WEIGHTS,
    FEMALE_CHARACTERS,
    MALE_CHARACTERS,
    STREETS,
    SURNAME_WEIGHTS,
    SURNAMES,
    TOWNS,
)
from shuqiao.rules.identifiers import citizen_check_digit

SEED: Final = 20161025
CITY_DAY: Final = date(2026, 11, 1)
"""The day on which the sample city was drawn: nobody is born or registered later."""

CERTIFICATES_BEGIN: Final = date(1996, 1, 1)
"""Medical birth certificates exist since then, so no child of the stream is older."""

STORY_CHILD_CERTIFICATE: Final = "Z440000123"
STORY_CHILD_NAME: Final = "林示范"
STORY_MOTHER_NAME: Final = "李示例"
STORY_MOTHER_ID: Final = "44010519930517992X"
STORY_FATHER_NAME: Final = "林样本"
STORY_FATHER_ID: Final = "440105199103089918"
STORY_CHILD_ID: Final = "440105202409209948"

_HIGHEST_SEQUENCE: Final = {"M": 989, "F": 988}
_CHILDREN: Final = (0, 1, 2, 3)
_CHILDREN_WEIGHTS: Final = (12, 57, 95, 100)
_ETHNICITIES: Final = ("01", "08", "11", "03", "15", "06", "13")
_ETHNICITY_WEIGHTS: Final = (962, 978, 983, 988, 993, 997, 1000)
_HEALTH: Final = ("1", "2", "3")
_HEALTH_WEIGHTS: Final = (965, 995, 1000)
_HOSPITALS: Final = ("妇幼保健院", "第一人民医院", "第二人民医院", "中医医院")


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person. `sex` is M or F, `ethnicity` the code of GB/T 3304."""

    name: str
    citizen_id: str
    sex: str
    ethnicity: str
    birth_date: date


@dataclass(frozen=True, slots=True)
class Birth:
    """What the birth certificate of one child says; `health` is 1 good, 2 fair, 3 poor."""

    certificate: str
    child: Person
    mother: Person
    father: Person
    health: str
    issued_at: datetime
    issued_by: str


@dataclass(frozen=True, slots=True)
class Family:
    """Parents and children at one address. `births` holds one birth for each child, eldest first."""

    district: str
    town: str
    address: str
    father: Person
    mother: Person
    births: tuple[Birth, ...]

    @property
    def members(self) -> tuple[Person, ...]:
        """Father, mother, then the children, eldest first."""
        return (self.father, self.mother, *(birth.child for birth in self.births))


@dataclass(frozen=True, slots=True)
class Resident:
    """One person with the household the police registered."""

    person: Person
    family: Family


def families(seed: int = SEED) -> Iterator[Family]:
    """Yield families without end, the story's family first."""
    return _Town(seed).families()


def people(count: int, seed: int = SEED) -> Iterator[Resident]:
    """Yield exactly `count` persons, family by family; the last family may be cut short."""
    everyone = (Resident(person, family) for family in families(seed) for person in family.members)
    return islice(everyone, count)


def births(count: int, seed: int = SEED) -> Iterator[Birth]:
    """Yield exactly `count` births, however many families that takes."""
    return islice((birth for family in families(seed) for birth in family.births), count)


def births_of(residents: int, seed: int = SEED) -> Iterator[Birth]:
    """Yield the births of all children among the first `residents` persons."""
    seen = 0
    for family in families(seed):
        for place, birth in enumerate(family.births, start=3):
            if seen + place > residents:
                return
            yield birth
        seen += len(family.members)
        if seen >= residents:
            return


class _Town:
    """Draws families. Holds the random source, and which numbers are taken already; does no I/O."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._taken: dict[str, int] = {}
        self._certificates = 0

    def families(self) -> Iterator[Family]:
        yield _story_family()
        while True:
            yield self._family()

    def _family(self) -> Family:
        draw = self._random
        district = draw.choices(DISTRICT_CODES, cum_weights=DISTRICT_WEIGHTS)[0]
        ethnicity = draw.choices(_ETHNICITIES, cum_weights=_ETHNICITY_WEIGHTS)[0]
        surname, mothers_surname = draw.choices(SURNAMES, cum_weights=SURNAME_WEIGHTS, k=2)
        birthdays = self._birthdays_of_children()
        eldest = birthdays[0] if birthdays else date(1975 + draw.randrange(30), 6, 15)
        mothers_day = eldest - timedelta(days=draw.randrange(21 * 365, 33 * 365))
        fathers_day = mothers_day - timedelta(days=draw.randrange(-3 * 365, 7 * 365))
        father = self._person(surname, "M", district, ethnicity, fathers_day)
        mother = self._person(mothers_surname, "F", district, "01", mothers_day)
        childrens_surname = mothers_surname if draw.random() < 0.04 else surname
        born = tuple(
            self._birth(childrens_surname, district, ethnicity, day, (father, mother)) for day in birthdays
        )
        town = draw.choice(TOWNS)
        street = draw.choice(STREETS)
        door = f"{draw.randrange(1, 320)}号{draw.randrange(101, 2905)}房"
        address = f"广东省广州市{DISTRICT_NAMES[district]}{town}{street}{door}"
        return Family(district, town, address, father, mother, born)

    def _birthdays_of_children(self) -> list[date]:
        draw = self._random
        count = draw.choices(_CHILDREN, cum_weights=_CHILDREN_WEIGHTS)[0]
        day = CERTIFICATES_BEGIN + timedelta(days=draw.randrange((CITY_DAY - CERTIFICATES_BEGIN).days - 40))
        days: list[date] = []
        while len(days) < count and day < CITY_DAY - timedelta(days=30):
            days.append(day)
            day += timedelta(days=draw.randrange(480, 2200))
        return days

    def _birth(
        self, surname: str, district: str, ethnicity: str, day: date, parents: tuple[Person, Person]
    ) -> Birth:
        draw = self._random
        child = self._person(surname, "M" if draw.random() < 0.52 else "F", district, ethnicity, day)
        # Local working hours of the issuing desk, 8:30 to 17:30 in Guangzhou.
        minutes = draw.randrange(30, 570)
        issued = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
            days=draw.randrange(2, 20), minutes=minutes
        )
        return Birth(
            certificate=self._certificate(day),
            child=child,
            mother=parents[1],
            father=parents[0],
            health=draw.choices(_HEALTH, cum_weights=_HEALTH_WEIGHTS)[0],
            issued_at=issued,
            issued_by=f"广州市{DISTRICT_NAMES[district]}{draw.choice(_HOSPITALS)}",
        )

    def _certificate(self, day: date) -> str:
        """Number a certificate: edition letter, province, serial. Z is kept for the story."""
        self._certificates += 1
        # 7919 shares no factor with ten million, so serials never repeat and still look unordered.
        return f"{chr(ord('A') + (day.year - 1996) % 24)}44{self._certificates * 7919 % 10_000_000:07d}"

    def _person(self, surname: str, sex: str, district: str, ethnicity: str, day: date) -> Person:
        draw = self._random
        characters = MALE_CHARACTERS if sex == "M" else FEMALE_CHARACTERS
        given = draw.choice(characters) if draw.random() < 0.18 else "".join(draw.sample(characters, 2))
        return Person(surname + given, self._citizen_id(district, day, sex), sex, ethnicity, day)

    def _citizen_id(self, district: str, day: date, sex: str) -> str:
        prefix = f"{district}{day:%Y%m%d}"
        taken = self._taken.get(prefix + sex, 0)
        self._taken[prefix + sex] = taken + 1
        body = f"{prefix}{_HIGHEST_SEQUENCE[sex] - 2 * taken:03d}"
        return body + citizen_check_digit(body)


def _story_family() -> Family:
    """The family of the demonstration. Its numbers are fixed, because documents and tests quote them."""
    father = Person(STORY_FATHER_NAME, STORY_FATHER_ID, "M", "01", date(1991, 3, 8))
    mother = Person(STORY_MOTHER_NAME, STORY_MOTHER_ID, "F", "01", date(1993, 5, 17))
    child = Person(STORY_CHILD_NAME, STORY_CHILD_ID, "F", "01", date(2024, 9, 20))
    birth = Birth(
        certificate=STORY_CHILD_CERTIFICATE,
        child=child,
        mother=mother,
        father=father,
        health="1",
        issued_at=datetime(2024, 9, 25, 2, 30, tzinfo=UTC),
        issued_by="广州市海珠区妇幼保健院",
    )
    address = "广东省广州市海珠区榕城街道木棉前路18号1203房"
    return Family("440105", "榕城街道", address, father, mother, (birth,))
