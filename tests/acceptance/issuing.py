"""What a test needs of the office beforehand: a signed grant, as requests end, and a system's key."""

import json
import os
import subprocess
import sys
from typing import Any

from shuqiao.demo.city import Options, control_environment
from shuqiao.demo.home import Home
from tests.plugins.city import City

_ISSUE = """
import datetime, json, sys, django
django.setup()
from django.conf import settings
from django.db import transaction
from shuqiao.control import clock
from shuqiao.control.grants import actions
from shuqiao.security import keys
from shuqiao.wire import grant as wire
read = json.load(sys.stdin)
said = {name: tuple(value) if isinstance(value, list) else value for name, value in read.items()}
number, today = said.pop("number"), clock.today()
given = actions.GrantInput(round=1, match="each", case_required=False, conditions=(), channels=("interface",),
    regulation="guangzhou-2016", valid_from=today, valid_until=today + datetime.timedelta(days=1), **said)
document = wire.Grant(id=number, resource=given.resource, department=given.consumer, provider=given.provider,
    mode=given.mode, items=given.fields, match=given.match, applications=given.applications,
    purpose=given.purpose, valid_from=given.valid_from, valid_until=given.valid_until,
    regulation=given.regulation, request_no=given.request_number, channels=given.channels,
    issued_at=datetime.datetime.now(datetime.UTC), issued_by="zhao")
signed = wire.sign_grant(document, keys.load_signing_key(settings.CONFIG.grant_key_file))
with transaction.atomic():
    actions._store(document, signed, given)
"""
_ENROL = """
import base64, json, sys, django
django.setup()
from shuqiao.control.organisations.actions import ApplicationInput, enrol_application
from shuqiao.control.texts import Text
said = json.load(sys.stdin)
key = base64.b64decode(said["public_key"])
name = Text("示例系统", "Sample system")
enrol_application(ApplicationInput(said["id"], said["department"], name, "ed25519", key), "account:ma")
"""


def issue_grant(city: City, **words: Any) -> None:
    """Issue a grant of today and tomorrow.

    Words: number, request_number, resource, consumer, provider, mode, fields, applications, purpose.
    """
    _run(city, _ISSUE, words)


def enrol_system(city: City, **words: str) -> None:
    """Admit the key of a department's system: id, department, public_key (base64 of its DER)."""
    _run(city, _ENROL, words)


def _run(city: City, program: str, said: dict[str, Any]) -> None:
    options = Options(plane_port=city.plane_port, port=city.port, nats_port=city.nats_port)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | control_environment(Home(city.home), options),
        input=json.dumps(said),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
