"""What anybody may read without an account: only what the providing department has opened."""

import csv
import io
import re

import openpyxl
import pytest
from django.test import Client

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.exports.limits import whole_file
from shuqiao.control.exports.readers import Reader
from tests.exports.conftest import BIRTH, HOUSEHOLD, opened, sensitive_names

EVERYWHERE = [
    "/open/",
    "/open/catalogue.csv",
    "/dcat/catalog.ttl",
    "/dcat/catalog.jsonld",
    "/dcat/terms.ttl",
    "/api/3/action/package_search?rows=1000",
    "/api/3/action/current_package_list_with_resources?limit=1000",
]


def content(path: str, client: Client | None = None) -> str:
    """The text at an address."""
    response = (client or Client()).get(path)
    assert response.status_code == 200, path
    data = b"".join(response) if response.streaming else response.content
    return data.decode()


def signed_in(username: str) -> Client:
    """A browser signed in as an account."""
    client = Client()
    client.force_login(Account.objects.get(username=username))
    return client


@pytest.mark.requirement("PUB-01", source="SY:11¶3")
@pytest.mark.parametrize("path", EVERYWHERE)
def test_only_open_entries_are_named_anywhere(city, path):
    told = content(path)
    if "terms" not in path:
        assert "出生登记信息" in told
    # The name of a closed entry may well be a word of an open one's category: only whole texts tell.
    for resource, code, name in Resource.objects.exclude(id=BIRTH).values_list("id", "code", "name_zh"):
        assert resource not in told
        assert code not in told
        assert not any(f"{mark}{name}{mark}" in told for mark in '">')


