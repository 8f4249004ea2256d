"""A line from a department's table to the hub, made anew for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.loader.line import Line


@pytest.fixture
def line(
    hub_database: Any, vault_url: str, empty_database: str, request: pytest.FixtureRequest
) -> Iterator[Line]:
    """The parts of a line with nothing started; a failing test prints what the processes wrote."""
    made = Line(hub_database, vault_url, empty_database)
    yield made
    try:
        if made.children:
            print(made.logs())
    finally:
        made.close()
