"""The pages of one source as browsers ask for them."""

from io import BytesIO

import pytest
import xlsxwriter
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.entries import entry_json
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.disputes.actions import take_step
from shuqiao.control.disputes.inputs import StepInput
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.onesource.models import Claim, CollectionPlan, FormCheck
from shuqiao.control.organisations.models import Duty
from shuqiao.control.requests.models import Request
from tests.control.conftest import HOUSEHOLD as HOUSEHOLD_ENTRY
from tests.control.conftest import NOW
from tests.onesource.conftest import NEW
from tests.onesource.test_answers import CREDIT, ENTRY, other_source

__all__ = ["other_source"]


@pytest.fixture
def browser(city):
    """A browser in which somebody has signed in."""

    def signed_in(username: str) -> Client:
        client = Client()
        client.force_login(Account.objects.get(username=username))
        return client

    return signed_in


def text(response) -> str:
    return response.content.decode()


def compiled(of) -> Compilation:
    """The entry of health as a draft."""
    return Compilation.objects.create(
        number="C-2026-0001",
        kind="new",
        resource=NEW,
        department_id="440100-health",
        regulation="guangzhou-2016",
        state="draft",
        phase="draft",
        content=entry_json(of),
        origin="wizard",
        compiler=Account.objects.get(username="chen"),
        created_at=NOW,
        changed_at=NOW,
    )


@pytest.mark.requirement("COL-04", source="GZ16:49¶1")
def test_a_form_is_uploaded_checked_downloaded_and_asked_for(browser) -> None:
    held = BytesIO()
    book = xlsxwriter.Workbook(held, {"in_memory": True})
    sheet = book.add_worksheet()
    for row, name in enumerate(("字段名称", "申请人姓名", "身份证号", "户籍地派出所", "宠物名字")):
        sheet.write(row, 0, row)
        sheet.write(row, 1, name)
    book.close()
    lin = browser("lin")
    form = {
        "title": "租房补贴申请表",
        "audience": "public",
        "file": SimpleUploadedFile("表.xlsx", held.getvalue()),
    }
    answer = lin.post("/available/", form)
    assert answer.status_code == 302
    check = FormCheck.objects.get()
    page = text(lin.get(answer["Location"]))
    assert "户籍地派出所" in page and "市公安局" in page and "不得要求重复提供" in page
    assert "宠物名字" in page and "目录中没有" in page
    table = lin.get(f"/available/{check.number}/result.csv")
    assert table["Content-Type"].startswith("text/csv") and "attachment" in table["Content-Disposition"]
    lines = table.content.decode("utf-8-sig").splitlines()
    assert lines[1].startswith("1,申请人姓名,可共享取得,") and len(lines) == 5
    begun = lin.post(
        f"/available/{check.number}/request/{HOUSEHOLD_ENTRY}",
        {"items": ["name", "household_police_station", "no"]},
    )
    assert begun["Location"] == f"/requests/new/?resource={HOUSEHOLD_ENTRY}&step=1"
    draft = Request.objects.get(requester_id="440100-housing", resource_id=HOUSEHOLD_ENTRY)
    assert set(draft.items.values_list("item__field", flat=True)) == {"name", "household_police_station"}
    assert lin.get(begun["Location"]).status_code == 200
    # Supervision sees forms that ask people for what is available; other departments see nothing of it.
    assert "租房补贴申请表" in text(browser("zhou").get("/available/?show=asking"))
    assert "租房补贴申请表" not in text(browser("bai").get("/available/"))
    assert browser("bai").get(f"/available/{check.number}/").status_code == 404
    assert browser("bai").get(f"/available/{check.number}/result.csv").status_code == 404


def test_a_faulty_upload_says_what_to_do_and_keeps_what_was_written(browser) -> None:
    form = {
        "title": "表",
        "audience": "internal",
        "text": "姓名",
        "file": SimpleUploadedFile("表.csv", b"a,=1+1\n"),
    }
    answer = browser("lin").post("/available/", form)
    assert answer.status_code == 422 and "B1 是公式" in text(answer) and 'value="表"' in text(answer)
    assert not FormCheck.objects.exists()


def test_cells_of_the_download_are_no_formulas(browser) -> None:
    lin = browser("lin")
    answer = lin.post("/available/", {"title": "表", "audience": "public", "text": "-姓名\n+电话"})
    table = lin.get(answer["Location"] + "result.csv").content.decode("utf-8-sig")
    assert "'-姓名" in table and "'+电话" in table


@pytest.mark.requirement("COL-02", source="GZ16:3¶1")
@pytest.mark.requirement("COL-03", source="GZ16:8¶1")
def test_a_plan_is_looked_up_refused_and_registered(browser) -> None:
    lin = browser("lin")
    duty = Duty.objects.get(department_id="440100-housing", number=1).pk
    head = {"title": "租赁采集", "purpose": "办理备案"}
    looked = text(lin.post("/collection/new/", {**head, "names": "户籍地派出所\n宠物名字", "go": "look"}))
    assert "市公安局" in looked and 'name="rank-0"' in looked and 'name="rank-1"' not in looked
    rows = {**head, "name": ["户籍地派出所", "宠物名字"], "duty-0": str(duty), "go": "register"}
    refused = lin.post("/collection/new/", rows)
    assert refused.status_code == 422 and "不再重复采集" in text(refused)
    assert not CollectionPlan.objects.exists()
    ground = {"rank-0": "law", "ground-0": "《样本法》第二条"}
    done = lin.post("/collection/new/", {**rows, **ground})
    assert done.status_code == 302
    page = text(lin.get(done["Location"]))
    assert "《样本法》第二条" in page and "无职责依据" in page and "职责范围" in page
    assert "租赁采集" in text(browser("zhou").get("/collection/?show=flagged"))
    assert browser("chen").get(done["Location"]).status_code == 404
    without = {**rows, "leave": ["0"], "title": "只采一项"}
    assert lin.post("/collection/new/", without).status_code == 302
    assert CollectionPlan.objects.get(title="只采一项").items.count() == 1
    assert lin.post(f"{done['Location']}withdraw").status_code == 302
    assert browser("zhou").get("/collection/new/").status_code == 404


