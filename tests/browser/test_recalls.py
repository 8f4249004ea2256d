"""A copy is called back on the pages and signed for by who fetched it; feeds and recalls are clean pages."""

import re
import uuid

import psycopg
import pytest
from playwright.sync_api import expect

from shuqiao.demo.home import Home
from tests.browser import story
from tests.browser.conftest import Visits
from tests.browser.test_copies import HOUSEHOLD, new_grant, prepare
from tests.browser.test_pages import faults
from tests.plugins.city import City

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def fed(city: City, grant: str) -> str:
    """A feed under the grant, its first part taken with two rows that didn't fit, its second waiting."""
    feed = str(uuid.uuid4())
    with psycopg.connect(Home(city.home).hub_superuser_url("shuqiao"), autocommit=True) as hub:
        hub.execute(
            "INSERT INTO exchange.subscription (id, grant_id, resource_id, department, provider, application,"
            " format, started_at, last_number, taken_number, taken_at, ended_at) VALUES (%s, %s, %s,"
            " '440100-housing', '440100-police', 'app-housing-rental', 'arrow', now(), 2, 1, now(), now())",
            [feed, grant, HOUSEHOLD],
        )
        for number in (1, 2):
            hub.execute(
                "INSERT INTO exchange.bulk_job (id, grant_id, resource_id, department, provider, application,"
                " actor, channel, format, subscription, number, from_sequence, to_sequence, rows, asked_at,"
                " state, manifest) VALUES (%s, %s, %s, '440100-housing', '440100-police',"
                " 'app-housing-rental', 'x', 'interface', 'arrow', %s, %s, %s, %s, 40, now(), 'expired',"
                " '{}')",
                [str(uuid.uuid4()), grant, HOUSEHOLD, feed, number, number - 1, number],
            )
        hub.execute(
            "INSERT INTO exchange.subscription_receipt VALUES (%s, 1, gen_random_uuid(), now(), now(), 38, 0,"
            " 2, sha256('{}'), '[[3, \"value_unfit\"], [9, \"key_conflict\"]]')",
            [feed],
        )
    return feed


def test_who_fetched_a_copy_is_called_on_and_signs_for_its_deletion(visits: Visits, city: City) -> None:
    grant = new_grant(city, "name,household_town_or_subdistrict")
    feed = fed(city, grant)
    clerk, provider = visits.visitor("lin"), visits.visitor("zhao")
    prepare(clerk, grant, "csv")
    part = clerk.page.get_by_role("link", name=re.compile("下载 part-")).get_attribute("href")
    assert clerk.page.request.get(f"{clerk.url}{part}").status == 200
    story.revoke(provider, grant, "示例：用途已变")
    clerk.see("/")
    clerk.page.get_by_role("link", name=re.compile("删除并回执")).first.wait_for()
    clerk.see("/exchange/recalls/")
    links = clerk.page.locator("main table a.sq-t")
    addresses = [str(one.get_attribute("href")) for one in links.all()]
    found = []
    for path in ("/exchange/feeds/", f"/exchange/feeds/{feed}/", "/exchange/recalls/", *addresses[:2]):
        found += faults(clerk, path)
    assert found == []
    copies = next(one for one in addresses if _is_of_copies(clerk, one, grant))
    clerk.see(copies)
    page = clerk.page
    page.get_by_role("button", name="签署").click()
    expect(page.locator("#confirmed-error")).to_be_visible()
    assert clerk.axe() == []
    # The browser reports the refused form (422) as an error.
    clerk.errors.clear()
    page.check("#confirmed")
    page.fill("#note", "已粉碎并清空回收站（示例）")
    page.get_by_role("button", name="签署").click()
    expect(page.locator("main")).to_contain_text("核验通过")
    assert faults(clerk, copies) == []
    provider.see(copies)
    expect(provider.page.locator("main")).to_contain_text("具名人员说明")
    expect(provider.page.locator("main")).to_contain_text("已粉碎并清空回收站")
    assert faults(provider, copies) == []
    for who in ("zheng", "tan", "ma"):
        visitor = visits.visitor(who)
        assert faults(visitor, "/exchange/recalls/") + faults(visitor, "/exchange/feeds/") == []


def _is_of_copies(visitor, path: str, grant: str) -> bool:
    """Whether a recall is about the copies of this grant that a person fetched."""
    visitor.see(path)
    words = visitor.page.inner_text("main")
    return grant in words and "下载的副本" in words
