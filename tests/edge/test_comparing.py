"""Comparing ranges: whatever happens in between, the hub ends with what the table holds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from shuqiao.edge import comparing, ranges
from shuqiao.edge.comparing import Comparing
from shuqiao.edge.connectors import Source, SourceRow
from shuqiao.edge.connectors.kept import Keeping
from shuqiao.edge.connectors.opening import open_source
from shuqiao.edge.cover import Cover
from shuqiao.edge.mapping import ColumnSource, TableMapping, Way
from shuqiao.edge.spool import Also, Number, Outcome, Position, Spool, SpooledBatch
from shuqiao.rules.normalise import normalise_value
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from tests.plugins.departments import Department

RESOURCE = "r440100aaaaaaaaaa"
SPEC = ResourceSpec(
    record_key="number",
    modes=("query",),
    items=(
        ItemSpec("number", "编号", "Number", "string", identity=True, kind="document", required=True),
        ItemSpec("note", "备注", "Note", "string"),
    ),
)
MAPPING = TableMapping(
    RESOURCE,
    "sample",
    "births",
    "bh",
    "",
    {"number": ColumnSource("bh"), "note": ColumnSource("bz")},
    "1",
    Path("births.yaml"),
    way=Way("ranges", 0.001, 1.0),
)
WIDE = str.maketrans("0123456789N", "０１２３４５６７８９Ｎ")


def written(number: int, chance: random.Random) -> str:
    """A record key in one of the ways in which it may be written: they sort far apart."""
    text = f"N{number:04}"
    return chance.choice((text, text.translate(WIDE), text.lower(), f" {text}"))


class Node:
    """One table, its spool and the batches that lie in it; `arrived` is what the hub has merged."""

    def __init__(self, department: Department, folder: Path, chance: random.Random) -> None:
        self.department, self.folder, self.chance = department, folder, chance
        self.cover = Cover(folder / "cover.key")
        self.source: Source = open_source(department.url, Keeping(folder, self.cover))
        self.arrived: dict[str, object] = {}
        self.waiting: dict[int, list[SourceRow]] = {}
        self.raw: dict[int, str] = {}
        self.seen = 0
        self.open()
        self.spool.begin(RESOURCE, "1", Number(7, 1))

    def open(self) -> None:
        """Open the spool, as a node does that was started."""
        self.spool = Spool(self.folder / "spool.db", self.cover)
        self.comparing = Comparing(MAPPING, SPEC, self.source, self.spool, self.cover)

    async def put(
        self,
        rows: Sequence[SourceRow],
        also: Also,
        _again: int | None = None,
        *,
        position: Position | None = None,
    ) -> None:
        """Store rows as batches of three."""
        state = self.spool.state(RESOURCE)
        assert state is not None
        pieces = [list(rows[at : at + 3]) for at in range(0, len(rows), 3)]
        first = state.next.sequence
        batches = [SpooledBatch(first + n, b"m", "d", len(piece)) for n, piece in enumerate(pieces)]
        self.spool.store(RESOURCE, batches, position or state.position, now=1.0, also=also)
        self.waiting |= {first + n: piece for n, piece in enumerate(pieces)}

    async def load(self) -> None:
        """One page of the full load."""
        state = self.spool.state(RESOURCE)
        assert state is not None
        after = None if state.position.cursor is None else self.cover.show(state.position.cursor)
        rows = await self.comparing.read_page(after, 7)
        done = len(rows) < 7
        cursor = None if done else self.cover.hide(rows[-1].key)
        reached = Position("1", "changes" if done else "full", cursor, "w")
        await self.put(rows, self.comparing.keep(after, rows, is_last=done), position=reached)

    async def step(self) -> bool:
        """The next piece of work, as the capture does it."""
        state = self.spool.state(RESOURCE)
        assert state is not None
        if state.position.phase == "full":
            await self.load()
            return True
        return await self.comparing.step(5, 2, self.put)

    def receipt(self) -> None:
        """The hub merges the batch that has waited longest."""
        if not self.waiting:
            return
        sequence = min(self.waiting)
        for row in self.waiting.pop(sequence):
            text = row.key if row.removed else str(row.values[0])
            key = normalise_value("document", "string", text)
            if row.removed:
                self.arrived.pop(key, None)
            else:
                self.arrived[key] = row.values[1]
        self.spool.receipted(RESOURCE, sequence, Outcome(1, "[]", "t"))

    def refuse(self) -> None:
        """A batch that waits is refused: it and those behind it are read again."""
        if not self.waiting:
            return
        sequence = self.chance.choice(sorted(self.waiting))
        if not self.spool.rewind(RESOURCE, sequence):
            state = self.spool.state(RESOURCE)
            assert state is not None
            # What the hub has is told gone by the end of the load, which is not a part of this test.
            self.arrived.clear()
            self.waiting.clear()
            self.spool.begin(RESOURCE, "1", Number(state.next.generation + 1, state.next.sequence))
            return
        self.waiting = {number: rows for number, rows in self.waiting.items() if number < sequence}

    async def change(self) -> None:
        """Somebody works in the department's table."""
        number = self.chance.randrange(40)
        known = self.raw.get(number)
        self.seen += 1
        if known is None:
            self.raw[number] = written(number, self.chance)
            self.department.run(f"INSERT INTO births VALUES ('{self.raw[number]}', 'v{self.seen}')")
            return
        match self.chance.choice(("delete", "update", "back", "rewrite")):
            case "delete":
                self.department.run(f"DELETE FROM births WHERE bh = '{known}'")
                del self.raw[number]
            case "update":
                self.department.run(f"UPDATE births SET bz = 'v{self.seen}' WHERE bh = '{known}'")
            case "back":
                self.department.run(f"UPDATE births SET bz = 'first' WHERE bh = '{known}'")
            case "rewrite":
                self.raw[number] = written(number, self.chance)
                self.department.run(f"UPDATE births SET bh = '{self.raw[number]}' WHERE bh = '{known}'")

    async def tell(self) -> None:
        """A row is sent by another way, as changes by their time are."""
        state = self.spool.state(RESOURCE)
        assert state is not None
        if not self.raw or state.position.phase == "full":
            return
        key = self.raw[self.chance.choice(sorted(self.raw))]
        row = await self.source.read_one(MAPPING, "bh", [key], 10)
        if row is not None:
            await self.put([row], self.comparing.loosen([row]))

    def kill(self) -> None:
        """The node ends at any line and is started again: what is in the spool is all it knows."""
        self.spool.close()
        self.open()

    async def held(self) -> dict[str, object]:
        """What the table holds."""
        rows = await self.source.read_range(MAPPING, None, None, 1000)
        return {normalise_value("document", "string", str(row.values[0])): row.values[1] for row in rows}


