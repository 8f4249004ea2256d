"""The pages for anybody, in a real Chromium, and tables of what a search has found."""

import csv
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1280, 390])
def test_anybody_finds_an_open_entry_by_keyboard(city, visits, width):
    who = visits.visitor(width=width)
    who.see("/open/")
    assert who.page.locator(".sq-hit").count() > 0
    assert who.axe() == []
    name = who.page.locator(".sq-hit h3 a").first.inner_text()
    who.page.get_by_role("searchbox").fill(name[:4])
    who.page.keyboard.press("Enter")
    who.page.wait_for_url("**/open/?*q=*")
    who.page.get_by_role("link", name=name).click()
    assert who.page.locator("h1").inner_text() == name
    assert who.axe() == []
    assert who.sideways() == 0
    who.page.locator(".sq-language button").click()
    who.page.wait_for_selector("html[lang=en]", state="attached")
    assert (who.foreign, who.errors, who.policy_faults()) == ([], [], [])


def test_pages_for_the_public_work_without_scripts(city, visits):
    who = visits.visitor(scripts=False)
    who.see("/open/?q=没有这种东西")
    assert "没有找到" in who.page.locator("main").inner_text()


def test_what_a_search_has_found_is_taken_along_as_a_table(city, visits):
    who = visits.visitor("lin")
    who.see("/catalogue/?q=出生登记")
    names = set(who.page.locator(".sq-hit h3 a").all_inner_texts())
    assert names
    with who.page.expect_download() as given:
        who.page.get_by_role("link", name="CSV").click()
    with Path(given.value.path()).open(encoding="utf-8-sig", newline="") as table:
        assert {row["信息资源名称"] for row in csv.DictReader(table)} == names
