"""A department's system on its way to the certificate, in a running city; another program checks the seal."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from shuqiao.control.operations.sample import HELD_KEY
from shuqiao.demo.people import STORY_MOTHER_ID
from shuqiao.rules.ids import resource_id
from tests.browser.conftest import Visitor, Visits
from tests.browser.test_pages import faults
from tests.plugins.city import City

pytestmark = pytest.mark.browser

VEHICLES = resource_id("440100", HELD_KEY)


def call(city: City) -> str:
    """The system asks the police's node; returns the entry of the call."""
    asked = ("--app", "app-housing-rental", "--resource", VEHICLES, "--subject", STORY_MOTHER_ID)
    done = city.run("call", "query", *asked, "--case", "GZF-2026-004417")
    assert done.returncode == 0, done.stdout + done.stderr
    return str(json.loads(done.stdout)["entry"])


def registered(technician: Visitor, name: str) -> str:
    """Register a system that calls with the sample key; returns its address."""
    page = technician.page
    technician.see("/business-systems/")
    page.fill("#name", name)
    page.fill("#purpose", "核验公租房申请人名下车辆")
    page.select_option("#application", "app-housing-rental")
    page.get_by_role("button", name="登记", exact=True).click()
    page.wait_for_url("**/business-systems/B-*/")
    return page.url.removeprefix(technician.url)


def test_the_summary_of_what_is_wrong_names_the_fields(visits: Visits) -> None:
    technician = visits.visitor("tan")
    technician.see("/business-systems/")
    technician.page.get_by_role("button", name="登记", exact=True).click()
    expect(technician.page.locator(".sq-faults a")).to_have_text(["系统名称：必填", "系统用途：必填"])


@pytest.mark.requirement("SUP-11", source="GZ16:43")
def test_a_system_gets_its_certificate_and_anybody_checks_it(
    visits: Visits, city: City, tmp_path: Path
) -> None:
    technician, operator = visits.visitor("tan"), visits.visitor("ma")
    place = registered(technician, "示例公租房审核系统")
    technician.page.get_by_label("已接入").check()
    technician.page.locator("form:has(#state) [name=note]").fill("密钥已启用，网络已开通")
    technician.page.get_by_role("button", name="登记状态").click()
    technician.page.get_by_role("button", name="登记测试结果").click()
    expect(technician.page.locator("#certificate-error")).to_contain_text("还没有")
    entry = call(city)
    technician.page.get_by_role("button", name="登记测试结果").click()
    expect(technician.page.locator("main")).to_contain_text("测试通过：调用其他部门的信息")
    operator.see(place)
    operator.page.get_by_role("button", name="出具证明").click()
    expect(operator.page.locator("h1 + .chip, .sq-head")).to_contain_text("有测试证明")
    with operator.page.expect_download() as download:
        operator.page.get_by_role("link", name="PDF").click()
    path = tmp_path / "certificate.pdf"
    download.value.save_as(path)
    address = str(operator.page.get_by_role("link", name="查验").get_attribute("href"))
    stranger = visits.visitor()
    stranger.see(address)
    expect(stranger.page.locator("main")).to_contain_text("有效")
    if shutil.which("pdftotext"):
        assert entry[:8] in text_of(path)
    check(city, path)
    reader = visits.visitor("ma")
    assert faults(reader, "/business-systems/") == [] and faults(reader, place) == []
    assert faults(visits.visitor(), address) == []
    operator.page.get_by_label("撤销理由").fill("示例：测试作废")
    operator.page.get_by_role("button", name="撤销").click()
    expect(operator.page.locator("main")).to_contain_text("证明已撤销")
    stranger.see(address)
    expect(stranger.page.locator("main")).to_contain_text("已撤销")


def text_of(path: Path) -> str:
    """What the PDF says, as another program reads it."""
    done = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, text=True, timeout=30)
    return done.stdout


def check(city: City, path: Path) -> None:
    """Let pdfsig judge the seal, where it is installed, else look for its form."""
    if shutil.which("pdfsig"):
        command = ["pdfsig", "-nocert", str(path)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
        assert "Signature is Valid" in said and "ETSI.CAdES.detached" in said, said
    assert b"/ETSI.CAdES.detached" in path.read_bytes()
