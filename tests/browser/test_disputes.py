"""The pages of disputes in a real browser: faults of each page, and a dispute worked on by keyboard alone."""

from pathlib import Path

import pytest

from tests.browser.conftest import WIDTHS, Visitor, Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser


def dispute_in(visitor: Visitor, state: str) -> str:
    """Address of the newest dispute in a state of the list."""
    visitor.see(f"/disputes/?state={state}")
    return str(visitor.page.locator("main table a.sq-t").first.get_attribute("href"))


def test_what_a_co_ordinator_sees(visits: Visits) -> None:
    """Lists, a dispute in negotiation, one that waits for its review, and the gate."""
    zheng = visits.visitor("zheng")
    found: list[str] = []
    for path in (
        "/disputes/",
        dispute_in(zheng, "negotiation"),
        dispute_in(zheng, "value_settled"),
        "/joint-review/",
        "/dispute-results/",
        "/project-gate/?department=440100-health&year=2027",
    ):
        found += faults(zheng, path)
    assert found == []


@pytest.mark.parametrize("width", WIDTHS)
def test_what_a_party_sees(visits: Visits, width: int) -> None:
    """Its disputes, the form with every fault, and the page of a ruling not applied for."""
    lin = visits.visitor("lin", width=width)
    case = dispute_in(lin, "negotiation")
    found: list[str] = []
    for path in ("/disputes/", "/disputes/new/", case, f"{case}ruling/"):
        found += faults(lin, path)
    lin.see("/disputes/new/")
    lin.page.locator("main form button[type=submit]").click()
    lin.page.wait_for_selector(".sq-faults")
    found += lin.axe()
    assert found == []


def test_a_dispute_is_brought_and_minuted_by_keyboard(visits: Visits, tmp_path: Path) -> None:
    """No mouse: a kind by arrow, the other side, the words, a file; then the minutes by the co-ordinator."""
    evidence = tmp_path / "证据.txt"
    evidence.write_text("更新日期对照（示例）", encoding="utf-8")
    lin = visits.visitor("lin")
    lin.see("/disputes/new/")
    lin.page.focus("#kind-catalogue")
    lin.page.keyboard.press("ArrowDown")
    assert lin.page.is_checked("#kind-provision")
    lin.page.keyboard.press("Tab")
    lin.page.focus("#respondent")
    lin.page.select_option("#respondent", "440100-health")
    lin.page.focus("#subject")
    lin.page.keyboard.type("键盘提出的争议（示例）")
    lin.page.focus("#reason")
    lin.page.keyboard.type("更新晚于目录所定频度")
    lin.page.set_input_files("#document", evidence)
    lin.page.focus("main form button[type=submit]")
    with lin.page.expect_navigation():
        lin.page.keyboard.press("Enter")
    address = lin.page.url
    assert "键盘提出的争议" in lin.page.inner_text("h1")
    with lin.page.expect_download() as download:
        lin.page.get_by_role("link", name="证据.txt").click()
    assert Path(download.value.path()).read_text(encoding="utf-8") == "更新日期对照（示例）"

    zheng = visits.visitor("zheng")
    zheng.page.goto(address)
    zheng.page.focus("#minute-minutes")
    zheng.page.keyboard.type("双方到场，约定一周后再议。")
    zheng.page.focus("form[action$='/minute'] button[type=submit]")
    with zheng.page.expect_navigation():
        zheng.page.keyboard.press("Enter")
    assert "双方到场，约定一周后再议。" in zheng.page.inner_text("#negotiation")
    lin.page.goto(address)
    assert "双方到场，约定一周后再议。" in lin.page.inner_text("#negotiation")
