"""The city that compiles, under each regulation; as in the tests of compiling."""

from tests.compiling.conftest import office, seeded, set_time, under
from tests.exports.conftest import full_buckets

__all__ = ["full_buckets", "office", "seeded", "set_time", "under"]
