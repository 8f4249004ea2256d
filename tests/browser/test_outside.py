"""Demands outside the catalogue and special projects in a real browser: faults, and work by keyboard."""

import pytest

from tests.browser.conftest import WIDTHS, Visitor, Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser


def first_in(visitor: Visitor, path: str) -> str:
    """Address of the first case of a list."""
    visitor.see(path)
    return str(visitor.page.locator("main table a.sq-t").first.get_attribute("href"))


def test_what_a_holder_and_lead_sees(visits: Visits) -> None:
    """Lists, a demand with its negotiation, a project being prepared, its forms, and the register."""
    huang = visits.visitor("huang")
    demand = first_in(huang, "/outside/?side=received")
    project = first_in(huang, "/projects/")
    found: list[str] = []
    for path in (
        "/outside/?side=received",
        demand,
        "/outside/new/",
        "/projects/",
        project,
        f"{project}edit/",
        f"{project}lines/new/",
        "/projects/applications/",
    ):
        found += faults(huang, path)
    assert found == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_form_with_every_fault(visits: Visits, width: int) -> None:
    """An empty demand names each field, and the page stays accessible."""
    lin = visits.visitor("lin", width=width)
    lin.see("/outside/new/")
    lin.page.locator("main form button[value=submit]").click()
    lin.page.wait_for_selector(".sq-faults")
    assert lin.axe() == []


def test_a_demand_is_made_and_answered_by_keyboard(visits: Visits) -> None:
    """No mouse: the holder, the words, a duty by arrow; then the holder declines with its reason."""
    lin = visits.visitor("lin")
    lin.see("/outside/new/")
    lin.page.focus("#holder")
    lin.page.select_option("#holder", "440100-civil-affairs")
    lin.page.keyboard.press("Tab")
    lin.page.keyboard.type("婚姻登记预约量，按日（示例）")
    lin.page.keyboard.press("Tab")
    lin.page.keyboard.press("Space")
    lin.page.focus("#purpose")
    lin.page.keyboard.type("窗口排班（示例）")
    with lin.page.expect_navigation():
        lin.page.focus("main form button[value=submit]")
        lin.page.keyboard.press("Enter")
    number = lin.page.url.rstrip("/").rpartition("/")[2]
    assert number.startswith("O-")
    huang = visits.visitor("huang")
    huang.see(f"/outside/{number}/")
    summary = huang.page.locator("summary", has_text="协商不成")
    summary.focus()
    huang.page.keyboard.press("Enter")
    huang.page.focus("#decline-reason")
    huang.page.keyboard.type("没有按日统计（示例）")
    huang.page.keyboard.press("Tab")
    with huang.page.expect_navigation():
        huang.page.keyboard.press("Enter")
    assert "没有按日统计（示例）" in str(huang.page.text_content("#history"))
    lin.see(f"/outside/{number}/")
    assert "提请争议处理" in str(lin.page.text_content("main"))
