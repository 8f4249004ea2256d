"""The working calendar and one's own account, as people see and use them."""

from datetime import datetime

import pytest
from playwright.sync_api import expect

from shuqiao.control.clock import LEGAL_ZONE
from tests.browser.conftest import Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser


def test_their_pages_have_no_fault(visits: Visits) -> None:
    """For the office that keeps the calendar, and for everybody else."""
    year = datetime.now(LEGAL_ZONE).year
    pages = [f"/calendar/{year}/", f"/calendar/{year}/?day={year}-03-02#set", f"/calendar/{year + 1}/"]
    found = []
    for username in ("zheng", "lin"):
        visitor = visits.visitor(username)
        for path in [*pages, "/account/"]:
            found += faults(visitor, path)
    assert found == []


def test_a_year_is_added_and_a_day_set_with_the_keyboard_alone(visits: Visits) -> None:
    """The year after next is open to entry, far from every term that runs."""
    office = visits.visitor("zheng")
    year = datetime.now(LEGAL_ZONE).year + 2
    office.see(f"/calendar/{year}/")
    office.page.focus("#reason")
    office.page.keyboard.type("预计安排（示例）")
    office.page.keyboard.press("Tab")
    office.page.keyboard.press("Enter")
    expect(office.page.locator("#set-day")).to_be_visible()
    office.see(f"/calendar/{year}/?day={year}-03-02#set")
    office.page.focus("#reason")
    office.page.keyboard.type("台风停工（示例）")
    office.page.keyboard.press("Tab")
    office.page.keyboard.press("Enter")
    expect(office.page.locator("[role=status]")).to_contain_text("日历已更新")
    expect(office.page.locator("section[aria-labelledby=own]")).to_contain_text(f"{year}-03-02")
    assert office.policy_faults() == []


def test_a_wrong_address_is_named_at_its_field(visits: Visits) -> None:
    """And what was typed is still there."""
    clerk = visits.visitor("lin")
    clerk.see("/account/")
    clerk.page.fill("#email", "lin@")
    clerk.page.get_by_role("button", name="保存").click()
    expect(clerk.page.locator("#email-error")).to_contain_text("请填写完整的邮箱地址")
    expect(clerk.page.locator("#email")).to_have_value("lin@")
