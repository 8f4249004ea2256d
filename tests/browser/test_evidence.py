"""Evidence of a copy from the office's page, and what was delivered: in a real browser, of a real copy."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from shuqiao.demo.city import Options, control_environment
from shuqiao.demo.home import Home
from tests.browser import story
from tests.browser.conftest import Visits
from tests.browser.test_verify_audit import entry_of, faults_of, wait_for_proof
from tests.plugins.city import City

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# The sample lists are not copied: for this test the births are.
OFFER = """
import datetime, django
django.setup()
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.services import write_exchange
entry = Resource.objects.get(id="{entry}")
for one in (entry, *entry.items.filter(field__in=("newborn_name", "sex_code"))):
    one.modes = [mode for mode in one.modes if mode != "bulk"] + {more}
    one.save(update_fields=["modes"])
write_exchange(entry, entry.items.all())
"""

# As pages do it: housing asks for copies of two items of the births, health grants them.
GRANT = """
from shuqiao.control import clock
from shuqiao.control.accounts.access import viewer_of
from shuqiao.control.accounts.models import Account
from shuqiao.control.organisations.models import Duty
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import AnswerInput, RequestInput
def viewer(name):
    return viewer_of(Account.objects.select_related("department").get(username=name))
fields = ("newborn_name", "sex_code")
until = clock.today() + datetime.timedelta(days=20)
number = submit_request(viewer("lin"), RequestInput(
    resource=entry.id, mode="bulk", duty=Duty.objects.filter(department_id="440100-housing").first().pk,
    purpose="样例：住房规划", case_wording="规划编号", items=dict.fromkeys(fields, "规划"),
    applications=("app-housing-portal", "app-housing-rental"),
    accepted_conditions=tuple(one.key for one in regulation().conditions), wanted_until=until,
    channels=("download", "browse")))
print(answer_request(viewer("chen"), number, AnswerInput(
    decisions=dict.fromkeys(fields, True), mode="bulk", valid_until=until)))
"""


def in_control(city: City, program: str) -> str:
    """Run a program as control's own processes run."""
    options = Options(plane_port=city.plane_port, port=city.port, nats_port=city.nats_port)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | control_environment(Home(city.home), options),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def copies(city: City) -> Iterator[str]:
    """A grant of housing for copies of the births."""
    yield in_control(city, OFFER.format(entry=story.BIRTH, more=["bulk"]) + GRANT).split()[-1]
    in_control(city, OFFER.format(entry=story.BIRTH, more=[]))


@pytest.mark.requirement("OBJ-08")
def test_a_copy_is_proved_by_the_offices_file_and_shown_where_its_records_are(
    visits: Visits, city: City, copies: str, tmp_path: Path
) -> None:
    clerk, reviewer = visits.visitor("lin"), visits.visitor("chen")
    clerk.see(f"/grants/{copies}/copies/")
    clerk.page.select_option("#format", "csv")
    clerk.page.get_by_role("button", name="准备副本").click()
    part = clerk.page.get_by_role("link", name="下载").first
    for _ in range(200):
        if part.count():
            break
        clerk.page.wait_for_timeout(300)
        clerk.page.reload()
    with clerk.page.expect_download() as download:
        part.click()
    folder = tmp_path / "parts"
    folder.mkdir()
    shutil.move(download.value.path(), folder / download.value.suggested_filename)
    clerk.see(f"/grants/{copies}/copies/")
    clerk.page.get_by_role("link", name="看证明").first.click()
    wait_for_proof(clerk, clerk.page.url.removeprefix(clerk.url))
    with clerk.page.expect_download() as download:
        clerk.page.get_by_role("link", name="下载证据").click()
    file, keys = tmp_path / "evidence.json", tmp_path / "keys.pem"
    download.value.save_as(file)
    assert city.run("audit", "keys", "--out", str(keys)).returncode == 0
    check = ("evidence", "verify", str(file), "--keys", str(keys), "--parts")
    shown = city.run(*check, str(folder))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    for words in (
        "is part 1 as it was delivered",
        "bulk_asked",
        "the log says of the copy what its manifest",
    ):
        assert words in shown.stdout, shown.stdout
    (one,) = folder.iterdir()
    one.write_bytes(one.read_bytes().replace(b"1", b"2", 1))
    assert city.run(*check, str(folder)).returncode == 2

    # The same birth is asked about; its department sees that the copy held it, too.
    grant = story.answer(reviewer, story.ask(clerk))
    story.verify(clerk, grant)
    clerk.page.wait_for_selector(".sq-ans")
    reviewer.see(f"{entry_of(clerk)}delivered")
    reviewer.page.fill("#reason", "样例：核对一起投诉")
    reviewer.page.get_by_role("button", name="查看").click()
    others = reviewer.page.locator("section[aria-labelledby=others]")
    expect(others).to_contain_text("批量副本")
    expect(others).to_contain_text("第 1 版")
    expect(others).to_contain_text("取走")
    assert faults_of(reviewer) == []
    others.get_by_role("link", name="取走").first.click()
    expect(reviewer.page.locator("main")).to_contain_text("下载证据")
