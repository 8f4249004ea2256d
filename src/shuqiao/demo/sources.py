"""The databases of two departments as they might have grown by themselves: own tables, names and codes.

Nothing here knows the catalogue; the mapping files beside this module translate. Each source is made in one
transaction, so a killed start leaves either all of it or nothing.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg
import yaml
from psycopg import sql

from shuqiao.demo.enterprises import Enterprise
from shuqiao.demo.enterprises import enterprises as sample_enterprises
from shuqiao.demo.names import DISTRICT_NAMES, SAMPLE_NOTE
from shuqiao.demo.people import CITY_DAY, SEED, Birth, Resident, births_of
from shuqiao.demo.people import people as residents
from shuqiao.edge.mapping import version_of

MAPPINGS: Final = Path(__file__).parent / "mappings"
"""A folder of mapping files for each department's node, named by the department's code."""

HEALTH_TABLE: Final = "csyxzm"
POLICE_TABLE: Final = "hjxx"
VEHICLES_TABLE: Final = "jdcdj"
MARKET_TABLE: Final = "qydj"

_HEALTH_DDL: Final = """
CREATE TABLE csyxzm (
    zsbh varchar(10) PRIMARY KEY,
    xsexm varchar(60) NOT NULL,
    xb char(1) NOT NULL,
    jkzk char(1) NOT NULL,
    mqxm varchar(60) NOT NULL,
    mqsfzh varchar(18) NOT NULL,
    fqxm varchar(60),
    fqsfzh varchar(18),
    csrq date NOT NULL,
    qfsj timestamptz NOT NULL,
    qfjg varchar(120) NOT NULL,
    gxsj timestamptz NOT NULL DEFAULT clock_timestamp(),
    sample_note text NOT NULL
);
COMMENT ON TABLE csyxzm IS '出生医学证明登记（示例数据，人员均为虚构）';
CREATE INDEX csyxzm_gxsj ON csyxzm (gxsj, zsbh);
"""
_POLICE_DDL: Final = """
CREATE TABLE hjxx (
    gmsfhm varchar(18) PRIMARY KEY,
    xm varchar(60) NOT NULL,
    xb char(1) NOT NULL,
    mz char(2) NOT NULL,
    csrq date NOT NULL,
    zz varchar(200) NOT NULL,
    hjzj varchar(60) NOT NULL,
    pcs varchar(60) NOT NULL,
    hjzt char(1) NOT NULL,
    yxzqh varchar(60),
    ypcs varchar(60),
    zxrq date,
    zxyy char(1),
    gxsj timestamptz NOT NULL DEFAULT clock_timestamp(),
    sample_note text NOT NULL
);
COMMENT ON TABLE hjxx IS '户籍登记（示例数据，人员均为虚构）';
CREATE INDEX hjxx_gxsj ON hjxx (gxsj, gmsfhm);
"""
_VEHICLES_DDL: Final = """
CREATE TABLE jdcdj (
    syrsfzh varchar(18) PRIMARY KEY,
    syrxm varchar(60) NOT NULL,
    hphm varchar(15) NOT NULL UNIQUE,
    clpp varchar(30) NOT NULL,
    ccdjrq date NOT NULL,
    zt char(1) NOT NULL,
    gxsj timestamptz NOT NULL DEFAULT clock_timestamp(),
    sample_note text NOT NULL
);
COMMENT ON TABLE jdcdj IS '机动车登记（示例数据，人员与号牌均为虚构）';
"""
_MARKET_DDL: Final = """
CREATE TABLE qydj (
    tyshxydm varchar(18) PRIMARY KEY,
    zch varchar(15) NOT NULL UNIQUE,
    qymc varchar(120) NOT NULL,
    fddbr varchar(60) NOT NULL,
    fddbrsfzh varchar(18) NOT NULL,
    xzqh char(6) NOT NULL,
    zs varchar(200) NOT NULL,
    qylx char(4) NOT NULL,
    hy char(2) NOT NULL,
    clrq date NOT NULL,
    djjg varchar(120) NOT NULL,
    gxsj timestamptz NOT NULL DEFAULT clock_timestamp(),
    sample_note text NOT NULL
);
COMMENT ON TABLE qydj IS '企业登记（示例数据，企业与人员均为虚构）';
CREATE INDEX qydj_gxsj ON qydj (gxsj, tyshxydm);
"""
# A changed row must look changed to whoever asks for rows since a moment.
_TOUCH_DDL: Final = """
CREATE OR REPLACE FUNCTION jl_gxsj() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.gxsj := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER jl_gxsj BEFORE UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION jl_gxsj();
"""
_GROWN_UP_YEARS: Final = 18
_BRANDS: Final = ("示例牌甲", "示例牌乙", "示例牌丙")
HEALTH_COLUMNS: Final = (
    "zsbh", "xsexm", "xb", "jkzk", "mqxm", "mqsfzh", "fqxm", "fqsfzh", "csrq", "qfsj", "qfjg", "gxsj",
    "sample_note",
)  # fmt: skip
POLICE_COLUMNS: Final = (
    "gmsfhm", "xm", "xb", "mz", "csrq", "zz", "hjzj", "pcs", "hjzt", "yxzqh", "ypcs", "zxrq", "zxyy", "gxsj",
    "sample_note",
)  # fmt: skip
_VEHICLES_COLUMNS: Final = ("syrsfzh", "syrxm", "hphm", "clpp", "ccdjrq", "zt", "gxsj", "sample_note")
_MARKET_COLUMNS: Final = (
    "tyshxydm", "zch", "qymc", "fddbr", "fddbrsfzh", "xzqh", "zs", "qylx", "hy", "clrq", "djjg", "gxsj",
    "sample_note",
)  # fmt: skip


def create_sources(
    health_url: str, police_url: str, *, people: int, enterprises: int = 0, market_url: str | None = None
) -> None:
    """Fill the sample departments' databases with a city of `people` persons and the births among them.

    Enterprises need the market department's database; without its URL they are left out.
    """
    create_health_source(health_url, births_of(people))
    create_police_source(police_url, residents(people))
    create_vehicles_source(police_url, residents(people))
    if market_url is not None:
        create_market_source(market_url, sample_enterprises(enterprises))


def write_mappings(department: str, folder: Path) -> None:
    """Copy the mapping files of `department` into its node's `folder`, replacing older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((MAPPINGS / department).glob("*.yaml")):
        shutil.copyfile(path, folder / path.name)


