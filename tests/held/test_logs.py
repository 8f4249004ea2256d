"""The node's own log: durable before the answer, chained, and held against the platform's."""

import asyncio
import contextlib
import signal
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from nats.errors import Error as NatsError

from shuqiao.cli import main as shuqiao
from shuqiao.security import keys
from shuqiao.wire import nats_client, node_home
from shuqiao.wire.held import Report, decode_compared, report_subject, sign_report
from shuqiao.wire.subjects import inbox_prefix
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
    wait_for(lambda: second_has_passed(city))
    city.children["node"].end()
    count = "SELECT count(*), max(compared_at) FROM exchange.node_report"
    before = city.admin.execute(count).fetchone()
    city.start_node()
    wait_for(lambda: city.admin.execute(count).fetchone() != before, what="the report")
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
    wait_for(lambda: second_has_passed(city))
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
    wait_for(lambda: second_has_passed(city))
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
    wait_for(lambda: second_has_passed(city))
    for statement in (
        "ALTER TABLE audit.entry DISABLE TRIGGER ALL",
        f"DELETE FROM audit.entry WHERE id = '{call}' OR (event = 'held_asked' AND body LIKE '%{call}%')",
        "ALTER TABLE audit.entry ENABLE TRIGGER ALL",
    ):
        city.admin.execute(statement.encode())
    again_from_the_start(city)
    assert call in report(city)["unknown"]
    change(city, "DELETE FROM line WHERE call = ?", call.bytes)


def bring(city: HeldCity, *messages: tuple[str, bytes]) -> list[int | None]:
    """Send reports with the node's own rights on NATS; None where one got no answer."""

    async def talk() -> list[int | None]:
        client = await nats_client.connect(
            city.nats_url,
            city.home / "node.creds",
            city.home / "ca.pem",
            name="rogue",
            inbox_prefix=inbox_prefix(PROVIDER),
        )
        answers: list[int | None] = []
        for resource, message in messages:
            try:
                reply = await client.request(report_subject(PROVIDER, resource), message, timeout=1)
                answers.append(decode_compared(reply.data).differences)
            except NatsError:
                answers.append(None)
        await client.close()
        return answers

    return asyncio.run(talk())


def made_report(city: HeldCity, since: datetime, until: datetime, **changes: Any) -> bytes:
    """A report of no calls, signed by the node."""
    made = Report(PROVIDER, PERMITS, since, until, b"", b"", 0, bytes(32))
    return sign_report(msgspec.structs.replace(made, **changes), node_home.load_key(city.home))


def reports(city: HeldCity) -> Any:
    """What tells whether anything was compared."""
    return city.admin.execute("SELECT count(*), max(compared_at) FROM exchange.node_report").fetchone()


@pytest.mark.requirement("ING-09")
def test_a_report_that_is_not_the_nodes_changes_nothing(city: HeldCity) -> None:
    written = city.children["loader"].written
    before, start = reports(city), len(written())
    read = "SELECT public_key FROM exchange.node WHERE department = %s"
    row = city.admin.execute(read, [PROVIDER]).fetchone()
    assert row is not None
    update = "UPDATE exchange.node SET public_key = %s WHERE department = %s"
    another = keys.public_der(keys.generate_signing_key().public_key())
    end = datetime.now(UTC) - timedelta(hours=1)
    stretch = (end - timedelta(minutes=1), end)
    city.admin.execute(update, [another, PROVIDER])
    try:
        assert bring(city, (PERMITS, made_report(city, *stretch))) == [None]
    finally:
        city.admin.execute(update, [row[0], PROVIDER])
    others = [
        (PERMITS, made_report(city, *stretch, department="440100-police")),
        (PERMITS, made_report(city, *stretch, resource="r440100permitab24")),
        ("r440100permitab24", made_report(city, *stretch)),
        ("r440100permitab24", made_report(city, *stretch, resource="r440100permitab24")),
    ]
    assert bring(city, *others) == [None] * 4
    refused = [line for line in written()[start:].splitlines() if "node_report_refused" in line]
    assert ["signature" in line for line in refused] == [True] + [False] * 4
    assert ["another's" in line for line in refused] == [False] + [True] * 3 + [False]
    assert reports(city) == before
    # The same words are taken where all is as it should be.
    assert bring(city, (PERMITS, made_report(city, *stretch))) != [None]
    city.admin.execute("DELETE FROM exchange.node_report WHERE since = %s", [stretch[0]])


@pytest.mark.requirement("ING-09")
def test_a_report_of_what_is_not_over_is_refused(city: HeldCity) -> None:
    before, now = reports(city), datetime.now(UTC)
    since = now - timedelta(hours=1)
    far = made_report(city, since, datetime(2999, 1, 1, tzinfo=UTC))
    # Even here, where no margin is asked for.
    assert bring(city, (PERMITS, far), (PERMITS, made_report(city, since, since))) == [None, None]
    assert reports(city) == before
    compare = "SELECT exchange.compare_node_log(%s, %s, %s, now() - %s, '{}', '{}', 0, '\\x', '\\x')"
    words = [PROVIDER, PERMITS, since]
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="not over"):
        city.admin.execute(compare, [*words, timedelta(minutes=10, seconds=50)])
    assert reports(city) == before
    with city.admin.transaction(force_rollback=True):
        assert city.admin.execute(compare, [*words, timedelta(minutes=11)]).fetchone() is not None


@pytest.mark.requirement("ING-09")
def test_a_gap_between_two_stretches_hides_no_call(city: HeldCity) -> None:
    grant = city.agreed("query")
    report(city)
    (until,) = city.admin.execute("SELECT max(until) FROM exchange.node_report").fetchone() or (None,)
    call = uuid.UUID(city.ask(grant, number(1)).body["entry"])
    wait_for(lambda: second_has_passed(city))
    time.sleep(1)
    now = datetime.now(UTC)
    late = made_report(city, now - timedelta(milliseconds=10), now - timedelta(milliseconds=1))
    assert until is not None and bring(city, (PERMITS, late)) == [1]
    found = city.admin.execute(
        "SELECT missing FROM exchange.node_report ORDER BY compared_at DESC LIMIT 1"
    ).fetchone()
    assert found == ([call],)
    city.admin.execute("DELETE FROM exchange.node_report WHERE since > %s", [until])
