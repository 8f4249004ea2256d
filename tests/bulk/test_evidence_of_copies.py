"""Evidence of a copy and of a part of a feed: one file, checked without the platform, the parts too."""

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shuqiao.auditlog.integrator import LogKey
from shuqiao.client.evidence import BROKEN, HOLDS
from shuqiao.security import keys
from shuqiao.wire.evidence import EvidenceUnreadable, read_evidence
from shuqiao.wire.evidence_checking import Given, verify_evidence
from tests.bulk.conftest import NO_CONTEXT, PERMITS, CopyCity
from tests.bulk.test_feeds import fetched, merge, waiting_part
from tests.plane.conftest import register_key
from tests.plane.test_evidence import ORIGIN, Archive, broken


@pytest.fixture(scope="module")
def log_key(shared_copy_city: CopyCity) -> LogKey:
    """The log's key, registered once."""
    key = keys.generate_signing_key()
    register_key(shared_copy_city, "log", key)
    return LogKey(ORIGIN, key, keys.key_id(key.public_key()))


@pytest.fixture
def archive(city: CopyCity, log_key: LogKey, tmp_path: Path) -> Iterator[Archive]:
    """The city of copies with its log."""
    return Archive(city, tmp_path, log_key)


def evidence_of(archive: Archive, entry: uuid.UUID) -> tuple[dict[str, Any], Path]:
    """The file about an entry, as the auditor's command writes it."""
    archive.integrate()
    file = archive.folder / f"{entry}.json"
    done = archive.command("audit", "evidence", str(entry), "--out", str(file))
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(file.read_text(encoding="utf-8")), file


def verified(archive: Archive, file: Path, parts: Path) -> tuple[int, str]:
    """What the command says to somebody who has the file, the keys and the parts, and no platform."""
    done = archive.command(
        "evidence", "verify", str(file), "--keys", str(archive.keys_file()), "--parts", str(parts)
    )
    return done.returncode, done.stdout


@pytest.mark.requirement("OBJ-08")
def test_a_copy_is_proved_offline_from_any_of_its_entries(
    city: CopyCity, archive: Archive, tmp_path: Path
) -> None:
    city.fill_permits(10)
    city.bulk_grant()
    folder = tmp_path / "parts"
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        bulk.wait(job, NO_CONTEXT)
        copy = bulk.fetch(job, folder, NO_CONTEXT)
    entries = city.logged("bulk_asked", "bulk_prepared", "bulk_delivered")
    assert {row["event"] for row in entries} == {"bulk_asked", "bulk_prepared", "bulk_delivered"}
    for row in entries:
        document, file = evidence_of(archive, row["id"])
        inside = {document["entry"], *(one["entry"] for one in document["copy"]["entries"])}
        assert inside == {str(one["id"]) for one in entries}
        code, words = verified(archive, file, folder)
        assert code == HOLDS, words
        assert f"HOLDS   your {copy.files[0].name} is part 1 as it was delivered" in words
        assert "the log says of the copy what its manifest says" in words
    # A part of which one byte is another is not what was delivered; one that isn't there is only said.
    changed = tmp_path / "changed"
    shutil.copytree(folder, changed)
    whole = copy.files[0].read_bytes()
    (changed / copy.files[0].name).write_bytes(whole[:-1] + b"x")
    code, words = verified(archive, file, changed)
    assert code == BROKEN
    assert f"BROKEN  your {copy.files[0].name}" in words
    (changed / copy.files[0].name).unlink()
    assert verified(archive, file, changed)[0] == HOLDS


