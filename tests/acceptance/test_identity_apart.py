"""What a thief finds in everything but the vault: nobody's name."""

import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from shuqiao.demo.home import Home
from shuqiao.embedded import postgres
from tests.plugins.city import City

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


def _dump(home: Home, database: str) -> str:
    """A plain dump of one of the hub's databases, as the superuser would restore it."""
    programs = postgres.runtime(home.data)
    done = subprocess.run(
        [programs / "pg_dump", "--dbname", home.hub_server.url(database)],
        capture_output=True,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        check=True,
    )
    return done.stdout.decode()


def _identities(home: Home) -> set[str]:
    """Names and numbers of every person in the departments' own databases, relatives included."""
    found: set[str] = set()
    queries = {
        "health": "SELECT zsbh, xsexm, mqxm, mqsfzh, fqxm, fqsfzh FROM csyxzm",
        "police": "SELECT gmsfhm, xm FROM hjxx",
    }
    for database, query in queries.items():
        with psycopg.connect(home.departments_server.url(database)) as connection:
            for row in connection.execute(query):
                found |= {str(value) for value in row if value}
    return found


def _named(text: str, identities: set[str]) -> set[str]:
    """Which identities stand in `text`; names of two characters occur in ordinary words and prove nothing."""
    return {identity for identity in identities if len(identity) > 2 and identity in text}


@pytest.mark.requirement("SEC-04")
def test_a_dump_of_everything_but_the_vault_names_nobody(city: City) -> None:
    home = Home(city.home)
    identities = _identities(home)
    assert len(identities) > 500
    dump = _dump(home, "shuqiao")
    assert "COPY base.r440100" in dump, "the dump holds the base tables"
    assert _named(dump, identities) == set()


@pytest.mark.requirement("SEC-04")
def test_the_vault_holds_identity_only_encrypted(city: City) -> None:
    home = Home(city.home)
    assert _named(_dump(home, "shuqiao_vault"), _identities(home)) == set()


def test_messages_spools_and_logs_name_nobody(city: City) -> None:
    home = Home(city.home)
    identities = _identities(home)
    places = [home.root / "data" / "nats", home.root / "nodes", home.logs]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert any(path.suffix == ".blk" for path in files), "the message server keeps batches on disk"
    for path in files:
        text = Path(path).read_bytes().decode("utf-8", errors="ignore")
        assert _named(text, identities) == set(), path
