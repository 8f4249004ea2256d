"""A refused batch is kept: tried again after growing pauses, or parted until the row at fault is found."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import psycopg
import pytest

from shuqiao.security.keys import generate_signing_key, public_der
from tests.loader.line import BIRTH_SPEC, BIRTHS, HEALTH, Line, wait_for
from tests.loader.test_kills import receipted

pytestmark = pytest.mark.database

POISON = "样例毒值"


def status(line: Line) -> dict[str, Any]:
    """What the node says of the list."""
    path = line.node_home / "status.json"
    if not path.exists():
        return {}
    found: dict[str, Any] = msgspec.json.decode(path.read_bytes())["resources"][BIRTHS]
    return found


def refusals(line: Line) -> int:
    """How often the loader refused a batch."""
    return line.children["loader"].written().count("batch_refused")


def poison(line: Line) -> None:
    """Let the database refuse one value for a reason that no check of the loader foresees."""
    line.ask(
        "CREATE FUNCTION public.refuse_value() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF NEW.certificate_issuing_unit = '{POISON}' THEN"
        " RAISE EXCEPTION 'refused' USING ERRCODE = 'data_exception'; END IF; RETURN NEW; END $$"
    )
    line.ask(
        f"CREATE TRIGGER refuse_value BEFORE INSERT OR UPDATE ON base.{BIRTHS}"
        " FOR EACH ROW EXECUTE FUNCTION public.refuse_value()"
    )


def poisoned_key(line: Line) -> str:
    """Give one row in the middle of the source that value."""
    with psycopg.connect(line.source, autocommit=True) as source:
        row = source.execute("SELECT zsbh FROM csyxzm ORDER BY zsbh OFFSET 133 LIMIT 1").fetchone()
        assert row is not None
        source.execute("UPDATE csyxzm SET qfjg = %s WHERE zsbh = %s", [POISON, row[0]])
    return str(row[0])


def set_apart(line: Line) -> list[dict[str, Any]]:
    """The faults of the ledger that say a row was set apart."""
    found = [fault for entry in line.ledger() for fault in entry["rejected"]]
    return [fault for fault in found if fault["code"] == "row_refused"]


def shown_faults(line: Line) -> list[list[Any]]:
    """The faults that the node's status tells; it is written a moment after what it tells."""
    return [fault for batch in status(line)["faulty"] for fault in batch["rejected"]]


async def test_a_node_that_is_refused_tries_less_and_less_and_goes_on_when_it_may(line: Line) -> None:
    line.node_settings = {"NODE_RESEND_SECONDS": "0.5"}
    rows = await line.set_up(people=600)
    line.ask("UPDATE exchange.node SET active = false WHERE department = %s", HEALTH)
    line.start("loader", "node")
    wait_for(lambda: status(line).get("state") == "refused", what="the refusal at the node")
    before = refusals(line)
    await asyncio.sleep(8)
    assert 1 <= refusals(line) - before <= 5
    said = status(line)
    assert (said["refused"], said["waiting_rows"]) == ("batch_signature_invalid", rows)
    assert 0 <= said["next_try_s"] <= 16
    line.ask("UPDATE exchange.node SET active = true WHERE department = %s", HEALTH)
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    wait_for(lambda: status(line)["refused"] is None, what="the status without a refusal")
    assert [entry["accepted"] for entry in line.ledger()] == [rows]


