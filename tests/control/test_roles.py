"""What the running office may not do to its own database: it owns nothing, so it cannot cover its tracks."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.plugins.server import Hub

pytestmark = pytest.mark.database

RESOURCE = "r440100x7kq2m5dab"
ITEMS = [
    {"field": "child_name", "type": "string", "identity": True},
    {"field": "sex", "type": "code"},
    {"field": "born_on", "type": "date", "identity": False},
    {"field": "issued_at", "type": "datetime"},
]

REFUSED = (
    # The log's protection and the log itself.
    "ALTER TABLE audit.entry DISABLE TRIGGER insert_only",
    "DROP TRIGGER insert_only ON audit.entry",
    "SET session_replication_role = replica",
    "CREATE OR REPLACE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NULL; END'",
    "ALTER FUNCTION audit.append OWNER TO shuqiao_control",
    "DROP TABLE audit.entry",
    "DROP SCHEMA audit CASCADE",
    "ALTER TABLE audit.entry RENAME TO other",
    "ALTER TABLE audit.entry OWNER TO shuqiao_control",
    "LOCK TABLE audit.entry IN ACCESS EXCLUSIVE MODE",
    "UPDATE audit.entry SET outcome = 'x'",
    "DELETE FROM audit.entry",
    "TRUNCATE audit.entry",
    "DELETE FROM audit.pending",
    "DELETE FROM audit.leaf",
    "UPDATE audit.checkpoint SET size = 1",
    "INSERT INTO audit.entry (id) VALUES (gen_random_uuid())",
    "INSERT INTO audit.leaf VALUES (0, gen_random_uuid(), sha256(''))",
    # The contract with the other processes.
    "INSERT INTO exchange.signing_key VALUES ('x', 'log', 'ed25519', '')",
    "UPDATE exchange.signing_key SET active = false",
    "UPDATE exchange.\"grant\" SET document = ''",
    'DELETE FROM exchange."grant"',
    'ALTER TABLE exchange."grant" DISABLE TRIGGER keep_grant',
    "UPDATE exchange.epoch SET value = 1",
    "DELETE FROM exchange.batch",
    "CREATE FUNCTION exchange.other() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION exchange.read_template() RETURNS text LANGUAGE sql AS 'SELECT 1'",
    # Base data.
    f"SELECT * FROM base.{RESOURCE}",
    f"SELECT * FROM base_history.{RESOURCE}",
    f"INSERT INTO staging.{RESOURCE} (record_id) VALUES (gen_random_uuid())",
    f"SELECT * FROM exchange.read_{RESOURCE}(1, '{{}}'{', NULL' * 10})",
    f"DROP TABLE base.{RESOURCE}",
    "CREATE TABLE base.other (id int)",
    # Its own tables it fills; it does not make them.
    "CREATE TABLE control.other (id int)",
    "CREATE TABLE public.other (id int)",
    "CREATE TEMPORARY TABLE other (id int)",
    "CREATE SCHEMA other",
    "ALTER TABLE control.accounts_account ADD COLUMN other int",
    "DROP TABLE control.accounts_account",
    "TRUNCATE control.accounts_account",
    "DELETE FROM control.django_migrations",
    # Roles.
    "CREATE ROLE other",
    "ALTER ROLE shuqiao_plane PASSWORD 'x'",
    "ALTER ROLE shuqiao_control SUPERUSER",
    "SET ROLE shuqiao_owner",
    "SET SESSION AUTHORIZATION shuqiao_owner",
    "GRANT shuqiao_owner TO shuqiao_control",
    "GRANT SELECT ON audit.pending TO PUBLIC",
)


@pytest.fixture
def admin(hub_database: Hub) -> Iterator[psycopg.Connection]:
    """The superuser of a hub with one list."""
    with psycopg.connect(hub_database.superuser, autocommit=True) as connection:
        publish(connection, ITEMS)
        connection.execute("SELECT exchange.create_list(%s)", [RESOURCE])
        yield connection


@pytest.fixture
def control(hub_database: Hub) -> Iterator[psycopg.Connection]:
    """A login as the running office has it."""
    with psycopg.connect(hub_database.role("shuqiao_control"), autocommit=True) as connection:
        yield connection


def publish(connection: psycopg.Connection, items: list[dict]) -> None:
    """Write the row of the list with these items."""
    connection.execute(
        "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec)"
        " VALUES (%s, '样例/1', '出生登记', 'Births', '440100-health', %s)",
        [RESOURCE, Jsonb({"items": items})],
    )


def columns(connection: psycopg.Connection, schema: str) -> list[tuple[str, str]]:
    """Names and types of the columns of the list's table, without those every list has."""
    found = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s AND column_name = ANY(%s) ORDER BY ordinal_position",
        [schema, RESOURCE, [item["field"] for item in ITEMS]],
    )
    return found.fetchall()


