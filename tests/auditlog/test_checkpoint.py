"""The words under a checkpoint's signature, and the settings without which nothing is signed."""

import datetime as dt
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shuqiao.auditlog.settings import DEFAULT_ORIGIN, SettingsError, load_settings
from shuqiao.rules.checkpoint import Checkpoint, is_origin
from shuqiao.security import keys


def test_text_is_the_same_for_ever() -> None:
    """Old signatures must stay checkable: whoever changes a byte here makes a new format."""
    moment = dt.datetime(2026, 11, 23, 10, 26, 41, 123400, tzinfo=dt.timezone(dt.timedelta(hours=8)))
    checkpoint = Checkpoint("shuqiao-guangzhou", 1234, hashlib.sha256(b"").digest(), moment)
    assert checkpoint.text() == (
        b"shuqiao/audit/v1\nshuqiao-guangzhou\n1234\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        b"2026-11-23T02:26:41.123400Z\n"
    )


@pytest.mark.parametrize("text", ["", "two words", "line\nfeed", "数桥", "x" * 121, "tab\t"])
def test_a_name_that_could_forge_a_line_is_refused(text: str) -> None:
    assert not is_origin(text)
    with pytest.raises(SettingsError):
        load_settings({"INTEGRATOR_DATABASE_URL": "x", "LOG_KEY_FILE": "x", "LOG_ORIGIN": text or " "})


def test_all_missing_settings_are_told_together() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"LOG_ORIGIN": "two words"})
    for name in ("INTEGRATOR_DATABASE_URL", "LOG_KEY_FILE", "LOG_ORIGIN"):
        assert name in str(caught.value)
    complete = load_settings({"INTEGRATOR_DATABASE_URL": "postgresql:///x", "LOG_KEY_FILE": "/x"})
    assert complete.origin == DEFAULT_ORIGIN


@pytest.mark.parametrize("fault", ["missing", "readable", "p256"])
def test_integrator_does_not_start_with_a_bad_key(tmp_path: Path, fault: str) -> None:
    file = tmp_path / "secrets" / "log.key"
    if fault != "missing":
        keys.load_or_create_signing_key(file, "ecdsa-p256-sha256" if fault == "p256" else "ed25519")
    if fault == "readable":
        file.chmod(0o644)
    environment = os.environ | {"INTEGRATOR_DATABASE_URL": "postgresql:///x", "LOG_KEY_FILE": str(file)}
    done = subprocess.run(
        [sys.executable, "-m", "shuqiao.auditlog.main"],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert b"LOG_KEY_FILE" in done.stderr
