"""Standards and upkeep in a real browser: a version published, a change registered; every page is clean."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visitor, Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser

COORDINATOR_PAGES = (
    "/standards/",
    "/standards/code_list/?q=性别",
    "/standards/format/?gap=1",
    "/standards/interface/",
    "/standards/element/?q=没有这样的标准",
    "/standards/element/sex/",
    "/standards/code_list/regions/?q=海珠",
    "/standards/code_list/sex/edit/",
    "/standards/element/new/",
    "/standards/conformity/",
    "/standards/conformity/?department=440100-health",
    "/libraries/",
    "/libraries/base/population/",
    "/libraries/base/macro_economy/",
    "/upkeep/",
    "/upkeep/new/",
    "/upkeep/maintenance/?check=1&department=440100-health",
    "/upkeep/entries/open-work/",
    "/upkeep/entries/digitisation/",
    "/upkeep/entries/return-flow/",
    "/upkeep/demands/",
    "/upkeep/report/",
)


def save(page: Page) -> None:
    """Send the form of the page."""
    page.locator("main form[method=post] footer button").first.click()
    page.wait_for_load_state()


def test_the_pages_of_standards_and_upkeep_are_clean(visits: Visits) -> None:
    coordinator = visits.visitor("zheng")
    assert [fault for path in COORDINATOR_PAGES for fault in faults(coordinator, path)] == []


@pytest.mark.requirement("STD-01")
def test_a_version_is_published_and_read_by_a_clerk_of_another_department(visits: Visits) -> None:
    coordinator = visits.visitor("zheng")
    coordinator.see("/standards/code_list/blood_type/edit/")
    page = coordinator.page
    page.fill("#codes", page.input_value("#codes") + "\nRh-,Rh阴性,Rh negative")
    save(page)
    assert "请写明理由或文号" in page.inner_text("main") and "Rh阴性" in page.input_value("#codes")
    page.fill("#reason", "市标准文件（示例）")
    save(page)
    assert page.url.endswith("/standards/code_list/blood_type/")
    clerk = visits.visitor("lin")
    clerk.see("/standards/code_list/blood_type/")
    words = clerk.page.inner_text("main")
    assert "Rh阴性" in words and "市标准文件（示例）" in words and "发布新版本" not in words
    with clerk.page.expect_download() as download:
        clerk.page.get_by_role("link", name="XLSX").click()
    assert download.value.suggested_filename == "blood_type.xlsx"


@pytest.mark.requirement("CAT-12")
def test_a_change_is_registered_waits_on_the_workbench_and_is_closed(visits: Visits) -> None:
    officer: Visitor = visits.visitor("chen")
    page = officer.page
    officer.see("/upkeep/new/")
    page.select_option("#kind", "law")
    page.fill("#happened_on", "2026-01-05")
    page.fill("#document", "《样例条例》（示例）")
    page.fill("#description", "证明内容增加一项。")
    save(page)
    assert "请选择涉及的目录条目" in page.inner_text("main")
    page.get_by_label("出生登记信息").check()
    save(page)
    number = page.url.rstrip("/").rpartition("/")[2]
    # The refused form was answered with 422, which the browser reports on its console.
    officer.errors.clear()
    assert number.startswith("U-") and faults(officer, f"/upkeep/changes/{number}/") == []
    officer.see("/")
    assert "更新目录：《样例条例》（示例）" in page.inner_text("main")
    officer.see(f"/upkeep/changes/{number}/")
    page.fill("#reason", "不涉及信息项（示例）")
    save(page)
    assert "已说明办结" in page.inner_text("main")
    officer.see("/")
    assert "《样例条例》（示例）" not in page.inner_text("main table")
