"""Copies and browsing on the pages: a clerk prepares, fetches and looks, until the grant is revoked."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from shuqiao.demo.city import Options, control_environment
from shuqiao.demo.home import Home
from shuqiao.rules.ids import resource_id
from tests.browser import story
from tests.browser.conftest import WIDTHS, Visitor, Visits
from tests.browser.test_pages import faults
from tests.plugins.city import City

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

HOUSEHOLD = resource_id("440100", "household_registration")
# As pages do it: housing asks for copies and browsing of the household register, the police grant them.
GRANT = """
import datetime, sys, django
django.setup()
from shuqiao.control import clock
from shuqiao.control.accounts.access import viewer_of
from shuqiao.control.accounts.models import Account
from shuqiao.control.organisations.models import Duty
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import AnswerInput, RequestInput
def viewer(name):
    return viewer_of(Account.objects.select_related("department").get(username=name))
fields = sys.argv[2].split(",")
until = clock.today() + datetime.timedelta(days=20)
number = submit_request(viewer("lin"), RequestInput(
    resource=sys.argv[1], mode="bulk", duty=Duty.objects.filter(department_id="440100-housing").first().pk,
    purpose="样例批量核对", items=dict.fromkeys(fields, "核对"), applications=("app-housing-portal",),
    accepted_conditions=tuple(one.key for one in regulation().conditions), wanted_until=until,
    channels=("download", "browse")))
print(answer_request(viewer("zhao"), number, AnswerInput(
    decisions=dict.fromkeys(fields, True), mode="bulk", valid_until=until)))
"""


def new_grant(city: City, items: str) -> str:
    """Return the number of a new grant of copies and browsing; what is granted already isn't given again."""
    options = Options(plane_port=city.plane_port, port=city.port, nats_port=city.nats_port)
    done = subprocess.run(
        [sys.executable, "-c", GRANT, HOUSEHOLD, items],
        env=os.environ | control_environment(Home(city.home), options),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def grant(city: City) -> str:
    """A grant that no test revokes."""
    return new_grant(city, "name,sex,ethnicity,household_status")


def prepare(clerk: Visitor, grant: str, form: str) -> None:
    """Ask for a copy and wait until its page offers it; nobody presses anything meanwhile."""
    clerk.see(f"/grants/{grant}/copies/")
    clerk.page.select_option("#format", form)
    clerk.page.get_by_role("button", name="准备副本").click()
    expect(clerk.page.get_by_role("link", name="下载清单")).to_be_visible(timeout=60_000)


@pytest.mark.requirement("MOD-06")
@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet", "arrow"])
def test_a_copy_is_fetched_and_agrees_with_its_manifest(
    visits: Visits, grant: str, form: str, tmp_path: Path
) -> None:
    clerk = visits.visitor("lin")
    prepare(clerk, grant, form)
    with clerk.page.expect_download() as listed:
        clerk.page.get_by_role("link", name="下载清单").click()
    listed.value.save_as(tmp_path / "manifest.json")
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    link = clerk.page.get_by_role("link", name=re.compile("下载 part-"))
    with clerk.page.expect_download() as fetched:
        link.click()
    fetched.value.save_as(tmp_path / "part")
    content = (tmp_path / "part").read_bytes()
    (part,) = manifest["parts"]
    assert (part["size_bytes"], part["digest"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert {item["field"]: item["masked"] for item in manifest["items"]}["ethnicity"] is True
    # Broken off, it goes on where it stopped.
    address = f"{clerk.url}{link.get_attribute('href')}"
    rest = clerk.page.request.get(address, headers={"Range": "bytes=100-"})
    assert (rest.status, rest.body()) == (206, content[100:])


@pytest.mark.requirement("MOD-06")
def test_records_are_looked_at_under_the_readers_name(visits: Visits, grant: str) -> None:
    clerk = visits.visitor("lin")
    clerk.see(f"/grants/{grant}/browse")
    page = clerk.page
    expect(page.locator(".sq-watermark [data-mark*='林示例 市住房和城乡建设局']").first).to_be_attached()
    shown = page.locator(".sq-watermark span").first.evaluate(
        "one => getComputedStyle(one, '::before').content"
    )
    assert "林示例" in shown
    every = page.locator("section[aria-labelledby=records] header .num").inner_text()
    page.select_option("[id='is.household_status']", label="注销")
    page.get_by_role("button", name="查看").click()
    expect(page.locator("[id='is.household_status']")).not_to_have_value("")
    some = page.locator("section[aria-labelledby=records] header .num").inner_text()
    assert some != every
    for row in page.locator("tbody tr").all():
        cells = row.locator("td").all_inner_texts()
        assert cells[2] == "****" and cells[3] == "注销"
    assert page.get_by_role("link", name="下载").count() == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_their_pages_have_no_fault(visits: Visits, grant: str, width: int) -> None:
    clerk = visits.visitor("lin", width=width)
    prepare(clerk, grant, "csv")
    copy = clerk.page.url.removeprefix(clerk.url)
    found = []
    for path in (copy, f"/grants/{grant}/copies/", f"/grants/{grant}/browse", f"/grants/{grant}/"):
        found += faults(clerk, path)
    assert found == []


def test_a_revoked_grant_is_said_on_each_page(visits: Visits, city: City) -> None:
    """What is ready is not given any more, and the page says that; looking leads to who ended it and why."""
    grant = new_grant(city, "name,household_police_station")
    clerk, provider = visits.visitor("lin"), visits.visitor("zhao")
    prepare(clerk, grant, "csv")
    copy = clerk.page.url
    part = clerk.page.get_by_role("link", name=re.compile("下载 part-")).get_attribute("href")
    story.revoke(provider, grant, "示例：用途已变")
    assert faults(clerk, f"/grants/{grant}/copies/") == []
    expect(clerk.page.locator(".sq-note.warn")).to_contain_text("不再交付")
    expect(clerk.page.locator("main")).not_to_contain_text("可以下载")
    clerk.page.goto(copy)
    expect(clerk.page.locator(".sq-note.warn").first).to_contain_text("不再交付")
    expect(clerk.page.locator("main")).not_to_contain_text("重新申请")
    assert clerk.page.get_by_role("link", name=re.compile("下载 part-")).count() == 0
    assert clerk.page.request.get(f"{clerk.url}{part}").status == 404
    clerk.see(f"/grants/{grant}/browse")
    assert clerk.page.url.endswith(f"/grants/{grant}/")
    expect(clerk.page.locator(".sq-note.bad")).to_contain_text("示例：用途已变")
