"""The whole demonstration: pages, signed interface, audit log and revocation, over all real processes."""

import json
import subprocess

import psycopg
import pytest
from playwright.sync_api import expect

from shuqiao.demo.home import Home
from shuqiao.demo.people import STORY_CHILD_CERTIFICATE, STORY_MOTHER_ID, STORY_MOTHER_NAME
from tests.browser import story
from tests.browser.conftest import Visits
from tests.plugins.city import City

pytestmark = [pytest.mark.browser, pytest.mark.acceptance, pytest.mark.timeout(600)]


def _call(
    city: City, application: str = "app-housing-rental", grant: str = "auto", **claims: str
) -> subprocess.CompletedProcess[str]:
    """The housing department's own system asks through the signed interface."""
    said = {"mother_name": STORY_MOTHER_NAME, "mother_citizen_id_number": STORY_MOTHER_ID} | claims
    pairs = [part for item, value in said.items() for part in ("--claim", f"{item}={value}")]
    return city.run(
        "call", "verify", "--app", application, "--grant", grant, "--resource", story.BIRTH,
        "--subject", STORY_CHILD_CERTIFICATE, "--case", "GZF-2026-004417", *pairs,
    )  # fmt: skip


def _entries(city: City, event: str) -> list[tuple[str, str, str]]:
    """Department, provider and outcome of the newest entries of an event."""
    with psycopg.connect(Home(city.home).hub_url("shuqiao_auditor")) as connection:
        query = (
            "SELECT department, provider, outcome FROM audit.entry WHERE event = %s ORDER BY occurred_at DESC"
        )
        return [(d or "", p or "", o) for d, p, o in connection.execute(query, [event])]


@pytest.mark.requirement("MOD-02")
@pytest.mark.requirement("REQ-08")
def test_from_the_catalogue_to_the_proof_and_the_end(visits: Visits, city: City) -> None:
    clerk, reviewer = visits.visitor("lin"), visits.visitor("chen")
    without_grant = json.loads(_call(city, "app-education-enrolment").stdout)
    assert without_grant["code"] == "not_available", "nothing exists for a caller who holds no grant"

    clerk.see("/catalogue/?q=出生")
    expect(clerk.page.locator("article.sq-hit").first).to_contain_text("出生登记信息")
    number = story.ask(clerk)
    reviewer.see("/requests/inbox/")
    expect(reviewer.page.get_by_text(number)).to_be_visible()
    grant = story.answer(reviewer, number)

    story.verify(clerk, grant)
    expect(clerk.page.locator(".sq-ans .sq-yes")).to_have_count(2)

    answer = json.loads(_call(city, grant=grant).stdout)
    assert set(answer) == {"result", "entry", "at"}, "the result of the comparison and nothing else"
    assert answer["result"] == {"mother_name": True, "mother_citizen_id_number": True}
    wrong = json.loads(_call(city, grant=grant, mother_name="王示例").stdout)["result"]
    assert wrong == {"mother_name": False, "mother_citizen_id_number": True}
    assert _entries(city, "verify")[0][:2] == ("440100-housing", "440100-health")

    proof = city.run("audit", "prove", answer["entry"])
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert city.run("audit", "verify").returncode == 0
    for visitor in (clerk, reviewer):
        visitor.see(f"/audit/{answer['entry']}/")
        expect(visitor.page.get_by_text("与检查点相符", exact=True)).to_be_visible()

    story.revoke(reviewer, grant, "示例停用：职权已调整")
    refused = json.loads(_call(city, grant=grant).stdout)
    assert refused["code"] == "grant_revoked"
    assert "示例停用：职权已调整" in refused["detail"]
    assert _entries(city, "call_refused")[0] == ("440100-housing", "440100-health", "grant_revoked")
