"""Using the pages: by keyboard, without script, with htmx, in English, and after a revocation."""

import time

import pytest
from playwright.sync_api import expect

from tests.browser import story
from tests.browser.conftest import Visits

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scripts", [True, False])
def test_the_story(visits: Visits, scripts: bool) -> None:
    """Ask, answer, verify, revoke: with and without script in the browser."""
    clerk, reviewer = visits.visitor("lin", scripts=scripts), visits.visitor("chen", scripts=scripts)
    number = story.ask(clerk)
    grant = story.answer(reviewer, number)

    story.verify(clerk, grant)
    answers = clerk.page.locator(".sq-ans")
    expect(answers).to_have_count(2)
    expect(clerk.page.locator(".sq-ans .sq-yes")).to_have_count(2)

    story.verify(clerk, grant, mother_name="王示例")
    expect(clerk.page.locator(".sq-ans .sq-no")).to_have_count(1)

    story.verify(clerk, grant, subject="Z449999999")
    expect(clerk.page.locator(".sq-ans .sq-no")).to_have_count(2)
    expect(clerk.page.locator("main")).not_to_contain_text("无此记录")

    story.revoke(reviewer, grant, "示例停用：职权已调整")
    time.sleep(1)
    story.verify(clerk, grant)
    expect(clerk.page.locator(".sq-note.bad")).to_contain_text("示例停用：职权已调整")


def test_the_proof_of_a_call(visits: Visits) -> None:
    """From the answer one click leads to the entry's proof, which holds, with its picture."""
    clerk, reviewer = visits.visitor("lin"), visits.visitor("chen")
    grant = story.answer(reviewer, story.ask(clerk))
    story.verify(clerk, grant)
    clerk.page.get_by_role("link", name="看证明").click()
    for _ in range(200):
        if clerk.page.get_by_text("可证", exact=True).count():
            break
        time.sleep(0.3)
        clerk.page.reload()
    expect(clerk.page.get_by_text("与检查点相符", exact=True)).to_be_visible()
    with clerk.page.expect_download() as download:
        clerk.page.get_by_role("link", name="下载证据").click()
    assert download.value.suggested_filename.endswith(".json")


def test_skip_link_and_search_by_keyboard(visits: Visits) -> None:
    """The first Tab offers the way past the navigation; Ctrl K opens the search."""
    page = visits.visitor("lin").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "sq-skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Control+k")
    page.keyboard.type("出生")
    page.keyboard.press("Enter")
    page.wait_for_url("**/catalogue/?q=*")
    expect(page.locator("article.sq-hit").first).to_contain_text("出生登记信息")


def test_answering_by_keyboard(visits: Visits) -> None:
    """A reviewer without a mouse takes an item away, is told what is missing, and answers."""
    clerk, reviewer = visits.visitor("lin"), visits.visitor("chen")
    number = story.ask(clerk)
    page = reviewer.page
    reviewer.see(f"/requests/{number}/")
    page.focus("#granted-birth_date")
    page.keyboard.press("Space")
    page.focus("[data-sq-answer-button]")
    page.keyboard.press("Enter")
    # The summary has the focus, and its link leads to the field that is wrong.
    expect(page.locator("[data-sq-focus]")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#why:birth_date"
    reason = page.locator("[id='why:birth_date']")
    expect(reason).to_have_attribute("aria-invalid", "true")
    reason.focus()
    page.keyboard.type("职权未载明需要出生日期。")
    page.focus("[data-sq-answer-button]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="授权 G-")).to_be_visible()


def test_an_article_opens_above_the_page(visits: Visits) -> None:
    """A citation shows its clause in a dialog; Escape leads back; without script it is a page."""
    page = visits.visitor("lin").page
    page.goto(f"{page.url}catalogue/{story.BIRTH}/")
    term = "main dd:has-text('个工作日') a.sq-law"
    page.locator(term).first.click()
    expect(page.locator("#sq-article .sq-clause")).to_contain_text("工作日")
    page.keyboard.press("Escape")
    expect(page.locator("#sq-article")).to_be_hidden()
    plain = visits.visitor("lin", scripts=False)
    plain.see(f"/catalogue/{story.BIRTH}/")
    plain.page.locator(term).first.click()
    expect(plain.page.locator("main .sq-clause")).to_contain_text("工作日")


def test_a_draft_saves_itself(visits: Visits) -> None:
    """What was ticked is there again for the same person, although nothing was pressed."""
    clerk = visits.visitor("lin")
    clerk.see(f"/requests/new/?resource={story.BIRTH}&step=1")
    box = clerk.page.locator("#item-sex")
    wanted = not box.is_checked()
    box.set_checked(wanted)
    expect(clerk.page.locator("#saved")).to_contain_text("已自动存草稿")
    clerk.page.reload()
    assert clerk.page.locator("#item-sex").is_checked() == wanted


def test_theme_and_text_size_are_kept(visits: Visits) -> None:
    """A choice of theme and of larger text holds on the next page."""
    page = visits.visitor("lin").page
    page.locator(".sq-top-end > [data-sq-theme]").click()
    page.locator(".sq-top-end > [data-sq-large]").click()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    assert page.evaluate("document.documentElement.classList.contains('is-large')")


def test_the_language_switch(visits: Visits) -> None:
    """English is one click away and stays."""
    page = visits.visitor("lin").page
    page.get_by_role("button", name="EN").click()
    expect(page.locator("h1")).to_have_text("Workbench")
    page.goto(page.url + "catalogue/")
    expect(page.locator("h1")).to_have_text("Search the catalogue")


def test_suggestions_while_typing(visits: Visits) -> None:
    """Typing in the search offers entries."""
    page = visits.visitor("lin").page
    page.goto(page.url + "catalogue/")
    page.locator("#q").press_sequentially("chusheng", delay=20)
    expect(page.locator("#suggestions")).to_contain_text("出生登记信息")
