"""What all tests share; the servers are in `tests/plugins/server.py`, Django's databases in `stages.py`."""

import os
from collections.abc import Iterator
from functools import lru_cache

import pytest
from django.utils import translation
from httpx._transports import default as transport

# pytest-django has a fixture of this name; a plugin loaded before it would lose, a conftest wins.
from tests.plugins.stages import django_db_setup, stage

# What a node says is compared in English, whatever language this machine speaks; nodes of a test inherit it.
os.environ["SHUQIAO_LANGUAGE"] = "en"

# Reading the authorities of the world takes longer than most calls do: they are read once.
transport.create_ssl_context = lru_cache(maxsize=16)(transport.create_ssl_context)

__all__ = ["django_db_setup", "stage"]


@pytest.fixture(autouse=True)
def as_a_page_begins() -> Iterator[None]:
    """No test reads in the language that an earlier one's page was in."""
    translation.deactivate()
    yield
