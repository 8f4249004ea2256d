"""A table whose columns change: what each contract does, held against a real database of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shuqiao.edge.connectors import Source, SourceError, SourceRow
from shuqiao.edge.connectors.kept import Keeping
from shuqiao.edge.connectors.opening import open_source
from shuqiao.edge.convert import convert
from shuqiao.edge.cover import Cover
from shuqiao.edge.mapping import ColumnSource, OnChange, TableMapping, Way
from shuqiao.edge.spool import Spool
from shuqiao.edge.watched import SourceChanged, Watched
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from tests.plugins.departments import Department

SPEC = ResourceSpec(
    record_key="number",
    modes=("query",),
    items=(
        ItemSpec("number", "编号", "Number", "string", identity=True, kind="document", required=True),
        ItemSpec("name", "姓名", "Name", "string", identity=True, kind="name", required=True),
        ItemSpec("note", "备注", "Note", "string"),
        ItemSpec("born", "出生日期", "Born", "date"),
    ),
)
ITEMS = {"number": "bh", "name": "xm", "note": "bz", "born": "rq"}


def mapping(contract: OnChange, version: str = "1") -> TableMapping:
    """The mapping of the table under a contract."""
    items = {field: ColumnSource(column) for field, column in ITEMS.items()}
    return TableMapping(
        "r440100aaaaaaaaaa",
        "sample",
        "births",
        "bh",
        "",
        items,
        version,
        Path("births.yaml"),
        way=Way("ranges", 60.0),
        on_change=contract,
    )


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool.db", Cover(tmp_path / "cover.key"))
    yield made
    made.close()


@pytest.fixture
async def source(department: Department, tmp_path: Path):
    """The connector of a table of two rows."""
    department.run(
        "CREATE TABLE births (bh varchar(20) PRIMARY KEY, xm varchar(50), bz varchar(50), rq date)"
    )
    for number in (1, 2):
        department.run(
            f"INSERT INTO births VALUES ('0{number}', '样例{number}', 'n{number}', '2020-01-0{number}')"
        )
    made = open_source(department.url, Keeping(tmp_path, Cover(tmp_path / "cover.key")))
    yield made
    await made.close()


async def begun(source: Source, spool: Spool, contract: OnChange) -> Watched:
    """A watched source that has seen the table as it was."""
    watched = Watched(source, mapping(contract), SPEC, spool)
    assert len(await read(watched, contract)) == 2 and watched.told() == ()
    return watched


async def read(watched: Watched, contract: OnChange, tries: int = 2) -> list[SourceRow]:
    """Read the table; the first read after a change may say that it changed meanwhile."""
    for left in reversed(range(tries)):
        try:
            return await watched.read_range(mapping(contract), None, None, 10)
        except SourceChanged:
            raise
        except SourceError:
            if not left:
                raise
    return []


def faults(rows: list[SourceRow], contract: OnChange) -> set[tuple[int, str, str]]:
    """What a batch of these rows says is wrong."""
    return {(one.row, one.item, one.code) for one in convert(rows, mapping(contract), SPEC).faults}


@pytest.mark.parametrize("contract", ["", "evolve", "freeze", "discard_row", "discard_value"])
async def test_a_column_of_an_optional_item_is_gone(
    department: Department, source: Source, spool: Spool, contract: OnChange
) -> None:
    watched = await begun(source, spool, contract)
    department.run("ALTER TABLE births DROP COLUMN bz")
    if contract in ("", "freeze"):
        with pytest.raises(SourceChanged, match="gone: bz"):
            await read(watched, contract)
        assert watched.stops
        # Neither does a node that was started anew forget it; another mapping file agrees to it.
        again = Watched(source, mapping(contract), SPEC, spool)
        with pytest.raises(SourceChanged):
            await read(again, contract)
        fresh = Watched(source, mapping(contract, "2"), SPEC, spool)
        with pytest.raises(SourceError, match="no column 'bz'"):
            await fresh.read_range(mapping(contract, "2"), None, None, 10)
        return
    rows = await read(watched, contract)
    assert [row.values[2] for row in rows] == [None, None]
    assert [str(row.values[3]) for row in rows] == ["2020-01-01", "2020-01-02"]
    assert watched.told() == ("gone: bz",) and not watched.stops
    wrong = {(0, "note", "source_structure_changed"), (1, "note", "source_structure_changed")}
    assert faults(rows, contract) == (wrong if contract == "discard_row" else set())


@pytest.mark.parametrize("contract", ["evolve", "discard_value"])
@pytest.mark.parametrize("column", ["xm"])
async def test_a_column_of_a_required_item_is_gone(
    department: Department, source: Source, spool: Spool, contract: OnChange, column: str
) -> None:
    watched = await begun(source, spool, contract)
    department.run(f"ALTER TABLE births DROP COLUMN {column}")
    with pytest.raises(SourceChanged, match=f"gone: {column}"):
        await read(watched, contract)


@pytest.mark.parametrize("contract", ["", "evolve", "freeze", "discard_row", "discard_value"])
async def test_a_column_has_another_type(
    department: Department, source: Source, spool: Spool, contract: OnChange
) -> None:
    watched = await begun(source, spool, contract)
    department.run("ALTER TABLE births DROP COLUMN rq")
    department.run("ALTER TABLE births ADD COLUMN rq varchar(20)")
    department.run("UPDATE births SET rq = CASE bh WHEN '01' THEN '2020-01-01' ELSE '不详' END")
    if contract == "freeze":
        with pytest.raises(SourceChanged, match="retyped: rq"):
            await read(watched, contract)
        return
    rows = await read(watched, contract)
    assert "retyped: rq" in watched.told()[0]
    if contract == "discard_value":
        assert [row.values[3] for row in rows] == ["2020-01-01", None]
        assert faults(rows, contract) == set()
    else:
        assert faults(rows, contract) == {(1, "born", "date_impossible")}


@pytest.mark.parametrize("contract", ["", "evolve", "freeze"])
async def test_a_new_column_is_told_and_stops_what_is_frozen(
    department: Department, source: Source, spool: Spool, contract: OnChange
) -> None:
    watched = await begun(source, spool, contract)
    department.run("ALTER TABLE births ADD COLUMN xz varchar(20)")
    if contract == "freeze":
        with pytest.raises(SourceChanged, match="new: xz"):
            await read(watched, contract)
    else:
        assert len(await read(watched, contract)) == 2
    assert watched.told() == ("new: xz",)


@pytest.mark.parametrize("contract", ["evolve", "discard_row", "discard_value"])
async def test_a_column_that_is_back_has_the_table_read_anew(
    department: Department, source: Source, spool: Spool, contract: OnChange
) -> None:
    watched = await begun(source, spool, contract)
    department.rename("births", "bz", "beizhu", "varchar(50)")
    await read(watched, contract)
    assert not watched.returned
    department.rename("births", "beizhu", "bz", "varchar(50)")
    # A node that was started anew meanwhile knows it, too.
    again = Watched(source, mapping(contract), SPEC, spool)
    for one in (watched, again):
        rows = await read(one, contract)
        assert [row.values[2] for row in rows] == ["n1", "n2"] and one.returned == {"bz"}
    await again.settle()
    assert not again.returned
    await read(again, contract)
    assert not again.returned and not Watched(source, mapping(contract), SPEC, spool).returned
