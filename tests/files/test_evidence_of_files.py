"""What a department was given as a file can be shown to a third party: who asked, and the file's digest."""

import hashlib
import json
from pathlib import Path

import httpx
import pytest

from shuqiao.auditlog.integrator import LogKey
from shuqiao.security import keys
from shuqiao.security.http_signatures import CallContext
from shuqiao.wire.evidence_checking import Given
from tests.files.conftest import REPORTS, FileCity
from tests.plane.conftest import register_key
from tests.plane.test_evidence import ORIGIN, Archive, broken


@pytest.mark.requirement("OBJ-08")
def test_the_delivery_of_a_file_is_proved_offline(city: FileCity, tmp_path: Path) -> None:
    content = b"an invented report"
    file = city.register()
    city.store(file, content)
    city.file_grant()
    with city.files() as files:
        answer = files.list(REPORTS, CallContext(end_user="lin"), case="样例〔2026〕" + "案" * 100)
        [line] = answer.files
    assert httpx.get(city.url + line.path, trust_env=False).content == content
    key = keys.generate_signing_key()
    register_key(city, "log", key)
    archive = Archive(city, tmp_path, LogKey(ORIGIN, key, keys.key_id(key.public_key())))
    archive.integrate()
    [delivered] = city.logged("file_delivered")
    out = tmp_path / "evidence.json"
    done = archive.command("audit", "evidence", str(delivered["id"]), "--out", str(out))
    assert done.returncode == 0, done.stderr + done.stdout
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["confirmed"] == "signed" and document["grant"]
    assert document["request"]["covered"].splitlines()[2].startswith(f"/v1/resources/{REPORTS}/files")
    assert json.loads(document["body"].splitlines()[1])["file_digest"] == hashlib.sha256(content).hexdigest()
    assert not broken(document, Given(archive.trusted()))
    # Neither the digest of the file nor the request that asked for it can be exchanged.
    other = document["body"].replace(hashlib.sha256(content).hexdigest(), "0" * 64)
    assert broken(document | {"body": other}, Given(archive.trusted()))
    covered = document["request"]["covered"].replace("/files", "/browse")
    changed = document | {"request": document["request"] | {"covered": covered}}
    assert broken(changed, Given(archive.trusted()))
