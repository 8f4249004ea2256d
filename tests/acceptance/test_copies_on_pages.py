"""A clerk prepares, fetches and browses a copy on the pages of a running city, and nobody else does."""

import contextlib
import csv
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from shuqiao.demo.city import Options, control_environment
from shuqiao.demo.home import Home
from tests.plugins.city import City

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

# As the requests of the office end: a signed grant for control and for the plane.
ISSUE = """
import datetime, django
django.setup()
from django.conf import settings
from django.db import transaction
from shuqiao.control import clock
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.grants import actions
from shuqiao.security import keys
from shuqiao.wire import grant as wire
held = Resource.objects.filter(department_id="440100-police")
people = next(one for one in held if "bulk" in one.content["modes"])
plain = tuple(item.field for item in people.items.filter(identity=False).order_by("number")[:4])
today = clock.today()
words = dict(request_number="R-2026-0900", round=1, resource=people.id, consumer="440100-housing",
    provider="440100-police", mode="bulk", match="all", fields=plain, applications=("app-housing-portal",),
    purpose="样例批量核对", case_required=False, valid_from=today, valid_until=today, conditions=(),
    regulation="guangzhou-2016", channels=("download", "browse"))
given = actions.GrantInput(**words)
document = wire.Grant(id="G-2026-0900", resource=people.id, department=given.consumer,
    provider=given.provider, mode="bulk", items=plain, match="all", applications=given.applications,
    purpose=given.purpose,
    valid_from=today, valid_until=today, regulation=given.regulation, request_no=given.request_number,
    channels=given.channels, issued_at=datetime.datetime.now(datetime.UTC), issued_by="zhao")
signed = wire.sign_grant(document, keys.load_signing_key(settings.CONFIG.grant_key_file))
with transaction.atomic():
    actions._store(document, signed, given)
"""
PLACE = "/grants/G-2026-0900/"


@contextlib.contextmanager
def signed_in(city: City, username: str) -> Iterator[httpx.Client]:
    """A browser in which somebody has signed in."""
    with httpx.Client(base_url=city.url, timeout=60, trust_env=False, follow_redirects=True) as client:
        token = token_of(client.get("/sign-in/").text)
        words = {"username": username, "password": city.password(username), "csrfmiddlewaretoken": token}
        answer = client.post("/sign-in/", data=words)
        assert answer.status_code == 200, answer.text[:500]
        yield client


def token_of(page: str) -> str:
    """The token of a page's form."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, page[:500]
    return found[1]


@pytest.fixture(scope="module")
def granted(city: City) -> City:
    """The city with a grant of mode bulk on the residents for the housing department's pages."""
    options = Options(plane_port=city.plane_port, port=city.port, nats_port=city.nats_port)
    done = subprocess.run(
        [sys.executable, "-c", ISSUE],
        env=os.environ | control_environment(Home(city.home), options),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return city


@pytest.mark.requirement("MOD-04")
def test_a_clerk_prepares_and_fetches_a_copy(granted: City) -> None:
    with signed_in(granted, "lin") as browser:
        page = browser.get(PLACE + "copies/")
        assert page.status_code == 200, page.text[:2000]
        assert "准备副本" in page.text
        token = token_of(page.text)
        refused = browser.post(PLACE + "copies/ask", data={"csrfmiddlewaretoken": token, "format": "doc"})
        assert refused.status_code == 422
        asked = browser.post(PLACE + "copies/ask", data={"csrfmiddlewaretoken": token, "format": "csv"})
        assert asked.status_code == 200, asked.text[:2000]
        until = time.monotonic() + 60
        while not (found := re.search(rf'href="({PLACE}copies/[0-9a-f-]+/1)"', browser.get(asked.url).text)):
            assert time.monotonic() < until, browser.get(asked.url).text[:3000]
            time.sleep(0.5)
        whole = browser.get(found[1])
        assert whole.status_code == 200, whole.text[:2000]
        assert whole.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert "; filename*=UTF-8''copy-" in whole.headers["content-disposition"]
        rows = list(csv.reader(io.StringIO(whole.content.decode("utf-8-sig"), newline="")))
        assert len(rows) > 10
        assert browser.get(found[1], headers={"range": "bytes=3-9"}).content == whole.content[3:10]
        manifest = browser.get(found[1].rpartition("/")[0] + "/manifest")
        assert manifest.json()["rows"] == len(rows) - 1
        assert "app-housing-portal/lin" in browser.get(PLACE + "copies/").text
    with signed_in(granted, "zhao") as provider:
        # The provider sees what was delivered, and fetches nothing.
        seen = provider.get(PLACE + "copies/")
        assert "app-housing-portal/lin" in seen.text
        assert "准备副本</button>" not in seen.text
        assert provider.get(found[1]).status_code == 404


def test_records_are_browsed_under_the_readers_name(granted: City) -> None:
    with signed_in(granted, "lin") as browser:
        page = browser.get(PLACE + "browse")
        assert page.status_code == 200, page.text[:3000]
        assert page.text.count("林示例") > 20
        assert "下载" not in page.text
        token = token_of(page.text)
        second = browser.post(PLACE + "browse", data={"csrfmiddlewaretoken": token, "page": "2"})
        assert second.status_code == 200
        assert second.headers["cache-control"] == "no-store"
        assert "<table" in second.text
