"""Publishing versions of standards: who may, what is refused, who is told, what is kept."""

import csv
from dataclasses import replace
from io import BytesIO, StringIO
from zipfile import ZipFile

import msgspec
import pytest
from django.test import Client
from pypinyin import lazy_pinyin

from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.accounts.models import Account, Notification
from shuqiao.control.catalogue.models import Item, Resource
from shuqiao.control.organisations.models import Department
from shuqiao.control.standards.contents import Code, Content, Kind, content_from
from shuqiao.control.standards.loading import load_standards
from shuqiao.control.standards.models import Standard, StandardVersion
from shuqiao.control.standards.pages import standard_list
from shuqiao.control.standards.publishing import StandardInput, publish_standard
from shuqiao.control.standards.queries import code_lists, elements, guess
from shuqiao.rules.errors import PermissionDenied
from tests.control.conftest import audit_entries, rows


def in_force(kind: Kind, key: str) -> Content:
    """What a standard says now."""
    return content_from(Standard.objects.get(kind=kind.value, key=key).content)


def given(kind: Kind, key: str, base: int = 1, **changed) -> StandardInput:
    """The standard in force, changed."""
    content = msgspec.structs.replace(in_force(kind, key), **changed)
    return StandardInput(kind, key, content, "穗标〔2026〕1号", base)


def page(client: Client, username: str, address: str, **posted):
    """Ask for an address, or post to it, as an account."""
    client.force_login(Account.objects.get(username=username))
    return client.post(address, posted) if posted else client.get(address)


@pytest.mark.requirement("STD-01")
def test_items_are_bound_to_elements_and_code_lists_of_the_city(city) -> None:
    assert Item.objects.filter(standard="").count() == 0
    known, lists = elements(), code_lists()
    for item in Item.objects.all():
        assert item.standard in known
        assert not item.codes or set(item.codes) <= set(lists[item.code_list])
    assert Item.objects.exclude(codes=None).filter(code_list="").count() == 0
    items = Resource.objects.get(list_key="birth").content["items"]
    assert {item["standard"] for item in items} >= {"mother_citizen_id_number", "sex_code"}


@pytest.mark.requirement("STD-01")
def test_a_new_version_is_in_force_kept_with_its_reason_and_told_to_every_department(city) -> None:
    codes = (*in_force(Kind.CODE_LIST, "blood_type").codes, Code("R", "Rh阴性"))
    version = publish_standard(city.viewer("zheng"), given(Kind.CODE_LIST, "blood_type", codes=codes))
    assert version == 2 and code_lists()["blood_type"]["R"] == "Rh阴性"
    kept = StandardVersion.objects.filter(standard__kind="code_list", standard__key="blood_type")
    assert [(one.version, one.reason) for one in kept] == [(2, "穗标〔2026〕1号"), (1, "平台初始标准")]
    assert "R" not in [code[0] for code in kept[1].content["codes"]]
    told = Notification.objects.filter(code="standard_published", reference="blood_type")
    assert told.count() == Department.objects.filter(active=True).count() > 20
    [entry] = [row for row in audit_entries("standard_published") if row[-1] == "published"]
    assert entry[:3] == ("440100-data", None, "account:zheng")


def test_the_office_s_version_outlives_the_files_and_untouched_ones_follow_them(city) -> None:
    publish_standard(city.viewer("zheng"), given(Kind.ELEMENT, "major", length=120))
    Standard.objects.filter(key="degree", kind="element").update(content={"zh": "旧", "en": "old"})
    assert load_standards("system:test") == 1
    assert in_force(Kind.ELEMENT, "major").length == 120
    assert in_force(Kind.ELEMENT, "degree").zh == "学位"
    assert load_standards("system:test") == 0


@pytest.mark.parametrize("username", ["chen", "lin", "gong", "zhou", "ma"])
def test_only_the_competent_department_publishes(city, username) -> None:
    with pytest.raises(PermissionDenied):
        publish_standard(city.viewer(username), given(Kind.ELEMENT, "major", length=120))
    assert in_force(Kind.ELEMENT, "major").length == 100


