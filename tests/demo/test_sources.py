"""The departments' own databases, on a real PostgreSQL, and the mapping files that translate them."""

from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.rows import dict_row

from shuqiao.demo import people as city
from shuqiao.demo import sources
from shuqiao.demo.enterprises import enterprises
from shuqiao.demo.names import SAMPLE_NOTE
from shuqiao.edge.mapping import ColumnSource, read_mapping
from shuqiao.rules.ids import resource_id
from shuqiao.wire.schemas import ItemSpec, ResourceSpec

pytestmark = pytest.mark.database
CATALOGUE = Path(__file__).parents[2] / "regulations" / "catalogue" / "guangzhou-2016.yaml"


def test_health_department(empty_database: str) -> None:
    assert sources.create_health_source(empty_database, city.births(1_000)) == 1_000
    with psycopg.connect(empty_database, autocommit=True) as connection:
        row = connection.execute(
            "SELECT mqxm, mqsfzh, xb FROM csyxzm WHERE zsbh = %s", [city.STORY_CHILD_CERTIFICATE]
        ).fetchone()
        assert row == (city.STORY_MOTHER_NAME, city.STORY_MOTHER_ID, "F")
        notes = connection.execute("SELECT DISTINCT sample_note FROM csyxzm").fetchall()
        assert notes == [(SAMPLE_NOTE,)]
        last = connection.execute("SELECT max(gxsj) FROM csyxzm").fetchone()[0]
        connection.execute("UPDATE csyxzm SET jkzk = '2' WHERE zsbh = %s", [city.STORY_CHILD_CERTIFICATE])
        changed = connection.execute("SELECT zsbh FROM csyxzm WHERE gxsj > %s", [last]).fetchall()
        assert changed == [(city.STORY_CHILD_CERTIFICATE,)]


def test_what_is_there_is_left_alone(empty_database: str) -> None:
    sources.create_health_source(empty_database, city.births(10))
    assert sources.create_health_source(empty_database, city.births(20)) == 10


def test_killed_in_the_middle_leaves_nothing(empty_database: str) -> None:
    def interrupted():
        yield from city.births(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sources.create_health_source(empty_database, interrupted())
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regclass('csyxzm')").fetchone() == (None,)
    assert sources.create_health_source(empty_database, city.births(10)) == 10


def test_police_and_market(empty_database: str) -> None:
    assert sources.create_police_source(empty_database, city.people(2_000)) == 2_000
    assert sources.create_market_source(empty_database, enterprises(100)) == 100
    with psycopg.connect(empty_database) as connection:
        cancelled = connection.execute(
            "SELECT count(*), count(zxrq), count(zxyy) FROM hjxx WHERE hjzt = '0'"
        ).fetchone()
        assert cancelled[0] == cancelled[1] == cancelled[2] > 5
        story = connection.execute(
            "SELECT hjzt FROM hjxx WHERE gmsfhm = %s", [city.STORY_MOTHER_ID]
        ).fetchone()
        assert story == ("1",)


def test_city_counts_what_the_nodes_publish(empty_database: str) -> None:
    sources.create_sources(empty_database, empty_database, people=1_000)
    with psycopg.connect(empty_database) as connection:
        expected = 1_000 + len(list(city.births_of(1_000)))
        assert sources.published_rows(connection, empty_database) == expected


@pytest.mark.parametrize(
    ("department", "key", "unmapped"),
    [("440100-health", "birth", set()), ("440100-police", "household_registration", {"photo"})],
)
def test_mapping_fits_the_table_and_the_catalogue(
    empty_database: str, tmp_path: Path, department: str, key: str, unmapped: set[str]
) -> None:
    """Every column is there, every item but the photo comes, and every code is of the catalogue's list."""
    sources.create_sources(empty_database, empty_database, people=3_000)
    sources.write_mappings(department, tmp_path)
    resource, spec = resource_id("440100", key), catalogued(key)
    mapping = read_mapping(tmp_path / f"{key}.yaml", {resource: spec})
    assert {item.field for item in spec.items} - set(mapping.items) == unmapped
    columns = sql.SQL(", ").join(map(sql.Identifier, mapping.source_columns()))
    query = sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(mapping.table))
    with psycopg.connect(empty_database, row_factory=dict_row) as connection:
        rows = connection.execute(query).fetchall()
    assert len(rows) > 1_000
    for item in spec.items:
        source = mapping.items.get(item.field)
        if item.codes is None or not isinstance(source, ColumnSource):
            continue
        found = {row[source.column] for row in rows} - {None}
        assert {(source.codes or {}).get(value, value) for value in found} <= set(item.codes), item.field


def catalogued(key: str) -> ResourceSpec:
    """What the catalogue of the regulation says of a list."""
    data = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    found = next(entry for entry in data["lists"] if entry["key"] == key)
    lists = {name: tuple(codes) for name, codes in data["code_lists"].items()}
    items = tuple(
        ItemSpec(
            item["field"], item["zh"], item["en"], item["type"], item["identity"], item["kind"],
            item["sensitivity"], item.get("required", False), lists.get(item.get("codes", "")),
        )
        for item in found["items"]
    )  # fmt: skip
    return ResourceSpec(found["record_key"], tuple(found["modes"]), items)
