"""The log is kept in parts, one a month: an id is refused again in whatever month it comes."""

import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from shuqiao.rules.entry_ids import timed_id
from shuqiao.wire.messages import call_entry_id, new_entry_id, refusal_entry_id, session_entry_id
from tests.auditlog.conftest import APPEND, Log

pytestmark = pytest.mark.database


def part_of(log: Log, entry: uuid.UUID) -> str:
    """The part that holds the entry."""
    return log.admin.execute(
        "SELECT tableoid::regclass::text FROM audit.entry WHERE id = %s", [entry]
    ).fetchone()[0]


def append_at(log: Log, entry: uuid.UUID, at: datetime) -> None:
    """Append one entry at a moment of our choice."""
    log.admin.execute(APPEND, [entry, at, None, log.body(entry, at)])


def months(log: Log) -> list[str]:
    """The parts there are, without the one for everything else."""
    rows = log.admin.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'audit.entry'::regclass ORDER BY 1"
    ).fetchall()
    return [name for (name,) in rows if name != "audit.entry_other"]


def test_replay_across_the_turn_of_a_month_is_refused(log: Log) -> None:
    """Signed in the last second of a month, sent again in the first of the next one."""
    next_month = (datetime.now(UTC).replace(day=1) + timedelta(days=32)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    created = int(next_month.timestamp()) - 1
    entry = call_entry_id("a-key", created, "0123456789abcdef")
    append_at(log, entry, next_month - timedelta(seconds=1))
    for later in (0, 2, 299):
        with pytest.raises(psycopg.errors.UniqueViolation):
            append_at(log, entry, next_month + timedelta(seconds=later))
    assert part_of(log, entry) == f"audit.entry_{next_month - timedelta(seconds=1):%Y_%m}"


def test_entry_stands_in_the_month_of_its_call(log: Log) -> None:
    now = datetime.now(UTC)
    call = call_entry_id("a-key", int(now.timestamp()), "0123456789abcdef")
    for entry in (call, refusal_entry_id(call, "rate_limited"), session_entry_id(call, 7), new_entry_id(now)):
        append_at(log, entry, now)
        assert part_of(log, entry) == f"audit.entry_{now:%Y_%m}"


@pytest.mark.parametrize("at_ms", [0, -1, 2**48 - 1, 10**30, 32_503_680_000_000])
def test_no_call_stops_for_want_of_a_part(log: Log, at_ms: int) -> None:
    entry = timed_id(at_ms, uuid.uuid4().bytes)
    append_at(log, entry, datetime.now(UTC))
    assert part_of(log, entry) == "audit.entry_other"
    assert (log.integrate(), log.verify().fault) == (1, None)
    with pytest.raises(psycopg.errors.UniqueViolation):
        append_at(log, entry, datetime.now(UTC))


def test_parts_are_made_ahead_and_only_once(log: Log) -> None:
    made = months(log)
    assert len(made) >= 15
    assert log.admin.execute("SELECT audit.add_parts(%s)", [len(made) + 2]).fetchone()[0] == 3
    assert log.admin.execute("SELECT audit.add_parts(%s)", [len(made) + 2]).fetchone()[0] == 0
    assert len(months(log)) == len(made) + 3


def test_month_with_entries_in_the_part_for_the_rest_is_left_there(log: Log) -> None:
    made = len(months(log))
    far = datetime.now(UTC).replace(day=15) + timedelta(days=31 * (made + 2))
    append_at(log, new_entry_id(far), datetime.now(UTC))
    log.admin.execute("SELECT audit.add_parts(%s)", [made + 4])
    assert f"audit.entry_{far:%Y_%m}" not in months(log)
    assert len(months(log)) == made + 4
    assert log.verify().waiting == 1


def test_part_named_by_itself_takes_new_rows_only(log: Log) -> None:
    now = datetime.now(UTC)
    append_at(log, new_entry_id(now), now)
    for statement in ("UPDATE audit.{} SET outcome = 'x'", "DELETE FROM audit.{}", "TRUNCATE audit.{}"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            log.admin.execute(statement.format(f"entry_{now:%Y_%m}"))


def test_database_makes_ids_of_the_same_form(log: Log) -> None:
    at = datetime.now(UTC)
    made, first = log.admin.execute("SELECT audit.new_id(), audit.first_id(%s)", [at]).fetchone()
    assert first == timed_id(int(at.timestamp() * 1000), bytes(10))
    assert timedelta(0) <= timedelta(milliseconds=(made.int >> 80) - (first.int >> 80)) < timedelta(minutes=1)