@pytest.mark.parametrize("seed", range(4))
async def test_the_hub_ends_with_what_the_table_holds(
    department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(ranges, "RANGE_ROWS", 6)
    monkeypatch.setattr(comparing, "RANGE_ROWS", 6)
    chance = random.Random(seed)
    collation = " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci" if department.kind == "mysql" else ""
    department.run(f"CREATE TABLE births (bh varchar(20){collation} PRIMARY KEY, bz varchar(20))")
    node = Node(department, tmp_path, chance)
    for _ in range(25):
        await node.change()
    acts = [node.change] * 5 + [node.step] * 8 + [node.tell] * 2
    for _ in range(220):
        drawn = chance.random()
        if drawn < 0.1:
            node.kill()
        elif drawn < 0.25:
            node.receipt()
        elif drawn < 0.3:
            node.refuse()
        else:
            await chance.choice(acts)()
    # Two whole passes after the last change find everything, with what was doubted in the first.
    passes, at = 0, -1
    while passes < 3:
        await node.step()
        now = node.spool.within(lambda db: ranges.read_pass(db, RESOURCE))
        if now is not None and now.stage == "rest" and now.turn != at:
            passes, at = passes + 1, now.turn
    while node.waiting:
        node.receipt()
    assert node.arrived == await node.held()
    left = node.spool.within(lambda db: db.execute("SELECT count(*) FROM loose").fetchone())
    assert left == (0,)
    await node.source.close()
    node.spool.close()


async def loaded(department: Department, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A table of 30 rows that the hub has, in ranges of six keys."""
    monkeypatch.setattr(ranges, "RANGE_ROWS", 6)
    monkeypatch.setattr(comparing, "RANGE_ROWS", 6)
    department.run("CREATE TABLE births (bh varchar(20) PRIMARY KEY, bz varchar(20))")
    node = Node(department, folder, random.Random(1))
    for number in range(30):
        node.raw[number] = f"N{number:04}"
        department.run(f"INSERT INTO births VALUES ('{node.raw[number]}', 'first')")
    state = node.spool.state(RESOURCE)
    while state is not None and state.position.phase == "full":
        await node.load()
        state = node.spool.state(RESOURCE)
    while node.waiting:
        node.receipt()
    return node


async def one_pass(node: Node) -> list[SourceRow]:
    """Compare once, and return what was sent."""
    before = node.spool.within(lambda db: ranges.read_pass(db, RESOURCE))
    sent = set(node.waiting)
    assert before is not None
    while True:
        await node.step()
        now = node.spool.within(lambda db: ranges.read_pass(db, RESOURCE))
        if now is not None and now.stage == "rest" and now.turn > before.turn:
            return [row for number, rows in node.waiting.items() if number not in sent for row in rows]


async def test_a_key_that_is_written_in_another_way_is_not_gone(
    department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It moves to the end of the table and back to its beginning: neither is a removal."""
    node = await loaded(department, tmp_path, monkeypatch)
    for before, after in (("N0003", "Ｎ０００３"), ("Ｎ０００３", "N0003")):
        department.run(f"UPDATE births SET bh = '{after}' WHERE bh = '{before}'")
        sent = await one_pass(node)
        assert [(row.values[0], row.removed) for row in sent] == [(after, False)]
        while node.waiting:
            node.receipt()
        assert await one_pass(node) == []
    department.run("DELETE FROM births WHERE bh = 'N0003'")
    assert [(row.key, row.removed) for row in await one_pass(node)] == [("N0003", True)]
    await node.source.close()
    node.spool.close()


def stored_in(folder: Path) -> bytes:
    """Everything the spool has on disk."""
    return b"".join(file.read_bytes() for file in sorted(folder.glob("spool.db*")))


async def test_the_spool_holds_no_key_in_clear(
    department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await loaded(department, tmp_path, monkeypatch)
    department.run("DELETE FROM births WHERE bh = 'N0007'")
    await one_pass(node)
    node.spool.close()
    stored = stored_in(tmp_path)
    assert len(stored) > 10_000 and not any(f"N{number:04}".encode() in stored for number in range(30))
    await node.source.close()


async def test_what_was_sent_by_another_way_is_compared_anew(
    department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that changed, was sent, and changed back unseen is sent again: its range looks untouched."""
    node = await loaded(department, tmp_path, monkeypatch)
    department.run("UPDATE births SET bz = 'second' WHERE bh = 'N0003'")
    row = await node.source.read_one(MAPPING, "bh", ["N0003"], 10)
    assert row is not None
    await node.put([row], node.comparing.loosen([row]))
    department.run("UPDATE births SET bz = 'first' WHERE bh = 'N0003'")
    assert [row.values for row in await one_pass(node)] == [("N0003", "first")]
    assert await one_pass(node) == []
    # And one that came and went between two passes is gone.
    department.run("INSERT INTO births VALUES ('N0999', 'brief')")
    row = await node.source.read_one(MAPPING, "bh", ["N0999"], 10)
    assert row is not None
    await node.put([row], node.comparing.loosen([row]))
    department.run("DELETE FROM births WHERE bh = 'N0999'")
    assert [(row.key, row.removed) for row in await one_pass(node)] == [("N0999", True)]
    await node.source.close()
    node.spool.close()
