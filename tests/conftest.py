"""What all tests share; the servers are in `tests/plugins/server.py`."""

# pytest-django has a fixture of this name; a plugin loaded before it would lose, a conftest wins.
from tests.plugins.server import django_db_setup

__all__ = ["django_db_setup"]
