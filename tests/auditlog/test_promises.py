"""A promise outlives the entry it was made for: whoever removes the entry is convicted by it."""

import datetime as dt
import hashlib
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from shuqiao.auditlog import proofs
from shuqiao.auditlog.promises import Verdict, judge_promise, read_promise
from shuqiao.security import keys
from shuqiao.wire.receipt import Promise, encode_promise, make_promises
from tests.auditlog.conftest import Log, register_key

pytestmark = pytest.mark.database


@pytest.fixture
def promise_key(log: Log) -> keys.SigningKey:
    """The plane's registered promise key."""
    key = keys.generate_signing_key()
    register_key(log.admin, "promise", key)
    return key


def promise(log: Log, entry: UUID, key: keys.SigningKey) -> Promise:
    """What the plane promises about a durable entry."""
    digest = log.admin.execute("SELECT digest FROM audit.entry WHERE id = %s", [entry]).fetchone()[0]
    at = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    answer = hashlib.sha256(b"{}").digest()
    return make_promises([(entry, digest, answer)], at, keys.key_id(key.public_key()), key.sign)[0]


def judge(log: Log, given: Promise, in_seconds: float = 0) -> tuple[Verdict, str]:
    """What the log makes of the promise now, or some seconds from now."""
    now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=in_seconds)
    return judge_promise(log.auditor, given, proofs.read_keys(log.auditor, "promise"), now)


def test_kept_promise(log: Log, promise_key: keys.SigningKey, tmp_path: Path) -> None:
    entry = log.append()
    given = promise(log, entry, promise_key)
    assert judge(log, given)[0] is Verdict.EARLY
    log.integrate()
    assert judge(log, given)[0] is Verdict.KEPT
    file = tmp_path / "promise"
    file.write_text(f"Shuqiao-Promise: {encode_promise(given)}\n")
    done = log.run_command("check-promise", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("KEPT")


def test_row_deleted_before_it_was_integrated_convicts(
    log: Log, promise_key: keys.SigningKey, tmp_path: Path
) -> None:
    """The log itself looks sound afterwards: without the promise nobody would know."""
    log.append_many(3)
    entry = log.append()
    given = promise(log, entry, promise_key)
    log.tamper("DELETE FROM audit.entry WHERE id = %s", [entry])
    log.tamper("DELETE FROM audit.pending WHERE entry_id = %s", [entry])
    log.append_many(3)
    log.integrate()
    assert log.verify().fault is None
    verdict, words = judge(log, given)
    assert verdict is Verdict.BROKEN
    assert "convicts the platform" in words
    file = tmp_path / "promise"
    file.write_text(encode_promise(given))
    done = log.run_command("check-promise", str(file))
    assert done.returncode == 2
    assert str(entry) in done.stdout


def test_replaced_entry_convicts(log: Log, promise_key: keys.SigningKey) -> None:
    entry = log.append()
    given = promise(log, entry, promise_key)
    log.tamper("UPDATE audit.entry SET body = NULL, digest = sha256('x') WHERE id = %s", [entry])
    log.tamper("UPDATE audit.pending SET digest = sha256('x') WHERE entry_id = %s", [entry])
    log.integrate()
    assert judge(log, given)[0] is Verdict.BROKEN


def test_entry_held_back_convicts_after_a_minute(log: Log, promise_key: keys.SigningKey) -> None:
    entry = log.append()
    given = promise(log, entry, promise_key)
    log.tamper("DELETE FROM audit.pending WHERE entry_id = %s", [entry])
    log.append()
    log.integrate()
    assert judge(log, given, 50)[0] is Verdict.EARLY
    assert judge(log, given, 61)[0] is Verdict.BROKEN


def test_forged_promise_proves_nothing(log: Log, promise_key: keys.SigningKey, tmp_path: Path) -> None:
    stranger = keys.generate_signing_key()
    entry = log.append()
    assert judge(log, promise(log, entry, stranger))[0] is Verdict.NO_PROMISE
    given = promise(log, entry, promise_key)
    altered = msgspec.structs.replace(given, digest="00" * 32)
    assert judge(log, altered)[0] is Verdict.NO_PROMISE
    file = tmp_path / "promise.json"
    file.write_bytes(msgspec.json.encode(given))
    assert read_promise(file) == given
    done = log.run_command("check-promise", str(file))
    assert done.returncode == 1
    assert done.stdout.startswith("EARLY")
    file.write_text("nothing of the kind")
    assert log.run_command("check-promise", str(file)).returncode == 1
