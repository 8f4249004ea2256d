"""Several at once: one signature is answered once in every process, one key makes one draft."""

import json
import os
import subprocess
import sys
import threading

import pytest
from django.db import connection, connections

from shuqiao.control.compiling.interface.models import UsedSignature
from shuqiao.control.compiling.interface.signed import SignedRequest, authenticate
from shuqiao.control.compiling.models import Compilation
from shuqiao.rules.errors import SignatureReplayed
from tests.compiling.interface_client import BASE, HEALTH, HOST, System, complete_entry, enrolled
from tests.control.conftest import committed_city

__all__ = ["committed_city"]

pytestmark = pytest.mark.database

PATH = f"{BASE}/entries"


def test_of_many_at_once_one_is_answered_and_after_a_restart_none(committed_city) -> None:
    """The nonce is kept in the database: neither another worker nor a new process takes it again."""
    system = System(enrolled("app-health-catalogue", HEALTH))
    headers = system.headers("GET", PATH) | {"host": HOST}
    request = SignedRequest("GET", PATH, headers, b"")
    outcomes: list[str] = []

    def ask() -> None:
        try:
            outcomes.append(authenticate(request).application)
        except SignatureReplayed:
            outcomes.append("replayed")
        finally:
            connections.close_all()

    workers = [threading.Thread(target=ask) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(outcomes) == ["app-health-catalogue", *["replayed"] * 7]
    assert _asked_in_a_new_process(headers) == "signature_replayed"
    UsedSignature.objects.all().delete()


def _asked_in_a_new_process(headers: dict[str, str]) -> str:
    place = connection.settings_dict
    program = (
        "import json, sys, django; django.setup()\n"
        "from django.db import connections\n"
        "given = json.load(sys.stdin)\n"
        "connections['default'].settings_dict.update(given['place'])\n"
        "from shuqiao.control.compiling.interface.signed import SignedRequest, authenticate\n"
        "from shuqiao.rules.errors import CallError\n"
        "try: print(authenticate(SignedRequest('GET', given['path'], given['headers'], b'')).application)\n"
        "except CallError as error: print(error.code)\n"
    )
    kept = {name: place[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        input=json.dumps({"place": kept, "path": PATH, "headers": headers}),
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "shuqiao.control.settings"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.requirement("CAT-18")
def test_of_many_with_one_new_key_one_draft_comes_of_it(committed_city) -> None:
    key = enrolled("app-health-catalogue", HEALTH)
    answers: list[dict] = []

    def put() -> None:
        try:
            answers.append(System(key).put("units", complete_entry()).json())
        finally:
            connections.close_all()

    workers = [threading.Thread(target=put) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(one["result"] for one in answers) == ["created", "unchanged", "unchanged", "unchanged"]
    assert len({one["number"] for one in answers}) == 1 == Compilation.objects.count()
    UsedSignature.objects.all().delete()
