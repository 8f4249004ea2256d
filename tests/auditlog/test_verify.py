"""Whoever alters the log is found, whatever they alter, and the words say where."""

import json
import uuid

import psycopg
import pytest

from shuqiao.auditlog import proofs
from shuqiao.auditlog.verify import verify_log
from shuqiao.security import keys
from tests.auditlog.conftest import APPEND, ORIGIN, Log, register_key

pytestmark = pytest.mark.database

ENTRY_AT = "(SELECT entry_id FROM audit.leaf WHERE position = %s)"


@pytest.fixture
def filled(log: Log) -> Log:
    """A sound log of 700 entries under three checkpoints."""
    for count in (300, 299, 101):
        log.append_many(count)
        log.integrate()
    report = log.verify()
    assert (report.fault, report.size, report.checkpoints) == (None, 700, 3)
    return log


def found(log: Log) -> tuple[str, int | None]:
    """The first fault's code and position."""
    fault = log.verify().fault
    assert fault is not None
    return fault.code, fault.position


def test_empty_log_holds(log: Log) -> None:
    report = log.verify()
    assert (report.fault, report.size) == (None, 0)


def test_altered_body(filled: Log) -> None:
    filled.tamper(
        f"UPDATE audit.entry SET body = replace(body, 'answered', 'refused!') WHERE id = {ENTRY_AT}", [412]
    )
    assert found(filled) == ("entry_altered", 412)
    fault = filled.verify().fault
    assert fault.entry is not None
    assert str(fault.entry) in str(fault)
    assert "digest" in str(fault)


def test_altered_body_with_a_digest_made_to_fit(filled: Log) -> None:
    filled.tamper(
        "UPDATE audit.entry SET body = replace(body, 'answered', 'refused!'), outcome = 'refused!', "
        "digest = sha256(salt || convert_to(replace(body, 'answered', 'refused!'), 'UTF8')) "
        f"WHERE id = {ENTRY_AT}",
        [5],
    )
    assert found(filled) == ("leaf_hash", 5)


def test_altered_body_digest_and_leaf(filled: Log) -> None:
    filled.tamper(f"UPDATE audit.entry SET body = NULL, digest = sha256('x') WHERE id = {ENTRY_AT}", [5])
    filled.tamper("UPDATE audit.leaf SET hash = sha256('\\x00'::bytea || sha256('x')) WHERE position = 5")
    assert found(filled) == ("checkpoint_root", 299)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("event", "'query'"), ("department", "'440100-tax'"), ("provider", "NULL"), ("actor", "'app-other'"),
        ("resource_id", "NULL"), ("record_id", "gen_random_uuid()"), ("grant_id", "'G-2026-0002'"),
        ("case_no", "'GZF-2'"), ("outcome", "'refused'"), ("occurred_at", "occurred_at - interval '1 s'"),
    ],
)  # fmt: skip
def test_altered_column(log: Log, column: str, value: str) -> None:
    log.append_many(5)
    log.integrate()
    log.tamper(f"UPDATE audit.entry SET {column} = {value} WHERE id = {ENTRY_AT}", [3])
    assert found(log) == ("entry_altered", 3)
    assert column in str(log.verify().fault)


def test_removed_body(filled: Log) -> None:
    filled.tamper(f"UPDATE audit.entry SET body = NULL WHERE id = {ENTRY_AT}", [17])
    assert found(filled) == ("pruned_early", 17)


def test_removed_entry(filled: Log) -> None:
    filled.tamper(f"DELETE FROM audit.entry WHERE id = {ENTRY_AT}", [699])
    assert found(filled) == ("entry_missing", 699)


def test_removed_leaf(filled: Log) -> None:
    filled.tamper("DELETE FROM audit.leaf WHERE position = 256")
    assert found(filled) == ("leaf_missing", 256)


def test_removed_last_leaf(filled: Log) -> None:
    filled.tamper("DELETE FROM audit.leaf WHERE position = 699")
    assert found(filled) == ("leaf_missing", 699)


def test_swapped_leaves(filled: Log) -> None:
    filled.tamper("UPDATE audit.leaf SET position = 10000 WHERE position = 10")
    filled.tamper("UPDATE audit.leaf SET position = 10 WHERE position = 20")
    filled.tamper("UPDATE audit.leaf SET position = 20 WHERE position = 10000")
    assert found(filled) == ("checkpoint_root", 299)


def test_cut_off_end(filled: Log) -> None:
    """Removing the newest part with its checkpoint leaves its entries behind, or a promise that convicts."""
    filled.tamper("DELETE FROM audit.leaf WHERE position >= 599")
    filled.tamper("DELETE FROM audit.checkpoint WHERE size = 700")
    assert found(filled) == ("entry_stray", None)


