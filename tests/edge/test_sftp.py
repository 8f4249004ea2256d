"""Lists on an SFTP server: a real one, whose key is looked at before anything is sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors import sftp as connector
from shuqiao.edge.connectors.kept import Keeping, KeptSource
from shuqiao.edge.connectors.opening import open_source
from shuqiao.edge.cover import Cover
from tests.edge.test_folder import LINES, SECRET, as_csv, mapping, rows_of

PASSWORD = "sesame-öffne"


class _Door(asyncssh.SSHServer):
    """Lets one user in, by password; keys are compared by the library."""

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("list", PASSWORD)


@dataclass
class Sftp:
    """A server, the folder it shows, and the files by which a node reaches it."""

    port: int
    folder: Path
    keys: Path
    served: list[str]
    is_endless: bool = False

    def url(self, **changed: str) -> str:
        """Its address, with what a test changes; an empty word is left out."""
        words = {"known_hosts": str(self.keys / "known_hosts"), "key": str(self.keys / "id")} | changed
        query = "&".join(f"{name}={value}" for name, value in words.items() if value)
        return f"sftp://list@127.0.0.1:{self.port}/lists?{query}"


def _keep(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Sftp]:
    """A server of a real library with a key of its own."""
    root, keys = tmp_path / "server", tmp_path / "keys"
    (root / "lists").mkdir(parents=True)
    keys.mkdir()
    host, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    _keep(keys / "id", user.export_private_key())
    _keep(keys / "password", PASSWORD.encode())
    served: list[str] = []

    class Shown(asyncssh.SFTPServer):
        """Shows the folder alone, and notes which files were opened."""

        def __init__(self, channel: asyncssh.SSHServerChannel) -> None:
            super().__init__(channel, chroot=str(root).encode())

        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            served.append(path.decode())
            return super().open(path, pflags, attrs)

        def read(self, file_obj: object, offset: int, size: int) -> object:
            return b"x" * size if made.is_endless else super().read(file_obj, offset, size)

    accepted = asyncssh.import_authorized_keys(user.export_public_key().decode())
    listening = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=_Door,
        server_host_keys=[host],
        authorized_client_keys=accepted,
        sftp_factory=Shown,
    )
    port = listening.get_port()
    _keep(keys / "known_hosts", f"[127.0.0.1]:{port} ".encode() + host.export_public_key())
    made = Sftp(port, root / "lists", keys, served)
    yield made
    listening.close()
    await listening.wait_closed()


@pytest.fixture
def opened(server: Sftp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., KeptSource]:
    """Opens the connector; looks count as far apart at once."""
    monkeypatch.setattr(connector, "STILL_S", 0.0)

    def made(**changed: str) -> KeptSource:
        keeping = Keeping(tmp_path / "home", Cover(tmp_path / "cover.key"))
        source = open_source(server.url(every="0.001", **changed), keeping)
        assert isinstance(source, KeptSource)
        return source

    return made


@pytest.mark.parametrize("way", ["key", "password"])
async def test_lists_are_read_with_either_proof(
    server: Sftp, opened: Callable[..., KeptSource], way: str, tmp_path: Path
) -> None:
    (server.folder / "births.csv").write_bytes(as_csv(LINES))
    (server.folder / "deaths.csv").write_bytes(as_csv([("0009", "别", "", "")]))
    by_password = {"key": "", "password_file": str(server.keys / "password")}
    source = opened(**({} if way == "key" else by_password))
    # Nobody knows after one look whether a file is still being written.
    assert await rows_of(source, mapping()) == []
    rows = await rows_of(source, mapping())
    assert sorted(str(row.values[0]) for row in rows) == sorted([SECRET, "李样例"])
    assert server.served == ["/lists/births.csv"]
    await rows_of(source, mapping())
    assert server.served == ["/lists/births.csv"], "what was read isn't fetched again"
    assert [*(tmp_path / "home").glob("*.csv")] == []
    await source.close()


async def test_a_file_that_grows_waits_and_a_new_one_is_found(
    server: Sftp, opened: Callable[..., KeptSource]
) -> None:
    source = opened()
    for lines in range(1, 3):
        (server.folder / "births.csv").write_bytes(as_csv(LINES[:lines]))
        assert await rows_of(source, mapping()) == []
    assert len(await rows_of(source, mapping())) == 2
    (server.folder / "births_2.csv").write_bytes(as_csv([("0003", "王样例", "", "")]))
    await source.clock(mapping())
    assert len(await rows_of(source, mapping())) == 3
    await source.close()


async def test_no_more_is_taken_of_a_file_than_its_size_and_not_what_has_no_room(
    server: Sftp, opened: Callable[..., KeptSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.folder / "births.csv").write_bytes(as_csv(LINES))
    source = opened()
    assert await rows_of(source, mapping()) == []
    server.is_endless = True
    monkeypatch.setattr(connector, "MAX_FILE_BYTES", 4 * 1024**2)
    with pytest.raises(SourceError, match="changed while it was read"):
        await source.clock(mapping())
    fetched = len(server.served)
    with pytest.raises(SourceError, match="changed while it was read"):
        await source.clock(mapping())
    assert len(server.served) == fetched, "a server that fails is left alone for a while"
    await source.close()
    server.is_endless = False
    monkeypatch.setattr(connector, "free_bytes", lambda _folder: 10)
    source = opened()
    await source.clock(mapping())
    with pytest.raises(SourceError, match="no room for a copy"):
        await source.clock(mapping())
    await source.close()


async def test_another_server_is_sent_nothing(
    server: Sftp, opened: Callable[..., KeptSource], caplog: pytest.LogCaptureFixture
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key()
    _keep(server.keys / "known_hosts", f"[127.0.0.1]:{server.port} ".encode() + other)
    caplog.set_level(logging.DEBUG)
    source = opened(key="", password_file=str(server.keys / "password"))
    with pytest.raises(SourceError, match="key is not the one in known_hosts"):
        await source.check(mapping())
    _keep(server.keys / "known_hosts", b"elsewhere.example " + other)
    with pytest.raises(SourceError, match="key is not the one in known_hosts"):
        await source.check(mapping())
    assert PASSWORD not in caplog.text and "list@" not in caplog.text
    await source.close()


async def test_what_goes_wrong_is_told_clearly_and_without_a_secret(
    server: Sftp, opened: Callable[..., KeptSource], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    _keep(server.keys / "wrong", b"open-up")
    _keep(server.keys / "open", PASSWORD.encode(), 0o644)
    _keep(server.keys / "none", b"no key at all")
    for changed, said in (
        ({"key": "", "password_file": str(server.keys / "wrong")}, "refuses the user"),
        ({"key": "", "password_file": str(server.keys / "open")}, "open can be read by others"),
        ({"key": "", "password_file": str(server.keys / "gone")}, "gone can't be read"),
        ({"key": str(server.keys / "none")}, "none is no private key"),
        ({"known_hosts": str(server.keys / "gone")}, "known_hosts is not there"),
    ):
        source = opened(**changed)
        with pytest.raises(SourceError, match=said) as told:
            await source.check(mapping())
        assert PASSWORD not in str(told.value) and "open-up" not in str(told.value)
        await source.close()
    source = opened()
    with pytest.raises(SourceError, match="no file 'births"):
        await source.check(mapping())
    await source.close()
    await asyncio.to_thread(server.folder.rmdir)
    source = opened()
    with pytest.raises(SourceError, match="the folder, or the file, is not there"):
        await source.check(mapping())
    await source.close()
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sftp://list:sesame@h/lists?known_hosts=a&key=b", "a password stands in a file"),
        ("sftp://list@h/lists?key=b", "ssh-keyscan"),
        ("sftp://list@h/lists?known_hosts=a", "key or password_file is needed"),
        ("sftp://h/lists?known_hosts=a&key=b", "the address is sftp://"),
        ("sftp://list@h/lists?known_hosts=a&key=b&password=sesame", "unknown words in the address: password"),
        ("sftp://list@h/lists?known_hosts=a&key=b&every=1", "every is from 3"),
        ("sftp://list@h/lists?known_hosts=a&key=b&encoding=klingon", "nobody knows the encoding"),
    ],
)
def test_a_wrong_address_is_told_and_its_secret_is_not(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=said) as told:
        open_source(url, Keeping(tmp_path, Cover(tmp_path / "cover.key")))
    assert "sesame" not in str(told.value)


async def test_a_server_that_is_away_is_told(server: Sftp, opened: Callable[..., KeptSource]) -> None:
    server.port = 1
    source = opened()
    with pytest.raises(SourceError, match="can't be reached"):
        await source.check(mapping())
    await source.close()