def test_a_reviewer_of_another_department_does_not_publish(city) -> None:
    viewer = replace(city.viewer("chen"), capabilities=city.viewer("zheng").capabilities)
    with pytest.raises(PermissionDenied):
        publish_standard(viewer, given(Kind.ELEMENT, "major", length=120))


@pytest.mark.parametrize(
    ("kind", "key", "changed", "field"),
    [
        (Kind.ELEMENT, "major", {"zh": " "}, "zh"),
        (Kind.ELEMENT, "major", {"zh": "<b>专业</b>"}, "zh"),
        (Kind.ELEMENT, "major", {"data_type": "X"}, "data_type"),
        (Kind.ELEMENT, "major", {"length": 0}, "length"),
        (Kind.ELEMENT, "major", {"code_list": "nowhere"}, "code_list"),
        (Kind.ELEMENT, "person_name", {"broader": "mother_name"}, "broader"),
        (Kind.ELEMENT, "major", {"sensitivity": 9}, "sensitivity"),
        (Kind.ELEMENT, "major", {"synonyms": tuple(str(n) for n in range(60))}, "synonyms"),
        (Kind.ELEMENT, "major", {}, "content"),
        (Kind.FORMAT, "year", {"pattern": "("}, "pattern"),
        (Kind.FORMAT, "year", {"check": "guess"}, "check"),
        (Kind.CODE_LIST, "blood_type", {"codes": ()}, "codes"),
        (Kind.CODE_LIST, "blood_type", {"codes": (Code("A", "甲"), Code("A", "乙"))}, "codes"),
        (Kind.CODE_LIST, "blood_type", {"codes": (Code("A", "<script>"),)}, "codes"),
        (Kind.CODE_LIST, "blood_type", {"codes": tuple(Code(str(n), "值") for n in range(10001))}, "codes"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_nothing_is_written(city, kind, key, changed, field) -> None:
    with pytest.raises(FormRefused) as refused:
        publish_standard(city.viewer("zheng"), given(kind, key, **changed))
    assert field in {fault.field for fault in refused.value.faults}
    assert Standard.objects.get(kind=kind.value, key=key).version == 1


def test_a_version_written_from_an_older_one_is_refused(city) -> None:
    zheng = city.viewer("zheng")
    publish_standard(zheng, given(Kind.ELEMENT, "major", length=120))
    with pytest.raises(FormRefused) as refused:
        publish_standard(zheng, given(Kind.ELEMENT, "major", base=1, length=130))
    assert refused.value.faults[0].code == "version_outdated"


def test_a_new_element_can_be_guessed_and_ends_when_it_is_taken_out_of_use(city) -> None:
    zheng, content = (
        city.viewer("zheng"),
        Content(zh="公积金账号", en="Fund account", data_type="C", length=20),
    )
    new = StandardInput(Kind.ELEMENT, "fund_account", content, "新增", 0)
    assert publish_standard(zheng, new) == 1 and guess("职工公积金账号") == "fund_account"
    publish_standard(zheng, given(Kind.ELEMENT, "fund_account", ended=True))
    assert guess("职工公积金账号") is None and "fund_account" not in elements()


@pytest.mark.requirement("STD-01")
def test_everyone_reads_the_standards_and_sees_what_a_version_changed(city, client) -> None:
    publish_standard(city.viewer("zheng"), given(Kind.ELEMENT, "major", length=120))
    listed = page(client, "lin", "/standards/element/?q=zhuanye+专业").content.decode()
    assert "没有找到" in listed
    listed = page(client, "lin", "/standards/?q=专业").content.decode()
    assert "/standards/element/major/" in listed and "/standards/element/new/" not in listed
    shown = page(client, "lin", "/standards/element/major/").content.decode()
    assert "<del>100</del>" in shown and "<ins>120</ins>" in shown and "穗标〔2026〕1号" in shown
    used = page(client, "lin", "/standards/code_list/sex/").content.decode()
    assert "户籍登记信息" in used and "GB/T 2261.1" in used
    assert page(client, "lin", "/standards/element/nothing/").status_code == 404
    assert page(client, "lin", "/standards/nothing/").status_code == 404
    assert page(client, "lin", "/standards/element/major/edit/").status_code == 403


@pytest.mark.requirement("STD-03")
def test_a_standard_names_its_national_and_provincial_counterpart_in_every_output(city, client) -> None:
    zheng = city.viewer("zheng")
    publish_standard(zheng, given(Kind.CODE_LIST, "sex", provincial="DB44/T 1"))
    shown = page(client, "lin", "/standards/code_list/sex/").content.decode()
    assert "GB/T 2261.1" in shown and "DB44/T 1" in shown
    answer = page(client, "lin", "/standards/codes/sex.csv")
    table = list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["代码"] for row in table] == ["0", "1", "2", "9"]
    assert {row["对应国家标准"] for row in table} == {"GB/T 2261.1"}
    assert {row["对应省级标准"] for row in table} == {"DB44/T 1"}
    gaps = page(client, "lin", "/standards/code_list/?gap=1").content.decode()
    assert "/standards/code_list/sex/" not in gaps and "/standards/code_list/blood_type/" in gaps


@pytest.mark.requirement("STD-03")
@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_each_kind_can_be_taken_away_as_csv_and_workbook_without_formulas(city, client, kind) -> None:
    answer = page(client, "lin", f"/standards/{kind}/all.csv")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    table = list(csv.reader(StringIO(answer.content.decode("utf-8-sig"))))
    assert len(table) == 1 + Standard.objects.filter(kind=kind).count() and "对应国家标准" in table[0]
    assert not any(value.startswith(("=", "+", "@")) for row in table for value in row)
    book = ZipFile(BytesIO(page(client, "lin", f"/standards/{kind}/all.xlsx").content))
    assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")
    assert page(client, "lin", f"/standards/{kind}/all.pdf").status_code == 404


def test_the_form_publishes_and_keeps_what_was_typed_where_it_is_refused(city, client) -> None:
    address = "/standards/code_list/blood_type/edit/"
    shown = page(client, "zheng", address).content.decode()
    assert "AB,AB型" in shown
    posted = {
        "zh": "血型",
        "en": "Blood types",
        "codes": "A,A型\nA,又是A型",
        "base_version": "1",
        "reason": "x",
    }
    refused = page(client, "zheng", address, **posted)
    assert refused.status_code == 422 and "又是A型" in refused.content.decode()
    done = page(client, "zheng", address, **(posted | {"codes": "A,A型\nRh-,Rh阴性,Rh negative"}))
    assert done.status_code == 302
    assert code_lists()["blood_type"] == {"A": "A型", "Rh-": "Rh阴性"}


def test_the_list_is_in_order_of_pinyin(city) -> None:
    zheng = city.viewer("zheng")
    found = standard_list(zheng, Kind.ELEMENT, "", gap=False, page=1)
    listed = [row.name.zh for row in found.rows]
    for page_number in range(2, found.pages + 1):
        more = standard_list(zheng, Kind.ELEMENT, "", gap=False, page=page_number)
        listed += [row.name.zh for row in more.rows]
    assert len(listed) == found.total > 30
    assert listed == sorted(listed, key=lambda name: " ".join(lazy_pinyin(name)).casefold())


def test_a_row_of_a_standard_can_not_be_half_written(city) -> None:
    with pytest.raises(Exception, match="standard_key_is_well_formed"):
        rows(
            "INSERT INTO control.standards_standard (kind, key, version, zh, en, pinyin_key, content,"
            " search_text, ended, published_at)"
            " VALUES ('element', 'Wrong Key', 1, 'a', 'a', '', '{}', '', false, now())"
        )
