"""A sample department that keeps a copy: its database, and its node that applies every change to it.

It does what docs/how-to/receive-changes.md tells: it makes a table, writes a subscription and starts its
node. The database is SQLite's, so that the city needs no further server.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import yaml

from shuqiao.control.operations.sample import FEED_APPLICATION, FEED_KEY
from shuqiao.demo.home import Home
from shuqiao.rules.ids import resource_id
from shuqiao.security.replacing import replace_file
from shuqiao.wire.node_home import NodeFiles

COPYING: Final = "440100-housing"
"""The department whose node follows the list."""
SUBSCRIPTION: Final = "residents"
TABLE: Final = "pqjm"

_DDL: Final = """
-- 公租房片区居民（示例数据，人员均为虚构）
CREATE TABLE IF NOT EXISTS pqjm (
    tbbs  text PRIMARY KEY,
    xm    text,
    jd    text,
    pcs   text,
    hjzt  text,
    zxrq  text,
    zxyy  text,
    bmbz  text NOT NULL DEFAULT ''
);
"""
_COLUMNS: Final = {
    "_key": "tbbs",
    "name": "xm",
    "household_town_or_subdistrict": "jd",
    "household_police_station": "pcs",
    "household_status": "hjzt",
    "cancellation_date": "zxrq",
    "cancellation_reason": "zxyy",
}


def database(home: Home) -> Path:
    """The file of the department's own database, which is no part of its node."""
    return home.root / "data" / COPYING / "housing.db"


def source_url(home: Home) -> str:
    """Its address for the node."""
    return f"sqlite://{database(home)}"


def prepare_copy(home: Home, plane_url: str) -> None:
    """Make the department's table and the subscription of its enrolled node; idempotent."""
    database(home).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(database(home))) as own:
        # The person who looks and the node that writes don't wait for each other.
        own.execute("PRAGMA journal_mode = WAL")
        own.executescript(_DDL)
    folder = NodeFiles(home.root / "nodes" / COPYING).subscriptions
    folder.mkdir(mode=0o700, exist_ok=True)
    credentials = json.loads(home.credentials_file.read_text(encoding="utf-8"))
    _write(folder / "platform.json", json.dumps({"keys": credentials["promise_keys"]}))
    said = {
        "resource": resource_id(COPYING.partition("-")[0], FEED_KEY),
        "application": {
            "id": FEED_APPLICATION,
            "key_file": str(home.root / credentials["applications"][FEED_APPLICATION]["key_file"]),
        },
        "plane": {"url": plane_url, "keys_file": "platform.json"},
        "target": {"url": source_url(home), "table": TABLE},
        "mode": "upsert",
        "key": "_key",
        "columns": _COLUMNS,
        "gone": "delete",
    }
    _write(folder / f"{SUBSCRIPTION}.yaml", yaml.safe_dump(said, allow_unicode=True, sort_keys=False))


def _write(path: Path, text: str) -> None:
    replace_file(path, text.encode(), 0o600)
