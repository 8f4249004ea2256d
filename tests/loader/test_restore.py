"""A hub that was restored to an older state than the vault: everything of the department comes again."""

from __future__ import annotations

import psycopg
import pytest

from shuqiao.embedded import hub
from shuqiao.security.keys import load_secret_file
from shuqiao.wire.vault import VaultClient
from tests.loader.line import BIRTHS, Line, wait_for
from tests.loader.test_kills import receipted

pytestmark = pytest.mark.database


def copy_hub(line: Line, source: str, target: str) -> None:
    """Put a copy of one database in the place of another; PostgreSQL copies none that somebody is in."""
    line.leave()
    with psycopg.connect(line.hub.server.superuser(), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {target} TEMPLATE {source} OWNER shuqiao_owner")
    hub.let_enter(line.hub.server.superuser(), target, "shuqiao_owner")


def rename_mother(line: Line, name: str) -> None:
    """Change one mother's name at the source."""
    line.change_source("UPDATE csyxzm SET mqxm = %s WHERE zsbh = (SELECT min(zsbh) FROM csyxzm)", name)


async def bearers(line: Line, name: str) -> int:
    """How many records of the vault bear a mother's name."""
    key = load_secret_file(line.secrets / "vault-clients" / "control")
    client = VaultClient(line.home / "vault.sock", "control", key)
    try:
        return len((await client.find_by_name(BIRTHS, "mother_name", name, "核查", [])).records)
    finally:
        await client.close()


async def test_identity_items_changed_around_a_restore_are_the_newest(line: Line) -> None:
    rows = await line.set_up(people=600)
    line.start("loader", "node")
    wait_for(lambda: line.count() == rows and receipted(line), what="the load")
    line.children["node"].kill()
    line.children["loader"].kill()
    backup = f"{line.hub.name}_backup"
    copy_hub(line, line.hub.name, backup)
    try:
        line.start("loader", "node")
        for number in (2, 3, 4):
            rename_mother(line, f"样例改名{number}")
            wait_for(lambda n=number: len(line.ledger()) == n and receipted(line), what="the change")
        line.children["loader"].kill()
        copy_hub(line, backup, line.hub.name)
    finally:
        with psycopg.connect(line.hub.server.superuser(), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {backup} WITH (FORCE)")
    assert [entry["sequence"] for entry in line.ledger()] == [1]
    rename_mother(line, "样例末名")
    line.start("loader")
    wait_for(lambda: len(line.ledger()) > 1 and receipted(line), what="the load from the beginning")
    assert await bearers(line, "样例末名") == 1
    assert [await bearers(line, f"样例改名{number}") for number in (2, 3, 4)] == [0, 0, 0]
    ledger = line.ledger()
    assert [entry["sequence"] for entry in ledger] == list(range(1, len(ledger) + 1))
    assert line.count() == rows
    assert line.base_checksum() == line.source_checksum()
    held = line.ask(f"SELECT max(identity_version) AS version FROM base.{BIRTHS}")
    with psycopg.connect(line.vault_url) as vault:
        stored = vault.execute("SELECT count(*), max(version) FROM vault.record").fetchone()
    assert stored == (rows, held[0]["version"])