def test_nothing_of_the_evidence_of_a_copy_can_be_exchanged(
    city: CopyCity, archive: Archive, tmp_path: Path
) -> None:
    city.fill_permits(10)
    city.bulk_grant()
    documents = []
    with city.bulk() as bulk:
        for name in ("one", "other"):
            job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
            bulk.wait(job, NO_CONTEXT)
            bulk.fetch(job, tmp_path / name, NO_CONTEXT)
            documents.append(evidence_of(archive, uuid.UUID(job))[0])
    given = Given(archive.trusted())
    one, other = documents
    assert not broken(one, given) and not broken(other, given)
    # The manifest, the request or a delivery of another copy; a word of the manifest; an entry too few.
    assert broken(one | {"copy": one["copy"] | {"manifest": other["copy"]["manifest"]}}, given)
    assert broken(one | {"copy": other["copy"]}, given)
    for place in range(len(one["copy"]["entries"])):
        entries = list(one["copy"]["entries"])
        entries[place] = other["copy"]["entries"][place]
        assert broken(one | {"copy": one["copy"] | {"entries": entries}}, given)
    manifest = one["copy"]["manifest"].replace('"rows":10', '"rows":11')
    assert manifest != one["copy"]["manifest"]
    assert broken(one | {"copy": one["copy"] | {"manifest": manifest}}, given)
    assert broken(one | {"copy": one["copy"] | {"entries": []}}, given)
    nested = [*one["copy"]["entries"], one]
    with pytest.raises(EvidenceUnreadable):
        read_evidence(json.dumps(one | {"copy": one["copy"] | {"entries": nested}}).encode())
    # Parts say nothing about the evidence of something else.
    without = read_evidence(json.dumps({**one, "copy": None}).encode())
    findings = verify_evidence(without, Given(archive.trusted(), parts={}))
    assert [finding.holds for finding in findings if finding.holds is False] == [False]


@pytest.mark.requirement("OBJ-08")
def test_a_part_of_a_feed_is_proved_offline(city: CopyCity, archive: Archive, tmp_path: Path) -> None:
    city.bulk_grant()
    merge(city, 1, [(uuid.uuid4(), "P1", "1")])
    with city.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, context=NO_CONTEXT)
        fetched(bulk, waiting_part(bulk, feed, 1), 1, tmp_path)
        merge(city, 2, [(uuid.uuid4(), "P2", "1")])
        fetched(bulk, waiting_part(bulk, feed, 2), 2, tmp_path)
        bulk.take(feed, 2, NO_CONTEXT)
    (subscribed,) = city.logged("feed_subscribed")
    (taken,) = city.logged("feed_taken")
    document, file = evidence_of(archive, taken["id"])
    manifest = json.loads(document["copy"]["manifest"])
    assert (manifest["feed"], manifest["number"], manifest["after"]) == (str(subscribed["id"]), 2, 1)
    assert str(subscribed["id"]) in {one["entry"] for one in document["copy"]["entries"]}
    code, words = verified(archive, file, tmp_path / "2")
    assert code == HOLDS, words
    assert "the consumer said that it keeps part 2" in words
    code, words = verified(archive, file, tmp_path / "1")
    assert code == BROKEN
    # The part before was taken with the same word, and its file says so.
    (first, *_) = [row for row in city.logged("bulk_prepared") if row["said"]["number"] == 1]
    document, file = evidence_of(archive, first["id"])
    assert str(taken["id"]) in {one["entry"] for one in document["copy"]["entries"]}
    assert verified(archive, file, tmp_path / "1")[0] == HOLDS


def test_who_asked_for_a_copy_is_proved_before_it_is_ready(city: CopyCity, archive: Archive) -> None:
    city.fill_permits(10)
    city.bulk_grant()
    city.stop_copier()
    try:
        with city.bulk() as bulk:
            job = bulk.ask(PERMITS, "csv", context=NO_CONTEXT)
        document, _ = evidence_of(archive, uuid.UUID(job))
    finally:
        city.start_copier()
    assert document["confirmed"] == "signed" and "copy" not in document
    assert document["request"]["covered"].splitlines()[2].startswith("/v1/bulk")
    given = Given(archive.trusted())
    assert not broken(document, given)
    covered = document["request"]["covered"].replace("/v1/bulk", "/v1/bulk2")
    assert broken(document | {"request": document["request"] | {"covered": covered}}, given)
