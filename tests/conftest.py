"""What all tests share; the servers are in `tests/plugins/server.py`, Django's databases in `stages.py`."""

# pytest-django has a fixture of this name; a plugin loaded before it would lose, a conftest wins.
from tests.plugins.stages import django_db_setup, stage

__all__ = ["django_db_setup", "stage"]
