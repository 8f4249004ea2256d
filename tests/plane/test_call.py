"""The command `shuqiao call`, as a person runs it."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shuqiao.security import keys
from shuqiao.wire.receipt import decode_promise
from tests.plane.conftest import APP, RESOURCE, City
from tests.vault import births


@pytest.fixture
def home(city: City, tmp_path: Path) -> Path:
    """A home with credentials of the city."""
    (tmp_path / "demo").mkdir()
    tmp_path.chmod(0o700)
    key_file = tmp_path / "demo" / "app.key"
    keys.write_secret_file(key_file, keys.private_pem(city.application_keys[APP]))
    promise_keys = [
        {"id": number, "public_key": base64.b64encode(keys.public_der(key)).decode("ascii")}
        for number, key in city.promise_keys().items()
    ]
    credentials = {
        "applications": {
            APP: {"key_file": str(key_file), "department": "440100-housing", "algorithm": "ed25519"}
        },
        "plane_url": city.url,
        "promise_keys": promise_keys,
        "accounts": [],
    }
    (tmp_path / "demo" / "credentials.json").write_text(json.dumps(credentials), encoding="utf-8")
    return tmp_path


def shuqiao(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "shuqiao.cli", "call", *arguments],
        env=os.environ | {"SHUQIAO_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_verification_prints_the_answer_and_keeps_the_promise(city: City, home: Path) -> None:
    city.issue()
    place = ("--app", APP, "--resource", RESOURCE, "--subject", births.certificate(3))
    done = shuqiao(home, "verify", *place, "--claim", "mother_name=样例母亲3", "--claim", "sex_code=1")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["result"] == {"mother_name": True, "sex_code": False}
    kept = home / "demo" / "promises" / f"{answer['entry']}.promise"
    assert str(decode_promise(kept.read_text().strip()).entry) == answer["entry"]


def test_a_refusal_says_why_and_ends_with_one(city: City, home: Path) -> None:
    done = shuqiao(home, "query", "--app", APP, "--resource", RESOURCE, "--subject", births.certificate(3))
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "not_available"
    assert "not_available" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--app", "app-unknown"), "knows no application"),
        (("--app", APP, "--url", "http://127.0.0.1:1"), "can't be reached"),
        (("--app", APP, "--claim", "nonsense"), "item=value"),
    ],
)
def test_a_call_that_cannot_be_made_says_what_to_do(
    home: Path, arguments: tuple[str, ...], words: str
) -> None:
    claim = () if "--claim" in arguments else ("--claim", "sex_code=1")
    done = shuqiao(home, "verify", "--resource", RESOURCE, "--subject", "S000000003", *claim, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_answer_of_somebody_else_is_not_believed(city: City, home: Path) -> None:
    city.issue()
    file = home / "demo" / "credentials.json"
    credentials = json.loads(file.read_text(encoding="utf-8"))
    der = keys.public_der(keys.generate_signing_key().public_key())
    credentials["promise_keys"] = [
        {"id": keys.key_id(der), "public_key": base64.b64encode(der).decode("ascii")}
    ]
    file.write_text(json.dumps(credentials), encoding="utf-8")
    place = ("--app", APP, "--resource", RESOURCE, "--subject", births.certificate(3))
    done = shuqiao(home, "verify", *place, "--claim", "sex_code=1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Do not rely on the answer" in done.stderr
