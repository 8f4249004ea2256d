"""What a technician reads of a node on the command line."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shuqiao.cli import main
from shuqiao.edge.cover import Cover
from shuqiao.edge.quarantine import Quarantine
from shuqiao.edge.status import _ORDER, BatchOutcome, NodeStatus, ResourceStatus, write_status
from shuqiao.edge.status_command import ADVICE, status_command
from shuqiao.wire.node_home import NodeFiles

RESOURCE = "r440100aaaaaaaaaa"


def resource(state: str = "up", **more: object) -> ResourceStatus:
    """The state of one resource."""
    named = {"phase": "changes", "next_sequence": 4, "waiting_rows": 0, "lag_s": 0.0, "fault": None}
    named |= {"refused": None, "next_try_s": None, "latest": [], "faulty": []}
    return ResourceStatus(state=state, **(named | more))  # type: ignore[arg-type]


def said(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    one: ResourceStatus,
    age_s: float = 0,
    volume: str = "declared",
) -> tuple[int, str]:
    """Write a state and read it with the command."""
    at = datetime.now(UTC) - timedelta(seconds=age_s)
    contact = at - timedelta(hours=3)
    status = NodeStatus("440100-health", one.state, at, contact, {RESOURCE: one}, {"node-home": volume})
    write_status(home / "status.json", status)
    code = status_command(argparse.Namespace(home=str(home)))
    return code, capsys.readouterr().out


def test_a_node_that_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(tmp_path, capsys, resource())
    assert code == 0
    assert "440100-health: up; the hub last answered: 3 h ago" in text
    assert f"{RESOURCE}  up: changes are sent" in text and "volume" not in text


def test_a_node_that_needs_somebody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faulty = [BatchOutcome(3, 10, [(7, "sex_code", "code_unknown")], "2026-11-22T10:00:00Z")]
    bad = resource(
        "refused", refused="batch_malformed", next_try_s=12.4, waiting_rows=50, lag_s=200.0, faulty=faulty
    )
    code, text = said(tmp_path, capsys, bad, volume="unknown")
    assert code == 1
    assert "50 rows wait, the oldest for 3 min" in text
    assert "refused the next batch: batch_malformed, tried again in 12 s" in text
    assert "batch 3, row 7: sex_code code_unknown" in text
    assert "node-home: the volume is not known to be encrypted" in text


def test_a_refusal_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, text = said(tmp_path, capsys, resource("refused", refused="batch_not_cleared"))
    assert "Let the person responsible sign on the page of the exchange" in text and RESOURCE in text
    faulty = [BatchOutcome(3, 10, [(7, "born", "date_impossible")], "2026-11-22T10:00:00Z")]
    _, rejected = said(tmp_path, capsys, resource(faulty=faulty))
    assert 'batch 3, row 7: born date_impossible  The date in "born"' in rejected
    assert "{" not in text, "a field the node doesn't know is left out"


def test_rows_with_the_same_fault_stand_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [(row, "born", "date_impossible") for row in range(19)] + [(3, "sex_code", "code_unknown")]
    faulty = [BatchOutcome(3, 10, faults, "2026-11-22T10:00:00Z")]
    _, text = said(tmp_path, capsys, resource(faulty=faulty, changes=["gone: dz"]))
    assert text.count("date_impossible") == 1 and "rows 0, 1, 2, 3, 4" in text and "18…: born" in text
    monkeypatch.setenv("SHUQIAO_LANGUAGE", "zh")
    _, text = said(tmp_path, capsys, resource(faulty=faulty, changes=["gone: dz"]))
    assert "第0、1、2" in text and "来源的列有变化：缺少 dz" in text


def test_a_technician_reads_chinese_where_the_machine_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHUQIAO_LANGUAGE", "zh")
    _, text = said(
        tmp_path, capsys, resource("refused", refused="batch_not_cleared", waiting_rows=3, lag_s=70)
    )
    assert "平台上次应答：3小时前" in text and "3行待发，最久的已等1分钟" in text
    assert "请本部门责任人在“交换监控”签署" in text


def test_the_commands_on_held_rows_speak_both_languages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = NodeFiles(tmp_path)
    assert main(["node", "held", "list", "--home", str(tmp_path)]) == 2
    assert "no node has held a row here" in capsys.readouterr().err
    Quarantine(files.quarantine, Cover(files.cover_key), 10).close()
    monkeypatch.setenv("SHUQIAO_LANGUAGE", "zh")
    assert main(["node", "held", "list", "--home", str(tmp_path)]) == 0
    assert "没有扣留的行" in capsys.readouterr().out
    assert main(["node", "held", "show", "abcdef", "--home", str(tmp_path)]) == 1
    assert "不能确定唯一的一行" in capsys.readouterr().err


def test_every_state_has_advice() -> None:
    assert set(ADVICE) == set(_ORDER)


def test_a_node_that_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(tmp_path, capsys, resource(), age_s=3 * 86_400)
    assert code == 1 and "This was 3 d ago: the node does not run" in text


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_a_folder_without_a_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "status.json").write_bytes(content)
    assert status_command(argparse.Namespace(home=str(tmp_path))) == 2
    assert "--home" in capsys.readouterr().err
