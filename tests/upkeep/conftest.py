"""The office of the compiling tests, under any city's rules, for the tests of upkeep."""

from tests.compiling.conftest import office, seeded, set_time, under

__all__ = ["office", "seeded", "set_time", "under"]
