"""A city whose passwords are gone says so at once, and begins anew when it is asked to."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shuqiao.cli import main
from shuqiao.demo.city import remove
from shuqiao.demo.home import Home
from shuqiao.embedded import postgres
from shuqiao.embedded.processes import is_root


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home whose hub server was started once."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("SHUQIAO_HOME", str(tmp_path / "home"))
    made = Home.from_environment()
    made.make()
    programs = postgres.runtime(made.data)
    postgres.stop(postgres.start(made.hub_server, programs=programs, durable=False))
    yield made
    remove(made)


def test_data_whose_password_is_gone_are_named_at_once(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.locked_data == []
    shutil.rmtree(home.root if is_root() else home.secrets)
    assert home.locked_data == [home.data / "hub" / "pg"]
    started = time.monotonic()
    assert main(["demo", "--detach", "--people", "10"]) == 2
    assert time.monotonic() - started < 20
    said = capsys.readouterr().err
    assert str(home.data / "hub" / "pg") in said and "--fresh" in said
    remove(home)
    assert home.locked_data == []
