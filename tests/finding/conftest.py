"""The seeded city of control, for what readers find and keep."""

import pytest

from shuqiao.control.regulations.current import forget_calendar
from tests.control.conftest import City, seeded, set_time

__all__ = ["seeded", "set_time"]


@pytest.fixture
def city(seeded, db) -> City:
    """The seeded city, as it was, for one test."""
    forget_calendar()
    return City()
