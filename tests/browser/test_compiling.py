"""Compiling in a real browser: a whole entry by wizard, the review by keys, its versions."""

import time
from collections.abc import Iterator
from datetime import date

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor, Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser

ROWS = "\n".join(
    (
        "信息项名称\t类型\t长度\t主键",
        "单位名称\t字符型C\t100\t否",
        "统一社会信用代码\tvarchar(18)\t\t否",
        "发证日期\tdate",
    )
)


def begin(visitor: Visitor, name: str) -> str:
    """Begin an entry and return its number."""
    visitor.see("/compiling/new/")
    visitor.page.fill("#name_zh", name)
    visitor.page.get_by_role("button", name="开始编制").click()
    visitor.page.wait_for_url("**/edit/")
    visitor.page.wait_for_load_state()
    return visitor.page.url.split("/")[-3]


def onward(page: Page, step: int) -> None:
    """Go to a step of the wizard by its name at the top."""
    page.locator(f".sq-steps-go button[value='{step}']").click()
    page.wait_for_url(f"**step={step}*")


def fill_in(page: Page) -> None:
    """Fill in everything an entry must say."""
    page.fill("#summary_zh", "公共场所经营单位的卫生许可登记（示例）。")
    page.select_option("#subject", "202")
    page.fill("[name='subject.detail']", "001")
    page.select_option("#library_kind", "business")
    onward(page, 2)
    page.get_by_role("button", name="加一项").click()
    expect(page.locator("[id='items[0].zh']")).to_be_focused()
    page.keyboard.type("许可证编号（示例）")
    page.fill("[id='items[0].field']", "licence_number")
    page.fill("[id='items[0].length']", "30")
    page.locator("summary", has_text="从电子表格粘贴").click()
    page.fill("#pasted", ROWS)
    page.locator("button[value=paste]").click()
    page.wait_for_url("**row=3*")
    onward(page, 3)
    page.check("[name=manner][value=platform_database]")
    page.fill("#scope", "本市各行政机关")
    page.fill("#shared_until", "2028-11-01")
    page.locator("#open_to_public label", has_text="不开放").click()
    page.fill("#legal_ground", "《公共场所卫生管理条例》第四条")
    onward(page, 4)
    page.fill("#platform", "市政府信息共享平台")
    page.select_option("#update_cycle", "daily")
    page.select_option("#record_key", "licence_number")
    onward(page, 5)


def submit(page: Page) -> None:
    """Declare and send."""
    page.check("#not_secret")
    page.locator("button[name=take]").click()
    page.wait_for_url("**/compiling/C-*/")


def send_one(visits: Visits) -> str:
    """An entry written without scripts, sent and compiled, so that it waits to be verified; its number."""
    chen = visits.visitor("chen", scripts=False)
    number = begin(chen, f"公共场所卫生许可{time.time_ns()}（示例）")
    fill_in(chen.page)
    submit(chen.page)
    ma = visits.visitor("ma", scripts=False)
    ma.see(f"/compiling/{number}/")
    ma.page.locator(".sq-acts form").first.get_by_role("button").click()
    expect(ma.page.locator(".sq-note.ok")).to_contain_text(number)
    return number


@pytest.fixture(scope="module")
def sent(browser, city) -> Iterator[str]:
    """A case that waits to be verified; tests leave it waiting."""
    visits = Visits(browser, city)
    yield send_one(visits)
    for context in visits.open:
        context.close()


def test_an_entry_is_written_and_sent_without_scripts(visits: Visits, sent: str) -> None:
    """What a browser without scripts wrote stands on the page of the case."""
    chen = visits.visitor("chen", scripts=False)
    chen.see(f"/compiling/{sent}/")
    shown = str(chen.page.text_content("main"))
    for words in ("许可证编号（示例）", "统一社会信用代码", "本市各行政机关", "已编制，待核实"):
        assert words in shown


def test_what_is_written_saves_itself(visits: Visits) -> None:
    """The state of saving is told, the code is previewed, and a fresh page shows what was written."""
    chen = visits.visitor("chen")
    number = begin(chen, f"自动保存{time.time_ns()}（示例）")
    page = chen.page
    page.fill("#summary_zh", "只是写着，没有按任何按钮。")
    page.select_option("#subject", "204")
    page.fill("[name='subject.detail']", "007")
    expect(page.locator("#saved")).to_contain_text("已自动保存")
    expect(page.locator("#code-preview")).to_contain_text("204007/")
    other = visits.visitor("chen")
    other.see(f"/compiling/{number}/edit/")
    assert other.page.input_value("#summary_zh") == "只是写着，没有按任何按钮。"
    # A second window of the same draft, saved meanwhile: the first is told, and still shows its words.
    other.page.fill("#unit", "另一窗口")
    expect(other.page.locator("#saved")).to_contain_text("已自动保存")
    page.fill("#unit", "这一窗口")
    expect(page.locator("#saved .bad-ink")).to_be_visible()
    assert page.input_value("#unit") == "这一窗口"
    assert chen.policy_faults() == []


