"""The pages of compiling as a browser without scripts asks for them, on a real database."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.case_page import compilation_page
from shuqiao.control.compiling.chain import chain_of, main_path
from shuqiao.control.compiling.models import Compilation, Mark
from shuqiao.control.compiling.pages import ListFilter, compilation_list
from shuqiao.control.compiling.versions_page import change_offer, versions_page
from shuqiao.control.onesource.register import take_in_missing
from shuqiao.control.regulations.current import named
from tests.control.conftest import NOW

from .conftest import CHAINS, CITIES, HOUSING, STATUS


def client(username: str) -> Client:
    """A browser in which somebody is signed in."""
    made = Client()
    made.force_login(Account.objects.get(username=username))
    return made


def text(answer) -> str:
    """The page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def edit(number: str, step: int = 1, **query: object) -> str:
    """Address of a step of the wizard."""
    more = "".join(f"&{key}={value}" for key, value in query.items())
    return f"/compiling/{number}/edit/?step={step}{more}"


def revision(number: str) -> str:
    return str(Compilation.objects.get(number=number).revision)


def content(number: str):
    return entry_from(Compilation.objects.get(number=number).content)


def test_an_entry_begins_with_a_name_and_goes_on_in_the_wizard(guangzhou):
    hou = client("hou")
    assert hou.post("/compiling/new/", {"name_zh": " "}).status_code == 422
    begun = hou.post("/compiling/new/", {"name_zh": "保障房房源信息"})
    number = begun.headers["Location"].split("/")[2]
    assert (content(number).name_zh, content(number).department) == ("保障房房源信息", HOUSING)
    assert hou.get(edit(number)).status_code == 200


def test_who_only_reads_sees_no_page_of_compiling(guangzhou):
    assert client("tan").get("/compiling/").status_code == 404
    assert client("lin").post("/compiling/new/", {"name_zh": "甲"}).status_code == 403
    assert client("tan").get("/compiling/new/").status_code == 403
    number = guangzhou.draft()
    for stranger in ("chen", "tan", "zheng"):
        assert client(stranger).get(f"/compiling/{number}/").status_code == 404
        assert client(stranger).get(edit(number)).status_code == 404
        assert client(stranger).post(edit(number), {"name_zh": "改"}).status_code == 404


@pytest.mark.parametrize("name", CITIES)
def test_every_step_names_the_article_that_demands_a_field(under, name):
    office = under(name)
    number = office.draft(scope="", items=())
    hou = client("hou")
    rules = named(Compilation.objects.get(number=number).regulation)
    named_on = {1: "department", 2: "content", 3: "scope", 4: "update_cycle"}
    demanded = {field.key for field in rules.catalogue_fields}
    for step, key in named_on.items():
        answer = hou.get(edit(number, step))
        assert answer.status_code == 200
        cited = f"/regulations/{rules.id}/articles/" in answer.content.decode()
        assert cited == (key in demanded), (step, key)
    has_types = bool(rules.share_types.types)
    assert ('id="share_type"' in hou.get(edit(number, 3)).content.decode()) == has_types
    check = text(hou.get(edit(number, 5)))
    assert "信息项" in check
    assert ("使用范围 必填" in check) == ("scope" in {field.key for field in rules.catalogue_fields})


def test_a_step_is_kept_by_its_button_and_leads_on(guangzhou):
    number = guangzhou.draft()
    answer = client("hou").post(
        edit(number, 4), {"revision": revision(number), "platform": "市住建数据中台", "go": "5"}
    )
    assert answer.headers["Location"] == edit(number, 5)
    assert content(number).platform == "市住建数据中台"


def test_what_cannot_be_read_is_said_at_its_field_and_the_rest_is_kept(guangzhou):
    number = guangzhou.draft()
    answer = client("hou").post(
        edit(number, 4), {"revision": revision(number), "platform": "新平台", "records": "许多", "go": "5"}
    )
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'id="records-error"' in page
    assert 'value="许多"' in page
    assert content(number).platform == "新平台"


