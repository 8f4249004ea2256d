"""The seeded city, for the tests of standards."""

from tests.control.conftest import city, committed_city, seeded, set_time

__all__ = ["city", "committed_city", "seeded", "set_time"]
