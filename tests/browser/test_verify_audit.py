"""Verification, audit list and proof in a real browser: both themes, both widths, with and without script."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from shuqiao.auditlog import proofs
from tests.browser import story
from tests.browser.conftest import WIDTHS, Visitor, Visits
from tests.plugins.city import City

pytestmark = pytest.mark.browser

ABSENT = "Z449999999"


@pytest.fixture(scope="module")
def grant(browser, city: City) -> str:
    """A grant of health to housing for the mother's name and number."""
    visits = Visits(browser, city)
    number = story.answer(visits.visitor("chen"), story.ask(visits.visitor("lin")))
    for context in visits.open:
        context.close()
    return number


def entry_of(clerk: Visitor) -> str:
    """Address of the proof of the last call."""
    return str(clerk.page.get_by_role("link", name="看证明").get_attribute("href"))


def wait_for_proof(visitor: Visitor, address: str) -> None:
    """Open the proof of an entry; the integrator numbers it within a second."""
    for _ in range(200):
        visitor.see(address)
        if visitor.page.get_by_text("与检查点相符").count():
            return
        visitor.page.wait_for_timeout(300)
    raise AssertionError("the entry was not numbered")


def faults_of(visitor: Visitor) -> list[str]:
    """Everything wrong with the page as it stands; the policy first, because axe comes in from outside."""
    found = visitor.policy_faults() + visitor.errors + visitor.foreign
    sideways = visitor.sideways()
    return found + visitor.axe() + ([f"scrolls sideways by {sideways}"] if sideways > 0 else [])


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_are_sound(visits: Visits, grant: str, width: int) -> None:
    """No fault of policy, accessibility or width: empty, yes, no, a wrong number, then the proof."""
    clerk = visits.visitor("lin", width=width)
    clerk.see(f"/verify/{grant}/")
    assert faults_of(clerk) == []
    story.verify(clerk, grant)
    expect(clerk.page.locator(".sq-ans .sq-yes")).to_have_count(2)
    expect(clerk.page.locator("#verify-result .sq-bond")).to_be_visible()
    address = entry_of(clerk)
    story.verify(clerk, grant, mother_name="王示例")
    expect(clerk.page.locator(".sq-ans .sq-no")).to_have_count(1)
    expect(clerk.page.locator(".sq-bond")).to_have_count(0)
    assert faults_of(clerk) == []
    story.verify(clerk, grant, mother_citizen_id_number="110105194912310021")
    expect(clerk.page.locator("#mother_citizen_id_number-error")).to_be_visible()
    assert faults_of(clerk) == []
    wait_for_proof(clerk, address)
    picture, path = clerk.page.locator("svg.sq-svg"), clerk.page.locator("ol.sq-path")
    expect(picture if width > 767 else path).to_be_visible()
    expect(path if width > 767 else picture).to_be_hidden()
    assert faults_of(clerk) == []
    supervisor = visits.visitor("zhou", width=width)
    supervisor.see("/audit/")
    assert faults_of(supervisor) == []


def test_the_answer_is_announced_and_the_focus_stays(visits: Visits, grant: str) -> None:
    """A reader of the screen hears the answer in a region that was there before; the keyboard goes on."""
    clerk = visits.visitor("lin")
    clerk.see(f"/verify/{grant}/")
    region = clerk.page.locator("#verification-said[aria-live=polite]")
    clerk.page.evaluate("document.getElementById('verification-said').dataset.same = '1'")
    story.verify(clerk, grant)
    expect(region).to_have_text("母亲姓名 一致。母亲公民身份号码 一致。")
    assert region.get_attribute("data-same") == "1", "the region itself was not replaced"
    assert clerk.page.evaluate("document.activeElement.id") == "verify-go"


def shown_after(clerk: Visitor, grant: str, **said: str) -> str:
    """What the cards show of a call, without what differs between any two calls."""
    story.verify(clerk, grant, **said)
    expect(clerk.page.locator(".sq-ans .sq-no")).to_have_count(2)
    # Whether the entry has its number yet is the integrator's pace and differs between any two calls.
    cards = clerk.page.locator("#verify-result, #verify-recorded dl").filter(has_not_text="检查点").all()
    assert len(cards) == 2
    text = "\n".join(card.evaluate("card => card.outerHTML") for card in cards)
    latest = clerk.page.locator("#verify-today tbody tr").first.evaluate("row => row.outerHTML")
    return re.sub(r"[0-9a-f]{4}…[0-9a-f]{4}|[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "0", text + latest)


@pytest.mark.parametrize("scripts", [True, False])
def test_somebody_who_is_not_there_looks_like_a_wrong_value(
    visits: Visits, grant: str, scripts: bool
) -> None:
    """The page of an unknown certificate is, but for numbers and times, the page of two wrong values."""
    clerk = visits.visitor("lin", scripts=scripts)
    clerk.see(f"/verify/{grant}/")
    wrong = {"mother_name": "王示例", "mother_citizen_id_number": "11010519491231002X"}
    there = shown_after(clerk, grant, **wrong)
    clerk.see(f"/verify/{grant}/")
    assert shown_after(clerk, grant, subject=ABSENT, **wrong) == there


def test_the_downloaded_evidence_is_taken_by_the_command(
    visits: Visits, city: City, grant: str, tmp_path: Path
) -> None:
    """The file proves the entry by itself, and the auditor's command finds the log still begins with it."""
    clerk = visits.visitor("lin")
    story.verify(clerk, grant)
    clerk.page.wait_for_selector(".sq-ans")
    wait_for_proof(clerk, entry_of(clerk))
    with clerk.page.expect_download() as download:
        clerk.page.get_by_role("link", name="下载证据").click()
    file = tmp_path / "evidence.json"
    download.value.save_as(file)
    proof = proofs.parse_document(file.read_bytes())
    assert proof.holds()
    checked = city.run("audit", "verify", "--since", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    proved = city.run("audit", "prove", str(proof.entry))
    assert proved.returncode == 0, proved.stdout + proved.stderr
    assert proof.digest.hex() in proved.stdout
    # The call itself is shown to somebody who has no more than the file and the platform's public keys.
    keys = tmp_path / "keys.pem"
    assert city.run("audit", "keys", "--out", str(keys)).returncode == 0
    shown = city.run("evidence", "verify", str(file), "--keys", str(keys))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "HOLDS   the call is signed" in shown.stdout


def test_the_list_is_narrowed_by_its_form(visits: Visits, grant: str) -> None:
    """Filters work without script and stay in the form; another department's clerk sees none of it."""
    clerk = visits.visitor("lin", scripts=False)
    story.verify(clerk, grant, case="GZF-2026-770077")
    clerk.see("/audit/")
    clerk.page.fill("#case", "GZF-2026-770077")
    clerk.page.select_option("#event", "verify")
    clerk.page.get_by_role("button", name="查询").click()
    expect(clerk.page.locator("#rows tr:not(.sub)")).to_have_count(1)
    expect(clerk.page.locator("#case")).to_have_value("GZF-2026-770077")
    clerk.page.locator("#rows a").first.click()
    expect(clerk.page.locator("main")).to_contain_text("GZF-2026-770077")
    other = visits.visitor("zhao", scripts=False)
    other.see("/audit/?case=GZF-2026-770077")
    expect(other.page.locator("main")).to_contain_text("没有记录")
