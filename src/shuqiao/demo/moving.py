"""A sample person moves house: the police change their register, another department's own table follows."""

import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from shuqiao.control.operations.sample import FEED_TOWNS
from shuqiao.demo import own_copy, sources
from shuqiao.demo.home import Home
from shuqiao.demo.people import STORY_MOTHER_ID, STORY_MOTHER_NAME

PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.05
_DISTRICT: Final = "海珠区"


@dataclass(frozen=True)
class Move:
    """Who moved from which town to which."""

    name: str
    left: str
    town: str


def move(home: Home, police_url: str, town: str = "") -> int:
    """Move the story's mother to `town`, or to the other one of the grant, and say when the copy has it.

    Returns 0 when it has, 1 when it hasn't after a minute.
    """
    file = own_copy.database(home)
    before = position_of_copy(file)
    moved = move_in_register(police_url, town)
    began = time.monotonic()
    print(f"the police's register: {moved.name} moves from {moved.left} to {moved.town}", flush=True)
    wanted = moved.town if moved.town in FEED_TOWNS else ""
    # The town alone says nothing where the copy had stayed behind.
    while position_of_copy(file) == before or town_in_copy(file, moved.name) != wanted:
        if time.monotonic() - began > PATIENCE_S:
            folder = home.root / "nodes" / own_copy.COPYING
            print(
                f"housing's own table has not followed within {PATIENCE_S:.0f} s; the reason stands in\n"
                f"  .venv/bin/shuqiao node status --home {folder}",
                file=sys.stderr,
            )
            return 1
        time.sleep(_PAUSE_S)
    said = f"{moved.name}, {wanted}" if wanted else f"{moved.name} is gone, for the grant ends at its towns"
    print(f"housing's own table:   {said} ({time.monotonic() - began:.1f} s later)")
    return 0


def move_in_register(police_url: str, town: str = "") -> Move:
    """Change the row of the police's own table, and nothing else."""
    table = sql.Identifier(sources.POLICE_TABLE)
    with psycopg.connect(police_url, connect_timeout=10) as police:
        asked = sql.SQL("SELECT hjzj FROM {} WHERE gmsfhm = %s FOR UPDATE").format(table)
        row = police.execute(asked, [STORY_MOTHER_ID]).fetchone()
        left = str(row[0]) if row else ""
        to = town or next(one for one in FEED_TOWNS if one != left)
        station = f"{_DISTRICT}{to.removesuffix('街道')}派出所"
        change = sql.SQL("UPDATE {} SET hjzj = %s, pcs = %s WHERE gmsfhm = %s").format(table)
        police.execute(change, [to, station, STORY_MOTHER_ID])
    return Move(STORY_MOTHER_NAME, left, to)


def town_in_copy(file: Path, name: str) -> str | None:
    """The town of the consumer's own table: empty where the person isn't in it, None where nobody is."""
    with closing(sqlite3.connect(file, timeout=10)) as own:
        found = own.execute(f"SELECT jd FROM {own_copy.TABLE} WHERE xm = ?", [name]).fetchone()
        if found is not None:
            return str(found[0])
        return "" if own.execute(f"SELECT 1 FROM {own_copy.TABLE} LIMIT 1").fetchone() else None


def position_of_copy(file: Path) -> tuple[str, int]:
    """Which part of which feed the consumer's own database has taken last."""
    with closing(sqlite3.connect(file, timeout=10)) as own:
        if own.execute("SELECT 1 FROM sqlite_master WHERE name = 'shuqiao_receive'").fetchone() is None:
            return "", 0
        found = own.execute("SELECT feed, part FROM shuqiao_receive").fetchone()
    return (str(found[0]), int(found[1])) if found else ("", 0)
