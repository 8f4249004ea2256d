"""Lists beside the births, for a line that carries several: numbered records about somebody or something."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shuqiao.rules.ids import resource_id
from shuqiao.wire.schemas import ItemSpec, ResourceSpec
from tests.loader.line import Child, Line

COLUMNS = ("bh", "mc", "lb", "rq", "nr")
"""Number, whom it is about, sort, day and content, as the departments' tables have them."""

Record = tuple[str, str, str, str, str]

SPEC = ResourceSpec(
    record_key="record_number",
    modes=("verify", "query"),
    items=(
        ItemSpec("record_number", "编号", "Number", "string", True, "document", 2, True),
        ItemSpec("holder_name", "名称", "Name", "string", True, "name", 1, False),
        ItemSpec("sort", "类别", "Sort", "code", codes=("1", "2")),
        ItemSpec("decided_on", "日期", "Day", "date", required=True),
        ItemSpec("content", "内容", "Content", "text"),
    ),
)


@dataclass(frozen=True)
class Listed:
    """A list of a department, told apart by its word."""

    word: str
    department: str

    @property
    def id(self) -> str:
        """The id of its entry."""
        return str(resource_id("440100", self.word))


def records(word: str, count: int) -> list[Record]:
    """So many invented records."""
    return [
        (
            f"{word[:4].upper()}{number:05}",
            f"样例{word}{number}",
            "1",
            f"2026-03-{number % 28 + 1:02}",
            f"内容{number}",
        )
        for number in range(count)
    ]


def register(line: Line, listed: Listed) -> None:
    """Make the entry of a list and its table, as publishing and offering it do."""
    line.ask(
        "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
        " VALUES (%s, %s, %s, %s, %s, %s::jsonb)",
        listed.id,
        f"T/{listed.word}",
        listed.word,
        listed.word,
        listed.department,
        msgspec.json.encode(SPEC).decode(),
    )
    line.ask("SELECT exchange.create_list(%s)", listed.id)


def fill(line: Line, table: str, rows: Sequence[Record]) -> None:
    """Make a table of the source with these records."""
    columns = ", ".join(f"{name} text" for name in COLUMNS[1:])
    line.change_source(
        f"CREATE TABLE {table} (bh text PRIMARY KEY, {columns}, gxsj timestamptz DEFAULT now())"
    )
    for row in rows:
        insert(line, table, row)


def insert(line: Line, table: str, row: Record) -> None:
    """Add a record to a table of the source."""
    line.change_source(f"INSERT INTO {table} ({', '.join(COLUMNS)}) VALUES (%s, %s, %s, %s, %s)", *row)


def as_csv(rows: Sequence[Record]) -> bytes:
    """The records as a file that a department uploads."""
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *rows])
    return text.getvalue().encode()


def write_mapping(
    folder: Path, listed: Listed, table: str, *, changed: bool = True, capture: str = ""
) -> None:
    """Write the mapping file of a list."""
    folder.mkdir(parents=True, exist_ok=True)
    changes = "  changed: gxsj\n" if changed else ""
    text = f"""resource: {listed.id}
source:
  system: {listed.word}-sample
  table: {table}
  key: bh
{changes}items:
  record_number: bh
  holder_name: mc
  sort: lb
  decided_on: rq
  content: nr
{capture}"""
    (folder / f"{listed.word}.yaml").write_text(text)


async def add_node(line: Line, department: str, source_url: str) -> Child:
    """Admit another department's node, which reads a source of its own; not started yet."""
    await line.enrol(department)
    home = line.home / "nodes" / department
    environment = line.children["node"].environment | {
        "NODE_HOME": str(home),
        "NODE_DEPARTMENT": department,
        "NODE_CREDS": str(home / "node.creds"),
        "NODE_CA": str(home / "ca.pem"),
        "NODE_MAPPING": str(home / "mappings"),
        "NODE_SOURCE_URL": source_url,
    }
    name = f"node {department}"
    child = Child(name, line.children["node"].command, environment, line.home / f"{name}.log")
    line.children[name] = child
    return child


def held(line: Line, listed: Listed) -> set[tuple[str, str, str]]:
    """What the platform's table holds: sort, day and content of every record."""
    rows = line.ask(f"SELECT sort, decided_on::text AS day, content FROM base.{listed.id}")
    return {(row["sort"], row["day"], row["content"]) for row in rows}


def told(rows: Sequence[Record]) -> set[tuple[str, str, str]]:
    """What of the records has its place in the platform's table; numbers and names are the vault's."""
    return {(sort, day, content) for _, _, sort, day, content in rows}


def ledger(line: Line, listed: Listed) -> list[dict[str, Any]]:
    """Department, rows taken and rows refused with their reasons, batch by batch, each with its receipt."""
    return line.ask(
        "SELECT department, accepted, rejected, receipt IS NOT NULL AS receipted FROM exchange.batch"
        " WHERE resource_id = %s ORDER BY sequence",
        listed.id,
    )
