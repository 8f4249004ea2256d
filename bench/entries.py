"""Catalogue entries by the million: names put together from words that catalogues of real cities use.

They exist in benchmarks only. What is written is what publishing writes: the entry, its items, one version
and its search row. Rows go in by COPY without foreign keys being checked, the big indexes come at the end.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import yaml

from shuqiao.control.catalogue import words
from shuqiao.embedded import postgres
from shuqiao.rules.entries import Entry, EntryItem

CHUNK = 5_000
FULL_EVERY = 100
"""Every so many entries have their whole content stored, the others only their names."""

WORDS: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
TOPICS, ACTS, ENDS, ITEMS = (WORDS[key].split() for key in ("topics", "acts", "ends", "items"))
# Most entries name no place and no year.
PLACES, YEARS = (["", "", "", "", *WORDS[key].split()] for key in ("places", "years"))
FIELDS = {name: f"f{at:03d}" for at, name in enumerate(ITEMS)}
CYCLES = (
    ["realtime", "daily", "weekly", "monthly", "quarterly", "yearly", "other"],
    [5, 25, 10, 30, 10, 18, 2],
)
SHARED = (["unconditional", "conditional", "not_shared"], [60, 30, 10])
FORMATS = (["database", "spreadsheet", "document", "service", "image"], [60, 20, 12, 6, 2])
MODES = (["{verify,query}", "{query}", "{query,bulk}", "{verify}", "{verify,query,bulk}"], [3, 3, 2, 2, 1])
LIBRARIES = (["population", "legal_entity", "geospatial", "licence", ""], [4, 4, 2, 1, 9])
SUBJECTS = [f"10{n}" for n in range(1, 6)] + [f"2{n:02d}" for n in range(1, 13)] + ["301"]

_RESOURCE = (
    "id, code, list_key, regulation, article, category_zh, category_en, name_zh, name_en, summary_zh,"
    " summary_en, department_id, record_key, library, update_cycle, modes, platform_zh, scope_zh, content,"
    " subject, region, format, library_kind, share_type, open_to_public, shared, state, version,"
    " published_at, shared_until"
)
_ITEM = (
    "resource_id, number, part, part_of_zh, field, zh, en, type, length, identity, kind, sensitivity,"
    " data_type, business_secret, is_key, is_timestamp, code_list, standard, required, modes, companion,"
    " article"
)
_VERSION = "resource_id, version, content, note_zh, note_en, published_at, compilation, withdrawn"
_BIG_INDEXES = ("search_shared", "search_kept")


@dataclass(frozen=True)
class Made:
    """One entry: its name, items and the values its columns take."""

    number: int
    name: str
    summary: str
    department: str
    items: tuple[str, ...]
    subject: str
    library: str
    cycle: str
    modes: str
    format: str
    share_type: str
    open_to_public: bool
    day: str

    @property
    def id(self) -> str:
        """Ids with the alphabet of the real ones, all different."""
        digits, rest = [], self.number
        for _ in range(10):
            rest, digit = divmod(rest, 32)
            digits.append("abcdefghijklmnopqrstuvwxyz234567"[digit])
        return "r440100" + "".join(reversed(digits))


def made(count: int, departments: list[str], seed: int = 7) -> Iterator[Made]:
    """Make entries, always the same ones; some topics and items are much more frequent than others."""
    drawn = random.Random(seed)
    weights = {
        id(pool): [1 / (at + 1) ** power for at in range(len(pool))]
        for pool, power in ((TOPICS, 0.6), (ACTS, 0.7), (ITEMS, 0.5))
    }
    of_topic = {topic: drawn.choice(departments) for topic in TOPICS}

    def pick(pool: list[str]) -> str:
        return drawn.choices(pool, weights[id(pool)])[0]

    for number in range(count):
        topic, act = pick(TOPICS), pick(ACTS)
        items = tuple(dict.fromkeys(drawn.choices(ITEMS, weights[id(ITEMS)], k=drawn.randint(3, 9))))[:8]
        name = drawn.choice(PLACES) + drawn.choice(YEARS) + topic + act + drawn.choice(ENDS)
        yield Made(
            number=number,
            name=name,
            summary=f"在{topic}{act}工作中形成的信息，含{items[0]}、{items[-1]}等 {len(items)} 项。",
            department=of_topic[topic] if drawn.random() < 0.7 else drawn.choice(departments),
            items=items,
            subject=drawn.choice(SUBJECTS) + "01001",
            library=drawn.choices(*LIBRARIES)[0],
            cycle=drawn.choices(*CYCLES)[0],
            modes=drawn.choices(*MODES)[0],
            format=drawn.choices(*FORMATS)[0],
            share_type=drawn.choices(*SHARED)[0],
            open_to_public=drawn.random() < 0.2,
            day=f"2026-{drawn.randint(1, 9):02d}-{drawn.randint(1, 28):02d} 02:00:00+00",
        )


def fill(server: postgres.PostgresServer, count: int) -> None:
    """Write this many entries into the hub, and bring its statistics up to date."""
    started = time.perf_counter()
    with psycopg.connect(server.url("hub")) as admin:
        admin.execute("SET search_path = control, public")
        # The entries are whole by the way they are made; checking five million references takes minutes.
        admin.execute("SET session_replication_role = replica")
        admin.execute("SET maintenance_work_mem = '512MB'")
        found = admin.execute("SELECT code, name_zh FROM organisations_department").fetchall()
        named: dict[str, str] = {str(code): str(name) for code, name in found}
        indexes = _drop_indexes(admin)
        entries = made(count, sorted(named))
        for at in range(0, count, CHUNK):
            _write(
                admin,
                [entry for _, entry in zip(range(min(CHUNK, count - at)), entries, strict=False)],
                named,
            )
            if at % 100_000 == 0:
                print(f"{at} entries, {time.perf_counter() - started:.0f} s", file=sys.stderr)
        admin.execute("SET session_replication_role = origin")
        for definition in indexes:
            admin.execute(definition)
    with psycopg.connect(server.url("hub"), autocommit=True) as admin:
        admin.execute("VACUUM (ANALYZE, PARALLEL 0)")
        admin.execute("CHECKPOINT")
    print(f"made {count} entries in {time.perf_counter() - started:.0f} s", file=sys.stderr)


def _drop_indexes(admin: psycopg.Connection) -> list[str]:
    """Drop the big indexes; returns the statements that make them again."""
    found = admin.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'control' AND indexname = ANY(%s)",
        [list(_BIG_INDEXES)],
    ).fetchall()
    for name, _ in found:
        admin.execute(f"DROP INDEX control.{name}")
    # A copy of the definition would stop at the parent table; the migration's own does not.
    return [definition.replace(" ON ONLY ", " ON ") for _, definition in found]


def _write(admin: psycopg.Connection, entries: list[Made], named: dict[str, str]) -> None:
    cursor = admin.cursor()
    with cursor.copy(f"COPY catalogue_resource ({_RESOURCE}) FROM STDIN") as rows:
        for entry in entries:
            rows.write_row(_resource_row(entry))
    with cursor.copy(f"COPY catalogue_item ({_ITEM}) FROM STDIN") as rows:
        for entry in entries:
            for number, name in enumerate(entry.items, 1):
                rows.write_row(
                    (
                        entry.id,
                        number,
                        0,
                        "",
                        FIELDS[name],
                        name,
                        "",
                        "string",
                        50,
                        False,
                        "plain",
                        1,
                        "C",
                        False,
                        False,
                        False,
                        "",
                        "",
                        False,
                        entry.modes,
                        False,
                        "",
                    )
                )
    with cursor.copy(f"COPY catalogue_resourceversion ({_VERSION}) FROM STDIN") as rows:
        for entry in entries:
            rows.write_row((entry.id, 1, _content(entry), "新增", "New", entry.day, "", False))
    texts = {
        entry.id: words.search_text(
            entry.name, "", [(name, "") for name in entry.items], [entry.summary, named[entry.department]]
        )
        for entry in entries
    }
    admin.execute(
        "SELECT store_search_rows(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[])",
        [
            list(texts),
            [" ".join(text.terms) for text in texts.values()],
            [text.name for text in texts.values()],
            [text.pinyin_key for text in texts.values()],
            [text.initials for text in texts.values()],
        ],
    )


def _resource_row(entry: Made) -> tuple[object, ...]:
    code = f"{entry.subject}/{900_000_000 + entry.number}"
    return (
        entry.id, code, entry.id, "guangzhou-2016", "30(1)", "", "", entry.name, "", entry.summary, "",
        entry.department, "", entry.library, entry.cycle, entry.modes, "市共享平台", "本市各级行政机关",
        _content(entry), entry.subject, "440100", entry.format, "base" if entry.library else "business",
        entry.share_type, entry.open_to_public, entry.share_type != "not_shared", "published", 1, entry.day,
        "2031-12-31",
    )  # fmt: skip


def _content(entry: Made) -> str:
    if entry.number % FULL_EVERY:
        return msgspec.json.encode({"name_zh": entry.name, "open_to_public": entry.open_to_public}).decode()
    items = tuple(EntryItem(field=FIELDS[name], zh=name, length=50) for name in entry.items)
    whole = Entry(
        name_zh=entry.name,
        summary_zh=entry.summary,
        subject=entry.subject,
        open_to_public=entry.open_to_public,
        items=items,
    )
    return msgspec.json.encode(whole).decode()


def main() -> None:
    """Fill a hub whose superuser's URL names its socket folder: for trying things by hand."""
    folder, password, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    fill(postgres.PostgresServer(folder, folder, folder, password), count)


if __name__ == "__main__":
    main()
