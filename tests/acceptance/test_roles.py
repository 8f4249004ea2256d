"""Who the running processes are to the database."""

import psycopg
import pytest

from shuqiao.demo.home import Home
from tests.plugins.city import City

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


def test_no_running_process_is_the_owner_of_the_schemas(city: City) -> None:
    with psycopg.connect(Home(city.home).hub_superuser_url("shuqiao")) as hub:
        owner = hub.execute("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'audit'")
        assert owner.fetchone() == ("shuqiao_owner",)
        found = hub.execute("SELECT usename FROM pg_stat_activity WHERE datname = 'shuqiao'").fetchall()
    roles = {role for (role,) in found} - {"postgres"}
    assert roles >= {
        "shuqiao_control",
        "shuqiao_plane",
        "shuqiao_loader",
        "shuqiao_admitting",
        "shuqiao_integrator",
    }
    assert "shuqiao_owner" not in roles