@pytest.mark.requirement("COL-01", source="GZ16:3¶1-3")
def test_conflicts_of_an_entry_are_shown_and_settled(browser) -> None:
    compiled(ENTRY)
    chen = browser("chen")
    page = text(chen.get("/sources/conflicts/C-2026-0001/"))
    assert "户籍地派出所" in page and "市公安局" in page and "规定本身已确定来源" in page
    place = {"item": "station", "resource": HOUSEHOLD_ENTRY, "field": "household_police_station"}
    empty = chen.post("/sources/conflicts/C-2026-0001/", {**place, "kind": "other", "reason": ""})
    assert empty.status_code == 422 and not Claim.objects.exists()
    given = {**place, "kind": "other", "reason": "<b>x</b>"}
    assert chen.post("/sources/conflicts/C-2026-0001/", given).status_code == 422
    given["reason"] = "指现住地派出所"
    assert chen.post("/sources/conflicts/C-2026-0001/", given).status_code == 302
    assert "指现住地派出所" in text(chen.get("/sources/conflicts/C-2026-0001/"))
    assert "指现住地派出所" in text(chen.get("/sources/claims/Q-2026-0001/"))
    assert browser("hou").get("/sources/claims/Q-2026-0001/").status_code == 404
    assert browser("hou").post("/sources/conflicts/C-2026-0001/", given).status_code == 404


@pytest.mark.requirement("COL-01")
def test_a_source_is_co_ordinated_and_decided_on_the_pages(browser, city, other_source) -> None:
    compiled(CREDIT)
    chen, zheng = browser("chen"), browser("zheng")
    place = {"item": "credit_grade", "resource": other_source.id, "field": "grade"}
    given = {**place, "kind": "coordination", "reason": "两部门各有职权"}
    assert chen.post("/sources/conflicts/C-2026-0001/", given).status_code == 302
    dispute = Dispute.objects.get().number
    page = "/sources/claims/Q-2026-0001/"
    assert page in text(chen.get(f"/disputes/{dispute}/"))
    assert "争议处理完毕后" in text(zheng.get(page))
    take_step(city.viewer("zheng"), dispute, "agree", StepInput(minutes="到会", result="定", shared=True))
    decision = {"lead": "440100-health", "document_no": "", "decided_on": clock.today().isoformat()}
    assert zheng.post(page + "decide", decision).status_code == 422
    decision["document_no"] = "穗数字〔2026〕12号"
    assert zheng.post(page + "decide", decision).status_code == 302
    assert "穗数字〔2026〕12号" in text(browser("zhao").get(page))


def test_a_joint_collection_is_answered_on_the_pages(browser, other_source) -> None:
    compiled(CREDIT)
    place = {"item": "credit_grade", "resource": other_source.id, "field": "grade"}
    given = {**place, "kind": "joint", "reason": "两部门各有职权"}
    assert browser("chen").post("/sources/conflicts/C-2026-0001/", given).status_code == 302
    zhao = browser("zhao")
    assert "1 件共同采集待本部门答复" in text(zhao.get("/sources/claims/"))
    page = "/sources/claims/Q-2026-0001/"
    assert zhao.post(page + "reply", {"go": "decline", "reply": ""}).status_code == 422
    assert zhao.post(page + "reply", {"go": "agree", "reply": ""}).status_code == 302
    assert Claim.objects.get().state == "agreed"
    assert browser("chen").post(page + "withdraw").status_code == 409


@pytest.mark.requirement("COL-01", source="GZ16:3¶1-3")
def test_the_register_is_searched_by_any_name_of_a_datum(browser) -> None:
    bai = browser("bai")
    page = text(bai.get("/sources/?q=身份证号"))
    assert "公民身份号码" in page and "市公安局" in page and "第九条" in page
    assert "出生医学证号" in text(bai.get("/sources/?q=出生证编号"))
    assert "没有找到" in text(bai.get("/sources/?q=不存在的项"))
    assert bai.get("/sources/?show=own&page=2").status_code == 200
    assert bai.get("/sources/?show=contested").status_code == 200


@pytest.mark.parametrize(
    "path", ["/available/", "/sources/", "/sources/claims/", "/collection/", "/collection/new/"]
)
def test_strangers_are_sent_to_sign_in_and_pages_are_in_both_languages(browser, path) -> None:
    assert Client().get(path).status_code == 302
    lin = browser("lin")
    zh = text(lin.get(path))
    lin.cookies["django_language"] = "en"
    english = lin.get(path)
    assert english.status_code == 200 and text(english) != zh
