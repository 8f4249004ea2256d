"""The steps of the demonstration story as a person takes them; each needs no script in the browser."""

from datetime import date, timedelta

from playwright.sync_api import expect

from shuqiao.demo.people import STORY_CHILD_CERTIFICATE, STORY_MOTHER_ID, STORY_MOTHER_NAME
from shuqiao.rules.ids import resource_id
from tests.browser.conftest import Visitor

BIRTH = resource_id("440100", "birth")
ITEMS = ("mother_name", "mother_citizen_id_number", "birth_date")


def ask(clerk: Visitor, items: tuple[str, ...] = ITEMS) -> str:
    """Fill in the five steps for items of 出生登记 and return the number of the request."""
    page = clerk.page
    clerk.see(f"/requests/new/?resource={BIRTH}")
    for box in page.locator("input[name=items]:not(:disabled)").all():
        box.set_checked(box.get_attribute("value") in items)
    page.get_by_role("button", name="下一步").click()
    page.locator("input[name=duty]").first.check()
    for name in items:
        page.locator(f"[id='reason:{name}']").fill("资格审核：核对家庭成员关系")
    page.get_by_role("button", name="下一步").click()
    page.fill("#purpose", "公共租赁住房申请家庭的亲子关系核验")
    for box in page.locator("input[name=applications]").all():
        box.check()
    page.fill("#wanted_until", (date.today() + timedelta(days=300)).isoformat())
    page.get_by_role("button", name="下一步").click()
    for box in page.locator("input[name=conditions]").all():
        box.check()
    page.get_by_role("button", name="下一步").click()
    page.get_by_role("button", name="提交申请").click()
    page.wait_for_url("**/requests/R-*/")
    return page.url.rstrip("/").rpartition("/")[2]


def answer(reviewer: Visitor, number: str) -> str:
    """Agree to the mother's name and number, item by item, and return the number of the grant."""
    page = reviewer.page
    reviewer.see(f"/requests/{number}/")
    page.uncheck("#granted-birth_date")
    page.locator("[id='why:birth_date']").fill("职权未载明需要出生日期。")
    page.get_by_text("逐项答复", exact=True).click()
    page.locator("[data-sq-answer-button]").click()
    link = page.get_by_role("link", name="授权 G-")
    expect(link).to_be_visible()
    return str(link.get_attribute("href")).rstrip("/").rpartition("/")[2]


def verify(clerk: Visitor, grant: str, **said: str) -> None:
    """Fill in what a person says and ask; without more it is the story's mother."""
    page = clerk.page
    if f"/verify/{grant}/" not in page.url:
        clerk.see(f"/verify/{grant}/")
    told = {
        "subject": STORY_CHILD_CERTIFICATE,
        "mother_name": STORY_MOTHER_NAME,
        "mother_citizen_id_number": STORY_MOTHER_ID,
        "case": "GZF-2026-004417",
    } | said
    for name, value in told.items():
        page.fill(f"#{name}", value)
    page.locator("#verification form button[type=submit]").click()


def revoke(reviewer: Visitor, grant: str, reason: str) -> None:
    """End a grant."""
    reviewer.see(f"/grants/{grant}/")
    reviewer.page.fill("#reason", reason)
    reviewer.page.get_by_role("button", name="停用授权").click()
    expect(reviewer.page.locator(".sq-note.ok")).to_contain_text("已停用")
