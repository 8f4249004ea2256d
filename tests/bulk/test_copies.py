"""A copy from request to files: what is in it, who may have it, what is recorded, what lies on the disk."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import ipc

from shuqiao.wire.grant import Row
from tests.bulk.conftest import ITEMS, NO_CONTEXT, PERMITS, CopyCity


def copy_of(city: CopyCity, folder: Path, form: str, **options: str):
    """Ask, wait and fetch."""
    with city.bulk() as bulk:
        job = bulk.ask(PERMITS, form, context=NO_CONTEXT, **options)
        bulk.wait(job, NO_CONTEXT, timeout_s=60)
        return bulk.fetch(job, folder, NO_CONTEXT)


def rows_of(city: CopyCity, where: str = "true") -> list[tuple]:
    """The granted items as the base has them."""
    return city.admin.execute(
        f"SELECT {', '.join(ITEMS)} FROM base.{PERMITS} WHERE {where} ORDER BY permit_no"
    ).fetchall()


def read_arrow(files: tuple[Path, ...]) -> pa.Table:
    """All parts as one table."""
    return pa.concat_tables(ipc.open_stream(file.read_bytes()).read_all() for file in files)


@pytest.mark.requirement("MOD-04")
def test_a_copy_holds_the_granted_items_of_the_granted_rows(city: CopyCity, tmp_path: Path) -> None:
    city.fill_permits(1000)
    city.bulk_grant(rows=(Row(field="kind_code", op="in", values=("1", "3")),))
    copy = copy_of(city, tmp_path, "arrow")
    table = read_arrow(copy.files).sort_by("permit_no")
    assert tuple(table.column_names) == ITEMS
    assert [tuple(row.values()) for row in table.to_pylist()] == rows_of(city, "kind_code IN ('1', '3')")
    assert copy.manifest.rows == 500
    assert copy.manifest.up_to == 1