def test_leaf_without_checkpoint(filled: Log) -> None:
    filled.tamper("DELETE FROM audit.checkpoint WHERE size = 700")
    assert found(filled) == ("leaf_uncovered", 599)


def test_altered_node(filled: Log) -> None:
    filled.tamper("UPDATE audit.node SET hash = sha256('x') WHERE level = 8 AND position = 1")
    assert found(filled) == ("node_hash", 256)


def test_removed_node(filled: Log) -> None:
    filled.tamper("DELETE FROM audit.node WHERE level = 8 AND position = 0")
    assert found(filled) == ("node_hash", 0)


def test_surplus_node(filled: Log) -> None:
    filled.tamper("INSERT INTO audit.node VALUES (8, 2, sha256('x'))")
    assert found(filled) == ("node_count", None)


def test_forged_checkpoint(filled: Log) -> None:
    filled.tamper("UPDATE audit.checkpoint SET signed_at = signed_at - interval '1 day' WHERE size = 599")
    assert found(filled) == ("checkpoint_signature", 598)


def test_checkpoint_of_a_key_that_is_not_the_logs(filled: Log) -> None:
    stranger = keys.generate_signing_key()
    filled.tamper(
        "UPDATE audit.checkpoint SET key_id = %s, signature = %s WHERE size = 700",
        [keys.key_id(stranger.public_key()), keys.sign("ed25519", stranger, b"x")],
    )
    assert found(filled) == ("checkpoint_signature", 699)


def test_promise_key_signs_no_checkpoint(filled: Log) -> None:
    other = keys.generate_signing_key()
    register_key(filled.admin, "promise", other)
    newest = proofs.read_newest(filled.auditor, ORIGIN)
    filled.tamper(
        "UPDATE audit.checkpoint SET key_id = %s, signature = %s WHERE size = 700",
        [keys.key_id(other.public_key()), keys.sign("ed25519", other, newest.checkpoint.text())],
    )
    assert found(filled) == ("checkpoint_signature", 699)


def test_entry_taken_out_of_the_queue(filled: Log) -> None:
    entry = filled.append()
    assert filled.verify().waiting == 1
    filled.tamper("DELETE FROM audit.pending WHERE entry_id = %s", [entry])
    assert found(filled) == ("entry_stray", None)
    assert filled.verify().fault.entry == entry


def test_entry_removed_while_it_waits(filled: Log) -> None:
    entry = filled.append()
    filled.tamper("DELETE FROM audit.entry WHERE id = %s", [entry])
    assert found(filled) == ("waiting_altered", None)


def test_body_of_two_lines(log: Log) -> None:
    """The second line is what the database saw: it may repeat a field, but not contradict it."""
    entry, at = uuid.uuid4(), log.admin.execute("SELECT now()").fetchone()[0]
    record = uuid.uuid4()
    body = log.body(entry, at, record=str(record)) + "\n" + json.dumps({"record": str(record), "version": 2})
    log.admin.execute(APPEND, [entry, at, record, body])
    log.integrate()
    assert log.verify().fault is None
    log.tamper("UPDATE audit.entry SET record_id = gen_random_uuid()")
    assert found(log) == ("entry_altered", 0)


def test_nobody_but_a_superuser_can_alter(filled: Log) -> None:
    for statement in (
        "UPDATE audit.entry SET outcome = 'x'", "DELETE FROM audit.leaf", "TRUNCATE audit.checkpoint",
        "DELETE FROM audit.node",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            filled.admin.execute(statement)
    for url in (filled.auditor_url, filled.integrator_url):
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in ("UPDATE audit.entry SET outcome = 'x'", "DELETE FROM audit.leaf"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)


def test_command_says_so(filled: Log) -> None:
    done = filled.run_command("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("HOLDS  700 entries, 3 checkpoints")
    filled.tamper(f"UPDATE audit.entry SET outcome = 'refused' WHERE id = {ENTRY_AT}", [3])
    done = filled.run_command("verify")
    assert done.returncode == 2
    assert done.stdout.startswith("BROKEN  entry_altered at position 3, entry ")


def test_another_logs_checkpoints_do_not_pass(filled: Log) -> None:
    """The name of the log is under the signature: a checkpoint of one city is worth nothing in another."""
    assert ORIGIN != "another-city"
    report = verify_log(filled.auditor, proofs.read_keys(filled.auditor, "log"), "another-city")
    assert report.fault is not None
    assert report.fault.code == "checkpoint_signature"
