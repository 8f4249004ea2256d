"""The pages of disputes as browsers ask for them, from the form to the project gate."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from shuqiao.control import clock
from shuqiao.control.accounts.models import Account
from shuqiao.control.disputes.models import Dispute, DisputeEvent, JointReviewSession
from tests.control.conftest import BIRTH, NOW
from tests.disputes.conftest import MEMBERS, PDF


@pytest.fixture
def browser(city):
    """A browser in which somebody has signed in."""

    def signed_in(username: str) -> Client:
        client = Client()
        client.force_login(Account.objects.get(username=username))
        return client

    return signed_in


def text(response) -> str:
    """What a page says."""
    return response.content.decode()


def test_a_dispute_goes_through_its_pages(story, browser):
    """Brought by a form, negotiated, reviewed, ruled on, its application downloaded, its result published."""
    form = {
        "kind": "provision",
        "respondent": "440100-health",
        "subject": "出生登记信息更新迟延",
        "reason": "更新晚于目录所定频度",
        "document": SimpleUploadedFile("证据.pdf", PDF, "application/pdf"),
    }
    hou, zheng, shi = browser("hou"), browser("zheng"), browser("shi")
    assert hou.get("/disputes/new/").status_code == 200
    answer = hou.post("/disputes/new/", form)
    assert answer.status_code == 302
    number = Dispute.objects.get().number
    page = text(hou.get(f"/disputes/{number}/"))
    assert "出生登记信息更新迟延" in page and "供需双方协商" in page and "证据.pdf" in page

    faulty = zheng.post(f"/disputes/{number}/steps/fail", {"fail-minutes": "记录"})
    assert faulty.status_code == 422 and "记录</textarea>" in text(faulty)
    assert (
        zheng.post(
            f"/disputes/{number}/steps/fail", {"fail-minutes": "记录", "fail-result": "未达成一致"}
        ).status_code
        == 302
    )
    for anybody in ("lin", "bai", "zhao", "zhou", "wen"):
        assert "未达成一致" in text(browser(anybody).get("/dispute-results/"))

    assert zheng.post("/joint-review/collect").status_code == 302
    session = JointReviewSession.objects.get().number
    assert number in text(zheng.get(f"/joint-review/{session}/"))
    held = {"held_on": "2026-11-20", "disputes": [number]}
    assert zheng.post(f"/joint-review/{session}/convene", held).status_code == 302
    for member in MEMBERS:
        given = {"opine-opinion": f"{member} 认为应当提供", "opine-shared": "yes"}
        assert browser(member).post(f"/disputes/{number}/steps/opine", given).status_code == 302
    assert "bian 认为应当提供" in text(zheng.get(f"/joint-review/{session}/"))
    result = {"review_open-result": "未能解决"}
    assert zheng.post(f"/disputes/{number}/steps/review_open", result).status_code == 302

    assert hou.post(f"/disputes/{number}/ruling/", {"reason": ""}).status_code == 422
    assert hou.post(f"/disputes/{number}/ruling/", {"reason": "会审未能解决"}).status_code == 302
    application = DisputeEvent.objects.get(action="apply_ruling").record
    for reader in ("hou", "chen", "zheng", "shi"):
        pdf = browser(reader).get(f"/documents/{application.pk}")
        assert pdf.status_code == 200 and pdf.content.startswith(b"%PDF-")
    assert browser("zhao").get(f"/documents/{application.pk}").status_code == 404

    ruling = {
        "rule_share-decided_on": "2026-11-11",
        "rule_share-document": SimpleUploadedFile("裁定.pdf", PDF, "application/pdf"),
    }
    assert shi.post(f"/disputes/{number}/steps/rule_share", ruling).status_code == 302
    page = text(browser("chen").get(f"/disputes/{number}/"))
    assert "裁定应当共享" in page and "剩 5 个工作日" in page and "11-18 周三" in page
    assert "裁定应当共享" in text(hou.get(f"/disputes/{number}/ruling/"))


PAGES = ("/disputes/", "/disputes/new/", "/joint-review/", "/dispute-results/", "/project-gate/")
# Who is offered which of the pages: a clerk, a sharing officer, a technician, a member of the joint review,
# the co-ordinator, the government's leader, supervision, the platform agency.
OFFERED = {
    "lin": (200, 200, 404, 200, 200),
    "chen": (200, 200, 404, 200, 200),
    "wu": (404, 404, 404, 200, 200),
    "bian": (200, 200, 200, 200, 200),
    "zheng": (200, 404, 200, 200, 200),
    "shi": (200, 200, 404, 200, 200),
    "zhou": (200, 404, 200, 200, 200),
    "ma": (404, 404, 404, 200, 200),
}


@pytest.mark.parametrize(("who", "statuses"), OFFERED.items())
def test_pages_open_to_whom_they_are_offered(browser, who, statuses):
    """What opens is in the navigation, and what is in the navigation opens."""
    client = browser(who)
    assert tuple(client.get(address).status_code for address in PAGES) == statuses
    frame = text(client.get("/dispute-results/"))
    for address, status in zip(PAGES, statuses, strict=True):
        if address != "/disputes/new/":
            assert (f'href="{address}"' in frame) == (status == 200), address


# Who may take which step of a dispute in negotiation, through its page; 404 for whoever may not see it.
STEPS = {
    "minute": {"zheng": 302},
    "fail": {"zheng": 302},
    "withdraw": {"hou": 302, "lin": 302},
}
SEES = {"lin", "hou", "chen", "gong", "bai", "zheng", "zhou"}
EVERYBODY = (*SEES, "tan", "wu", "zhao", "ma", "bian", "shi")


@pytest.mark.parametrize("who", sorted(EVERYBODY))
@pytest.mark.parametrize("action", STEPS)
def test_steps_are_taken_by_whom_they_belong_to(story, browser, who, action):
    """Role by action: the form is offered to exactly those whose post is accepted."""
    number = story.bring(by="lin")
    client = browser(who)
    page = client.get(f"/disputes/{number}/")
    offered = page.status_code == 200 and f"/disputes/{number}/steps/{action}" in text(page)
    given = {f"{action}-{name}": "文字" for name in ("minutes", "result", "reason")}
    status = client.post(f"/disputes/{number}/steps/{action}", given).status_code
    assert status == STEPS[action].get(who, 403 if who in SEES else 404)
    assert offered == (status == 302)
    assert Dispute.objects.get().step == (2 if status == 302 else 1)


def test_a_datum_is_disputed_with_whom_the_catalogue_names(browser):
    """The form needs the entry, and its responsible department becomes the other side."""
    hou = browser("hou")
    form = {"kind": "data", "respondent": "440100-police", "subject": "出生日期不一", "reason": "两处不一"}
    assert "请填写数据所在的目录条目" in text(hou.post("/disputes/new/", form))
    unknown = hou.post("/disputes/new/", form | {"resource": "r440100aaaaaaaaaa"})
    assert unknown.status_code == 422 and "目录中没有这个条目" in text(unknown)
    assert hou.post("/disputes/new/", form | {"resource": BIRTH}).status_code == 302
    dispute = Dispute.objects.get()
    assert (dispute.respondent_id, dispute.resource) == ("440100-health", BIRTH)


def test_a_faulty_form_keeps_what_was_typed_and_says_what_is_wrong(browser):
    """Every fault at its field, and a summary that leads there."""
    answer = browser("hou").post("/disputes/new/", {"subject": "更新迟延", "respondent": "nobody"})
    page = text(answer)
    assert answer.status_code == 422
    for name in ("kind", "respondent", "reason"):
        assert f'href="#{name}"' in page
    assert 'value="更新迟延"' in page
    assert not Dispute.objects.exists()


def test_a_bar_stands_at_the_project_gate(story, owner, browser):
    """Whoever accepts projects sees it, with the article, without opening the dispute."""
    number = story.open("R-2026-0501")
    story.to_ruled(number)
    with clock.fixed(NOW + timedelta(days=8)):
        story.take("zheng", number, "bar", reason="期满未提供")
        page = text(browser("ma").get("/project-gate/?department=440100-health&year=2027"))
        assert "不予受理" in page and "第三十五条第三款" in page and number in page
        assert f"/disputes/{number}/" not in page
        assert f"/disputes/{number}/" in text(browser("zheng").get("/project-gate/"))
        page = text(browser("ma").get("/project-gate/?department=440100-health&year=2028"))
        assert "可以受理" in page
        for odd in ("?department=nobody&year=20x7", "?year=99999", "?department=" + "a" * 500):
            assert browser("ma").get(f"/project-gate/{odd}").status_code == 200


def test_a_session_says_what_is_wrong_with_its_day(story, owner, browser):
    """A day gone by, or none, and an empty agenda."""
    number = story.open("R-2026-0502")
    story.fail(number)
    zheng = browser("zheng")
    assert zheng.post("/joint-review/collect").status_code == 302
    session = JointReviewSession.objects.get().number
    for day in ("", "2026-11-10", "2028-01-01", "明天"):
        page = zheng.post(f"/joint-review/{session}/convene", {"held_on": day, "disputes": [number]})
        assert page.status_code == 422 and 'href="#held_on"' in text(page)
    assert 'href="#disputes"' in text(
        zheng.post(f"/joint-review/{session}/convene", {"held_on": "2026-11-12"})
    )
    assert browser("bian").get(f"/joint-review/{session}/").status_code == 404, "not convened yet"
    assert JointReviewSession.objects.get().convened_at is None


def test_pages_speak_english_too(story, owner, browser):
    """No Chinese is left in the words of the platform; the law and what people wrote stay as they are."""
    number = story.open("R-2026-0503")
    story.to_ruled(number)
    session = JointReviewSession.objects.get().number
    zheng = browser("zheng")
    zheng.cookies["django_language"] = "en"
    for address in (
        f"/disputes/{number}/",
        f"/disputes/{number}/ruling/",
        f"/joint-review/{session}/",
        *PAGES,
    ):
        if address == "/disputes/new/":
            continue
        page = text(zheng.get(address))
        assert "Disputes" in page
        for words in ("办理", "协商室", "案卷", "留痕", "提出争议", "联合会审", "项目关口", "公示"):
            assert words not in page, (address, words)


def test_a_case_costs_a_bounded_number_of_queries(story, owner, browser, django_assert_max_num_queries):
    """However many disputes are in the list, and however many steps a case has."""
    for place in range(12):
        story.fail(story.open(f"R-2026-06{place:02d}"))
    number = story.open("R-2026-0699")
    story.to_review_open(number)
    client = browser("zheng")
    client.get("/disputes/")
    with django_assert_max_num_queries(30):
        client.get("/disputes/")
    with django_assert_max_num_queries(60):
        client.get(f"/disputes/{number}/")


def test_a_statement_is_filed_through_the_page(story, browser):
    """The form is offered to both parties alone; a blank one is refused at its field."""
    number = story.bring()
    address = f"/disputes/{number}/statement"
    for who, status in {"hou": 302, "chen": 302, "zheng": 403, "zhao": 404}.items():
        client = browser(who)
        page = client.get(f"/disputes/{number}/")
        assert (address in text(page)) == (status == 302)
        assert client.post(address, {"statement-reason": f"{who} 的陈述"}).status_code == status
    page = text(browser("zheng").get(f"/disputes/{number}/"))
    assert "hou 的陈述" in page and "chen 的陈述" in page and "zhao 的陈述" not in page
    blank = browser("hou").post(address, {"statement-reason": ""})
    assert blank.status_code == 422 and 'href="#statement-reason"' in text(blank)


def test_the_case_behind_a_dispute_is_linked_for_whoever_may_see_it(story, owner, browser):
    """Not for the members of the review, who would find nothing there."""
    number = story.open("R-2026-0504")
    story.fail(number)
    story.review(number)
    for who, linked in {"lin": True, "chen": True, "zheng": True, "bian": False}.items():
        page = browser(who).get(f"/disputes/{number}/")
        assert page.status_code == 200
        assert ("/requests/R-2026-0504/" in text(page)) == linked
