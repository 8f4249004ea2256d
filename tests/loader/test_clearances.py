"""Nothing is provided before the reviews that the regulation demands are signed: real node and loader."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from shuqiao.edge.mapping import version_of
from tests.loader.line import BIRTHS, HEALTH, Line, wait_for
from tests.loader.test_stepping_back import status

pytestmark = pytest.mark.database


def demand(line: Line, *kinds: str) -> None:
    """The regulation in force demands these reviews."""
    for kind in kinds:
        line.ask("INSERT INTO exchange.clearance_kind VALUES (%s, 'a made-up article')", kind)


def signed(line: Line, kind: str, mapping: str = "", days: tuple[int, int] = (0, 30)) -> UUID:
    """A person of the department signs for the mapping in use, or another."""
    file = line.node_home / "mappings" / "birth.yaml"
    key, today = uuid4(), date.today()
    line.ask(
        "SELECT exchange.sign_clearance(%s, %s, %s, %s, %s, %s, 'chen', clock_timestamp())",
        key,
        BIRTHS,
        kind,
        mapping or version_of(file.read_bytes()),
        today + timedelta(days=days[0]),
        today + timedelta(days=days[1]),
    )
    return key


def refusals(line: Line) -> set[str]:
    """Why batches were refused whole."""
    return {row["reason"] for row in line.ask("SELECT reason FROM exchange.batch_refusal")}


@pytest.mark.requirement("ING-04")
@pytest.mark.requirement("COL-09")
async def test_batches_wait_for_both_reviews_and_cite_them(line: Line) -> None:
    rows = await line.set_up(people=600)
    demand(line, "secrecy", "verification")
    signed(line, "secrecy", mapping="another")
    line.start("loader", "node")
    wait_for(lambda: refusals(line) == {"batch_not_cleared"}, what="the refusal")
    secrecy = signed(line, "secrecy")
    assert line.count() == 0, "one review of two is not enough"
    cited = line.ask("SELECT body FROM audit.entry WHERE event = 'batch_refused'")
    assert cited and all('"articles": ["a made-up article"]' in one["body"] for one in cited)
    wait_for(lambda: status(line).get("refused_rule") == "a made-up article", what="the rule at the node")
    verification = signed(line, "verification")
    wait_for(lambda: line.count() == rows, what="what waited")
    assert line.base_checksum() == line.source_checksum()
    cited = line.ask("SELECT DISTINCT clearances FROM exchange.batch WHERE resource_id = %s", BIRTHS)
    assert cited == [{"clearances": [secrecy, verification]}]
    entries = line.ask("SELECT body FROM audit.entry WHERE event = 'batch_merged'")
    assert entries and all(str(secrecy) in one["body"] for one in entries)
    said = line.ask("SELECT actor, department FROM audit.entry WHERE event = 'clearance_signed'")
    assert {(one["actor"], one["department"]) for one in said} == {("account:chen", HEALTH)}


@pytest.mark.requirement("ING-04")
async def test_a_changed_structure_voids_what_was_signed_for_the_old_one(line: Line) -> None:
    rows = await line.set_up(people=20)
    demand(line, "secrecy")
    signed(line, "secrecy")
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the load")
    line.ask(
        "UPDATE exchange.resource SET spec = jsonb_set(spec, '{items,0,zh}', '\"改名\"') WHERE id = %s",
        BIRTHS,
    )
    line.change_source("UPDATE csyxzm SET qfjg = '样例医院', gxsj = now()")
    wait_for(lambda: "batch_not_cleared" in refusals(line), what="the refusal")
    voided = line.ask("SELECT outcome, actor FROM audit.entry WHERE event = 'clearance_voided'")
    assert voided == [{"outcome": "schema", "actor": "system:catalogue"}]
    assert line.base_checksum() != line.source_checksum()
    signed(line, "secrecy")
    wait_for(lambda: line.base_checksum() == line.source_checksum(), what="what waited")


@pytest.mark.requirement("ING-04")
async def test_another_mapping_and_another_time_are_not_covered(line: Line) -> None:
    await line.set_up(people=20)
    demand(line, "secrecy")
    signed(line, "secrecy")
    file = line.node_home / "mappings" / "birth.yaml"
    file.write_text(file.read_text() + "\n# A word more makes it another version.\n")
    line.start("loader", "node")
    wait_for(lambda: "batch_not_cleared" in refusals(line), what="the refusal")
    signed(line, "secrecy", days=(1, 30))
    assert line.count() == 0, "from tomorrow is not today"
    key = signed(line, "secrecy")
    wait_for(line.count, what="the load")
    assert line.ask("SELECT exchange.void_clearance(%s, 'chen', now()) AS done", key) == [{"done": True}]
    line.change_source("UPDATE csyxzm SET qfjg = '样例医院', gxsj = now()")
    before = len(line.ask("SELECT 1 AS n FROM exchange.batch_refusal"))
    wait_for(lambda: len(line.ask("SELECT 1 AS n FROM exchange.batch_refusal")) > before, what="the refusal")


async def test_where_the_text_demands_nothing_nothing_is_asked_for(line: Line) -> None:
    rows = await line.set_up(people=20)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the load")
    assert line.ask("SELECT DISTINCT clearances FROM exchange.batch") == [{"clearances": []}]