def test_saving_by_itself_says_when_and_brings_the_next_revision(guangzhou):
    number, hou = guangzhou.draft(), client("hou")
    given = {"revision": revision(number), "subject.group": "202", "subject.detail": "001"}
    answer = hou.post(edit(number), given, headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert "已自动保存" in page
    assert f'id="revision" value="{revision(number)}"' in page
    assert "202001/000001" in page
    wrong = hou.post(
        edit(number, 4),
        {"revision": revision(number), "records": "许多"},
        headers={"HX-Request": "true"},
    )
    assert "1 处未保存" in wrong.content.decode()


def test_the_second_of_two_who_write_is_told_and_loses_nothing_of_the_page(guangzhou):
    number, hou = guangzhou.draft(), client("hou")
    seen = revision(number)
    hou.post(edit(number, 4), {"revision": seen, "platform": "先写的"})
    by_itself = hou.post(
        edit(number, 4), {"revision": seen, "platform": "后写的"}, headers={"HX-Request": "true"}
    )
    assert "已自动保存" not in by_itself.content.decode()
    answer = hou.post(edit(number, 4), {"revision": seen, "platform": "后写的", "go": "5"})
    assert answer.status_code == 409
    assert 'value="后写的"' in answer.content.decode()
    assert content(number).platform == "先写的"


def test_rows_are_pasted_into_the_table_and_standards_guessed(guangzhou):
    number, hou = guangzhou.draft(items=()), client("hou")
    wrong = hou.post(edit(number, 2), {"revision": revision(number), "do": "paste", "pasted": "甲\tA B\t玄"})
    assert wrong.status_code == 422
    assert "第 1 行" in text(wrong)
    assert content(number).items == ()
    rows = "信息项名称\t类型\t长度\n公民身份号码\tC\t18\n房屋地址\tC\t200"
    answer = hou.post(edit(number, 2), {"revision": revision(number), "do": "paste", "pasted": rows})
    assert "row=1" in answer.headers["Location"]
    first, second = content(number).items
    assert (first.standard, first.length, first.sensitivity) == ("citizen_id_number", 18, 3)
    assert second.field == "fang_wu_di_zhi"


def test_a_long_table_is_shown_page_by_page_and_each_page_saves_its_rows(guangzhou):
    items = tuple(replace(STATUS, field=f"status_{n}", zh=f"状态{n}") for n in range(45))
    number, hou = guangzhou.draft(items=items, record_key="", modes=()), client("hou")
    page = hou.get(edit(number, 2, page=3)).content.decode()
    assert 'name="items[44].zh"' in page
    assert 'name="items[39].zh"' not in page
    form = {"revision": revision(number), "items[44].field": "renamed", "items[44].zh": "改名", "do": "up:44"}
    answer = hou.post(edit(number, 2, page=3), form)
    assert answer.headers["Location"] == edit(number, 2, page=3, row=43)
    assert [item.field for item in content(number).items[43:]] == ["renamed", "status_43"]


def test_faults_are_gathered_on_the_last_step_and_lead_to_their_fields(guangzhou):
    number = guangzhou.draft(scope="", not_secret=False)
    hou = client("hou")
    page = hou.get(edit(number, 5)).content.decode()
    assert 'href="?step=3&amp;page=1&amp;check=1#scope"' in page
    sent = hou.post(edit(number, 5), {"revision": revision(number), "take": "submit"})
    assert sent.status_code == 422
    assert Compilation.objects.get(number=number).state == "draft"
    assert 'id="scope-error"' in hou.get(edit(number, 3, check=1)).content.decode()
    assert 'id="scope-error"' not in hou.get(edit(number, 3)).content.decode()


@pytest.mark.requirement("CAT-26")
def test_the_declaration_is_made_on_the_last_step_and_named(guangzhou):
    number, hou = guangzhou.draft(not_secret=False), client("hou")
    form = {"revision": revision(number), "not_secret.shown": "1", "not_secret": "1", "take": "submit"}
    answer = hou.post(edit(number, 5), form)
    assert answer.headers["Location"] == f"/compiling/{number}/"
    case = Compilation.objects.get(number=number)
    assert case.declared_by.username == "hou"
    assert "不涉密声明 hou" in text(hou.get(f"/compiling/{number}/"))


def test_markup_in_a_name_is_refused_and_never_rendered(guangzhou):
    number, hou = guangzhou.draft(), client("hou")
    answer = hou.post(edit(number), {"revision": revision(number), "name_zh": "<script>alert(1)</script>"})
    assert answer.status_code == 422
    assert "<script>alert" not in answer.content.decode()
    assert content(number).name_zh == "公租房申请审核信息"


# The review


def to_verify(office) -> str:
    """A case of Guangzhou 2016 that waits to be verified item by item."""
    number = office.draft()
    office.send(number)
    office.step("pan", number, "compile")
    return number


@pytest.mark.requirement("CAT-09")
def test_marks_are_kept_item_by_item_and_a_return_needs_its_reason(guangzhou):
    number, zheng = to_verify(guangzhou), client("zheng")
    page = zheng.get(f"/compiling/{number}/").content.decode()
    assert 'name="mark-items.applicant_id"' in page
    wrong = zheng.post(
        f"/compiling/{number}/marks",
        {"mark-items.applicant_id": "yes", "mark-items.applied_on": "no", "remark-items.applied_on": " "},
    )
    assert wrong.status_code == 422
    assert 'id="remark-items.applied_on-error"' in wrong.content.decode()
    assert list(Mark.objects.values_list("path", flat=True)) == ["items.applicant_id"]
    form = {"mark-items.applied_on": "no", "remark-items.applied_on": "口径不清", "rest": "yes"}
    answer = zheng.post(f"/compiling/{number}/marks", form, headers={"HX-Request": "true"})
    assert "信息项 3 个，通过 2，未看 0；退回 1 处" in text(answer)
    refused = zheng.post(f"/compiling/{number}/steps/verify")
    assert refused.status_code == 409
    page = zheng.get(f"/compiling/{number}/").content.decode()
    assert "信息项“申请日期”：口径不清</textarea>" in page


def test_a_return_needs_its_reason_at_its_field_and_goes_back_to_the_compiler(guangzhou):
    number, zheng = to_verify(guangzhou), client("zheng")
    refused = zheng.post(f"/compiling/{number}/steps/return", {"reason": " "})
    assert refused.status_code == 422
    assert 'id="return-reason-error"' in refused.content.decode()
    zheng.post(f"/compiling/{number}/steps/return", {"reason": "摘要未写明范围"})
    own = text(client("hou").get(f"/compiling/{number}/"))
    assert "摘要未写明范围" in own
    assert "继续编制" in own


def test_who_may_not_review_sees_no_marks_to_set(guangzhou):
    number = to_verify(guangzhou)
    hou = client("hou")
    assert "mark-items" not in hou.get(f"/compiling/{number}/").content.decode()
    assert hou.post(f"/compiling/{number}/marks", {"mark-name_zh": "yes"}).status_code == 409
    assert not Mark.objects.exists()


@pytest.mark.parametrize("name", CITIES)
def test_the_chain_is_the_law_s_and_shows_who_took_each_step(under, name):
    office = under(name)
    case = office.published()
    rules = named(case.regulation)
    path = [step.action for step in main_path(rules.procedure("entry"))]
    assert path == ["submit", *(action for action, _ in CHAINS[name])]
    steps = chain_of(rules, case.state, list(case.events.select_related("account", "department")))
    assert {step.status for step in steps} == {"done"}
    assert [step.by for step in steps] == ["hou", *(by for _, by in CHAINS[name])]
    assert all(step.at == NOW for step in steps)


def test_a_returned_case_begins_its_chain_again(guangzhou):
    number = to_verify(guangzhou)
    guangzhou.step("zheng", number, "return", reason="重写")
    page = compilation_page(guangzhou.viewer("hou"), number)
    assert [step.status for step in page.chain] == ["current", "next", "next", "next", "next"]
    assert page.can_edit


def test_a_change_is_shown_beside_what_is_in_force(guangzhou):
    case = guangzhou.published()
    items = (*content(case.number).items[:2], replace(STATUS, field="round", zh="批次"))
    number = guangzhou.changed(case.resource, summary_zh="公共租赁住房保障申请与轮候结果。", items=items)
    page = compilation_page(guangzhou.viewer("hou"), number)
    changes = {row.path: row.change for group in page.groups for row in group.rows}
    assert changes["summary_zh"] == "changed"
    assert changes["name_zh"] == "same"
    assert {row.path: row.change for row in page.items} == {
        "items.applicant_id": "same",
        "items.approval_status": "same",
        "items.round": "new",
        "items.applied_on": "gone",
    }
    assert page.changed == 3
    shown = client("hou").get(f"/compiling/{number}/?only=changed").content.decode()
    assert "<ins>轮候</ins>" in shown
    assert 'id="row-name_zh"' not in shown


# Lists and bulk steps


def test_a_list_begins_with_what_waits_for_the_viewer(guangzhou):
    waiting, draft = to_verify(guangzhou), guangzhou.draft(name_zh="另一条目")
    seen = compilation_list(guangzhou.viewer("zheng"), ListFilter())
    assert seen.chosen.view == "todo"
    assert [row.number for row in seen.rows] == [waiting]
    own = compilation_list(guangzhou.viewer("hou"), ListFilter(view="all"))
    assert {row.number for row in own.rows} == {waiting, draft}
    assert {key: count for key, _, count in own.views} == {"todo": 1, "draft": 1, "compiled": 1, "all": 2}
    with pytest.raises(NotFound):
        compilation_list(guangzhou.viewer("tan"), ListFilter())


def test_a_list_is_narrowed_by_name_kind_and_state(guangzhou):
    case = guangzhou.published()
    number = guangzhou.changed(case.resource, summary_zh="新")
    hou = client("hou")
    assert number in text(hou.get("/compiling/?view=all&kind=change"))
    assert case.number not in text(hou.get("/compiling/?view=all&kind=change"))
    assert case.number in text(hou.get("/compiling/?view=published&q=公租房"))
    assert "没有编制事项" in text(hou.get("/compiling/?view=all&q=没有的"))


def test_chosen_cases_take_one_step_and_the_rest_say_why_not(guangzhou):
    first, second = to_verify(guangzhou), guangzhou.draft(name_zh="另一条目")
    guangzhou.send(second)
    guangzhou.step("pan", second, "compile")
    client("zheng").post(f"/compiling/{first}/marks", {"rest": "yes"})
    answer = client("zheng").post(
        "/compiling/steps", {"numbers": [first, second], "action": "verify", "reason": ""}
    )
    assert answer.status_code == 409
    assert f"{second}" in text(answer)
    states = Compilation.objects.in_bulk([first, second])
    assert (states[first].state, states[second].state) == ("verified", "compiled")
    done = client("zheng").post(
        "/compiling/steps", {"numbers": [second], "action": "return", "reason": "补正"}
    )
    assert done.status_code == 302
    assert client("zheng").post("/compiling/steps", {"action": "verify"}).status_code == 422


def test_a_bulk_return_without_reason_changes_nothing(guangzhou):
    number = to_verify(guangzhou)
    answer = client("zheng").post("/compiling/steps", {"numbers": [number], "action": "return"})
    assert answer.status_code == 409
    assert Compilation.objects.get(number=number).state == "compiled"


# Versions and changes of an entry in force


@pytest.mark.requirement("CAT-03")
@pytest.mark.requirement("CAT-11")
def test_versions_are_compared_and_a_past_day_shows_what_was_in_force(guangzhou):
    case = guangzhou.published()
    with clock.fixed(NOW + timedelta(days=3)):
        number = guangzhou.changed(case.resource, summary_zh="公共租赁住房保障轮候结果。")
        guangzhou.send(number)
        guangzhou.go_on(number)
    hou = guangzhou.viewer("hou")
    page = versions_page(hou, case.resource)
    assert (page.left, page.right) == (1, 2)
    assert [row.path for row in page.differences] == ["summary_zh"]
    assert [str(line.sharing) for line in page.versions] == ["同步更新", "列入共享目录"]
    then = versions_page(hou, case.resource, on=NOW.date())
    assert then.then.version == 1
    assert versions_page(hou, case.resource, on=NOW.date() - timedelta(days=1)).then is None
    shown = client("hou").get(f"/catalogue/{case.resource}/versions/?left=1&right=2&on=2026-11-11")
    assert "2026-11-11 有效的内容：v1" in text(shown)
    assert "须为今天或以前的日期" in text(client("hou").get(f"/catalogue/{case.resource}/versions/?on=昨天"))


def test_a_withdrawn_entry_keeps_its_versions_to_be_seen(guangzhou):
    case = guangzhou.published()
    hou = client("hou")
    begun = hou.post(f"/catalogue/{case.resource}/change/", {"kind": "withdrawal"})
    number = begun.headers["Location"].split("/")[2]
    page = hou.get(f"/compiling/{number}/").content.decode()
    assert "撤出后条目不再有效" in page
    hou.post(f"/compiling/{number}/steps/submit")
    guangzhou.go_on(number)
    assert Resource.objects.get(id=case.resource).state == "withdrawn"
    assert hou.get(f"/catalogue/{case.resource}/").status_code == 404
    versions = hou.get(f"/catalogue/{case.resource}/versions/")
    assert "已撤出" in text(versions)
    assert "移出共享目录" in text(versions)


def test_only_its_department_changes_an_entry_and_one_change_at_a_time(guangzhou):
    case = guangzhou.published()
    address = f"/catalogue/{case.resource}/change/"
    assert client("chen").get(address).status_code == 404
    assert change_offer(guangzhou.viewer("chen"), case.resource) is None
    hou = client("hou")
    assert hou.post(address, {"kind": "other"}).status_code == 422
    begun = hou.post(address, {"kind": "correction"})
    number = begun.headers["Location"].split("/")[2]
    assert hou.post(address, {"kind": "change"}).status_code == 409
    assert number in text(hou.get(address))
    assert f"在办变更 {number}" in text(hou.get(f"/catalogue/{case.resource}/"))


def test_a_correction_shows_what_it_may_not_touch_and_cannot_touch_it(guangzhou):
    case = guangzhou.published()
    number = guangzhou.changed(case.resource, kind="correction")
    hou = client("hou")
    page = hou.get(edit(number)).content.decode()
    assert 'name="name_zh"' not in page
    assert 'name="summary_zh"' in page
    form = {"revision": revision(number), "name_zh": "偷改", "summary_zh": "改正的摘要", "go": "5"}
    hou.post(edit(number), form)
    assert (content(number).name_zh, content(number).summary_zh) == ("公租房申请审核信息", "改正的摘要")
    sent = hou.post(edit(number, 5), {"revision": revision(number), "take": "submit"})
    assert sent.status_code == 302
    assert Resource.objects.get(id=case.resource).version == 2


def test_a_draft_that_began_before_another_version_says_so_and_starts_again(guangzhou):
    case = guangzhou.published()
    number = guangzhou.changed(case.resource, summary_zh="新")
    Resource.objects.filter(id=case.resource).update(version=2)
    hou = client("hou")
    assert "底稿是 v1，现行已是 v2" in text(hou.get(f"/compiling/{number}/"))
    hou.post(f"/compiling/{number}/rebase")
    assert Compilation.objects.get(number=number).base_version == 2


def test_the_platform_agency_compiles_for_every_department(guangzhou):
    number = guangzhou.draft(by="pan")
    page = client("pan").get(edit(number)).content.decode()
    assert 'value="440100-health"' in page
    assert HOUSING in page
    own = guangzhou.draft(name_zh="本部门条目")
    choices = re.search(
        r'<select[^>]*id="department".*?</select>', client("hou").get(edit(own)).content.decode(), re.S
    )
    assert "440100-health" not in choices[0]


def test_the_pages_are_complete_in_english(guangzhou):
    number = to_verify(guangzhou)
    zheng = client("zheng")
    zheng.cookies["django_language"] = "en"
    page = text(zheng.get(f"/compiling/{number}/"))
    assert "Pass all others" in page
    assert "Verify" in page
    hou = client("hou")
    hou.cookies["django_language"] = "en"
    draft = guangzhou.draft(name_zh="另一条目")
    for step in range(1, 6):
        assert "Save" in text(hou.get(edit(draft, step)))


@pytest.mark.requirement("CAT-03")
def test_both_catalogues_are_shown_as_they_stood_on_a_past_day(guangzhou):
    case = guangzhou.published()
    hou = client("hou")
    today, before = NOW.date(), NOW.date() - timedelta(days=1)
    address = f"/catalogue/past/?department={HOUSING}"
    assert "公租房申请审核信息" in text(hou.get(f"{address}&on={today}"))
    assert "公租房申请审核信息" in text(hou.get(f"{address}&on={today}&which=sharing"))
    assert "没有有效的条目" in text(hou.get(f"{address}&on={before}"))
    assert "须为今天或以前的日期" in text(hou.get("/catalogue/past/?on=昨天"))
    page = hou.get(f"/catalogue/past/?on={today}").content.decode()
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following is None or hou.get(f"/catalogue/past/{following[1]}").status_code == 200
    assert (
        f"/catalogue/{case.resource}/versions/?on={today}"
        in hou.get(f"{address}&on={today}").content.decode()
    )


def test_the_chain_of_a_correction_is_its_one_step(guangzhou):
    case = guangzhou.published()
    number = guangzhou.changed(case.resource, kind="correction", summary_zh="改正的摘要")
    [step] = compilation_page(guangzhou.viewer("hou"), number).chain
    assert (str(step.label), step.status) == ("更正文字", "current")
    guangzhou.step("hou", number, "submit")
    [step] = compilation_page(guangzhou.viewer("hou"), number).chain
    assert (step.status, step.by) == ("done", "hou")


def test_an_item_that_another_collects_leads_to_where_it_is_settled(guangzhou):
    take_in_missing()
    own = replace(STATUS, field="station", zh="户籍地派出所")
    number = guangzhou.draft(items=(own,), record_key="", modes=(), subject="10100901")
    page = client("hou").get(edit(number, 5)).content.decode()
    assert f'href="/sources/conflicts/{number}/"' in page


@pytest.mark.parametrize(
    "address",
    [
        "/compiling/?q=%00&view=%00&kind=%00&department=%00",
        "/compiling/?page=999999&view=" + "x" * 500,
        "/catalogue/past/?on=2026-11-11&department=%00&after=%00&which=%00",
        "/catalogue/past/?on=9999-12-31",
        "/catalogue/past/?on=0001-01-01",
    ],
)
def test_odd_addresses_find_nothing_and_break_nothing(guangzhou, address):
    guangzhou.draft()
    assert client("hou").get(address).status_code == 200


@pytest.mark.parametrize("name", ["<b>粗</b>", "空\x00字", "长" * 101])
def test_an_odd_name_begins_nothing(guangzhou, name):
    assert client("hou").post("/compiling/new/", {"name_zh": name}).status_code == 422
    assert not Compilation.objects.exists()


def test_saving_is_no_step_of_a_case(guangzhou):
    number, hou = guangzhou.draft(), client("hou")
    assert hou.post(f"/compiling/{number}/steps/save").status_code == 404
    assert hou.post("/compiling/steps", {"numbers": [number], "action": "save"}).status_code == 404
    assert hou.post(f"/compiling/{number}/steps/explode").status_code in (403, 409)
    assert not Compilation.objects.get(number=number).events.exists()


def test_a_form_with_too_many_fields_changes_nothing(guangzhou):
    number = guangzhou.draft()
    form = {f"items[{n}].zh": "名" for n in range(600)} | {"revision": revision(number)}
    assert client("hou").post(edit(number, 2), form).status_code == 400
    assert len(content(number).items) == 3
