"""What a technician reads where the source can't be reached, and in which language."""

from __future__ import annotations

import socket
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.words import LANGUAGE_SETTING, Words, speaks_chinese
from tests.edge.test_connectors import mapping, opened
from tests.plugins.departments import in_mariadb

SESAME = "open-sesame"


async def said_of(url: str) -> str:
    """The fault of reading a table of this source."""
    source = opened(url)
    try:
        with pytest.raises(SourceError) as raised:
            await source.check(mapping())
    finally:
        await source.close()
    assert SESAME not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine at which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_why_a_server_is_not_reached(scheme: str, closed_port: int) -> None:
    said = await said_of(f"{scheme}://me:{SESAME}@127.0.0.1:{closed_port}/births")
    assert "nothing answers at this address and port" in said
    said = await said_of(f"{scheme}://me:{SESAME}@no.such.machine.invalid/births")
    assert "no machine has this name" in said


async def test_what_postgresql_refuses(empty_database: str) -> None:
    parts = urlsplit(empty_database)
    role = f"sq_{uuid.uuid4().hex[:12]}"
    at = parts.netloc.rpartition("@")[2]

    def named(password: str, path: str = parts.path) -> str:
        return urlunsplit((parts.scheme, f"{role}:{password}@{at}", path, parts.query, ""))

    with psycopg.connect(empty_database, autocommit=True) as link:
        link.execute("CREATE TABLE births (bh text PRIMARY KEY, xm text, rq date, gxsj timestamp)")
        link.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{SESAME}'")
    try:
        said = await said_of(named(f"{SESAME}!"))
        assert "user or password is refused" in said and "InvalidPasswordError" in said
        assert "there is no such database" in await said_of(named(SESAME, f"{parts.path}_none"))
        source = opened(named(SESAME))
        with pytest.raises(SourceError, match=r"lacks the right.*GRANT SELECT"):
            await source.read_all(mapping(), None, 1)
        await source.close()
    finally:
        with psycopg.connect(empty_database, autocommit=True) as link:
            link.execute(f"DROP ROLE {role}")


async def test_what_mariadb_refuses(mariadb: str) -> None:
    with in_mariadb(mariadb) as made:
        at = made.url.partition("://")[2].rpartition("@")[2]
        said = await said_of(f"mysql://nobody:{SESAME}@{at}")
        assert "user or password is refused" in said and "1045" in said
        place, _, options = made.url.partition("?")
        said = await said_of(f"{place}_none?{options}")
        assert "no such database" in said or "lacks the right" in said


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    assert "the file can't be opened" in await said_of(f"sqlite://{tmp_path}/none.db")
    (tmp_path / "list.db").write_text("no database at all, though its name says so" * 30)
    assert "the file is no SQLite database" in await said_of(f"sqlite://{tmp_path}/list.db")


async def test_a_file_named_with_a_slash_more(tmp_path: Path) -> None:
    link = sqlite3.connect(tmp_path / "own.db")
    link.execute("CREATE TABLE births (bh text PRIMARY KEY, xm text, rq date, gxsj text)")
    link.close()
    source = opened(f"sqlite:///{tmp_path}/own.db")
    await source.check(mapping())
    await source.close()


async def test_the_node_speaks_the_language_of_its_machine(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv(LANGUAGE_SETTING, "zh")
    said = await said_of(f"postgresql://me:{SESAME}@127.0.0.1:{closed_port}/births")
    assert said.startswith("来源数据库：该地址和端口没有服务") and said.endswith("（ConnectionRefusedError）")


@pytest.mark.parametrize(
    ("environment", "is_chinese"),
    [
        ({}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_GB.UTF-8"}, False),
        ({"LANG": "en_GB.UTF-8", "SHUQIAO_LANGUAGE": "zh"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, True),
    ],
)
def test_which_setting_decides(environment: dict[str, str], is_chinese: bool) -> None:
    assert speaks_chinese(environment) is is_chinese


def test_words_are_chosen_when_they_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Words("有误", "FAULT")
    monkeypatch.setenv(LANGUAGE_SETTING, "en")
    assert f"{words}" == "FAULT"
    monkeypatch.setenv(LANGUAGE_SETTING, "zh")
    assert f"{words}" == "有误"
