"""Asking for a copy is a signed request like any other: it can be shown to a third party later."""

import json
from pathlib import Path

from shuqiao.auditlog.integrator import LogKey
from shuqiao.security import keys
from shuqiao.wire.evidence_checking import Given
from tests.bulk.conftest import NO_CONTEXT, PERMITS, CopyCity
from tests.plane.conftest import register_key
from tests.plane.test_evidence import ORIGIN, Archive, broken


def test_who_asked_for_a_copy_is_proved_offline(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(10)
    city.bulk_grant()
    with city.bulk() as bulk:
        bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
    key = keys.generate_signing_key()
    register_key(city, "log", key)
    archive = Archive(city, tmp_path, LogKey(ORIGIN, key, keys.key_id(key.public_key())))
    archive.integrate()
    (entry,) = city.admin.execute(
        "SELECT id FROM audit.entry WHERE body LIKE '%\"sealed\"%' ORDER BY occurred_at DESC LIMIT 1"
    ).fetchone()
    file = tmp_path / "evidence.json"
    done = archive.command("audit", "evidence", str(entry), "--out", str(file))
    assert done.returncode == 0, done.stderr + done.stdout
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["confirmed"] == "signed"
    assert document["request"]["covered"].splitlines()[2].startswith("/v1/bulk")
    assert not broken(document, Given(archive.trusted()))
    covered = document["request"]["covered"].replace("/v1/bulk", "/v1/bulk2")
    assert broken(
        document | {"request": document["request"] | {"covered": covered}}, Given(archive.trusted())
    )
