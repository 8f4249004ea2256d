"""Every page in both themes and at both widths: axe, content policy, hosts, sideways scrolling."""

import pytest

from tests.browser import story
from tests.browser.conftest import Visitor, Visits

pytestmark = pytest.mark.browser


def first_entry(visitor: Visitor) -> str:
    """Address of the newest audit entry the visitor may see."""
    visitor.see("/audit/")
    return str(visitor.page.locator("#rows a").first.get_attribute("href"))


@pytest.fixture(scope="module")
def case(browser, city) -> tuple[str, str]:
    """A request that has been answered, and its grant."""
    visits = Visits(browser, city)
    number = story.ask(visits.visitor("lin"))
    grant = story.answer(visits.visitor("chen"), number)
    for context in visits.open:
        context.close()
    return number, grant


def clerk_pages(number: str, grant: str) -> list[str]:
    """Addresses a business clerk sees."""
    wizard = [f"/requests/new/?resource={story.BIRTH}&step={step}" for step in range(1, 6)]
    return [
        "/",
        "/catalogue/",
        "/catalogue/?q=出生&mode=verify",
        "/catalogue/?q=没有这样的东西",
        f"/catalogue/{story.BIRTH}/",
        *wizard,
        "/requests/",
        f"/requests/{number}/",
        "/grants/",
        f"/grants/{grant}/",
        "/verify/",
        f"/verify/{grant}/",
        "/audit/",
        "/regulations/",
        "/regulations/guangzhou-2016/",
        "/regulations/guangzhou-2019/",
        "/regulations/guangzhou-2016/text/",
        "/regulations/guangzhou-2016/articles/35",
        "/style-guide/",
    ]


def faults(visitor: Visitor, path: str) -> list[str]:
    """Everything wrong with a page, each with its address."""
    visitor.see(path)
    found = [f"policy: {fault}" for fault in visitor.policy_faults()]
    if visitor.sideways() > 0:
        found.append(f"scrolls sideways by {visitor.sideways()} px")
    found += [f"axe {fault}" for fault in visitor.axe()]
    found += [f"asked another host: {url}" for url in visitor.foreign]
    found += [f"console: {text}" for text in visitor.errors]
    visitor.foreign.clear()
    visitor.errors.clear()
    return [f"{path}: {fault}" for fault in found]


def test_what_a_clerk_sees(visits: Visits, case: tuple[str, str]) -> None:
    """No page of the clerk has a fault of its own."""
    clerk = visits.visitor("lin")
    story.verify(clerk, case[1])
    clerk.page.wait_for_selector("text=这次记录了什么")
    found = [f"answer: {fault}" for fault in clerk.axe() + clerk.policy_faults()]
    for path in [*clerk_pages(*case), first_entry(clerk)]:
        found += faults(clerk, path)
    assert found == []


def test_what_a_reviewer_sees(visits: Visits) -> None:
    """No page of the reviewer has a fault of its own, the answer form among them."""
    reviewer = visits.visitor("chen")
    reviewer.see("/requests/inbox/")
    open_case = reviewer.page.get_by_role("link", name="审核").first.get_attribute("href")
    found = []
    entry = f"/catalogue/{story.BIRTH}/"
    for path in ("/", "/requests/inbox/", str(open_case), "/grants/", "/audit/", entry):
        found += faults(reviewer, path)
    assert found == []


def test_what_a_coordinator_sees(visits: Visits) -> None:
    """The pages on rules have no fault of their own."""
    coordinator = visits.visitor("zheng")
    found = []
    for path in (
        "/",
        "/regulations/",
        "/regulations/shenyang-2016/",
        "/regulations/haizhu-draft/",
        "/regulations/compare/?left=guangzhou-2016&right=shenyang-2016",
        "/regulations/compare/?left=guangzhou-2016&right=xiamen-2015&only=differences",
        "/regulations/what-if/?under=xiamen-2015",
        "/calendar/",
    ):
        found += faults(coordinator, path)
    assert found == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_a_stranger_sees(visits: Visits, theme: str) -> None:
    """The sign-in page is clean, in the theme of the visitor's machine; every other page leads there."""
    stranger = visits.visitor(theme=theme)
    assert faults(stranger, "/sign-in/") == []
    assert stranger.page.evaluate("document.documentElement.dataset.bsTheme") == theme
    stranger.see("/audit/")
    assert "/sign-in/?next=/audit/" in stranger.page.url


def test_pages_of_refusal(visits: Visits) -> None:
    """What isn't there and what one may not see look the same, and their page is clean."""
    clerk = visits.visitor("lin")
    for path in ("/nothing/", "/catalogue/r440100aaaaaaaaaa/", "/requests/R-2026-9999/"):
        # The browser itself reports a page of status 404 on its console.
        assert [fault for fault in faults(clerk, path) if "status of 404" not in fault] == []
        assert "没有这一页" in clerk.page.inner_text("h1")
