"""The seeded city of control, for what readers find and keep."""

from collections.abc import Iterator

import pytest
from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.regulations.current import forget_calendar
from tests.control.conftest import NOW, City, seed, set_time

__all__ = ["set_time"]


@pytest.fixture(scope="module")
def seeded(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Seed once a module; each test has its own savepoint."""
    with django_db_blocker.unblock():
        block = transaction.atomic()
        block.__enter__()
        with clock.fixed(NOW):
            seed()
        yield
        transaction.set_rollback(True)
        block.__exit__(None, None, None)


@pytest.fixture
def city(seeded, db) -> City:
    """The seeded city, as it was, for one test."""
    forget_calendar()
    return City()
