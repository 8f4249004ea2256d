"""What was delivered with a call: shown to its two departments only, from the version that was read."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse

from shuqiao.control.accounts.access import FormRefused, NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.operations.delivered import show_delivery
from shuqiao.wire.messages import new_entry_id

from .conftest import BIRTH, NOW, audit_entries
from .test_audit import execute

RECORD = uuid4()


@pytest.fixture(autouse=True)
def history(city) -> None:
    """One record in two versions: the current one, and the one it replaced."""
    provenance = (
        "record_id, subject_id, identity_version, version, source_department, source_system, batch_sequence,"
        " first_received_at, received_at, sex_code"
    )
    row = (RECORD, RECORD, "440100-health", "sample", NOW, NOW)
    execute(f"INSERT INTO base.{BIRTH} ({provenance}) VALUES (%s, %s, 3, 2, %s, %s, 8, %s, %s, '2')", *row)
    execute(
        f"INSERT INTO base_history.{BIRTH} ({provenance}, replaced_at)"
        " VALUES (%s, %s, 2, 1, %s, %s, 7, %s, %s, '1', %s)",
        *row,
        NOW + timedelta(hours=1),
    )


def delivery(event: str, version: int | None, **said: object) -> str:
    """The entry of an answered call, as plane and database write it."""
    entry = str(uuid4())
    line = {"event": event, "id": entry, "items": ["newborn_name", "sex_code"]} | said
    seen = {"found": version is not None, "record": str(RECORD), "version": version}
    execute(
        "SELECT audit.append(%s, %s, %s, '440100-housing', '440100-health', 'app-housing-rental', %s, %s,"
        " 'G-2026-0001', 'GZF-1', 'answered', %s)",
        entry, NOW, event, BIRTH, RECORD, json.dumps(line) + "\n" + json.dumps(seen),
    )  # fmt: skip
    return entry


@pytest.mark.requirement("OBJ-08")
@pytest.mark.parametrize("username", ["lin", "chen"])
@pytest.mark.parametrize(("version", "value", "batch"), [(1, "1", 7), (2, "2", 8)])
def test_both_departments_see_the_value_of_the_version_that_was_read(city, username, version, value, batch):
    entry = delivery("query", version)
    shown = show_delivery(city.viewer(username), entry, "样例：核对一起投诉")
    assert shown.found
    assert [text for _, text in shown.values] == [value]
    assert [str(name) for name in shown.in_vault] != []
    assert (shown.version, shown.batch_sequence, shown.source_system) == (version, batch, "sample")
    assert shown.source is not None
    assert shown.source.code == "440100-health"
    assert (shown.replaced_at is not None) == (version == 1)
    assert shown.received_at is not None


@pytest.mark.requirement("OBJ-08")
def test_who_looked_and_why_stands_in_the_log(city):
    entry = delivery("query", 1)
    with pytest.raises(FormRefused):
        show_delivery(city.viewer("lin"), entry, "  ")
    assert audit_entries("delivery_shown") == []
    show_delivery(city.viewer("lin"), entry, "样例：核对一起投诉")
    [(department, provider, actor, *_)] = audit_entries("delivery_shown")
    assert (department, provider, actor) == ("440100-housing", "440100-health", "account:lin")


@pytest.mark.parametrize("username", ["zhao", "zhou", "zheng"])
def test_nobody_else_is_shown_anything(city, username):
    entry = delivery("query", 1)
    with pytest.raises(NotFound):
        show_delivery(city.viewer(username), entry, "样例：好奇")
    assert audit_entries("delivery_shown") == []


def test_who_compared_learns_no_value_and_the_provider_sees_it(city):
    entry = delivery("verify", 1)
    told = show_delivery(city.viewer("lin"), entry, "样例：核对")
    assert (told.withheld, told.values, told.version, told.source) == (True, (), None, None)
    assert [text for _, text in show_delivery(city.viewer("chen"), entry, "样例：核对").values] == ["1"]


def test_what_was_masked_is_not_shown_to_the_caller(city):
    entry = delivery("query", 1, masked=["sex_code"])
    assert show_delivery(city.viewer("lin"), entry, "样例：核对").values == ()
    assert len(show_delivery(city.viewer("chen"), entry, "样例：核对").values) == 1


def test_a_record_that_was_not_there_has_no_value(city):
    entry = delivery("query", None)
    shown = show_delivery(city.viewer("lin"), entry, "样例：核对")
    assert (shown.found, shown.values) == (False, ())


def test_the_page_asks_for_a_reason_and_then_shows(city, client):
    address = reverse("audit_delivered", args=[delivery("query", 1)])
    client.force_login(Account.objects.get(username="lin"))
    assert "查看理由" in client.get(address).content.decode()
    assert "请写明查看理由" in client.post(address, {"reason": ""}).content.decode()
    answer = client.post(address, {"reason": "样例：核对一起投诉"})
    assert "仍为现行版本" not in answer.content.decode()
    assert "sample" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    client.force_login(Account.objects.get(username="zhao"))
    assert client.get(address).status_code == 404


def copy_of(city, up_to: int, *, department: str = "440100-housing", rows: tuple = (), **feed: object) -> str:
    """A copy that was prepared up to a batch, under a grant of its own; its entry."""
    job, entry, grant = str(uuid4()), str(new_entry_id(NOW)), f"G-{uuid4()}"
    document = {"id": grant, "rows": list(rows)}
    items = [{"field": "newborn_name", "masked": True}, {"field": "sex_code"}]
    manifest = json.dumps({"job": job, "entry": entry, "items": items})
    said = json.dumps({"event": "bulk_prepared", "id": entry})
    execute(
        "SELECT audit.append(%s, %s, 'bulk_prepared', %s, '440100-health', 'system:bulk', %s, NULL, %s, NULL,"
        " 'prepared', %s)",
        entry, NOW, department, BIRTH, grant, said,
    )  # fmt: skip
    execute(
        'INSERT INTO exchange."grant" (id, document, signature, key_id) VALUES (%s, %s, %s, %s)',
        grant, json.dumps(document), b"-", "-",
    )  # fmt: skip
    execute(
        "INSERT INTO exchange.bulk_job (id, grant_id, resource_id, department, provider, application, actor,"
        " channel, format, asked_at, to_sequence, manifest, ready_at)"
        " VALUES (%s, %s, %s, %s, '440100-health', 'app-housing-rental', 'app-housing-rental', 'interface',"
        " 'csv', %s, %s, %s, %s)",
        job, grant, BIRTH, department, NOW, up_to, manifest, NOW,
    )  # fmt: skip
    return entry


@pytest.mark.requirement("OBJ-08")
def test_copies_with_the_record_are_listed_with_their_version_and_values(city):
    old, new = copy_of(city, 7), copy_of(city, 12)
    before = copy_of(city, 6)
    outside = copy_of(city, 12, rows=({"field": "sex_code", "op": "eq", "values": ["1"]},))
    police = copy_of(city, 7, department="440100-police")
    entry = delivery("query", 2)
    listed = {one.entry: one for one in show_delivery(city.viewer("chen"), entry, "样例：核对").others}
    assert set(listed) == {old, new, police}
    assert not {before, outside} & set(listed)
    assert (listed[old].version, listed[old].up_to, listed[old].contained) == (1, 7, True)
    assert [value for _, value in listed[old].values] == ["1"]
    assert [value for _, value in listed[new].values] == ["2"]
    assert listed[police].department.code == "440100-police"
    # Who was given copies sees its own, and not those of others.
    own = show_delivery(city.viewer("lin"), entry, "样例：核对").others
    assert {one.entry for one in own} == {old, new}
    assert len(audit_entries("delivery_shown")) == 2


@pytest.mark.requirement("OBJ-08")
def test_other_calls_are_listed_and_comparisons_only_for_the_provider(city):
    asked, compared = delivery("query", 1), delivery("verify", 2)
    entry = delivery("query", 2)
    assert {one.entry for one in show_delivery(city.viewer("chen"), entry, "样例：核对").others} == {
        asked,
        compared,
    }
    assert {one.entry for one in show_delivery(city.viewer("lin"), entry, "样例：核对").others} == {asked}
    assert show_delivery(city.viewer("lin"), compared, "样例：核对").others == ()


def test_the_page_lists_the_others_with_links_to_their_entries(city, client):
    copy = copy_of(city, 7)
    entry = delivery("query", 2)
    client.force_login(Account.objects.get(username="chen"))
    shown = client.post(reverse("audit_delivered", args=[entry]), {"reason": "样例：核对"}).content.decode()
    assert reverse("audit_entry", args=[copy]) in shown
    for words in ("同一条记录还提供给了谁", "批量副本", "副本读到第 7 批", "第 1 版", "尚未取走"):
        assert words in shown
    client.force_login(Account.objects.get(username="lin"))
    shown = client.post(
        reverse("audit_delivered", args=[delivery("verify", 1)]), {"reason": "样例：核对"}
    ).content.decode()
    assert "同一条记录还提供给了谁" not in shown


def test_of_data_that_stayed_with_the_department_the_line_is_shown(city, client):
    entry = str(uuid4())
    line = {"event": "query", "id": entry, "items": ["sex_code"]}
    seen = {"found": True, "line": 17, "line_digest": "ab" * 32}
    execute(
        "SELECT audit.append(%s, %s, 'query', '440100-housing', '440100-health', 'app-housing-rental', %s,"
        " NULL, 'G-2026-0001', 'GZF-1', 'answered', %s)",
        entry, NOW, BIRTH, json.dumps(line) + "\n" + json.dumps(seen),
    )  # fmt: skip
    with pytest.raises(NotFound):
        show_delivery(city.viewer("lin"), entry, "样例：核对")
    execute('UPDATE exchange.resource SET spec = spec || \'{"kept": "node"}\' WHERE id = %s', BIRTH)
    shown = show_delivery(city.viewer("lin"), entry, "样例：核对")
    assert (shown.line, shown.line_digest, shown.values, shown.others) == (17, "ab" * 32, (), ())
    client.force_login(Account.objects.get(username="chen"))
    page = client.post(reverse("audit_delivered", args=[entry]), {"reason": "样例：核对"}).content.decode()
    assert "节点日志的行" in page and "ab" * 32 in page and "性别" in page
