"""One source in a real browser: a form is checked and asked for, a plan is refused and put right."""

import pytest

from tests.browser.conftest import WIDTHS, Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser

FIELDS = "申请人姓名\n身份证号\n户籍地派出所\n性别\n出生证编号\n宠物名字\n配偶户籍地派出所名"


@pytest.mark.requirement("COL-04", source="GZ16:49¶1")
@pytest.mark.parametrize("width", WIDTHS)
def test_a_form_is_checked(visits: Visits, width: int) -> None:
    """Words are pasted by keyboard; each field has its answer, and the items go into a request."""
    lin = visits.visitor("lin", width=width)
    assert faults(lin, "/available/") == []
    lin.page.focus("#title")
    lin.page.keyboard.type(f"公租房申请表 {width}")
    lin.page.focus("#text")
    lin.page.keyboard.insert_text(FIELDS)
    lin.page.focus("main form button[type=submit]")
    with lin.page.expect_navigation():
        lin.page.keyboard.press("Enter")
    path = lin.page.url.removeprefix(lin.url)
    assert faults(lin, path) == []
    words = lin.page.inner_text("main")
    assert "户籍登记信息 · 户籍地派出所" in words and "目录中没有" in words and "第四十九条" in words
    lin.see("/available/")
    assert lin.page.locator("main table a.sq-t").first.inner_text().startswith("公租房申请表")


def test_an_empty_form_names_what_is_missing(visits: Visits) -> None:
    """Faults lead to their fields, and the page stays accessible."""
    lin = visits.visitor("lin")
    lin.see("/available/")
    lin.page.locator("main form button[type=submit]").click()
    lin.page.wait_for_selector(".sq-faults")
    assert lin.axe() == []


@pytest.mark.requirement("COL-02", source="GZ16:3¶1")
@pytest.mark.parametrize("width", WIDTHS)
def test_a_plan_is_refused_and_put_right(visits: Visits, width: int) -> None:
    """What can be had by sharing is refused at its item; left out, the rest is registered."""
    lin = visits.visitor("lin", width=width)
    found: list[str] = []
    for path in ("/collection/", "/collection/new/", "/sources/?q=身份证号", "/sources/claims/"):
        found += faults(lin, path)
    assert found == []
    lin.see("/collection/new/")
    lin.page.fill("#title", "租赁采集（示例）")
    lin.page.fill("#purpose", "办理租赁备案（示例）")
    lin.page.fill("#names", "户籍地派出所\n宠物名字")
    lin.page.locator("main form button[value=look]").click()
    lin.page.wait_for_selector("#item-1")
    assert lin.axe() == []
    lin.page.locator("main form button[value=register]").click()
    lin.page.wait_for_selector(".sq-faults")
    assert lin.axe() == []
    # The browser itself notes the refusal.
    lin.errors.clear()
    lin.page.check("#leave-0")
    with lin.page.expect_navigation():
        lin.page.locator("main form button[value=register]").click()
    assert faults(lin, lin.page.url.removeprefix(lin.url)) == []
    assert "无职责依据" in lin.page.inner_text("main")
