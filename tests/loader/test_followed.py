"""A department's table followed by its database's log, through every real process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.loader.line import Line, wait_for
from tests.loader.test_kills import receipted
from tests.plugins.departments import Department
from tests.plugins.logged import in_logged

pytestmark = pytest.mark.database


@pytest.fixture(params=["embedded", "debian"])
def department(line: Line, request: pytest.FixtureRequest) -> Iterator[Department]:
    """The department's database on a server with a logical log; the line reads it."""
    with in_logged(request.getfixturevalue(f"logged_{request.param}")) as made:
        line.source = made.url
        yield made
        for child in line.children.values():
            child.end()


def follow(line: Line) -> None:
    """Let the node follow the births by the log."""
    path = line.node_home / "mappings" / "birth.yaml"
    path.write_text(path.read_text() + "capture: {by: log}\n")


async def test_a_table_is_loaded_and_followed_with_its_deletions(line: Line, department: Department) -> None:
    rows = await line.set_up(people=1500)
    follow(line)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the full load")
    assert line.base_checksum() == line.source_checksum()
    department.run("UPDATE csyxzm SET jkzk = '3' WHERE zsbh IN (SELECT zsbh FROM csyxzm LIMIT 7)")
    department.run("DELETE FROM csyxzm WHERE zsbh IN (SELECT max(zsbh) FROM csyxzm)")
    department.run(
        "UPDATE csyxzm SET zsbh = 'X' || substr(zsbh, 2) WHERE zsbh IN (SELECT min(zsbh) FROM csyxzm)"
    )
    wait_for(lambda: line.base_checksum() == line.source_checksum(), what="the changes")
    assert line.count() == rows - 1
