"""A copy over TLS, fetched by links from a plane that has a certificate of its own."""

import csv
import dataclasses
import io
from pathlib import Path

import pytest

from tests.bulk.conftest import CopyCity
from tests.bulk.test_copies import copy_of
from tests.plugins.certificates import new_place
from tests.plugins.ports import free_port

ROWS = 60_000


@pytest.mark.requirement("SEC-01")
def test_a_large_copy_comes_whole_over_https(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(ROWS)
    city.bulk_grant()
    over_tls = dataclasses.replace(
        city, port=free_port(), process=None, copier=None, tls=new_place(tmp_path / "tls")
    )
    over_tls.start(workers=1)
    try:
        copy = copy_of(over_tls, tmp_path / "copy", "csv")
    finally:
        over_tls.stop()
    assert copy.manifest.rows == ROWS
    written = "".join(file.read_text(encoding="utf-8-sig") for file in copy.files)
    assert len(written) > 2_000_000
    assert sum(1 for row in csv.reader(io.StringIO(written)) if row and row[0][1:].isdigit()) == ROWS
