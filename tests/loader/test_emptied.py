"""A source table that is emptied doesn't empty its list, until a person says so: real processes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.loader.line import BIRTHS, HEALTH, Line, wait_for
from tests.loader.test_kills import receipted
from tests.loader.test_removals import capture

pytestmark = pytest.mark.database

RANGES = "capture:\n  by: ranges\n  compare_every: 1s\n"


def told(line: Line) -> dict[str, Any]:
    """What the node says of the table."""
    found = line.ask(
        "SELECT state -> 'lines' -> 0 AS line FROM exchange.node_state WHERE department = %s", HEALTH
    )
    return dict(found[0]["line"]) if found and found[0]["line"] else {"state": ""}


def order(line: Line, what: str, rows: int | None = None) -> None:
    """Ask the node for something, as the office does."""
    sql = "SELECT exchange.order_node(%s, %s, %s, 'account:ren', clock_timestamp(), %s) AS done"
    assert line.ask(sql, HEALTH, BIRTHS, what, rows)[0]["done"]


def comparisons(line: Line) -> int:
    """How many comparisons of the node ended with removals held back."""
    return line.children["node"].written().count("removals_held ")


def followed(line: Line) -> int:
    """How many orders the node has followed."""
    return line.children["node"].written().count("followed ")


async def test_removals_found_by_comparing_wait_for_a_word_and_everything_else_goes_on(line: Line) -> None:
    line.node_settings["NODE_STATE_SECONDS"] = "0.2"
    rows = await line.set_up(people=2000)
    capture(line, RANGES, changed=False)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    line.change_source("CREATE TABLE kept AS SELECT * FROM csyxzm")
    line.change_source("DELETE FROM csyxzm")
    wait_for(lambda: told(line)["state"] == "held_back", what="the hold")
    assert (told(line)["held_back"], told(line)["held_of"], line.count()) == (rows, rows, rows)
    # The table is back, one row changed and three gone: nobody has to say anything.
    line.change_source("INSERT INTO csyxzm SELECT * FROM kept ORDER BY zsbh OFFSET 3")
    line.change_source("UPDATE csyxzm SET jkzk = '9' WHERE zsbh = (SELECT max(zsbh) FROM csyxzm)")
    wait_for(lambda: line.count() == rows - 3 and told(line)["state"] == "up", what="the table that is back")
    # Emptied for good: a word is followed, and the hold outlives the process.
    line.change_source("DELETE FROM csyxzm")
    wait_for(lambda: told(line)["state"] == "held_back", what="the hold")
    line.children["node"].kill()
    line.start("node")
    wait_for(lambda: told(line)["state"] == "held_back", what="the hold after a kill")
    assert line.count() == rows - 3
    # A word about fewer rows than would leave by now is none.
    order(line, "let-through", rows - 4)
    wait_for(lambda: followed(line) == 1, what="the word heard")
    seen = comparisons(line)
    wait_for(lambda: comparisons(line) >= seen + 2, what="comparisons after it")
    assert line.count() == rows - 3 and told(line)["state"] == "held_back"
    order(line, "let-through", rows - 3)
    wait_for(lambda: line.count() == 0 and told(line)["state"] == "up", what="the removal")


async def test_a_full_load_of_an_emptied_table_says_nothing_before_a_word(line: Line) -> None:
    line.node_settings["NODE_STATE_SECONDS"] = "0.2"
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    line.change_source("TRUNCATE csyxzm")
    order(line, "reload")
    wait_for(lambda: told(line)["state"] == "held_back", what="the hold")
    assert (told(line)["held_back"], line.count()) == (rows, rows)
    order(line, "let-through", rows)
    wait_for(lambda: line.count() == 0 and told(line)["state"] == "up", what="the removal")
