"""A department uploads the structure of a table and gets a draft in which every guess is shown as one."""

import json
from dataclasses import replace

import msgspec
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.compiling.drafts import DraftInput, check, save_draft
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.compiling.tables.models import TableReading
from shuqiao.control.standards.loading import load_standards
from shuqiao.control.standards.models import Standard
from shuqiao.wire.tables import ColumnDescription, ColumnProfile, TableDescription
from tests.compiling.interface_client import HEALTH
from tests.control.conftest import City, audit_entries, city

__all__ = ["city"]

pytestmark = pytest.mark.database

PLACE = "/compiling/tables/"


def described(*columns: ColumnDescription, comment: str = "接种单位") -> TableDescription:
    """A table as a node describes it."""
    return TableDescription(1, "postgresql", "yw", "t_jzdw", comment, 350, columns)


TABLE = described(
    ColumnDescription("dwbh", "character(10)", "C", length=10, required=True, comment="单位编号", key=True),
    ColumnDescription("f7", "text", "M", profile=ColumnProfile(340, 340, 0.0, "citizen_id_18", 1.0, 18)),
    ColumnDescription("gxsj", "timestamp with time zone", "T", required=True),
    ColumnDescription("qwertz", "character varying(20)", "C", length=20),
)


@pytest.fixture
def page(city: City) -> Client:
    """The pages as the person of the health department sees them."""
    if not Standard.objects.exists():
        load_standards("system:test")
    client = Client(headers={"accept-language": "zh-CN"})
    client.force_login(Account.objects.get(username="chen"))
    return client


def upload(client: Client, content: bytes, name: str = "table.json"):
    """Send a file as the form does."""
    return client.post(PLACE, {"table": SimpleUploadedFile(name, content)})


@pytest.mark.requirement("CAT-18")
def test_a_table_becomes_a_draft_of_marked_guesses(page: Client, city: City) -> None:
    answer = upload(page, msgspec.json.encode(TABLE))
    case = Compilation.objects.get()
    assert answer.status_code == 302 and answer.url == f"/compiling/{case.number}/table/"
    assert (case.origin, case.state, case.department_id, case.key) == (
        "table",
        "draft",
        HEALTH,
        "table.yw.t_jzdw",
    )
    entry = entry_from(case.content)
    assert (entry.name_zh, entry.record_key, [item.zh for item in entry.items]) == (
        "接种单位",
        "dwbh",
        ["单位编号", "公民身份号码", "更新时间", "qwertz"],
    )
    assert [item.standard for item in entry.items][1:3] == ["citizen_id_number", "record_changed_at"]
    missing = {fault.path for fault in check(city.viewer("chen"), entry, resource=case.resource)}
    assert "not_secret" in missing and not [path for path in missing if path.startswith("items")]
    text = page.get(answer.url).content.decode()
    for words in ("据注释推测", "据内容特征推测", "据列名推测", "无依据，请确定", "表结构", "核对并补充"):
        assert words in text
    assert audit_entries("entry_received")[0][2] == "chen"


def test_what_a_person_has_changed_is_no_guess_any_more(page: Client, city: City) -> None:
    number = upload(page, msgspec.json.encode(TABLE)).url.split("/")[2]
    before = page.get(f"/compiling/{number}/table/").content.decode()
    assert "已改" not in before
    case = Compilation.objects.get(number=number)
    entry = entry_from(case.content)
    named = replace(entry.items[3], zh="联系人")
    written = replace(entry, items=(named, *reversed(entry.items[:3])))
    save_draft(city.viewer("chen"), DraftInput(content=written, number=number, revision=case.revision))
    after = page.get(f"/compiling/{number}/table/").content.decode()
    assert after.count("已改") == 1


def test_the_same_table_is_not_taken_in_twice(page: Client) -> None:
    first = upload(page, msgspec.json.encode(TABLE))
    again = upload(page, msgspec.json.encode(TABLE))
    assert (first.status_code, again.status_code, again.url) == (302, 302, first.url)
    grown = described(*TABLE.columns, ColumnDescription("x", "text", "M"))
    other = upload(page, msgspec.json.encode(grown))
    assert other.status_code == 409 and Compilation.objects.get().number in other.content.decode()
    assert Compilation.objects.count() == 1 == TableReading.objects.count()
    assert len(audit_entries("entry_received")) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"[" * 100_000,
        b'{"columns":' * 50_000,
        b"\x00\xff",
        b" " * (1024 * 1024 + 1),
        json.dumps(msgspec.to_builtins(TABLE) | {"rows": "x"}).encode(),
        json.dumps(msgspec.to_builtins(TABLE) | {"values": [1]}).encode(),
        json.dumps(msgspec.to_builtins(TABLE) | {"version": 9}).encode(),
        json.dumps(msgspec.to_builtins(TABLE) | {"columns": []}).encode(),
    ],
)
def test_a_file_that_describes_no_table_is_refused_at_its_field(page: Client, content: bytes) -> None:
    answer = upload(page, content)
    assert answer.status_code == 422
    assert 'id="table-error"' in answer.content.decode()
    assert Compilation.objects.count() == 0


def test_markup_in_a_table_is_neither_kept_nor_shown(page: Client) -> None:
    wild = described(
        ColumnDescription("<script>a</script>", "text", "M", comment="<img src=x onerror=alert(1)>"),
        ColumnDescription("b", "<b>text</b>", "M", comment="备注&#x3c;"),
        comment="<script>alert(1)</script>",
    )
    answer = upload(page, msgspec.json.encode(wild))
    assert answer.status_code == 302
    shown = page.get(answer.url).content.decode()
    assert "<script>a" not in shown and "<b>text" not in shown and "onerror" not in shown
    kept = json.dumps(Compilation.objects.get().content)
    assert "<" not in kept and "&#" not in kept


def test_strangers_see_neither_form_nor_guesses(page: Client, city: City) -> None:
    number = upload(page, msgspec.json.encode(TABLE)).url.split("/")[2]
    other = Client()
    assert other.get(PLACE).status_code == 302
    other.force_login(Account.objects.get(username="hou"))
    assert other.get(f"/compiling/{number}/table/").status_code == 404
    assert "接种单位" not in other.get(PLACE).content.decode()
    clerk = Client()
    clerk.force_login(Account.objects.get(username="lin"))
    assert clerk.get(PLACE).status_code == 403
    assert upload(clerk, msgspec.json.encode(TABLE)).status_code == 403
    assert page.get("/compiling/C-2026-9999/table/").status_code == 404


def test_a_case_that_came_otherwise_has_no_guesses(page: Client, city: City) -> None:
    draft = save_draft(city.viewer("chen"), DraftInput(content=entry_from({"name_zh": "另一条"})))
    assert page.get(f"/compiling/{draft.number}/table/").status_code == 404


def test_the_pages_speak_english(page: Client) -> None:
    number = upload(page, msgspec.json.encode(TABLE)).url.split("/")[2]
    english = {"headers": {"accept-language": "en"}}
    assert "Guessed by content" in page.get(f"/compiling/{number}/table/", **english).content.decode()
    assert "no value leaves your database" in page.get(PLACE, **english).content.decode()
