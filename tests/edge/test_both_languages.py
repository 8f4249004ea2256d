"""What a technician reads of a node is in the language of the machine: commands, settings, faults."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from shuqiao.cli import main
from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.api_settings import read_api
from shuqiao.edge.connectors.lists import read_list
from shuqiao.edge.connectors.sftp import read_server
from shuqiao.edge.held.store import Store
from shuqiao.edge.words import LANGUAGE_SETTING
from shuqiao.wire.node_home import NodeFiles

LANGUAGES = ("zh", "en")


def is_chinese(text: str) -> bool:
    """Say whether there is a Chinese character in it."""
    return any("一" <= one <= "鿿" for one in text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "url",
    [
        "sftp://user:secret@host/lists?known_hosts=k&key=k",
        "sftp://host/lists",
        "sftp://user@host/lists?unknown=1",
        "sftp://user@host/lists",
        "sftp://user@host/lists?known_hosts=k",
        "sftp://user@host/lists?known_hosts=k&key=k&every=often",
        "sftp://user@host/lists?known_hosts=k&key=k&every=1",
    ],
)
def test_settings_of_sftp(monkeypatch: pytest.MonkeyPatch, language: str, url: str) -> None:
    monkeypatch.setenv(LANGUAGE_SETTING, language)
    with pytest.raises(SourceError) as caught:
        read_server(url)
    said = str(caught.value)
    assert is_chinese(said) == (language == "zh") and "secret" not in said


API = "base_url: {url}\nevery: {every}\ntables: {{a: {{path: {path}, pages: {{{pages}}}}}}}\n"
WELL = {"url": "http://h/x", "every": "90s", "path": "/a", "pages": "by: one"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://h"},
        {"every": "often"},
        {"path": "a"},
        {"pages": "by: number"},
        {"pages": "by: cursor, parameter: p"},
        {"pages": "size: 5"},
        {"pages": "by: nothing"},
        {"pages": "["},
    ],
)
def test_settings_of_an_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, wrong: dict[str, str]
) -> None:
    monkeypatch.setenv(LANGUAGE_SETTING, language)
    (tmp_path / "api.yaml").write_text(API.format(**WELL))
    read_api(f"api://{tmp_path}/api.yaml")
    (tmp_path / "api.yaml").write_text(API.format(**WELL | wrong))
    with pytest.raises(SourceError, match=r"api\.yaml") as caught:
        read_api(f"api://{tmp_path}/api.yaml")
    assert is_chinese(str(caught.value)) == (language == "zh")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("content", [b"", b"a,a\n1,2\n", b"a,\xff\xff\n"])
def test_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, content: bytes) -> None:
    monkeypatch.setenv(LANGUAGE_SETTING, language)
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.csv") as caught:
        list(read_list(tmp_path / "a.csv", "").rows)
    assert is_chinese(str(caught.value)) == (language == "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    monkeypatch.setenv(LANGUAGE_SETTING, language)
    file = tmp_path / "a.db"
    with sqlite3.connect(file) as link:
        link.execute("CREATE TABLE births (bh text)")
    link.close()
    monkeypatch.setenv("NODE_SOURCE_URL", f"sqlite://{file}")
    home = tmp_path / "node"
    NodeFiles(home).held.parent.mkdir(parents=True)
    Store(NodeFiles(home).held).close()
    for words, code in (
        (["describe", "births", "--out", str(tmp_path / "out.json")], 0),
        (["describe", "births", "--submit", "http://127.0.0.1:9"], 2),
        (["describe", "absent"], 1),
        (["grants", "--home", str(home)], 0),
        (["grants", "--home", str(tmp_path)], 2),
        (["withdraw", "--home", str(home), "G-1", "k", "0123456789ab"], 1),
        (["log", "--home", str(home)], 0),
        (["unit", "--home", "somewhere"], 2),
    ):
        assert main(["node", *words]) == code, words
        said = capsys.readouterr()
        assert is_chinese(said.out + said.err) == (language == "zh"), words
