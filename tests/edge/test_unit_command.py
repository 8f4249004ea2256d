"""The systemd unit of a node."""

from __future__ import annotations

import configparser
import sys

import pytest

from shuqiao.cli import main


def test_the_unit_runs_this_python_and_lets_it_write_in_its_home_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["node", "unit", "--home", "/var/lib/node", "--user", "someone"]) == 0
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(capsys.readouterr().out)
    service = unit["Service"]
    assert service["ExecStart"] == f"{sys.executable} -m shuqiao.edge.main"
    assert (service["User"], service["EnvironmentFile"]) == ("someone", "/etc/shuqiao/node.env")
    assert (service["ProtectSystem"], service["ReadWritePaths"]) == ("strict", "/var/lib/node")
    assert service["CapabilityBoundingSet"] == "" and service["NoNewPrivileges"] == "yes"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.parametrize("home", ["relative", "/a b", "/a%h", "/a$HOME", "/a\nExecStartPre=/bin/sh", "/a'"])
def test_a_path_that_systemd_would_read_otherwise_is_refused(
    home: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["node", "unit", "--home", home]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "--home" in said.err
