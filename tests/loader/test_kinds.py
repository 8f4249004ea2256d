"""What else than base data goes this way, whence a batch may come, and city-built databases kept in step."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.loader.line import HEALTH, POLICE, Line, wait_for
from tests.loader.records import (
    COLUMNS,
    Listed,
    Record,
    add_node,
    as_csv,
    fill,
    held,
    insert,
    ledger,
    records,
    register,
    told,
    write_mapping,
)

pytestmark = pytest.mark.database

KINDS = ("case", "approval", "licence", "report", "analysis")
"""办件、批文、证照、数据报表、决策分析, as the vocabulary of entries names them."""

LIBRARIES = ("population", "legal_entity", "geospatial", "macro_economy")
"""人口、法人单位、自然资源和空间地理、宏观经济."""

DATA, HOUSING = "440100-data", "440100-housing"
RANGES = "capture:\n  by: ranges\n  compare_every: 1s\n  remove_at_most: 100%\n"


@pytest.mark.requirement("ING-07", source="SY:4(3)")
async def test_cases_approvals_licences_reports_and_analyses_arrive_like_base_data(line: Line) -> None:
    await line.set_up(people=20)
    lists = {kind: Listed(kind, HEALTH) for kind in KINDS}
    rows = {kind: records(kind, 40) for kind in KINDS}
    for kind, one in lists.items():
        register(line, one)
        fill(line, f"t_{kind}", rows[kind])
        write_mapping(line.node_home / "mappings", one, f"t_{kind}")
    await line.enrol(HEALTH)
    line.start("loader", "node")
    for kind, one in lists.items():
        wait_for(lambda one=one, kind=kind: held(line, one) == told(rows[kind]), what=kind)
    # A case goes on: its result arrives by itself, the earlier state stays in the history.
    line.change_source("UPDATE t_case SET nr = '已办结', gxsj = now() WHERE bh = %s", rows["case"][0][0])
    done = ("1", rows["case"][0][3], "已办结")
    wait_for(lambda: done in held(line, lists["case"]), what="the decided case")
    past = line.ask(f"SELECT content FROM base_history.{lists['case'].id}")
    assert [row["content"] for row in past] == [rows["case"][0][4]]
    for one in lists.values():
        assert all(batch["rejected"] == [] and batch["receipted"] for batch in ledger(line, one))
    merged = line.ask("SELECT DISTINCT resource_id FROM audit.entry WHERE event = 'batch_merged'")
    assert {one.id for one in lists.values()} <= {row["resource_id"] for row in merged}


@pytest.mark.requirement("ING-08", source="SY:16¶1")
async def test_city_built_base_databases_are_kept_in_step_on_the_platform(line: Line) -> None:
    """The bureau's database is compared again and again: what is new, changed or gone there is so here."""
    await line.set_up(people=20)
    lists = {word: Listed(word, DATA) for word in LIBRARIES}
    kept = {word: records(word, 60) for word in LIBRARIES}
    node = await add_node(line, DATA, line.source)
    for word, one in lists.items():
        register(line, one)
        fill(line, word, kept[word])
        write_mapping(line.home / "nodes" / DATA / "mappings", one, word, changed=False, capture=RANGES)
    await line.enrol(DATA)
    line.start("loader")
    node.start()
    for word, one in lists.items():
        wait_for(lambda one=one, word=word: held(line, one) == told(kept[word]), what=word)
    for word, one in lists.items():
        new: Record = ("NEW00001", "样例新增", "2", "2026-11-01", f"新增{word}")
        insert(line, word, new)
        line.change_source(f"UPDATE {word} SET nr = '变更' WHERE bh = %s", kept[word][1][0])
        line.change_source(f"DELETE FROM {word} WHERE bh = %s", kept[word][2][0])
        changed = (*kept[word][1][:4], "变更")
        kept[word] = [kept[word][0], changed, *kept[word][3:], new]
        wait_for(lambda one=one, word=word: held(line, one) == told(kept[word]), what=f"{word} in step")
    origin = {
        one.id: line.ask(f"SELECT DISTINCT source_department AS d FROM base.{one.id}")
        for one in lists.values()
    }
    assert all(found == [{"d": DATA}] for found in origin.values())


@contextmanager
def interface(rows: list[Record]) -> Iterator[str]:
    """A department's own interface that gives its records as JSON; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in rows]).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """The test has its own notes."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def put(folder: Path, name: str, content: bytes) -> None:
    """Put a file into a folder, as it lies after an upload that is over."""
    folder.mkdir()
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (time.time() - 60, time.time() - 60))


@pytest.mark.requirement("ING-11", source="SY:16¶3")
async def test_pushed_uploaded_or_pulled_each_batch_is_acknowledged_row_by_row(line: Line) -> None:
    """From a table whose changes are pushed, from a file, and from the department's own interface."""
    await line.set_up(people=20)
    ways = {
        HEALTH: Listed("pushed", HEALTH),
        POLICE: Listed("uploaded", POLICE),
        HOUSING: Listed("pulled", HOUSING),
    }
    rows = {department: records(one.word, 30) for department, one in ways.items()}
    wrong: Record = ("WRONG001", "样例错误", "9", "1700-01-01", "不应接收")
    for one in ways.values():
        register(line, one)
    sent = {department: [*some, wrong] for department, some in rows.items()}
    fill(line, "pushed", sent[HEALTH])
    folder = line.home / "upload"
    put(folder, "uploaded.csv", as_csv(sent[POLICE]))
    with interface(sent[HOUSING]) as url:
        described = {"base_url": url, "every": "1s", "tables": {"pulled": {"path": "/pulled"}}}
        (line.home / "api.yaml").write_text(yaml.safe_dump(described))
        children = [
            await add_node(line, POLICE, f"folder://{folder}"),
            await add_node(line, HOUSING, f"api://{line.home}/api.yaml"),
        ]
        write_mapping(line.node_home / "mappings", ways[HEALTH], "pushed")
        for department, table in ((POLICE, "uploaded*"), (HOUSING, "pulled")):
            mappings = line.home / "nodes" / department / "mappings"
            write_mapping(mappings, ways[department], f'"{table}"', changed=False)
        await line.enrol(HEALTH)
        line.start("loader", "node")
        for child in children:
            child.start()
        for department, one in ways.items():
            wait_for(lambda one=one, d=department: held(line, one) == told(rows[d]), what=one.word)
            wait_for(lambda one=one: all(b["receipted"] for b in ledger(line, one)), what="receipts")
            faults = [fault for batch in ledger(line, one) for fault in batch["rejected"]]
            assert {(fault["item"], fault["code"]) for fault in faults} == {
                ("sort", "item_code_unknown"),
                ("decided_on", "date_impossible"),
            }, one.word
            assert len({fault["row"] for fault in faults}) == 1
            assert sum(batch["accepted"] for batch in ledger(line, one)) == len(rows[department])
            assert {batch["department"] for batch in ledger(line, one)} == {department}
