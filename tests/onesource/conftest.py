"""A seeded city whose register of sources is filled from the law's lists."""

from collections.abc import Iterator

import pytest

from shuqiao.control import clock
from shuqiao.control.onesource.register import take_in_missing
from shuqiao.rules.entries import Entry, EntryItem
from tests.control.conftest import NOW, PEOPLE, City, seed, set_time
from tests.plugins.stages import Stage

__all__ = ["set_time"]

HOUSEHOLD = "10100901"
NEW = "r440100aaaaaaaaaa"
"""The id of an entry that is being compiled."""


def item(zh: str, field: str = "", **more: object) -> EntryItem:
    """An item by its name; the field is made from its place in the alphabet of tests."""
    return EntryItem(field=field or f"f{abs(hash(zh)) % 10**8}", zh=zh, **more)


def entry(*items: EntryItem | str, subject: str = HOUSEHOLD, department: str = "440100-health") -> Entry:
    """An entry of the health department with these items."""
    made = tuple(one if isinstance(one, EntryItem) else item(one) for one in items)
    return Entry(name_zh="人口健康档案", subject=subject, department=department, items=made)


def seed_register() -> None:
    """Seed the city, its entries taken into the register of data."""
    with clock.fixed(NOW):
        seed(PEOPLE)
        take_in_missing()


@pytest.fixture(scope="module")
def seeded(stage: Stage) -> Iterator[None]:
    """Seed once and stand there for a module; each test has a transaction of its own."""
    with stage.standing_on(stage.seeded(seed_register)):
        yield


@pytest.fixture
def city(seeded, db) -> City:
    """The seeded city, as it was, for one test."""
    return City()