@pytest.mark.parametrize("phase", ["full", "changes"])
async def test_one_row_the_hub_cannot_take_is_set_apart_and_comes_when_it_changed(
    line: Line, phase: str
) -> None:
    rows = await line.set_up(people=600)
    poison(line)
    if phase == "changes":
        line.start("loader", "node")
        wait_for(lambda: line.count() == rows and receipted(line), what="the load")
        line.change_source("UPDATE csyxzm SET jkzk = '7'")
        key = poisoned_key(line)
    else:
        key = poisoned_key(line)
        line.start("loader", "node")
    arrived = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE version = %s"
    good = [{"n": rows - 1}]
    version = 2 if phase == "changes" else 1
    wait_for(lambda: line.ask(arrived, version) == good, what="the good rows")
    wait_for(lambda: set_apart(line) and receipted(line), what="the row set apart")
    assert set_apart(line) == [{"row": 0, "item": BIRTH_SPEC.record_key, "code": "row_refused"}]
    fault = [0, BIRTH_SPEC.record_key, "row_refused"]
    wait_for(lambda: fault in shown_faults(line), what="the fault in the node's status")
    sequences = [entry["sequence"] for entry in line.ledger()]
    assert sequences == list(range(1, len(sequences) + 1))
    line.change_source("UPDATE csyxzm SET qfjg = '样例更正医院' WHERE zsbh = %s", key)
    corrected = f"SELECT count(*) AS n FROM base.{BIRTHS} WHERE certificate_issuing_unit = '样例更正医院'"
    wait_for(lambda: line.ask(corrected) == [{"n": 1}], what="the corrected row")
    assert line.count() == rows


async def test_where_no_row_is_at_fault_nothing_is_set_apart_and_nothing_lost(line: Line) -> None:
    line.node_settings = {"NODE_RESEND_SECONDS": "1"}
    rows = await line.set_up(people=300)
    other = msgspec.structs.replace(BIRTH_SPEC, items=BIRTH_SPEC.items[:-1])
    change = "UPDATE exchange.resource SET spec = %s::jsonb WHERE id = %s"
    line.ask(change, msgspec.json.encode(other).decode(), BIRTHS)
    line.start("loader", "node")
    wait_for(lambda: status(line).get("next_try_s") is not None, what="the pause")
    assert status(line)["refused"] == "batch_malformed"
    before = refusals(line)
    await asyncio.sleep(6)
    assert refusals(line) - before <= 8
    assert line.ledger() == []
    line.children["node"].kill()
    line.start("node")
    line.ask(change, msgspec.json.encode(BIRTH_SPEC).decode(), BIRTHS)
    wait_for(lambda: line.count() >= rows - 1 and receipted(line), what="the load")
    assert line.count() + len(set_apart(line)) == rows


async def test_batches_signed_with_a_former_key_are_signed_anew(line: Line) -> None:
    rows = await line.set_up(people=600)
    line.ask(
        "UPDATE exchange.node SET public_key = %s WHERE department = %s",
        public_der(generate_signing_key().public_key()),
        HEALTH,
    )
    line.start("loader", "node")
    wait_for(lambda: status(line).get("refused") == "batch_signature_invalid", what="the refusal")
    line.children["node"].kill()
    (line.node_home / "keys" / "signing.pem").unlink()
    await line.enrol(HEALTH)
    line.start("node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")


async def test_removals_that_are_refused_are_tried_less_and_less(line: Line) -> None:
    line.node_settings = {"NODE_RESEND_SECONDS": "1"}
    rows = await line.set_up(people=100)
    (path,) = (line.node_home / "mappings").glob("*birth*.yaml")
    ranges = "capture:\n  by: ranges\n  compare_every: 1s\n  remove_at_most: 100%\n"
    path.write_text(path.read_text().replace("  changed: gxsj\n", "") + ranges)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    line.ask(
        "CREATE FUNCTION public.refuse_removal() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'data_exception'; END $$"
    )
    line.ask(
        f"CREATE TRIGGER refuse_removal BEFORE DELETE ON base.{BIRTHS}"
        " FOR EACH ROW EXECUTE FUNCTION public.refuse_removal()"
    )
    line.change_source("DELETE FROM csyxzm WHERE zsbh = (SELECT min(zsbh) FROM csyxzm)")
    wait_for(lambda: (status(line).get("next_try_s") or 0) > 3.5, 120, what="a pause that has grown twice")
    assert status(line)["refused"] == "batch_malformed"
    assert line.count() == rows
    line.ask(f"DROP TRIGGER refuse_removal ON base.{BIRTHS}")
    wait_for(lambda: line.count() == rows - 1 and receipted(line), what="the removal")
