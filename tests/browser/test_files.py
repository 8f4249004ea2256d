"""Files of the sample city: what their provider does with them, and how a clerk and a system fetch them."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from shuqiao.demo.city import Options, control_environment
from shuqiao.demo.home import Home
from tests.browser import story
from tests.browser.conftest import WIDTHS, Visits
from tests.browser.test_pages import faults
from tests.plugins.city import City

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# As pages do it: housing asks for the files of the sample entry, civil affairs grants them.
GRANT = """
import datetime, django
django.setup()
from shuqiao.control import clock
from shuqiao.control.accounts.access import viewer_of
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.operations.sample_files import ENTRY
from shuqiao.control.organisations.models import Duty
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import AnswerInput, RequestInput
def viewer(name):
    return viewer_of(Account.objects.select_related("department").get(username=name))
entry = Resource.objects.get(name_zh=ENTRY)
fields = [item.field for item in entry.items.all()]
until = clock.today() + datetime.timedelta(days=20)
number = submit_request(viewer("lin"), RequestInput(
    resource=entry.id, mode="bulk", duty=Duty.objects.filter(department_id="440100-housing").first().pk,
    purpose="样例：殡葬服务设施规划", case_wording="规划编号", items=dict.fromkeys(fields, "规划"),
    applications=("app-housing-portal", "app-housing-rental"),
    accepted_conditions=tuple(one.key for one in regulation().conditions), wanted_until=until,
    channels=("download",)))
print(entry.id, answer_request(viewer("huang"), number, AnswerInput(
    decisions=dict.fromkeys(fields, True), mode="bulk", valid_until=until, files=("*",))))
"""


@pytest.fixture(scope="module")
def granted(city: City) -> tuple[str, str]:
    """The entry that files serve, and a grant of housing on it."""
    options = Options(plane_port=city.plane_port, port=city.port, nats_port=city.nats_port)
    done = subprocess.run(
        [sys.executable, "-c", GRANT],
        env=os.environ | control_environment(Home(city.home), options),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    entry, grant = done.stdout.split()[-2:]
    return entry, grant


@pytest.mark.parametrize("width", WIDTHS)
def test_their_pages_have_no_fault(visits: Visits, granted: tuple[str, str], width: int) -> None:
    entry, grant = granted
    provider = visits.visitor("huang", width=width)
    clerk = visits.visitor("lin", width=width)
    found = faults(provider, f"/catalogue/{entry}/files/") + faults(provider, f"/grants/{grant}/files/")
    provider.page.goto(f"{provider.url}/catalogue/{entry}/files/")
    provider.page.get_by_role("button", name="登记", exact=True).click()
    expect(provider.page.locator(".sq-note.bad")).to_contain_text("请选择文件")
    found += [f"refused: {fault}" for fault in provider.axe() + provider.policy_faults()]
    provider.page.locator("main details summary").first.click()
    provider.page.get_by_role("button", name="登记新版本").first.click()
    expect(provider.page.locator(".sq-note.bad")).to_contain_text("请选择文件")
    expect(provider.page.get_by_role("button", name="登记新版本").first).to_be_visible()
    found += [f"not replaced: {fault}" for fault in provider.axe() + provider.policy_faults()]
    found += faults(clerk, f"/grants/{grant}/files/") + faults(clerk, f"/catalogue/{entry}/")
    assert found == []


@pytest.mark.requirement("MOD-06")
def test_a_file_is_registered_fetched_replaced_and_stopped_with_its_grant(
    visits: Visits, granted: tuple[str, str], tmp_path: Path
) -> None:
    entry, grant = granted
    content = b"%PDF-1.7\n" + os.urandom(700_000) + b"\n%%EOF\n"
    report = tmp_path / "示例报告 2026.pdf"
    report.write_bytes(content)
    provider, clerk = visits.visitor("huang"), visits.visitor("lin")
    provider.see(f"/catalogue/{entry}/files/")
    provider.page.fill("#title", "示例报告")
    provider.page.set_input_files("#file", report)
    provider.page.get_by_role("button", name="登记", exact=True).click()
    expect(provider.page.locator(".sq-note.ok")).to_contain_text("文件已登记")
    expect(provider.page.locator("main")).to_contain_text(hashlib.sha256(content).hexdigest())

    clerk.see(f"/grants/{grant}/files/")
    with clerk.page.expect_download() as download:
        clerk.page.get_by_role("button", name="下载 示例报告").click()
    assert download.value.suggested_filename == "示例报告 2026.pdf"
    assert Path(download.value.path()).read_bytes() == content
    clerk.see(f"/grants/{grant}/files/")
    expect(clerk.page.locator("section[aria-labelledby=log]")).to_contain_text("林示例")
    clerk.page.get_by_role("link", name="看证明").first.click()
    expect(clerk.page.locator("main")).to_contain_text("交付文件")

    report.write_bytes(content + b"%%EOF\n")
    provider.see(f"/catalogue/{entry}/files/")
    card = provider.page.locator("section", has=provider.page.get_by_role("heading", name="示例报告"))
    card.locator("summary").click()
    card.locator("input[type=file]").set_input_files(report)
    card.get_by_role("button", name="登记新版本").click()
    expect(provider.page.locator(".sq-note.ok")).to_contain_text("第 2 版")
    clerk.see(f"/grants/{grant}/files/")
    expect(clerk.page.locator("main")).to_contain_text("第 2 版")

    # The grant is revoked while the page still shows the button.
    story.revoke(provider, grant, "示例：用途已变")
    with clerk.page.expect_response(lambda answer: f"/grants/{grant}/files/" in answer.url) as answered:
        clerk.page.get_by_role("button", name="下载 示例报告").click()
    assert answered.value.status == 404
