"""Data that stay with their department: the sample city has an entry of that kind, and its node answers."""

import json

import pytest
from playwright.sync_api import expect

from shuqiao.control.operations.sample import HELD_KEY
from shuqiao.demo.people import STORY_MOTHER_ID, STORY_MOTHER_NAME
from shuqiao.rules.ids import resource_id
from tests.browser.conftest import WIDTHS, Visitor, Visits
from tests.browser.test_pages import faults
from tests.plugins.city import City

pytestmark = pytest.mark.browser

VEHICLES = resource_id("440100", HELD_KEY)


@pytest.mark.requirement("ING-09")
def test_a_system_asks_the_node_of_the_police(city: City) -> None:
    asked = ("--app", "app-housing-rental", "--resource", VEHICLES, "--subject", STORY_MOTHER_ID)
    done = city.run("call", "query", *asked, "--case", "GZF-2026-004417")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["data"]["vehicle_state"] == "正常" and answer["masked"] == ["plate_number"]
    node = str(city.home / "nodes" / "440100-police")
    log = city.run("node", "log", "--home", node)
    assert log.returncode == 0 and answer["entry"].replace("-", "") in log.stdout.replace("-", "")
    grants = city.run("node", "grants", "--home", node).stdout
    assert grants.count("confirmed") == 4 and "waiting" not in grants


def test_a_clerk_verifies_on_the_page(visits: Visits) -> None:
    """The page says where the answer came from; it is asked for like any other."""
    clerk = visits.visitor("lin")
    clerk.see(f"/catalogue/{VEHICLES}/")
    expect(clerk.page.locator("main")).to_contain_text("数据留存本部门")
    clerk.see("/grants/")
    clerk.page.get_by_role("row").filter(has_text="机动车").filter(has_text="核验").get_by_role(
        "link"
    ).click()
    grant = clerk.page.url.rstrip("/").rpartition("/")[2]
    clerk.see(f"/verify/{grant}/")
    clerk.page.fill("#subject", STORY_MOTHER_ID)
    clerk.page.fill("#vehicle_owner_name", STORY_MOTHER_NAME)
    clerk.page.fill("#plate_number", "样A000000")
    clerk.page.fill("#case", "GZF-2026-004417")
    clerk.page.locator("#verification form button[type=submit]").click()
    expect(clerk.page.locator(".sq-ans .sq-yes")).to_have_count(1)
    expect(clerk.page.locator(".sq-ans .sq-no")).to_have_count(1)
    # How each item compared is in the department's log alone, so the list of today says none of it.
    today = clerk.page.locator("#verify-today tbody tr").first
    expect(today).to_contain_text("已应答")
    expect(today.locator(".sq-no, .sq-yes")).to_have_count(0)


def held_query(clerk: Visitor) -> str:
    """Address of the page on which the clerk queries the register of vehicles."""
    clerk.see("/grants/")
    rows = clerk.page.get_by_role("row").filter(has_text="机动车").filter(has_text="查询")
    rows.get_by_role("link").click()
    clerk.page.get_by_role("link", name="去查询").click()
    clerk.page.wait_for_url("**/query/G-*/")
    return clerk.page.url


@pytest.mark.requirement("MOD-03")
@pytest.mark.parametrize("scripts", [True, False])
def test_a_clerk_queries_on_a_page(visits: Visits, scripts: bool) -> None:
    """Only granted items come, masked where sensitive, under the reader's name, in no address."""
    clerk = visits.visitor("lin", scripts=scripts)
    address, page = held_query(clerk), clerk.page
    page.fill("#subject", STORY_MOTHER_ID)
    page.get_by_role("button", name="查询").click()
    expect(page.locator("#case-error")).to_contain_text("办件编号")
    page.fill("#case", "GZF-2026-004417")
    page.get_by_role("button", name="查询").click()
    found = page.locator("section[aria-labelledby=found]")
    expect(found).to_contain_text("示例牌")
    expect(found).to_contain_text("**** 脱敏")
    expect(found).not_to_contain_text(STORY_MOTHER_NAME)
    expect(found.locator("[data-mark*='林示例 市住房和城乡建设局']").first).to_be_attached()
    assert page.url == address
    found.get_by_role("link", name="看证明").click()
    expect(page.locator("main")).to_contain_text("GZF-2026-004417")


def test_whoever_holds_no_such_grant_cannot_query(visits: Visits) -> None:
    """The provider is led to the grant, another department finds nothing, and neither is given a form."""
    clerk, provider, stranger = visits.visitor("lin"), visits.visitor("zhao"), visits.visitor("he")
    path = held_query(clerk).removeprefix(clerk.url)
    provider.see(path)
    assert "/grants/G-" in provider.page.url
    stranger.see(path)
    expect(stranger.page.locator("h1")).to_have_text("没有这一页")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_query_page_has_no_fault(visits: Visits, width: int) -> None:
    clerk = visits.visitor("lin", width=width)
    address = held_query(clerk)
    clerk.page.fill("#subject", STORY_MOTHER_ID)
    clerk.page.fill("#case", "GZF-2026-004417")
    clerk.page.get_by_role("button", name="查询").click()
    expect(clerk.page.locator("section[aria-labelledby=found]")).to_contain_text("示例牌")
    found = clerk.policy_faults() + clerk.errors + clerk.axe()
    found += faults(clerk, address.removeprefix(clerk.url)) + faults(clerk, f"/catalogue/{VEHICLES}/")
    assert found == []
    assert clerk.sideways() <= 0
