"""Uses by subject: the vault finds who is meant, the log says who used it, the search is recorded too."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.urls import reverse

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.operations.audit import audit_page
from shuqiao.control.operations.queries import AuditFilters
from shuqiao.control.operations.subjects import SubjectSearch, search_subject, subject_fields
from shuqiao.rules.errors import Unavailable
from shuqiao.wire.messages import new_entry_id
from tests.vault import births
from tests.vault.conftest import Vault

from .conftest import BIRTH, NOW, audit_entries, rows
from .test_audit import execute
from .test_delivered import copy_of

MOTHER = SubjectSearch(f"{BIRTH}:mother_name", "样例母亲2", "样例：本人查询使用记录")


@pytest.fixture
def records(city, vault_url: str, settings) -> Iterator[list[UUID]]:
    """A real vault with three births; the ids of their records."""
    folder = Path(tempfile.mkdtemp(prefix="sq-vault-"))
    (folder / "run").mkdir(mode=0o755)
    vault = Vault(folder, vault_url)
    vault.start()
    assigned = asyncio.run(vault.assign([births.birth(serial) for serial in (1, 2, 3)], resource=BIRTH))
    key_file = folder / "secrets" / "vault-clients" / "control"
    settings.CONFIG = replace(django_settings.CONFIG, vault_socket=vault.socket, vault_key_file=key_file)
    yield [row.record for row in assigned.rows]
    vault.kill()
    shutil.rmtree(folder)


def used(record: UUID | None, days: int = 0, *, actor: str = "app-housing-rental/lin") -> str:
    """An entry about a record, so many days ago."""
    at = NOW - timedelta(days=days)
    entry = new_entry_id(at)
    execute(
        "SELECT audit.append(%s, %s, 'query', '440100-housing', '440100-health', %s, %s, %s, 'G-2026-0001',"
        " 'GZF-1', 'answered', '{}')",
        entry, at, actor, BIRTH, record,
    )  # fmt: skip
    return str(entry)


@pytest.mark.requirement("SEC-05")
@pytest.mark.parametrize("username", ["chen", "zhou"])
def test_uses_of_one_person_are_found_by_name_and_by_number(city, records, username):
    mine = [used(records[1]), used(records[1], 40)]
    used(records[0])
    used(None)
    by_name = search_subject(city.viewer(username), MOTHER)
    assert ([row.id for row in by_name.rows], by_name.records, by_name.more) == (mine, 1, False)
    key = f"{BIRTH}:{births.BIRTH.record_key}"
    assert {key, MOTHER.field} <= {one.key for one in subject_fields(city.viewer(username))}
    number = replace(MOTHER, field=key, name=f" {births.certificate(2)} ")
    assert [row.id for row in search_subject(city.viewer(username), number).rows] == mine
    lately = replace(MOTHER, since=(NOW - timedelta(days=1)).date())
    assert [row.id for row in search_subject(city.viewer(username), lately).rows] == mine[:1]
    nobody = search_subject(city.viewer(username), replace(number, name=births.certificate(77)))
    assert (nobody.rows, nobody.records) == ((), 0)


@pytest.mark.requirement("SEC-05")
@pytest.mark.parametrize("username", ["chen", "zhou"])
def test_copies_in_which_a_person_is_are_found_too(city, records, username):
    for record in records[:2]:
        execute(
            f"INSERT INTO base.{BIRTH} (record_id, subject_id, identity_version, version, source_department,"
            " source_system, batch_sequence, first_received_at, received_at)"
            " VALUES (%s, %s, 1, 1, '440100-health', 'sample', %s, %s, %s)",
            record, record, 5 + records.index(record), NOW, NOW,
        )  # fmt: skip
    call = used(records[1])
    copy_of(city, 5)
    held = copy_of(city, 6)
    found = search_subject(city.viewer(username), MOTHER)
    assert {row.id for row in found.rows} == {call, held}
    with pytest.raises(FormRefused):
        search_subject(city.viewer("lin"), MOTHER)
    # The database gives copies for a search that stands in the log, and for nothing else.
    assert rows("SELECT exchange.entries_with(%s, %s)", held, records) == []


@pytest.mark.requirement("SEC-05")
def test_the_search_stands_in_the_log_without_the_name_and_before_the_answer(city, records, settings):
    search_subject(city.viewer("chen"), MOTHER)
    settings.CONFIG = replace(settings.CONFIG, vault_socket=settings.CONFIG.vault_key_file)
    with pytest.raises(Unavailable):
        search_subject(city.viewer("zhou"), MOTHER)
    said = rows(
        "SELECT actor, department, body FROM audit.entry WHERE event = 'vault_searched' ORDER BY actor"
    )
    assert [(actor, department) for actor, department, _ in said] == [
        ("account:chen", "440100-health"), ("account:zhou", "440100-supervision"),
    ]  # fmt: skip
    for _, _, body in said:
        assert "样例：本人查询使用记录" in body
        assert MOTHER.name not in body


def test_only_the_lists_owner_and_supervision_may_ask(city, records):
    used(records[1])
    with pytest.raises(FormRefused):
        search_subject(city.viewer("lin"), MOTHER)
    for username in ("wu", "ma"):
        with pytest.raises(NotFound):
            search_subject(city.viewer(username), MOTHER)
    assert audit_entries("vault_searched") == []


@pytest.mark.parametrize(
    ("change", "field"), [({"reason": " "}, "reason"), ({"name": ""}, "name"), ({"field": "x:y"}, "field")]
)
def test_what_is_missing_is_said_and_nothing_is_asked(city, change, field):
    with pytest.raises(FormRefused) as refused:
        search_subject(city.viewer("chen"), replace(MOTHER, **change))
    assert [fault.field for fault in refused.value.faults] == [field]
    assert audit_entries("vault_searched") == []


def test_the_page_shows_the_uses_and_keeps_the_name_out_of_addresses(client, city, records):
    entry = used(records[1])
    client.force_login(Account.objects.get(username="chen"))
    page = client.get(reverse("audit_subject"))
    assert "母亲" in page.content.decode()
    form = {"field": MOTHER.field, "name": MOTHER.name, "reason": MOTHER.reason}
    shown = client.post(reverse("audit_subject"), form)
    assert reverse("audit_entry", args=[entry]) in shown.content.decode()
    assert shown["Cache-Control"] == "no-store"
    again = client.post(reverse("audit_subject"), form | {"reason": ""})
    assert "请写明查找理由" in again.content.decode()
    assert MOTHER.name not in again.content.decode()


@pytest.mark.requirement("SEC-05")
def test_uses_of_one_user_of_an_entry_and_of_a_time_are_found(city):
    lin, other, later = used(None), used(None, actor="app-housing-rental/zhu"), used(None, 3)
    longer = used(None, actor="app-housing-rental-2/lin")
    for username in ("lin", "chen", "zhou"):
        viewer = city.viewer(username)

        def found(viewer=viewer, **asked):
            return {row.id for row in audit_page(viewer, AuditFilters(event="query", **asked)).rows}

        assert found() == {lin, other, later, longer}
        assert found(actor="app-housing-rental/lin") == {lin, later}
        assert found(actor="app-housing-rental") == {lin, other, later}
        assert found(entry=other) == {other}
        assert found(resource=BIRTH, until=(NOW - timedelta(days=2)).date()) == {later}
        assert found(department="440100-housing") == {lin, other, later, longer}
        assert found(department="440100-tax") == set()
