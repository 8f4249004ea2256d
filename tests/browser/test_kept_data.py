"""Data that stay with their department: the sample city has an entry of that kind, and its node answers."""

import json

import pytest
from playwright.sync_api import expect

from shuqiao.control.operations.sample import HELD_KEY
from shuqiao.demo.people import STORY_MOTHER_ID, STORY_MOTHER_NAME
from shuqiao.rules.ids import resource_id
from tests.browser.conftest import Visits
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
