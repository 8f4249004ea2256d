"""The departments' own databases, on a real PostgreSQL, and the mapping files that translate them."""

from pathlib import Path

import psycopg
import pytest
import yaml

from shuqiao.demo import people as city
from shuqiao.demo import sources
from shuqiao.demo.enterprises import enterprises
from shuqiao.demo.names import SAMPLE_NOTE
from shuqiao.rules.ids import resource_id

pytestmark = pytest.mark.database
ITEMS = Path(__file__).parents[2] / "regulations" / "base-data-items.yaml"


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
    ("department", "key", "table", "columns"),
    [
        ("440100-health", "birth", sources.HEALTH_TABLE, sources.HEALTH_COLUMNS),
        ("440100-police", "household_registration", sources.POLICE_TABLE, sources.POLICE_COLUMNS),
    ],
)
def test_mappings_name_existing_columns_and_items(
    department: str, key: str, table: str, columns: tuple[str, ...], tmp_path: Path
) -> None:
    sources.write_mappings(department, tmp_path)
    mapping = yaml.safe_load((tmp_path / f"{key}.yaml").read_text(encoding="utf-8"))
    assert mapping["resource"] == resource_id("440100", key)
    assert mapping["source"]["table"] == table
    used = {value["column"] if isinstance(value, dict) else value for value in mapping["items"].values()}
    assert used | {mapping["source"]["key"], mapping["source"]["changed"]} <= set(columns)
    fields = item_fields(key)
    assert set(mapping["items"]) <= fields
    assert fields - set(mapping["items"]) <= {"photo"}


def item_fields(key: str) -> set[str]:
    """The fields of a list of chapter 2, compound items by their parts."""
    data = yaml.safe_load(ITEMS.read_text(encoding="utf-8"))
    lists = {found["key"]: found for category in data["categories"] for found in category["lists"]}
    items = lists[key]["items"]
    return {part["field"] for item in items for part in item.get("parts", [item])}
