"""Roles and databases of a hub, on any PostgreSQL: the embedded one, Debian's, or one the city runs."""

from collections.abc import Mapping

import psycopg
from psycopg import sql

ROLES = (
    "shuqiao_owner",
    "shuqiao_control",
    "shuqiao_plane",
    "shuqiao_bulk",
    "shuqiao_loader",
    "shuqiao_admitting",
    "shuqiao_integrator",
    "shuqiao_auditor",
    "shuqiao_vault",
)
"""One role per process; each may log in and nothing else until the migrations grant it something.

`shuqiao_owner` owns the hub's schemas: migrations and setting up run as it, and no process that stays.
"""


def create_roles(superuser_url: str, passwords: Mapping[str, str]) -> None:
    """Create the roles that are missing and set every password; idempotent."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        there = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in ROLES:
            verb = "ALTER" if role in there else "CREATE"
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                    sql.SQL(verb), sql.Identifier(role), sql.Literal(passwords[role])
                )
            )


def create_database(superuser_url: str, name: str, owner: str, *, control_schema: bool = False) -> bool:
    """Create a database only its owner may enter; return False when it was there already.

    With `control_schema` it is a hub: schema `control` for Django, and the other roles may connect, also
    to one that an earlier version made.
    """
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if known is None:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0").format(
                    sql.Identifier(name), sql.Identifier(owner)
                )
            )
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
    if control_schema:
        let_enter(superuser_url, name, owner)
        prepare_hub(superuser_url, name, owner)
    return known is None


def let_enter(superuser_url: str, name: str, owner: str) -> None:
    """Let the roles of the hub's processes connect to its database; idempotent."""
    others = [role for role in ROLES if role not in (owner, "shuqiao_vault")]
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, others))
            )
        )


def prepare_hub(superuser_url: str, name: str, owner: str) -> None:
    """Create the schema of Django's tables in database `name`; idempotent."""
    with psycopg.connect(superuser_url, dbname=name, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE SCHEMA IF NOT EXISTS control AUTHORIZATION {}").format(sql.Identifier(owner))
        )
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
