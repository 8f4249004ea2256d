"""The pages of disputes as browsers ask for them, from the form to the project gate."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from shuqiao.control.accounts.models import Account
from shuqiao.control.disputes.models import Dispute, DisputeEvent, JointReviewSession
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
