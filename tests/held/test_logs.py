"""The node's own log: durable before the answer, chained, and held against the platform's."""

import contextlib
import signal
import sys
import uuid
from typing import Any

import pytest

from shuqiao.cli import main as shuqiao
from tests.held.conftest import PERMITS, PROVIDER, HeldCity, number, settle
from tests.loader.line import Child, wait_for

DIES = """
import os, signal
from shuqiao.edge.held import line
async def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
line.HeldLine._say = die
from shuqiao.edge.main import main
main()
"""
"""The node, killed between its log and its answer."""


@pytest.mark.requirement("ING-09")
def test_killed_between_log_and_answer_the_line_is_there_and_the_call_is_used_up(city: HeldCity) -> None:
    grant = city.agreed("query")
    city.children["node"].end()
    city.children["dying"] = Child(
        "dying", [sys.executable, "-c", DIES], city.node_environment(), city.folder / "dying.log"
    )
    city.start_node("dying")
    answer = city.ask(grant, number(3))
    assert (answer.status, answer.code) == (504, "node_silent")
    dying = city.children["dying"].process
    assert dying is not None and dying.wait(timeout=5) == -signal.SIGKILL
    (entry,) = [row for row in city.logged("call_refused") if row["outcome"] == "node_silent"]
    (line,) = [row for row in city.lines("answered") if row["grant"] == grant.id]
    assert line["call"] == entry["id"].hex
    city.start_node()
    assert shuqiao(["node", "log", "--home", str(city.home)]) == 0
    settle(city, grant)
    assert city.ask(grant, number(3)).status == 200
    # The two logs don't contradict each other: the platform knows that it asked.
    assert report(city)["differences"] == 0


def report(city: HeldCity) -> dict[str, Any]:
    """Start the node anew, which brings its log, and return what the platform found."""
    wait_for(lambda: second_has_passed(city), 5)
    city.children["node"].end()
    count = "SELECT count(*), max(compared_at) FROM exchange.node_report"
    before = city.admin.execute(count).fetchone()
    city.start_node()
    wait_for(lambda: city.admin.execute(count).fetchone() != before, 10, "the report")
    row = city.admin.execute(
        'SELECT calls, missing, "unknown", other FROM exchange.node_report ORDER BY compared_at DESC LIMIT 1'
    ).fetchone()
    assert row is not None
    found = dict(zip(("calls", "missing", "unknown", "other"), row, strict=True))
    return found | {"differences": sum(len(found[kind]) for kind in ("missing", "unknown", "other"))}


def change(city: HeldCity, statement: str, *values: Any) -> None:
    """Change the node's file, as somebody with its disk could."""
    with contextlib.closing(city.store()) as store:
        store.execute(statement, values)


def again_from_the_start(city: HeldCity) -> None:
    """Let the node bring everything once more."""
    change(city, "DELETE FROM report")


@pytest.mark.requirement("ING-09")
def test_the_logs_agree_call_by_call(city: HeldCity) -> None:
    report(city)
    grant = city.agreed("query")
    for serial in (1, 2, 3):
        assert city.ask(grant, number(serial)).status == 200
    found = report(city)
    assert (found["calls"], found["differences"]) == (3, 0)
    (entry,) = city.logged("node_log_compared")[-1:]
    assert (entry["outcome"], entry["provider"], entry["said"]["calls"]) == ("agrees", PROVIDER, 3)
    assert entry["said"]["head"] == city.lines()[-1]["digest"].hex()


def second_has_passed(city: HeldCity) -> bool:
    """A report ends before the second that is not over."""
    with contextlib.closing(city.store()) as store:
        (late,) = store.execute(
            "SELECT max(moment) >= unixepoch()"
            " FROM (SELECT made AS moment FROM line UNION ALL SELECT until FROM report)"
        ).fetchone()
    return not late


@pytest.mark.requirement("ING-09")
def test_a_removed_line_is_found(city: HeldCity, capsys: pytest.CaptureFixture[str]) -> None:
    grant = city.agreed("query")
    answers = [city.ask(grant, number(serial)) for serial in (1, 2, 3)]
    gone = uuid.UUID(answers[1].body["entry"])
    wait_for(lambda: second_has_passed(city), 5)
    with contextlib.closing(city.store()) as store:
        kept = store.execute("SELECT * FROM line WHERE call = ?", [gone.bytes]).fetchone()
        store.execute("DELETE FROM line WHERE call = ?", [gone.bytes])
    try:
        again_from_the_start(city)
        found = report(city)
        assert found["missing"] == [gone] and found["other"] == []
        assert city.logged("node_log_compared")[-1]["said"]["missing"] == [str(gone)]
        assert shuqiao(["node", "log", "--home", str(city.home)]) == 1
        assert f"line {kept[0] + 1} does not follow" in capsys.readouterr().err
    finally:
        change(city, "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?)", *kept)
    again_from_the_start(city)
    assert report(city)["missing"] == []


@pytest.mark.requirement("ING-09")
def test_a_rewritten_line_is_found(city: HeldCity) -> None:
    grant = city.agreed("query")
    call = uuid.UUID(city.ask(grant, number(1)).body["entry"])
    wait_for(lambda: second_has_passed(city), 5)
    with contextlib.closing(city.store()) as store:
        (digest,) = store.execute("SELECT digest FROM line WHERE call = ?", [call.bytes]).fetchone()
    change(city, "UPDATE line SET digest = ? WHERE call = ?", bytes(32), call.bytes)
    try:
        again_from_the_start(city)
        assert report(city)["other"] == [call]
    finally:
        change(city, "UPDATE line SET digest = ? WHERE call = ?", digest, call.bytes)


@pytest.mark.requirement("ING-09")
def test_a_call_the_platform_does_not_know_of_is_found(city: HeldCity) -> None:
    # Somebody with the platform's database hides that a call was ever made.
    grant = city.agreed("query")
    call = uuid.UUID(city.ask(grant, number(1)).body["entry"])
    wait_for(lambda: second_has_passed(city), 5)
    for statement in (
        "ALTER TABLE audit.entry DISABLE TRIGGER ALL",
        f"DELETE FROM audit.entry WHERE id = '{call}' OR (event = 'held_asked' AND body LIKE '%{call}%')",
        "ALTER TABLE audit.entry ENABLE TRIGGER ALL",
    ):
        city.admin.execute(statement.encode())
    again_from_the_start(city)
    assert call in report(city)["unknown"]
    change(city, "DELETE FROM line WHERE call = ?", call.bytes)


def test_a_report_that_is_not_the_nodes_changes_nothing(city: HeldCity) -> None:
    before = city.admin.execute("SELECT count(*), max(compared_at) FROM exchange.node_report").fetchone()
    forged = city.children["loader"].written().count("node_report_refused")
    row = city.admin.execute(
        "SELECT public_key FROM exchange.node WHERE department = %s", [PROVIDER]
    ).fetchone()
    update = "UPDATE exchange.node SET public_key = %s WHERE department = %s"
    city.admin.execute(update, [b"\x30\x00", PROVIDER])
    try:
        city.children["node"].end()
        city.start_node()
        written = city.children["loader"].written
        wait_for(lambda: written().count("node_report_refused") > forged, 10, "the refusal")
    finally:
        city.admin.execute(update, [row[0] if row else None, PROVIDER])
    after = city.admin.execute("SELECT count(*), max(compared_at) FROM exchange.node_report").fetchone()
    assert after == before and PERMITS not in city.children["loader"].written()
