"""What a technician asks before the node runs: can the source be read, and what would be sent?"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import pytest

from shuqiao.cli import main
from shuqiao.edge.source_commands import check_command, preview_command
from shuqiao.wire.enrolment import Admission, HubKey
from shuqiao.wire.node_home import NodeFiles
from tests.edge.test_folder import put
from tests.edge.test_mapping import GOOD, RESOURCE, SPEC

LIST = "bh,xb,gxsj\nN1,M,\nN2,X,\nN3,F,\n"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An admitted node with a mapping file and a folder of lists."""
    key = HubKey("k", b"")
    admission = Admission("440100-health", "", "", (), key, {RESOURCE: SPEC})
    (tmp_path / "maps").mkdir()
    (tmp_path / "lists").mkdir()
    text = GOOD.replace("  table: public.births\n", "  table: births.csv\n").replace("  changed: gxsj\n", "")
    (tmp_path / "maps" / "births.yaml").write_text(text)
    place = NodeFiles(tmp_path).admission
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(msgspec.json.encode(admission))
    monkeypatch.setenv("NODE_HOME", str(tmp_path))
    monkeypatch.setenv("NODE_MAPPING", str(tmp_path / "maps"))
    monkeypatch.setenv("NODE_SOURCE_URL", f"folder://{tmp_path}/lists")
    return tmp_path


def check() -> int:
    """Run `shuqiao node check`."""
    return check_command(argparse.Namespace(home=""))


def test_a_source_is_checked_against_its_mapping(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 1
    assert "FAULT  births.yaml" in capsys.readouterr().out
    put(node / "lists" / "births.csv", LIST.encode())
    assert check() == 0
    assert "ok     births.yaml  births.csv, 3 columns, 3 items mapped" in capsys.readouterr().out
    put(node / "lists" / "births.csv", b"bh\nN1\n")
    assert check() == 1
    assert "the file has no column 'xb'" in capsys.readouterr().out
    put(node / "lists" / "births.csv", b"bh,xb,gxsj\n,M,\n")
    assert check() == 1, "a row is read, too"
    assert "list row 1 has no 'bh', its key" in capsys.readouterr().out
    put(node / "lists" / "births.csv", b"bh,xb,gxsj\n")
    assert check() == 0
    assert "no rows yet" in capsys.readouterr().out


def test_a_technician_reads_chinese_where_the_machine_does(
    node: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHUQIAO_LANGUAGE", "zh")
    put(node / "lists" / "births.csv", LIST.encode().replace(b"N2", b"N\x002"))
    assert check() == 0
    assert "正常  births.yaml  births.csv，3列，映射信息项3个" in capsys.readouterr().out
    assert main(["node", "preview", "births.yaml", "--rows", "10"]) == 1
    said = capsys.readouterr().out
    assert "有误 item_type：" in said and "3行，其中1行有误；没有发送任何内容" in said
    (node / "maps" / "births.yaml").write_text("resource: [")
    assert check() == 2
    assert "不是可读的YAML" in capsys.readouterr().err


def test_the_preview_shows_what_would_be_sent_and_keeps_nothing(
    node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(node / "lists" / "births.csv", LIST.encode().replace(b"N2", b"N\x002").replace(b"N3", b"N3\x1b[2J"))
    before = sorted(node.rglob("*"))
    assert main(["node", "preview", "births.yaml", "--rows", "10"]) == 1
    said = capsys.readouterr().out
    # The department's own code is translated to the city's; one that isn't listed is for the hub to refuse.
    assert "sex_code: 1" in said and "sex_code: 2" in said and "sex_code: X" in said
    assert "unit: 广州市妇幼保健院" in said and "number: N3" in said
    assert "number: FAULT item_type" in said
    assert "N3\\x1b[2J" in said and "\x1b" not in said, "a value gives the terminal no commands"
    assert "3 rows, 1 with a fault; nothing was sent" in said
    assert sorted(node.rglob("*")) == before


def test_what_is_missing_is_told(
    node: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preview_command(argparse.Namespace(home="", mapping="deaths.yaml", rows=5)) == 2
    assert "there is no mapping file deaths.yaml" in capsys.readouterr().err
    monkeypatch.setenv("NODE_SOURCE_URL", "oracle://me:sesame@host")
    assert check() == 2
    said = capsys.readouterr().err
    assert "odbc://…" in said and "sesame" not in said
    monkeypatch.delenv("NODE_MAPPING")
    assert check() == 2
    assert "NODE_HOME and NODE_MAPPING must be set" in capsys.readouterr().err
    monkeypatch.setenv("NODE_MAPPING", str(node / "maps"))
    NodeFiles(node).admission.unlink()
    assert check() == 2
    assert "holds no admission" in capsys.readouterr().err
