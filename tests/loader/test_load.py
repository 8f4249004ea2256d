"""From the department's table to the base table and the vault, through every real process."""

from __future__ import annotations

import shutil

import msgspec
import psycopg
import pytest

from shuqiao.security.keys import load_or_create_signing_key
from tests.loader.line import BIRTHS, HEALTH, Line, wait_for

pytestmark = pytest.mark.database


@pytest.mark.requirement("ING-14")
async def test_a_full_load_equals_the_source_and_keeps_its_origin(line: Line) -> None:
    rows = await line.set_up(people=5000)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the full load")
    assert line.base_checksum() == line.source_checksum()
    ledger = line.ledger()
    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert sum(entry["inserted"] for entry in ledger) == rows
    origin = line.ask(
        f"SELECT DISTINCT source_department, source_system, version, batch_sequence FROM base.{BIRTHS}"
    )
    assert origin == [
        {
            "source_department": HEALTH,
            "source_system": "csyxzm-v3",
            "version": 1,
            "batch_sequence": entry["sequence"],
        }
        for entry in ledger
    ]
    # The time of collection stands in the signed manifest of the batch, the time of receipt with the row.
    checked = line.ask(
        "SELECT bool_and((b.manifest::jsonb ->> 'created')::timestamptz < r.received_at) AS ok, count(*) AS n"
        f" FROM base.{BIRTHS} r JOIN exchange.batch b ON b.resource_id = '{BIRTHS}'"
        " AND b.department = r.source_department AND b.sequence = r.batch_sequence"
    )
    assert checked == [{"ok": True, "n": rows}]
    merged = line.ask("SELECT department, resource_id FROM audit.entry WHERE event = 'batch_merged'")
    assert merged == [{"department": HEALTH, "resource_id": BIRTHS}] * len(ledger)


async def test_bad_rows_come_back_with_row_item_and_reason_while_good_rows_merge(line: Line) -> None:
    rows = await line.set_up(people=600)
    keys = _source_keys(line)
    line.change_source("UPDATE csyxzm SET mqsfzh = '440105199103089910' WHERE zsbh = %s", keys[3])
    line.change_source("UPDATE csyxzm SET xb = 'X' WHERE zsbh = %s", keys[5])
    line.change_source("UPDATE csyxzm SET mqxm = ' ' WHERE zsbh = %s", keys[7])
    line.change_source("UPDATE csyxzm SET csrq = '1700-01-01' WHERE zsbh = %s", keys[8])
    line.change_source("UPDATE csyxzm SET csrq = 'infinity' WHERE zsbh = %s", keys[9])
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows - 5, what="the load")
    expected = [
        [3, "mother_citizen_id_number", "identifier_check_digit"],
        [5, "sex_code", "item_code_unknown"],
        [7, "mother_name", "item_required"],
        [8, "birth_date", "date_impossible"],
        [9, "birth_date", "date_impossible"],
        [9, "birth_date", "item_required"],
    ]
    entry = line.ledger()[0]
    assert [[fault["row"], fault["item"], fault["code"]] for fault in entry["rejected"]] == expected
    assert entry["accepted"] == rows - 5
    status = wait_for(lambda: _latest(line), what="the receipt at the node")
    assert status["rejected"] == expected
    assert status["accepted"] == rows - 5


async def test_rows_changed_just_before_the_full_load_are_sent_once(line: Line) -> None:
    rows = await line.set_up(people=600)
    line.change_source("UPDATE csyxzm SET jkzk = '7'")
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and _latest(line), what="the load")
    line.change_source("UPDATE csyxzm SET jkzk = '8' WHERE zsbh = %s", _source_keys(line)[0])
    wait_for(lambda: len(line.ledger()) == 2, what="the change")
    assert [entry["accepted"] for entry in line.ledger()] == [rows, 1]


