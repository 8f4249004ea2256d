"""Updates of data in a real browser: every page is clean, a change is registered, force majeure recorded."""

import pytest

from shuqiao.rules.ids import resource_id
from tests.browser.conftest import Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser

BIRTH = resource_id("440100", "birth")
LISTS = tuple(f"/updates/{tab}" for tab in ("", "told/", "schedule/", "quality/", "exceptions/", "report/"))
ENTRY = f"/updates/entries/{BIRTH}/"


@pytest.mark.requirement("UPD-01", "UPD-08")
def test_a_change_and_a_hindrance_are_recorded_brought_and_ended(visits: Visits) -> None:
    officer = visits.visitor("chen")
    page = officer.page
    officer.see(ENTRY)
    form = page.locator("form:has(input[value=change])")
    form.locator("button").click()
    page.wait_for_load_state()
    assert "请写明什么变了" in page.inner_text("main")
    page.fill("#happened_on", "2026-01-05")
    page.fill("#description", "接生机构代码已调整（示例）")
    form.locator("button").click()
    page.wait_for_load_state()
    assert "接生机构代码已调整" in page.inner_text("main")
    # The sample's batches came since that day: the first of them that changed rows has brought it.
    assert "批送达" in page.inner_text("main")
    page.fill("#began_on", "2026-01-05")
    page.fill("#cause", "机房停电（示例）")
    page.fill("#remedy", "已启用备用电源（示例）")
    page.get_by_role("button", name="登记并通知").click()
    page.wait_for_load_state()
    officer.see(f"/catalogue/{BIRTH}/")
    assert "已启用备用电源" in page.inner_text("main")
    officer.see(ENTRY)
    page.get_by_role("button", name="已恢复提供").click()
    page.wait_for_load_state()
    assert "已恢复" in page.inner_text("main")


def test_the_pages_of_updates_are_clean(visits: Visits) -> None:
    for who, paths in (("zheng", (*LISTS, ENTRY)), ("chen", (ENTRY, "/updates/")), ("ma", ("/exchange/",))):
        visitor = visits.visitor(who)
        assert [fault for path in paths for fault in faults(visitor, path)] == []