def sent_mappings() -> dict[str, str]:
    """Return the version of each mapping whose records are sent to the platform, by resource."""
    found = {}
    for path in sorted(MAPPINGS.glob("*/*.yaml")):
        content = path.read_bytes()
        said = yaml.safe_load(content)
        if said.get("kept") != "node":
            found[str(said["resource"])] = version_of(content)
    return found


def published_rows(health: psycopg.Connection[tuple[object, ...]], police_url: str) -> int:
    """Count the rows that the two nodes have to publish in a first load."""
    with psycopg.connect(police_url, connect_timeout=10) as police:
        return _count(health, HEALTH_TABLE) + _count(police, POLICE_TABLE)


def create_health_source(url: str, births: Iterable[Birth]) -> int:
    """Create the health department's table of birth certificates and fill it; return its number of rows.

    A table that is there already is left as it is.
    """
    return _create(url, HEALTH_TABLE, _HEALTH_DDL, HEALTH_COLUMNS, map(_birth_row, births))


def create_police_source(url: str, register: Iterable[Resident], seed: int = SEED) -> int:
    """Create the police's household register and fill it; return its number of rows.

    About one household record in eighty is cancelled: moved away (1) or deceased (2).
    """
    return _create(url, POLICE_TABLE, _POLICE_DDL, POLICE_COLUMNS, _police_rows(register, seed))


