"""The command `shuqiao interface` and what the client gives: JSON, a file, samples, refusals."""

import base64
import json
from pathlib import Path

import pytest

from shuqiao.cli import main
from shuqiao.security import keys
from tests.interfaces.conftest import PERMITS, SPEC, InterfaceCity
from tests.plane import conftest as plane


@pytest.fixture
def home(city: InterfaceCity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder as the sample city writes it, with one application's key."""
    folder = tmp_path / "demo"
    folder.mkdir()
    key_file = folder / "app.key"
    keys.write_secret_file(key_file, keys.private_pem(city.application_keys[plane.APP]))
    known = [
        {"id": key_id, "public_key": base64.b64encode(keys.public_der(key)).decode()}
        for key_id, key in city.promise_keys().items()
    ]
    content = {
        "plane_url": city.url,
        "applications": {plane.APP: {"key_file": str(key_file)}},
        "promise_keys": known,
    }
    (folder / "credentials.json").write_text(json.dumps(content))
    monkeypatch.setenv("SHUQIAO_HOME", str(tmp_path))
    return tmp_path


def run(operation: str, *more: str) -> int:
    """Run the command."""
    return main(["interface", operation, "--app", plane.APP, "--resource", PERMITS, *more])


def test_the_command_calls_an_operation_and_checks_the_promise(city, home, capsys) -> None:
    city.interface_grant()
    assert run("getPermit", "--param", "permit_no=P00000007", "--case", "案-1") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["permit_no"] == "P00000007" and "promise checked" in shown.err
    (called,) = city.logged("interface_called")
    assert called["said"]["case"] == "案-1"


def test_a_file_is_written_where_it_was_asked_for(city, home, tmp_path) -> None:
    city.interface_grant(items=tuple(item.field for item in SPEC.items), unmasked=("phone",))
    out = tmp_path / "scan.pdf"
    assert run("getScan", "--param", "permit_no=P00000007", "--out", str(out)) == 0
    assert out.read_bytes() == city.api.scan


def test_a_sample_asks_nobody(city, home, capsys) -> None:
    city.interface_grant()
    assert run("getPermit", "--param", "permit_no=P1", "--sample") == 0
    assert "permit_no" in json.loads(capsys.readouterr().out) and city.api.seen == []


@pytest.mark.parametrize(
    ("operation", "more", "said"),
    [
        ("deletePermit", (), "operation_not_granted"),
        ("getPermit", (), "parameter_refused"),
        ("getPermit", ("--param", "permit_no"), "name=value"),
        ("getPermit", ("--param", "a=1", "--param", "a=2"), "stands twice"),
        ("searchPermits", ("--body", "/nowhere.json"), "can't be read"),
    ],
)
def test_what_is_refused_is_said_and_ends_with_an_error(city, home, capsys, operation, more, said) -> None:
    city.interface_grant()
    assert run(operation, *more) == 1
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