async def test_changed_rows_arrive_as_second_version_with_history(line: Line) -> None:
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the load")
    keys = _source_keys(line)
    line.change_source("UPDATE csyxzm SET jkzk = '9' WHERE zsbh = %s", keys[0])
    line.change_source(
        "INSERT INTO csyxzm SELECT 'Z999999999', xsexm, xb, jkzk, mqxm, mqsfzh, fqxm, fqsfzh, csrq, qfsj,"
        " qfjg, clock_timestamp(), sample_note FROM csyxzm WHERE zsbh = %s",
        keys[1],
    )
    wait_for(lambda: line.count() == rows + 1, what="the new row")
    second = wait_for(
        lambda: line.ask(f"SELECT health_status_code, version FROM base.{BIRTHS} WHERE version > 1"),
        what="the changed row",
    )
    assert second == [{"health_status_code": "9", "version": 2}]
    history = line.ask(f"SELECT version, health_status_code FROM base_history.{BIRTHS}")
    assert [row["version"] for row in history] == [1]
    assert history[0]["health_status_code"] != "9"


async def test_a_transaction_that_commits_late_is_not_missed(line: Line) -> None:
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the load")
    keys = _source_keys(line)
    with psycopg.connect(line.source) as late:
        # The late row carries an earlier time than the row that is committed and read first.
        late.execute("UPDATE csyxzm SET jkzk = '8' WHERE zsbh = %s", [keys[0]])
        line.change_source("UPDATE csyxzm SET jkzk = '7' WHERE zsbh = %s", keys[1])
        codes = f"SELECT health_status_code AS code FROM base.{BIRTHS} WHERE version = 2 ORDER BY 1"
        wait_for(lambda: line.ask(codes) == [{"code": "7"}], what="the row committed first")
        late.commit()
    wait_for(lambda: line.ask(codes) == [{"code": "7"}, {"code": "8"}], what="the late row")
    updated = sum(entry["updated"] for entry in line.ledger())
    assert updated == 2


async def test_a_node_whose_disk_was_lost_goes_on_where_the_ledger_stands(line: Line) -> None:
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the load")
    line.children["node"].kill()
    shutil.rmtree(line.node_home / "spool")
    line.start("node")
    wait_for(lambda: len(line.ledger()) >= 2, what="the second load")
    second = line.ledger()[1]
    assert (second["inserted"], second["updated"], second["unchanged"]) == (0, 0, rows)


async def test_a_hub_restored_from_an_older_backup_gets_everything_again(line: Line) -> None:
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and _latest(line), what="the load and its receipt")
    line.ask(f"DELETE FROM base.{BIRTHS}")
    line.ask("DELETE FROM exchange.batch")
    line.change_source("UPDATE csyxzm SET jkzk = '7' WHERE zsbh IN (SELECT zsbh FROM csyxzm LIMIT 1)")
    wait_for(lambda: line.count() == rows, what="the load from the beginning")
    assert line.ledger()[0]["sequence"] == 1


async def test_a_receipt_of_another_key_deletes_nothing(line: Line) -> None:
    rows = await line.set_up(people=600)
    forger = line.secrets / "receipts.pem"
    forger.unlink()
    load_or_create_signing_key(forger)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows, what="the load")
    status = wait_for(lambda: _untrusted(line), what="the distrust")
    assert status["waiting_rows"] == rows
    assert status["latest"] == []


def _untrusted(line: Line) -> dict[str, object] | None:
    path = line.node_home / "status.json"
    if not path.exists():
        return None
    status: dict[str, object] = msgspec.json.decode(path.read_bytes())["resources"][BIRTHS]
    return status if status["state"] == "receipt_untrusted" else None


def _source_keys(line: Line) -> list[str]:
    with psycopg.connect(line.source) as connection:
        return [row[0] for row in connection.execute("SELECT zsbh FROM csyxzm ORDER BY zsbh LIMIT 20")]


def _latest(line: Line) -> dict[str, object] | None:
    status = msgspec.json.decode((line.node_home / "status.json").read_bytes())
    latest = status["resources"][BIRTHS]["latest"]
    return latest[-1] if latest else None
