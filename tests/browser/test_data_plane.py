"""The pages around calls: interface with its console, alarms, searches of the log, other systems, volumes."""

import pytest
from playwright.sync_api import expect

from shuqiao.demo.registry import LIST_KEY
from shuqiao.rules.ids import resource_id
from tests.browser import story
from tests.browser.conftest import Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser

INTERFACE = f"/catalogue/{resource_id('440100', LIST_KEY)}/interface/"
PAGES = {
    "lin": (INTERFACE, INTERFACE.removesuffix("interface/"), "/alarms/"),
    "chen": (INTERFACE, "/alarms/"),
    "ma": ("/other-systems/", "/volumes/", "/systems/"),
    "zhou": ("/alarms/?all=1", "/audit/subject", "/other-systems/"),
}


def test_they_have_no_fault(visits: Visits) -> None:
    found = []
    for username, paths in PAGES.items():
        visitor = visits.visitor(username)
        for path in paths:
            found += faults(visitor, path)
    assert found == []


@pytest.mark.requirement("MOD-11")
@pytest.mark.parametrize("scripts", [True, False])
def test_an_operation_is_tried_on_its_page_with_samples(visits: Visits, scripts: bool) -> None:
    """The console shows the fields that are given, of an invented record, and asks no department."""
    page = visits.visitor("lin", scripts=scripts).page
    page.goto(page.url.rstrip("/") + INTERFACE)
    page.get_by_role("button", name="发送").first.click()
    answer = page.locator("pre", has_text="样例姓名")
    expect(answer).to_be_visible()
    expect(answer).not_to_contain_text("remark")
    expect(page.locator("main")).to_contain_text("shuqiao interface getCertificate")


def test_an_entry_by_interface_is_offered_for_queries_alone(visits: Visits) -> None:
    page = visits.visitor("he").page
    page.goto(page.url.rstrip("/") + INTERFACE.removesuffix("interface/"))
    services = page.locator("section[aria-labelledby=services]")
    expect(services).to_contain_text("查询")
    expect(services).not_to_contain_text("核验")
    expect(page.locator("section[aria-labelledby=supply]")).not_to_contain_text("在线浏览")


def test_the_key_of_a_record_can_be_asked_for_in_a_query(visits: Visits) -> None:
    """The box is free whatever mode the form began with; a verification leaves the key out."""
    clerk = visits.visitor("he")
    page = clerk.page
    clerk.see(f"/requests/new/?resource={story.BIRTH}")
    page.locator("input[name=mode][value=query]").check(force=True)
    page.check("#item-birth_certificate_number")
    page.get_by_role("button", name="下一步").click()
    expect(page.locator("[id='reason:birth_certificate_number']")).to_be_visible()
    page.get_by_role("button", name="上一步").click()
    page.locator("input[name=mode][value=verify]").check(force=True)
    page.get_by_role("button", name="下一步").click()
    expect(page.locator("[id='reason:birth_certificate_number']")).to_have_count(0)


def test_the_log_is_searched_by_a_persons_name(visits: Visits) -> None:
    visits.visitor("lin")
    supervisor = visits.visitor("zhou", scripts=False)
    supervisor.see("/audit/")
    supervisor.page.fill("#actor", "林示例")
    supervisor.page.get_by_role("button", name="查询").click()
    rows = supervisor.page.locator("#rows tr:not(.sub)")
    assert rows.count() > 0
    assert all("林示例" in text for text in rows.all_inner_texts())
