"""The sample city is made whole, twice, and after being cut short."""

import json
import stat
from dataclasses import replace

import pytest
from django.contrib.auth.hashers import check_password
from django.core.management import call_command

from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.offering import is_held
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.grants.models import Grant
from shuqiao.control.grants.pages import usable_grants
from shuqiao.control.operations.sample import HELD_KEY
from shuqiao.control.operations.tasks import task_list
from shuqiao.control.organisations.models import Application, Department
from shuqiao.control.outside.models import OutsideRequest
from shuqiao.control.outside.pages import outside_case
from shuqiao.control.projects.models import CrossApplication, Project
from shuqiao.control.projects.pages import project_page
from shuqiao.control.regulations.current import regulation
from shuqiao.control.requests.models import Request
from shuqiao.control.settings import CONFIG
from shuqiao.rules.ids import resource_id
from shuqiao.security import keys

from .conftest import City, rows


@pytest.fixture
def seeded_twice(db, tmp_path, settings):
    """Credentials of a city that was seeded, cut short in mind, and seeded again."""
    settings.CONFIG = replace(CONFIG, portal_keys=tmp_path / "portal")
    keys.load_or_create_signing_key(CONFIG.grant_key_file)
    file = tmp_path / "demo" / "credentials.json"
    call_command("seed_city", credentials=file)
    first = file.read_bytes()
    before = rows("SELECT event, count(*) FROM audit.entry GROUP BY event ORDER BY event")
    call_command("seed_city", credentials=file)
    assert file.read_bytes() == first
    after = rows("SELECT event, count(*) FROM audit.entry GROUP BY event ORDER BY event")
    assert after == before, "a second seeding changes nothing"
    return file


def test_cases_beside_requests_are_there_once(seeded_twice):
    assert OutsideRequest.objects.get().phase == "waiting"
    assert Project.objects.get().phase == "draft"
    assert CrossApplication.objects.get().systems.count() == 1
    city = City()
    assert outside_case(city.viewer("huang"), OutsideRequest.objects.get().number).can_talk
    assert project_page(city.viewer("huang"), Project.objects.get().number).can_start


def test_accounts_keys_catalogue_and_older_cases_are_there(seeded_twice):
    content = json.loads(seeded_twice.read_text(encoding="utf-8"))
    assert stat.S_IMODE(seeded_twice.stat().st_mode) == 0o600
    for account in content["accounts"]:
        stored = Account.objects.get(username=account["username"])
        assert check_password(account["password"], stored.password)
    home = seeded_twice.parent.parent
    for app, entry in content["applications"].items():
        key = keys.load_signing_key(home / entry["key_file"])
        assert bytes(Application.objects.get(id=app).public_key) == keys.public_der(key.public_key())
    for portal in Application.objects.filter(portal=True):
        key = keys.load_signing_key(home / "portal" / f"{portal.id}.key")
        assert bytes(portal.public_key) == keys.public_der(key.public_key())
    assert Resource.objects.count() == 21 + 3
    stages = Compilation.objects.order_by("number").values_list("phase", flat=True)
    assert list(stages) == ["granted", "granted", "waiting", "waiting", "draft", "granted"]
    assert Resource.objects.filter(open_to_public=True).count() == 2
    assert not Department.objects.filter(active=False).exists()
    city = City()
    tasks = [task for group in task_list(city.viewer("chen")).groups for task in group.tasks]
    assert len(tasks) == 3
    assert [task.clock.due_on for task in tasks] == sorted(task.clock.due_on for task in tasks)
    assert {request.state for request in Request.objects.all()} >= {
        "submitted",
        "approved",
        "partly_approved",
    }
    assert Grant.objects.filter(state="active").count() == 5
    usable = usable_grants(city.viewer("lin"))
    assert {grant.provider.code for grant in usable} == {"440100-police"}
    held = next(grant.resource for grant in usable if is_held(grant.resource))
    assert held == resource_id(regulation().region, HELD_KEY)


def test_lost_credentials_are_made_anew_and_work(seeded_twice):
    seeded_twice.unlink()
    call_command("seed_city", credentials=seeded_twice)
    content = json.loads(seeded_twice.read_text(encoding="utf-8"))
    for account in content["accounts"]:
        assert check_password(account["password"], Account.objects.get(username=account["username"]).password)