def create_vehicles_source(url: str, register: Iterable[Resident]) -> int:
    """Create the police's register of motor vehicles and fill it; return its number of rows.

    Every fifth resident who was grown up on the day of the city owns one, the story's mother among them.
    """
    return _create(url, VEHICLES_TABLE, _VEHICLES_DDL, _VEHICLES_COLUMNS, _vehicle_rows(register))


def create_market_source(url: str, companies: Iterable[Enterprise]) -> int:
    """Create the market department's register of enterprises and fill it; return its number of rows."""
    return _create(url, MARKET_TABLE, _MARKET_DDL, _MARKET_COLUMNS, map(_enterprise_row, companies))


def _create(
    url: str, table: str, ddl: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]
) -> int:
    name = sql.Identifier(table)
    connection: psycopg.Connection[tuple[object, ...]]
    with psycopg.connect(url, connect_timeout=10) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{table}"])
        if cursor.fetchone() == (False,):
            cursor.execute(ddl.encode())
            cursor.execute(sql.SQL(_TOUCH_DDL).format(name))
            listed = sql.SQL(", ").join(map(sql.Identifier, columns))
            with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(name, listed)) as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(sql.SQL("ANALYZE {}").format(name))
        return _count(connection, table)


def _count(connection: psycopg.Connection[tuple[object, ...]], table: str) -> int:
    found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    return int(str(found[0])) if found else 0


def _birth_row(birth: Birth) -> tuple[object, ...]:
    return (
        birth.certificate,
        birth.child.name,
        birth.child.sex,
        birth.health,
        birth.mother.name,
        birth.mother.citizen_id,
        birth.father.name,
        birth.father.citizen_id,
        birth.child.birth_date,
        birth.issued_at,
        birth.issued_by,
        birth.issued_at,
        SAMPLE_NOTE,
    )


def _enterprise_row(company: Enterprise) -> tuple[object, ...]:
    day = company.established_on
    return (
        company.credit_code,
        company.registration_number,
        company.name,
        company.representative.name,
        company.representative.citizen_id,
        company.district,
        company.address,
        company.kind,
        company.trade,
        day,
        company.authority,
        datetime(day.year, day.month, day.day, 2, tzinfo=UTC),
        SAMPLE_NOTE,
    )


def _vehicle_rows(register: Iterable[Resident]) -> Iterator[tuple[object, ...]]:
    born_before = CITY_DAY.replace(year=CITY_DAY.year - _GROWN_UP_YEARS)
    for place, resident in enumerate(register):
        person = resident.person
        if place % 5 != 1 or person.birth_date > born_before:
            continue
        registered = CITY_DAY - timedelta(days=30 + place * 37 % 2_500)
        yield (
            person.citizen_id,
            person.name,
            # No place in the country begins its plates with this character.
            f"样A{place:06d}",
            _BRANDS[place % len(_BRANDS)],
            registered,
            "B" if place % 50 == 6 else "A",
            datetime(registered.year, registered.month, registered.day, 2, tzinfo=UTC),
            SAMPLE_NOTE,
        )


def _police_rows(register: Iterable[Resident], seed: int) -> Iterator[tuple[object, ...]]:
    draw = random.Random(seed + 2)
    end = datetime(CITY_DAY.year, CITY_DAY.month, CITY_DAY.day, tzinfo=UTC)
    for place, resident in enumerate(register):
        person, family = resident.person, resident.family
        station = f"{DISTRICT_NAMES[family.district]}{family.town.removesuffix('街道')}派出所"
        # The first family is the story's and stays as the documents tell it.
        cancelled = place > 2 and draw.random() < 0.0125
        changed = end - timedelta(minutes=draw.randrange(10 * 365 * 1440))
        yield (
            person.citizen_id,
            person.name,
            "1" if person.sex == "M" else "2",
            person.ethnicity,
            person.birth_date,
            family.address,
            family.town,
            station,
            "0" if cancelled else "1",
            f"广州市{DISTRICT_NAMES[family.district]}" if cancelled else None,
            station if cancelled else None,
            max(changed.date(), person.birth_date) if cancelled else None,
            draw.choice("12") if cancelled else None,
            changed,
            SAMPLE_NOTE,
        )
