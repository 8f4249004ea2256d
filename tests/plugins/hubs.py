"""Hub databases on a server of the tests: migrated once, copied for each test that wants its own."""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from shuqiao.embedded import hub, postgres
from shuqiao.security.keys import random_secret_file
from tests.plugins.clusters import TEMPLATE, Clusters, home


def environment(folder: Path, database_url: str) -> dict[str, str]:
    """Tell control where things are; keys are made when a test first signs."""
    secret = folder / "secret-key"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(64), encoding="ascii")
    # The planes of the tests inherit this setting, and start only if its file is there.
    random_secret_file(folder / "files.key")
    return {
        "SHUQIAO_DATABASE_URL": database_url,
        "SHUQIAO_SECRET_KEY_FILE": str(secret),
        "SHUQIAO_REGULATION": "guangzhou-2016",
        "SHUQIAO_ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "SHUQIAO_PLANE_URL": "http://127.0.0.1:1",
        "SHUQIAO_PORTAL_KEYS": str(folder / "portal"),
        "SHUQIAO_GRANT_KEY_FILE": str(folder / "grants.key"),
        "FILES_SECRET_FILE": str(folder / "files.key"),
        "SHUQIAO_SAMPLE": "1",
    }


def make_hub(superuser_url: str, owner_url: str, name: str) -> None:
    """Create a hub database on a server that has the roles, and apply all migrations as their owner."""
    hub.create_database(superuser_url, name, "shuqiao_owner", control_schema=True)
    command = [
        sys.executable,
        "-m",
        "django",
        "migrate",
        "--skip-checks",
        "--verbosity",
        "0",
        "--settings",
        "shuqiao.control.settings",
    ]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(command, check=True, env=os.environ | environment(Path(folder), owner_url))


def copy_hub(superuser_url: str, template: str, name: str) -> None:
    """Copy a database of a hub under another name; the roles of its processes may enter."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        names = (sql.Identifier(name), sql.Identifier(template))
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY OWNER shuqiao_owner").format(*names)
        )
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(names[0]))
    hub.let_enter(superuser_url, name, "shuqiao_owner")


def drop(superuser_url: str, name: str) -> None:
    """Remove a database, whoever is connected to it."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def has_template(superuser_url: str) -> bool:
    """Tell whether a server began as a copy of a cluster with a migrated hub."""
    with psycopg.connect(superuser_url) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone()
    return found is not None


def _fill(server: postgres.PostgresServer) -> None:
    hub.create_roles(server.url(), dict.fromkeys(hub.ROLES, server.password))
    make_hub(server.url(), server.url(TEMPLATE, "shuqiao_owner"), TEMPLATE)


CLUSTERS = Clusters(home(), _fill)
