"""Any process of a city may die at any moment of a load: nothing is lost, nothing doubled."""

import os
import random
import signal
import time

import psycopg
import pytest

from shuqiao.demo.home import Home
from tests.plugins.city import City

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

ROWS = 12_000
VICTIMS = (
    "loader",
    "node-440100-health",
    "nats",
    "vault",
    "integrator",
    "hub-database",
    "department-databases",
)


BIRTHS = "SELECT id FROM exchange.resource WHERE spec->>'record_key' = 'birth_certificate_number'"


def _add_births(home: Home) -> None:
    """Register many more births at the health department, as its own system would."""
    with psycopg.connect(home.departments_server.url("health"), autocommit=True) as health:
        health.execute(
            """
            INSERT INTO csyxzm
                (zsbh, xsexm, xb, jkzk, mqxm, mqsfzh, fqxm, fqsfzh, csrq, qfsj, qfjg, sample_note)
            SELECT 'X' || lpad(n::text, 9, '0'),
                xsexm, xb, jkzk, mqxm, mqsfzh, fqxm, fqsfzh, csrq, qfsj, qfjg, sample_note
            FROM (SELECT * FROM csyxzm ORDER BY zsbh LIMIT 1) one, generate_series(1, %s) n
            """,
            [ROWS],
        )


def _state(home: Home) -> tuple[int, int, list[int], int]:
    """Rows in the base table, records in the vault, the ledger's sequences, rows at the source."""
    with psycopg.connect(home.hub_url("shuqiao_owner")) as hub:
        (resource,) = hub.execute(
            "SELECT id FROM exchange.resource WHERE spec->>'record_key' = 'birth_certificate_number'"
        ).fetchone()
        (base,) = hub.execute(f"SELECT count(*) FROM base.{resource}").fetchone()
        rows = hub.execute(
            "SELECT sequence FROM exchange.batch WHERE resource_id = %s ORDER BY 1", [resource]
        )
        sequences = [row[0] for row in rows]
    with psycopg.connect(home.hub_url("shuqiao_vault", "shuqiao_vault")) as vault:
        query = "SELECT count(*) FROM vault.record WHERE resource = %s"
        (records,) = vault.execute(query, [resource]).fetchone()
    with psycopg.connect(home.departments_server.url("health")) as health:
        (source,) = health.execute("SELECT count(*) FROM csyxzm").fetchone()
    return base, records, sequences, source


def _said(home: Home) -> str:
    """What ledger, node and loader say, for a failing test."""
    with psycopg.connect(home.hub_url("shuqiao_owner")) as hub:
        refused = hub.execute("SELECT DISTINCT resource_id, reason FROM exchange.batch_refusal").fetchall()
    logs = [home.root / "log" / f"{name}.log" for name in ("node-440100-health", "loader")]
    return f"{refused}\n" + "\n".join(log.read_text(errors="replace")[-2500:] for log in logs if log.exists())


def test_kill_every_process_in_turn_during_a_load(city: City) -> None:
    home = Home(city.home)
    chance = random.Random(20161)
    _add_births(home)
    for victim in VICTIMS:
        os.kill(city.state["processes"][victim], signal.SIGKILL)
        time.sleep(chance.uniform(0.8, 2.5))
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            base, records, sequences, source = _state(home)
        except psycopg.OperationalError:
            time.sleep(0.5)
            continue
        if base == source:
            break
        time.sleep(0.5)
    assert base == source, f"every row of the source is in the base table: {_said(home)}"
    assert records == base, "and has exactly one record in the vault"
    assert sequences == list(range(1, len(sequences) + 1)), "each batch was merged once, none is missing"
    proof = city.run("audit", "verify")
    assert proof.returncode == 0, proof.stdout + proof.stderr
