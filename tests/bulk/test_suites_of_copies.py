"""Copies under either suite: what is written names its algorithms, so both are read whatever is set."""

import time
from pathlib import Path

import pytest

from shuqiao.security.suites import SUITES

from .conftest import NO_CONTEXT, PERMITS, CopyCity
from .test_copies import copy_of


@pytest.fixture
def national(city: CopyCity):
    """The process that prepares copies, under the national suite; the plane's own setting stays."""
    city.stop_copier()
    city.extra = {"SHUQIAO_SUITE": "national", "SHUQIAO_VOLUMES_DECLARED": "copies=样例 王工, 2026-11-20"}
    city.start_copier()
    yield city
    city.stop_copier()
    city.extra = {}
    city.start_copier()


def cipher_of(city: CopyCity, job: object) -> str:
    """The cipher that the wrapped key of a copy names."""
    row = city.admin.execute("SELECT wrapped_key FROM exchange.bulk_job WHERE id = %s", [job]).fetchone()
    assert row is not None
    return bytes(row[0]).partition(b":")[0].decode()


def test_copies_of_both_suites_stand_side_by_side(national: CopyCity, tmp_path: Path) -> None:
    city = national
    city.fill_permits(50)
    city.bulk_grant()
    first = copy_of(city, tmp_path / "first", "csv", digest="sm3")
    assert first.manifest.digest_algorithm == "sm3"
    assert cipher_of(city, first.manifest.job) == "sm4-gcm"
    content = first.files[0].read_bytes()
    assert SUITES["national"].digest(content).hex() == first.manifest.parts[0].digest
    stored = list((city.spool / str(first.manifest.job)).rglob("part-*"))
    assert stored and not any(b"P0000" in file.read_bytes() for file in stored)
    city.stop_copier()
    city.extra = {}
    city.start_copier()
    second = copy_of(city, tmp_path / "second", "csv")
    assert cipher_of(city, second.manifest.job) == "aes-256-gcm"
    assert second.manifest.digest_algorithm == "sha-256"
    assert second.files[0].read_bytes() == content
    with city.bulk() as bulk:
        again = bulk.fetch(str(first.manifest.job), tmp_path / "again", NO_CONTEXT)
    assert again.files[0].read_bytes() == content


def test_the_parts_of_a_feed_are_digested_by_the_suite(national: CopyCity, tmp_path: Path) -> None:
    national.fill_permits(5)
    national.bulk_grant()
    with national.bulk() as bulk:
        feed = bulk.subscribe(PERMITS, "csv", context=NO_CONTEXT)
        until = time.monotonic() + 60
        while not (ready := [part for part in bulk.feed(feed, NO_CONTEXT).parts if part.state == "ready"]):
            assert time.monotonic() < until
            time.sleep(0.1)
        part = bulk.fetch(str(ready[0].job), tmp_path, NO_CONTEXT)
    assert part.manifest.digest_algorithm == "sm3"
    assert SUITES["national"].digest(part.files[0].read_bytes()).hex() == part.manifest.parts[0].digest


def test_the_process_states_its_volume_in_its_log_and_the_audit_log(national: CopyCity) -> None:
    city = national
    assert "volume_declared place=copies" in (city.folder / "bulk.log").read_text()
    query = "SELECT count(*) FROM audit.entry WHERE event = 'volume_stated' AND actor = %s AND body LIKE %s"
    until = time.monotonic() + 60
    stated = 0
    while not stated and time.monotonic() < until:
        row = city.admin.execute(query, ["system:bulk", "%样例 王工%"]).fetchone()
        stated = 0 if row is None else row[0]
        time.sleep(0.1)
    assert stated