def test_control_can_neither_alter_the_log_nor_what_protects_it(
    admin: psycopg.Connection, control: psycopg.Connection
) -> None:
    for statement in REFUSED:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), control.transaction():
            control.execute(statement)
            pytest.fail(f"control may: {statement}")


def test_control_owns_nothing_and_belongs_to_no_other_role(admin: psycopg.Connection) -> None:
    owned = admin.execute(
        "SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = 'shuqiao_control'::regrole"
    ).fetchone()
    member = admin.execute(
        "SELECT count(*) FROM pg_auth_members WHERE member = 'shuqiao_control'::regrole"
    ).fetchone()
    may = admin.execute(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
        " FROM pg_roles WHERE rolname = 'shuqiao_control'"
    ).fetchone()
    assert (owned, member, may) == ((0,), (0,), (False,))


def test_control_makes_a_list_it_cannot_read(hub_database: Hub, control: psycopg.Connection) -> None:
    publish(control, ITEMS)
    control.execute("SELECT exchange.create_list(%s)", [RESOURCE])
    with psycopg.connect(hub_database.superuser) as admin:
        plain = [("sex", "text"), ("born_on", "date"), ("issued_at", "timestamp with time zone")]
        for schema in ("base", "base_history", "staging"):
            assert columns(admin, schema) == plain
        owner = admin.execute("SELECT relowner::regrole::text FROM pg_class WHERE relname = %s", [RESOURCE])
        assert set(owner.fetchall()) == {("shuqiao_owner",)}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        control.execute(f"SELECT * FROM base.{RESOURCE}")


def test_making_a_list_again_leaves_its_rows(admin: psycopg.Connection) -> None:
    admin.execute(
        f"INSERT INTO base.{RESOURCE} SELECT gen_random_uuid(), gen_random_uuid(), 1, 1, 'x', 'x', 1,"
        " now(), now()"
    )
    admin.execute("SELECT exchange.create_list(%s)", [RESOURCE])
    assert admin.execute(f"SELECT count(*) FROM base.{RESOURCE}").fetchone() == (1,)


@pytest.mark.parametrize(
    "item",
    [
        {"field": 'x" int); DROP TABLE audit.entry; --', "type": "string"},
        {"field": "X", "type": "string"},
        {"field": "x" * 60, "type": "string"},
        {"field": "{rid}", "type": "string"},
        {"field": "x", "type": "int); DROP TABLE audit.entry; --"},
        {"field": "x", "type": "image"},
        {"field": "x"},
        {"type": "string"},
    ],
)
def test_an_item_that_can_have_no_column_makes_no_list(
    hub_database: Hub, control: psycopg.Connection, item: dict
) -> None:
    publish(control, [*ITEMS, item])
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        control.execute("SELECT exchange.create_list(%s)", [RESOURCE])
    with psycopg.connect(hub_database.superuser) as admin:
        assert admin.execute("SELECT to_regclass(%s)", [f"base.{RESOURCE}"]).fetchone() == (None,)


def test_a_list_of_nothing_published_is_not_made(control: psycopg.Connection) -> None:
    for name in (RESOURCE, "audit.entry", ""):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            control.execute("SELECT exchange.create_list(%s)", [name])
