"""What proves a sealed copy, and what becomes of its files when it is called back."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.client.deleting import delete_recalled
from shuqiao.client.evidence import BROKEN, HOLDS, UNANSWERED
from shuqiao.security import keys
from shuqiao.security.recipients import SALT_FILE
from shuqiao.wire.evidence_checking import Given
from shuqiao.wire.recalls import Held
from tests.bulk.conftest import NO_CONTEXT, CopyCity
from tests.bulk.test_deletions import called_back, no_recalls, words
from tests.bulk.test_evidence_of_copies import archive, evidence_of, log_key, verified
from tests.bulk.test_sealed import KEY, asked
from tests.plane.test_evidence import Archive, broken

__all__ = ["archive", "log_key", "no_recalls"]
pytestmark = pytest.mark.timeout(180)


@pytest.mark.requirement("OBJ-08")
def test_a_sealed_copy_is_proved_to_whom_its_holder_shows_it(
    city: CopyCity, archive: Archive, tmp_path: Path
) -> None:
    city.fill_permits(10)
    city.bulk_grant()
    folder = tmp_path / "parts"
    with city.bulk(recipient=KEY) as mine:
        copy = mine.fetch(asked(mine, "csv"), folder, NO_CONTEXT)
    prepared = next(row for row in city.logged("bulk_prepared"))
    document, file = evidence_of(archive, prepared["id"])
    code, found = verified(archive, file, folder)
    assert code == HOLDS, found
    assert f"HOLDS   your {copy.files[0].name} is part 1 as it was delivered" in found
    assert f"HOLDS   the copy was sealed to the key {keys.key_id(KEY.public_key())}" in found
    # Another key in the manifest is none that the platform has signed.
    other = json.dumps(document).replace("sealed_to", "sealed_tx")
    assert broken(json.loads(other), Given(archive.trusted()))
    # Without the salt nothing can be said of the parts, with a wrong one they are not those of the copy.
    salt = folder / SALT_FILE
    written = salt.read_text()
    salt.write_text("00" * 32)
    assert verified(archive, file, folder)[0] == BROKEN
    salt.write_text("no salt")
    assert verified(archive, file, folder)[0] == UNANSWERED
    salt.unlink()
    code, found = verified(archive, file, folder)
    assert (code, f"NOTE    the parts of a sealed copy are compared with its {SALT_FILE}" in found) == (
        HOLDS,
        True,
    )
    salt.write_text(written)
    file_of_copy = copy.files[0]
    file_of_copy.write_bytes(file_of_copy.read_bytes()[:-1] + b"x")
    assert verified(archive, file, folder)[0] == BROKEN


def test_a_recalled_sealed_copy_leaves_nothing(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(10)
    grant = city.bulk_grant()
    folder = tmp_path / "parts"
    with city.bulk(recipient=X25519PrivateKey.generate()) as mine:
        copy = mine.fetch(asked(mine, "csv"), folder, NO_CONTEXT)
        (folder / f"{copy.files[0].name}.opened").write_bytes(b"begun")
        called_back(city, grant, Held("copy", str(copy.manifest.job), rows=10, parts=1))
        delete_recalled(mine, words(folder), NO_CONTEXT)
    assert {file.suffix for file in folder.iterdir()} == {".json"}
    assert [file.name for file in folder.iterdir()] == ["deletion-L-2026-0007.json"]
