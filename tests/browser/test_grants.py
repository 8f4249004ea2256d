"""Stopping and continuing a grant, the printed form and the times of reply, as people see them."""

import pytest
from playwright.sync_api import expect

from tests.browser import story
from tests.browser.conftest import WIDTHS, Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def case(browser, city) -> tuple[str, str]:
    """A request that has been answered, and its grant."""
    visits = Visits(browser, city)
    number = story.ask(visits.visitor("lin"))
    grant = story.answer(visits.visitor("chen"), number)
    for context in visits.open:
        context.close()
    return number, grant


@pytest.mark.parametrize("width", WIDTHS)
def test_their_pages_have_no_fault(visits: Visits, case: tuple[str, str], width: int) -> None:
    """The form as paper, a suspended grant for both sides, and the times of reply."""
    number, grant = case
    clerk = visits.visitor("lin", width=width)
    reviewer = visits.visitor("chen", width=width)
    coordinator = visits.visitor("zheng", width=width)
    found = faults(clerk, f"/requests/{number}/form/") + faults(coordinator, "/replies/")
    found += faults(reviewer, f"/grants/{grant}/")
    reviewer.page.fill("#pause_reason", "示例：数据核查期间暂停")
    reviewer.page.get_by_role("button", name="暂停授权").click()
    expect(reviewer.page.locator(".sq-note.ok")).to_contain_text("已暂停")
    found += faults(reviewer, f"/grants/{grant}/") + faults(clerk, f"/grants/{grant}/")
    clerk.see(f"/verify/{grant}/")
    expect(clerk.page.locator(".sq-note.bad")).to_contain_text("示例：数据核查期间暂停")
    reviewer.page.get_by_role("button", name="恢复授权").click()
    expect(reviewer.page.locator(".sq-note.ok")).to_contain_text("已恢复")
    assert found == []


def test_a_renewal_begins_with_what_the_grant_gives(visits: Visits, case: tuple[str, str]) -> None:
    """One button fills the form; only the new last day and the conditions are left to give."""
    clerk = visits.visitor("lin")
    clerk.see(f"/grants/{case[1]}/")
    clerk.page.get_by_role("button", name="申请续期").click()
    expect(clerk.page.locator("#purpose")).to_have_value("公共租赁住房申请家庭的亲子关系核验")
    clerk.see(f"/requests/new/?resource={story.BIRTH}&step=5")
    expect(clerk.page.locator("main")).to_contain_text(f"授权 {case[1]}")
    # Whoever wants a request of its own instead says so, and the draft goes on as one.
    clerk.see(f"/requests/new/?resource={story.BIRTH}&step=3")
    clerk.page.uncheck("#renews")
    clerk.page.get_by_role("button", name="下一步").click()
    clerk.see(f"/requests/new/?resource={story.BIRTH}&step=5")
    expect(clerk.page.locator("main")).not_to_contain_text(f"授权 {case[1]}")
