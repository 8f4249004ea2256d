"""What each function writes in the columns it also says in the body, so that no column can be altered."""

import uuid
from datetime import UTC, datetime

import msgspec
import psycopg
import pytest
from psycopg.types.json import Jsonb

from shuqiao.wire.messages import CallEntry
from tests.auditlog.conftest import Log

pytestmark = pytest.mark.database

RESOURCE = "r440100x7kq2m5dab"
TEXT_COLUMNS = ("department", "provider", "actor", "resource_id", "grant_id", "case_no", "outcome", "event")


@pytest.fixture
def city(log: Log) -> Log:
    """A log beside one resource with its base table and functions."""
    log.admin.execute(
        "INSERT INTO exchange.resource (id, code, name_zh, name_en, department, spec) "
        "VALUES (%s, '1/1', '出生登记信息', 'Births', '440100-health', %s)",
        [RESOURCE, Jsonb({"items": [{"field": "sex", "type": "string"}]})],
    )
    log.admin.execute("SELECT exchange.create_list(%s)", [RESOURCE])
    return log


def line(entry: uuid.UUID, at: datetime, event: str, outcome: str) -> CallEntry:
    """The plane's line about a call."""
    return CallEntry(
        event=event, id=entry, at=at, department="440100-housing", actor="app-housing-rental/zhang",
        application="app-housing-rental", key="00" * 8, outcome=outcome, provider="440100-health",
        resource=RESOURCE, grant="G-2026-0001", case="GZF-1",
    )  # fmt: skip


def read(log: Log, record: uuid.UUID) -> None:
    """An answered call, through the generated function."""
    entry, at = uuid.uuid4(), datetime.now(UTC)
    call = line(entry, at, "verify", "answered")
    epoch = log.admin.execute("SELECT value FROM exchange.epoch").fetchone()[0]
    places = "%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb[], %s"
    seen = log.admin.execute(
        f"SELECT written FROM exchange.read_{RESOURCE}({places})",
        [
            epoch, [entry], [at], [call.event], [call.department], [call.actor], [call.grant], [call.case],
            [call.outcome], [record], [Jsonb({"sex": "女"})], [msgspec.json.encode(call).decode()],
        ],
    ).fetchone()  # fmt: skip
    assert seen == (True,)


def refuse(log: Log) -> None:
    """A refused call."""
    entry, at = uuid.uuid4(), datetime.now(UTC)
    call = line(entry, at, "call_refused", "not_available")
    epoch = log.admin.execute("SELECT value FROM exchange.epoch").fetchone()[0]
    seen = log.admin.execute(
        "SELECT written FROM exchange.record_refusals(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            epoch, [entry], [at], [call.event], [call.department], [call.provider], [call.actor],
            [call.resource], [call.grant], [call.case], [call.outcome], [msgspec.json.encode(call).decode()],
        ],
    ).fetchone()  # fmt: skip
    assert seen == (True,)


@pytest.mark.parametrize("function", [f"read_{RESOURCE}", "record_refusals"])
def test_of_two_calls_with_one_id_in_a_statement_one_is_written(city: Log, function: str) -> None:
    twin, other, at = uuid.uuid4(), uuid.uuid4(), datetime.now(UTC)
    epoch = city.admin.execute("SELECT value FROM exchange.epoch").fetchone()[0]
    ids = [twin, other, twin]
    record, places = uuid.uuid4(), ", ".join(["%s"] * 11)
    if function == "record_refusals":
        more = [["440100-health"] * 3, ["app"] * 3, [RESOURCE] * 3, [None] * 3, [None] * 3, ["x"] * 3]
        values = [epoch, ids, [at] * 3, ["call_refused"] * 3, ["440100-housing"] * 3, *more, ["{}"] * 3]
    else:
        more = [["app"] * 3, [None] * 3, [None] * 3, ["answered"] * 3, [record] * 3]
        values = [epoch, ids, [at] * 3, ["verify"] * 3, ["440100-housing"] * 3, *more]
        places = places.removesuffix(", %s") + ", NULL::jsonb[]"
        values.append(["{}"] * 3)
    seen = city.admin.execute(
        f"SELECT ordinal, written, digest IS NOT NULL FROM exchange.{function}({places}, %s) ORDER BY 1",
        values,
    ).fetchall()
    assert seen == [(1, True, True), (2, True, True), (3, False, False)]
    queued = city.admin.execute("SELECT entry_id FROM audit.pending ORDER BY queued_at").fetchall()
    assert sorted(entry for (entry,) in queued) == sorted([twin, other])


def merge(log: Log, record: uuid.UUID) -> None:
    """A merged batch and a refused one."""
    with log.admin.transaction():
        log.admin.execute(
            f"INSERT INTO staging.{RESOURCE} (record_id, subject_id, identity_version, sex) "
            "VALUES (%s, %s, 1, '女')",
            [record, uuid.uuid4()],
        )
        merged = log.admin.execute(
            f"SELECT * FROM exchange.merge_{RESOURCE}('440100-health', 1, '{{}}', sha256(''), '[]', 'own')"
        ).fetchone()
    assert merged == (1, 1, 0, 0, 0)
    log.admin.execute(
        "SELECT exchange.refuse_batch('440100-health', %s, 'batch_malformed', sha256(''))", [RESOURCE]
    )


def test_entries_of_every_function_hold(city: Log) -> None:
    record = uuid.uuid4()
    merge(city, record)
    read(city, record)
    read(city, uuid.uuid4())
    refuse(city)
    assert city.integrate() == 5
    report = city.verify()
    assert (report.fault, report.size) == (None, 5)


def test_no_column_of_any_of_them_can_be_altered(city: Log) -> None:
    record = uuid.uuid4()
    merge(city, record)
    read(city, record)
    refuse(city)
    city.integrate()
    entries = [row[0] for row in city.admin.execute("SELECT entry_id FROM audit.leaf ORDER BY position")]
    for position, entry in enumerate(entries):
        for column in TEXT_COLUMNS:
            before = city.admin.execute(f"SELECT {column} FROM audit.entry WHERE id = %s", [entry]).fetchone()
            city.tamper(f"UPDATE audit.entry SET {column} = 'altered' WHERE id = %s", [entry])
            fault = city.verify().fault
            assert fault is not None
            assert (fault.code, fault.position) == ("entry_altered", position)
            city.tamper(f"UPDATE audit.entry SET {column} = %s WHERE id = %s", [before[0], entry])
    assert city.verify().fault is None


def test_plane_and_loader_have_no_other_way_to_write(city: Log, hub_database) -> None:
    for role in ("shuqiao_plane", "shuqiao_loader", "shuqiao_auditor"):
        with psycopg.connect(hub_database.role(role), autocommit=True) as connection:
            for statement in (
                "INSERT INTO audit.entry (id) VALUES (gen_random_uuid())",
                "INSERT INTO audit.pending (entry_id, digest) VALUES (gen_random_uuid(), sha256(''))",
                "INSERT INTO audit.leaf VALUES (0, gen_random_uuid(), sha256(''))",
                "SELECT audit.append(gen_random_uuid(), now(), 'x', '', '', '', '', NULL, '', '', '', '')",
                f"SELECT * FROM base.{RESOURCE}",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
