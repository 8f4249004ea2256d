"""The text of an entry goes when its retention is over, and only then; whatever remains is still proven."""

import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from shuqiao.auditlog import proofs
from shuqiao.rules.checkpoint import Checkpoint
from shuqiao.security import keys
from shuqiao.wire.messages import new_entry_id
from tests.auditlog.conftest import APPEND, ORIGIN, Log

pytestmark = pytest.mark.database

OLD = datetime(2023, 1, 20, tzinfo=UTC)
SPARED = datetime(2023, 2, 1, tzinfo=UTC)


def append_at(log: Log, at: datetime, count: int) -> list[uuid.UUID]:
    """Append entries of one moment."""
    ids = [new_entry_id(at) for _ in range(count)]
    for entry in ids:
        record = uuid.uuid4()
        log.admin.execute(APPEND, [entry, at, record, log.body(entry, at, record=str(record))])
    return ids


def date_checkpoint(log: Log, size: int, at: datetime) -> None:
    """Let a checkpoint have been signed at another time, as the log's own key would have."""
    stored = proofs.read_checkpoint(log.auditor, size, ORIGIN)
    text = Checkpoint(ORIGIN, size, stored.checkpoint.root, at).text()
    log.tamper(
        "UPDATE audit.checkpoint SET signed_at = %s, signature = %s WHERE size = %s",
        [at, keys.sign("ed25519", log.key.key, text), size],
    )


@pytest.fixture
def aged(log: Log) -> Log:
    """A log with a part of January 2023, entries of then in it and in the part for the rest, and new ones."""
    log.admin.execute(
        "DO $$ BEGIN EXECUTE format('CREATE TABLE audit.entry_2023_01 PARTITION OF audit.entry"
        " FOR VALUES FROM (%L) TO (%L)', audit.first_id('2023-01-01+00'), audit.first_id('2023-02-01+00'));"
        " END $$"
    )
    log.admin.execute("ALTER TABLE audit.entry_2023_01 OWNER TO shuqiao_owner")
    append_at(log, OLD, 12)
    for at in (OLD, SPARED):
        entry = uuid.UUID(int=at.year + at.month)
        log.admin.execute(APPEND, [entry, at, None, log.body(entry, at)])
    assert log.integrate() == 14
    date_checkpoint(log, 14, OLD + timedelta(days=20))
    append_at(log, datetime.now(UTC), 5)
    log.integrate()
    assert log.verify().fault is None
    return log


def keep(log: Log, months: int) -> bool:
    """Tell the log what a regulation says."""
    statement = "SELECT audit.set_retention(%s, 'a-regulation', 'system:log')"
    return log.admin.execute(statement, [months]).fetchone()[0]


def prune(log: Log, most: int = 1000) -> int:
    """Remove text once; the number of entries."""
    return log.admin.execute("SELECT audit.prune(%s, 'system:log')", [most]).fetchone()[0]


def months_since(at: datetime) -> int:
    """Whole months that a month has been over."""
    now = datetime.now(UTC)
    return 12 * (now.year - at.year) + now.month - at.month


def test_nothing_goes_before_a_regulation_has_spoken(aged: Log) -> None:
    assert prune(aged) == 0


def test_what_is_over_goes_and_the_rest_is_proven(aged: Log) -> None:
    assert keep(aged, months_since(OLD) - 1) is True
    assert keep(aged, months_since(OLD) - 1) is False
    assert [prune(aged, 7) for _ in range(4)] == [7, 5, 1, 0]
    aged.integrate()
    report = aged.verify()
    assert (report.fault, report.pruned, report.size) == (None, 13, 14 + 5 + 1 + 3)
    gone = aged.admin.execute(
        "SELECT count(*), count(record_id), count(DISTINCT salt), min(actor), bool_and(length(digest) = 32)"
        " FROM audit.entry WHERE body IS NULL"
    ).fetchone()
    assert gone == (13, 12, 1, "app-housing-rental", True)
    written = aged.admin.execute(
        "SELECT (body::jsonb ->> 'entries')::int, body::jsonb ->> 'regulation' FROM audit.entry"
        " WHERE event = 'bodies_pruned' ORDER BY 1"
    ).fetchall()
    assert written == [(1, "a-regulation"), (5, "a-regulation"), (7, "a-regulation")]
    done = aged.run_command("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "13 of them pruned" in done.stdout


def test_a_month_goes_when_the_last_of_it_is_old_enough(aged: Log) -> None:
    keep(aged, months_since(OLD))
    assert prune(aged) == 0


def test_an_altered_text_is_found_after_others_went(aged: Log) -> None:
    keep(aged, months_since(OLD) - 1)
    assert prune(aged) == 12
    aged.tamper(
        "UPDATE audit.entry SET body = replace(body, 'GZF-1', 'GZF-2') WHERE occurred_at = %s", [SPARED]
    )
    assert aged.verify().fault.code == "entry_altered"


def test_a_text_that_went_too_early_is_found_whatever_time_the_row_says(aged: Log) -> None:
    aged.tamper(
        "UPDATE audit.entry SET body = NULL, occurred_at = %s"
        " WHERE id = (SELECT entry_id FROM audit.leaf WHERE position = 16)",
        [OLD],
    )
    assert (aged.verify().fault.code, aged.verify().fault.position) == ("pruned_early", 16)


@pytest.mark.parametrize(
    "change",
    [
        "body = NULL",
        "body = NULL, salt = sha256('x')",
        "body = NULL, salt = decode(repeat('00', 16), 'hex'), outcome = 'refused'",
        "salt = decode(repeat('00', 16), 'hex')",
    ],
)
def test_owner_may_change_nothing_else_of_an_old_entry(aged: Log, change: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        aged.admin.execute(f"UPDATE audit.entry SET {change} WHERE occurred_at = %s", [OLD])


def test_owner_may_take_no_text_of_a_young_entry(aged: Log) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        aged.admin.execute(
            "UPDATE audit.entry SET body = NULL, salt = decode(repeat('00', 16), 'hex')"
            " WHERE occurred_at > now() - interval '1 day'"
        )
    with pytest.raises(psycopg.errors.CheckViolation):
        keep(aged, 23)


def test_command_prunes_what_is_over_and_says_so(aged: Log) -> None:
    done = aged.run_command("prune")
    assert (done.returncode, done.stderr) == (1, "")
    assert "no retention" in done.stdout
    keep(aged, months_since(OLD) - 1)
    done = aged.run_command("prune")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("13 entries lost their text")
