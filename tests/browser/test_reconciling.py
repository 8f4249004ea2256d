"""Holding a list against its source in a real browser, with the sample's real node: asked for by keyboard."""

import re

import pytest

from shuqiao.rules.ids import resource_id
from tests.browser.conftest import WIDTHS, Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser

BIRTH = resource_id("440100", "birth")
NODE = "/exchange/440100-health/"
PAGE = f"{NODE}{BIRTH}/reconciliations/"


@pytest.mark.requirement("UPD-05")
def test_a_list_is_compared_and_agrees(visits: Visits) -> None:
    agency = visits.visitor("ma")
    page = agency.page
    agency.see(NODE)
    page.locator(f"a[href='{PAGE}']").click()
    page.wait_for_load_state()
    button = page.get_by_role("button", name="发起对账")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    # Once it has ended the part of the page shows it by itself.
    page.wait_for_selector("h2:has-text('对账结果')", timeout=90_000)
    words = page.inner_text("#result")
    assert "一致" in words and "有差异的行" not in words and re.search(r"抽样 \d+ 行", words)
    assert page.locator("svg.ranges rect.rg.agrees").count() > 0
    assert page.locator("svg.ranges rect.rg.differs").count() == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_a_result_is_clean(visits: Visits, width: int) -> None:
    visitor = visits.visitor("wu", width=width)
    visitor.see(PAGE)
    if visitor.page.get_by_role("button", name="发起对账").count():
        # While it is under way and once it has ended: both are looked at in whatever order tests run.
        visitor.page.get_by_role("button", name="发起对账").click()
    assert faults(visitor, PAGE) == []
    visitor.page.wait_for_selector("h2:has-text('对账结果')", timeout=90_000)
    assert faults(visitor, PAGE) == []