def test_a_lost_line_is_told_and_nothing_typed_is_gone(visits: Visits) -> None:
    """While the platform can't be reached the page says so, and saves when it can be again."""
    chen = visits.visitor("chen")
    number = begin(chen, f"断线{time.time_ns()}（示例）")
    page = chen.page
    page.context.set_offline(True)
    page.fill("#summary_zh", "断线时写的。")
    expect(page.locator("#saved")).to_contain_text("没有保存")
    page.context.set_offline(False)
    page.fill("#unit", "规划处")
    expect(page.locator("#saved")).to_contain_text("已自动保存")
    chen.see(f"/compiling/{number}/edit/")
    assert page.input_value("#summary_zh") == "断线时写的。"


def test_a_review_is_done_by_keys_alone(visits: Visits, sent: str) -> None:
    """j, y and n: every row is marked, one with its reason; then the case is returned with it."""
    zheng = visits.visitor("zheng")
    zheng.see(f"/compiling/{sent}/")
    page = zheng.page
    rows = page.locator("[data-sq-mark]").count()
    page.keyboard.press("j")
    for _ in range(rows - 1):
        page.keyboard.press("y")
    page.keyboard.press("n")
    page.keyboard.type("写明发证机关")
    page.keyboard.press("Escape")
    expect(page.locator("#marked")).to_contain_text("未看 0；退回 1 处")
    assert zheng.axe() == []
    zheng.see(f"/compiling/{sent}/")
    assert page.locator("[data-sq-mark] input[value=yes]:checked").count() == rows - 1
    page.locator("summary", has_text="退回修改").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#return-reason")).to_have_value("信息项“发证日期”：写明发证机关")
    # Put right again: the case stays as the others of this file need it.
    page.locator("[data-sq-mark]").last.locator("input[value=yes]").check(force=True)
    expect(page.locator("#marked")).to_contain_text("退回 0 处")


def test_single_keys_can_be_switched_off_and_stay_off(visits: Visits, sent: str) -> None:
    """Whoever speaks to the page is not surprised by a letter."""
    zheng = visits.visitor("zheng")
    zheng.see(f"/compiling/{sent}/")
    zheng.page.uncheck("#review-keys")
    zheng.see(f"/compiling/{sent}/")
    zheng.page.keyboard.press("j")
    assert zheng.page.locator("[data-sq-mark].sel").count() == 0
    zheng.page.check("#review-keys")
    zheng.page.locator("h1").click()
    zheng.page.keyboard.press("j")
    assert zheng.page.locator("[data-sq-mark].sel").count() == 1


def test_what_a_compiler_sees(visits: Visits, sent: str) -> None:
    """Lists, every step of the wizard with its faults, a case, the versions of an entry."""
    chen = visits.visitor("chen")
    number = begin(chen, f"页面{time.time_ns()}（示例）")
    wizard = [f"/compiling/{number}/edit/?step={step}&check=1" for step in range(1, 6)]
    found: list[str] = []
    chen.see("/catalogue/?department=440100-health")
    entry = str(chen.page.locator("main a[href^='/catalogue/r']").first.get_attribute("href"))
    for path in (
        "/compiling/",
        "/compiling/?view=all",
        "/compiling/new/",
        *wizard,
        f"/compiling/{sent}/",
        f"{entry}change/",
        f"{entry}versions/?on={date.today()}",
        "/catalogue/past/",
    ):
        found += faults(chen, path)
    assert found == []


def test_what_a_reviewer_sees(visits: Visits, sent: str) -> None:
    """The list of what waits, and a review under way."""
    zheng = visits.visitor("zheng")
    found: list[str] = []
    for path in ("/compiling/", "/compiling/?view=all", f"/compiling/{sent}/"):
        found += faults(zheng, path)
    assert found == []


def test_an_entry_goes_its_whole_way_and_is_changed(visits: Visits) -> None:
    """Verified, approved and published in bulk; then changed, and the difference is read beside it."""
    sent = send_one(visits)
    zheng = visits.visitor("zheng")
    zheng.see(f"/compiling/{sent}/")
    zheng.page.get_by_role("button", name="其余全部通过").click()
    zheng.page.wait_for_load_state()
    zheng.page.locator(".sq-acts form").first.get_by_role("button").click()
    expect(zheng.page.locator(".sq-note.ok")).to_contain_text(sent)
    for who, action in (("shi", "approve"), ("zheng", "publish")):
        office = visits.visitor(who)
        office.see(f"/compiling/?q={sent}&view=all")
        office.page.check("[data-sq-all]")
        expect(office.page.locator("#chosen-count")).to_have_text("1")
        office.page.locator(f"button[value={action}]").click()
        expect(office.page.locator(".sq-note.ok")).to_contain_text("已办理 1 条")
    chen = visits.visitor("chen")
    chen.see(f"/compiling/{sent}/")
    chen.page.get_by_role("link", name="看条目").click()
    chen.page.get_by_role("link", name="变更", exact=True).click()
    chen.page.locator("#kind-correction").check()
    chen.page.get_by_role("button", name="开始").click()
    chen.page.wait_for_url("**/edit/")
    chen.page.fill("#summary_zh", "公共场所经营单位的卫生许可登记，含注销（示例）。")
    onward(chen.page, 5)
    submit(chen.page)
    chen.page.get_by_role("link", name="版本").first.click()
    expect(chen.page.locator("main ins")).to_have_text("，含注销")
    assert chen.axe() == []
    assert chen.policy_faults() == []
