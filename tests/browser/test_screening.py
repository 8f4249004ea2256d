"""Rules of screening and reviews in a real browser: every page is clean, a rule is put into force."""

import pytest

from shuqiao.rules.ids import resource_id
from tests.browser.conftest import Visits
from tests.browser.test_pages import faults

pytestmark = pytest.mark.browser

RULES = "/exchange/screening/"
REVIEWS = f"/exchange/440100-health/{resource_id('440100', 'birth')}/reviews/"


def test_the_office_puts_a_rule_into_force(visits: Visits) -> None:
    officer = visits.visitor("ma")
    page = officer.page
    officer.see(RULES)
    form = page.locator("form:has(input[name=key][value=''])")
    form.locator("button").click()
    page.wait_for_load_state()
    assert "请填写理由" in page.inner_text("main")
    page.fill("#new-zh", "样例代号")
    page.fill("#new-patterns", "样例代号#")
    page.fill("#new-reason", "浏览器试行")
    page.locator("form:has(input[name=key][value='']) button").click()
    page.wait_for_load_state()
    assert "浏览器试行" in page.inner_text("main") and "样例代号#" in page.inner_text("main")


def test_the_pages_of_screening_are_clean(visits: Visits) -> None:
    for who, paths in (("ma", (RULES,)), ("chen", (RULES, REVIEWS))):
        visitor = visits.visitor(who)
        assert [fault for path in paths for fault in faults(visitor, path)] == []
