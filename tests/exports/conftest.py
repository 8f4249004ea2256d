"""A city some of whose entries are open: the rows are written as publishing writes them."""

from collections.abc import Iterator
from threading import BoundedSemaphore

import pytest

from shuqiao.control import clock
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.exports import limits
from tests.control.conftest import BIRTH, HOUSEHOLD, NOW, City, committed_city, seeded

__all__ = ["BIRTH", "HOUSEHOLD", "committed_city", "seeded"]


def opened(resource: str, conditions: str = "") -> Resource:
    """Mark an entry as its department's publication does: in the content and in the column."""
    found = Resource.objects.get(id=resource)
    found.content = found.content | {"open_to_public": True, "open_conditions": conditions}
    found.open_to_public = True
    found.save(update_fields=["content", "open_to_public"])
    return found


@pytest.fixture(autouse=True)
def set_time() -> Iterator[None]:
    """Hold the clock."""
    with clock.fixed(NOW):
        yield


@pytest.fixture(autouse=True)
def full_buckets(monkeypatch) -> None:
    """Each test begins with nobody having asked anything, and no file under way."""
    places = {reader: BoundedSemaphore(number) for reader, number in limits.WHOLE_FILES_AT_ONCE.items()}
    monkeypatch.setattr(limits, "_PLACES", places)
    monkeypatch.setattr(limits, "EACH", limits.Allowance(limits.AT_ONCE, limits.A_MINUTE, limits.REMEMBERED))
    monkeypatch.setattr(limits, "ANYBODY", limits.Allowance(limits.ALL_AT_ONCE, limits.ALL_A_MINUTE, 1))


@pytest.fixture
def city(seeded, db) -> City:
    """The seeded city: one entry is open, the other twenty are not."""
    opened(BIRTH, "注明来源")
    return City()


def sensitive_names(resource: str) -> list[str]:
    """Names of the items of an entry that concern persons."""
    return [
        item.zh for item in Item.objects.filter(resource_id=resource) if item.sensitivity or item.identity
    ]