@pytest.mark.requirement("PUB-01", source="XM:7")
@pytest.mark.parametrize(
    "change",
    [
        {"state": "withdrawn"},
        {"shared": False},
        {"open_to_public": False},
        {"open_to_public": False, "content": {"open_to_public": True}},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", EVERYWHERE)
def test_an_entry_that_lacks_any_of_it_is_hidden(city, path, change):
    Resource.objects.filter(id=BIRTH).update(**change)
    assert BIRTH not in content(path)
    for one in (f"/open/{BIRTH}/", f"/dcat/dataset/{BIRTH}"):
        assert Client().get(one).status_code == 404


@pytest.mark.requirement("PUB-01", source="SY:11¶1")
def test_how_an_entry_is_shared_says_nothing_about_opening_it(city):
    for share_type in ("unconditional", "conditional", "not_shared", ""):
        Resource.objects.update(share_type=share_type)
        assert content("/api/3/action/package_list").count("r440100") == 1


@pytest.mark.parametrize("path", ["/open/{}/", "/dcat/dataset/{}", "/dcat/dataset/{}.ttl"])
def test_hidden_and_absent_are_one_answer(city, path):
    answers = []
    for wanted in (HOUSEHOLD, "r440100aaaaaaaaaa"):
        response = Client().get(path.format(wanted))
        answers.append((response.status_code, re.sub(rb'value="[A-Za-z0-9]{64}"', b"", response.content)))
        assert "ETag" not in response.headers
    assert answers[0] == (404, answers[1][1].replace(b"r440100aaaaaaaaaa", HOUSEHOLD.encode()))


def test_items_that_concern_persons_show_no_more_than_their_names(city):
    names = sensitive_names(BIRTH)
    assert len(names) > 5
    fields = [item.field for item in Item.objects.filter(resource_id=BIRTH, zh__in=names)]
    page, table = content(f"/open/{BIRTH}/"), content("/open/catalogue.csv")
    assert all(name in page for name in names)
    for told in (page, table, *(content(path) for path in EVERYWHERE)):
        assert not any(f">{field}<" in told or f'"{field}"' in told for field in fields)
    rows = list(csv.DictReader(io.StringIO(table.removeprefix("﻿"))))
    assert all(row["信息项标识"] == row["数据类型"] == "" for row in rows if row["信息项名称"] in names)


def test_conditions_and_services_concern_departments_only(city):
    entry = opened(BIRTH)
    entry.services.create(kind="interface", place="https://inside.invalid/x", offered_at=entry.published_at)
    for path in [*EVERYWHERE, f"/open/{BIRTH}/", f"/dcat/dataset/{BIRTH}.ttl"]:
        assert "inside.invalid" not in content(path)
    assert "inside.invalid" in content(f"/dcat/dataset/{BIRTH}.ttl", signed_in("lin"))


def test_who_may_not_search_the_catalogue_reads_as_the_public(city):
    Account.objects.filter(username="lin").update(role="nobody")
    assert HOUSEHOLD not in content("/dcat/catalog.ttl", signed_in("lin"))
    assert signed_in("lin").get("/catalogue/export.csv").status_code == 404
    assert Client().get("/catalogue/export.csv").status_code == 404


@pytest.mark.requirement("STD-03")
def test_the_table_has_the_core_metadata_and_the_standard_of_each_item(city):
    table = content("/catalogue/export.csv", signed_in("lin"))
    rows = list(csv.DictReader(io.StringIO(table.removeprefix("﻿"))))
    assert len(rows) == Item.objects.count()
    columns = "类 项 分类代码 信息资源名称 信息资源代码 信息资源提供方 提供方代码 信息资源摘要 信息资源格式"
    columns += " 信息项名称 数据类型 数据长度 执行标准 共享类型 共享条件 共享方式 是否向社会开放 开放条件"
    columns = f"{columns} 更新周期 发布日期 关联资源标识".split()
    assert set(columns) <= set(rows[0])
    standards = {item.standard for item in Item.objects.all()} - {"", "setting"}
    assert standards
    assert {row["执行标准"] for row in rows} - {""} == standards
    assert {row["是否向社会开放"] for row in rows if row["信息资源标识"] == BIRTH} == {"是"}


def test_the_workbook_says_the_same_as_the_table_in_the_readers_language(city):
    client = signed_in("lin")
    for language in ("zh-hans", "en"):
        client.cookies["django_language"] = language
        table = list(csv.reader(io.StringIO(content("/catalogue/export.csv", client).removeprefix("﻿"))))
        book = openpyxl.load_workbook(io.BytesIO(b"".join(client.get("/catalogue/export.xlsx"))))
        sheet = [["" if cell is None else str(cell) for cell in row] for row in book.active.values]
        assert sheet == [[cell.removeprefix("'") for cell in row] for row in table]
        assert table[0][0] == ("Class" if language == "en" else "类")


def test_a_table_holds_what_one_search_has_found(city):
    client = signed_in("lin")
    table = content("/catalogue/export.csv?q=出生登记&department=440100-health", client)
    found = {row["信息资源标识"] for row in csv.DictReader(io.StringIO(table.removeprefix("﻿")))}
    assert BIRTH in found
    assert all(Resource.objects.get(id=one).department_id == "440100-health" for one in found)
    nothing = content("/catalogue/export.csv?department=440100-nowhere", client)
    assert nothing.count("\r\n") == 1


def test_files_of_the_whole_catalogue_are_few_at_once(city):
    held = [signed_in("lin").get("/catalogue/export.csv") for _ in range(3)]
    assert [response.status_code for response in held] == [200, 200, 503]
    assert held[2]["Retry-After"]
    # The places are free again when the files are sent.
    assert all(b"".join(response) for response in held[:2])
    assert content("/catalogue/export.csv", signed_in("lin"))


def test_a_file_that_is_given_up_frees_its_place():
    held = [whole_file(Reader.PUBLIC, iter([b"x"])) for _ in range(2)]
    assert held[1] is None
    # Closed twice, before anything was read: the place is given back once.
    for _ in range(2):
        held[0].close()
    again = whole_file(Reader.PUBLIC, iter([b"x"]))
    assert again is not None
    assert whole_file(Reader.PUBLIC, iter([])) is None
    again.close()


def test_the_page_searches_filters_and_speaks_both_languages(city):
    opened(HOUSEHOLD)
    assert "2 条" in content("/open/")
    found = content("/open/?q=出生登记")
    assert "1 条" in found
    assert "户籍登记信息" not in found
    assert "没有找到" in content("/open/?q=没有这种东西")
    assert "户籍登记信息" in content("/open/?subject=101")
    assert "没有找到" in content("/open/?subject=102&q=出生")
    assert "Open catalogue" in content("/open/", Client(headers={"accept-language": "en"}))
    assert "<script>alert(1)" not in content("/open/?q=<script>alert(1)</script>")


@pytest.mark.parametrize(
    "query", ["?page=0", "?page=-1", "?page=99999", "?page=x", "?subject=%00", "?q=%00", "?q=" + "x" * 3000]
)
def test_odd_addresses_are_answered(city, query):
    assert Client().get("/open/" + query).status_code == 200


@pytest.mark.parametrize("path", ["/open/", "/dcat/catalog", "/open/catalogue.csv", "/dcat/terms"])
def test_nothing_is_written_by_asking(city, path):
    for method in ("post", "put", "delete", "patch"):
        assert getattr(Client(), method)(path).status_code == 405
