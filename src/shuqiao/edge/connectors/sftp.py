"""Lists in a folder of an SFTP server, as `sftp://user@host:port/folder?known_hosts=FILE&key=FILE`.

The server must be one that `known_hosts` names, a file as OpenSSH keeps it: none is trusted at first sight.
The node proves itself by a private key (`key`, with `passphrase_file` where it has one) or by a password
(`password_file`); what stands in those files goes into no address, log or message. The folder is looked at
every `every` seconds (60). Files there are of another clock, so a file has lain still when two looks at it
find the same. It is read from a copy that has no name on this machine's disk and is gone with the process.
"""

from __future__ import annotations

import asyncio
import fnmatch
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar, cast
from urllib.parse import parse_qs, unquote, urlsplit

import asyncssh

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.connectors.diagnosis import network_reason
from shuqiao.edge.connectors.folder import STILL_S, check_pattern, encoding_of
from shuqiao.edge.connectors.kept import Keeping, KeptSource
from shuqiao.edge.connectors.lists import Listed, read_list
from shuqiao.edge.connectors.patience import Patience
from shuqiao.edge.disk import free_bytes, is_full
from shuqiao.edge.mapping import TableMapping
from shuqiao.edge.words import Words

# The library's own log has names of users and files.
logging.getLogger("asyncssh").setLevel(logging.ERROR)

MAX_FILE_BYTES = 16 * 1024**3
MAX_FILES = 10_000
_CONNECT_S, _LOOK_S, _FETCH_S = 15.0, 60.0, 3600.0
_PIECE_BYTES = 256 * 1024
_MAX_SECRET_BYTES = 64 * 1024
_KNOWN = frozenset(("known_hosts", "key", "passphrase_file", "password_file", "every", "encoding"))
_DEFAULT_PORT = 22

T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """Where the folder is, and by which files both sides prove themselves."""

    host: str
    port: int
    user: str
    folder: str
    known_hosts: Path
    key: Path | None
    passphrase: Path | None
    password: Path | None
    every_s: float

    def __repr__(self) -> str:
        """Leave user and files out."""
        return f"Server({self.host}:{self.port})"


@dataclass(frozen=True)
class _Look:
    """Size and time of each file in the folder, and when that was seen, on the monotonic clock."""

    files: Mapping[str, str]
    at: float


def sftp_source(url: str, keeping: Keeping) -> KeptSource:
    """Return the connector of a folder on an SFTP server."""
    return KeptSource(SftpShelf(url, keeping.folder), keeping)


def sftp_shelf(url: str, copies: Path) -> SftpShelf:
    """Return the folder on the server, with a place for copies."""
    return SftpShelf(url, copies)


def read_server(url: str) -> Server:
    """Read the address; raises SourceError naming what is wrong with it, and no part that may be a secret."""
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.password is not None:
        raise _wrong(
            "密码不能写在地址里，请写入文件，用password_file指明",
            "a password stands in a file, named by password_file, not in the address",
        )
    if not (parts.hostname and parts.username and len(parts.path) > 1):
        form = "sftp://user@host/folder?known_hosts=FILE&key=FILE"
        raise _wrong(f"地址的写法是{form}", f"the address is {form}")
    if unknown := sorted(set(options) - _KNOWN):
        named = ", ".join(unknown)[:100]
        raise _wrong(f"地址中有不认识的词：{named}", f"unknown words in the address: {named}")
    if "known_hosts" not in options:
        raise _wrong(
            "缺known_hosts，即载有服务器密钥的文件：用`ssh-keyscan`取得，再与其管理员核对指纹",
            "known_hosts is missing, the file that names the server's key: fetch it with `ssh-keyscan`, and"
            " compare its fingerprint with what the server's keeper tells you",
        )
    if "key" not in options and "password_file" not in options:
        raise _wrong("须有key或password_file", "key or password_file is needed")
    try:
        every_s, port = float(options.get("every", "60")), parts.port or _DEFAULT_PORT
    except ValueError:
        raise _wrong(
            "every是秒数，端口是数字", "every is a number of seconds, and the port a number"
        ) from None
    if not STILL_S <= every_s <= 86_400:
        raise _wrong(f"every为{STILL_S:g}到86400秒", f"every is from {STILL_S:g} to 86400 seconds")
    key, passphrase, password = (
        Path(options[one]) if one in options else None for one in ("key", "passphrase_file", "password_file")
    )
    known_hosts, folder = Path(options["known_hosts"]), unquote(parts.path)
    return Server(
        parts.hostname, port, unquote(parts.username), folder, known_hosts, key, passphrase, password, every_s
    )


class SftpShelf:
    """The files of one folder of an SFTP server; every look and every copy has a connection of its own."""

    tells_columns = True

    def __init__(self, url: str, folder: Path) -> None:
        """Read the address; copies lie in `folder`, without a name."""
        self._server = read_server(url)
        self._encoding = encoding_of(urlsplit(url).query)
        self._folder = folder
        self._patience = Patience()
        self._looks: tuple[_Look, _Look] | None = None
        self._copy: tuple[tuple[str, str], IO[bytes]] | None = None

    def standing(self, mapping: TableMapping) -> Mapping[str, str | None]:
        """Return the states of the files; the folder is looked at anew when the last look is old."""
        check_pattern(mapping)
        now = time.monotonic()
        if self._looks is None or now - self._looks[1].at >= self._server.every_s:
            self._look()
        elif now - self._looks[1].at >= STILL_S and self._looks[0].files != self._looks[1].files:
            # What was new at the last look needs a second one only.
            self._look()
        return self._states(mapping)

    @contextmanager
    def opened(self, _mapping: TableMapping, name: str) -> Iterator[Listed]:
        """Fetch a copy, unless the last one is of this state of the file, and read it."""
        before = self._looks[1].files.get(name, "") if self._looks else ""
        if self._copy is None or self._copy[0] != (name, before):
            self._drop()
            with self._patience.ask():
                self._copy = ((name, before), _run(lambda: self._fetch(name, before), _FETCH_S))
        file = self._copy[1]
        try:
            yield read_list(Path(f"/proc/self/fd/{file.fileno()}"), self._encoding, name)
        except SourceError:
            self._drop()
            raise

    def stays(self, mapping: TableMapping, states: Mapping[str, str | None]) -> bool:
        """Look at the folder once more, and say whether the files are still these."""
        self._look()
        return self._states(mapping) == states

    def close(self) -> None:
        """Let go of the last copy."""
        self._drop()

    def _states(self, mapping: TableMapping) -> Mapping[str, str | None]:
        if self._looks is None:
            return {}
        before, now = (one.files for one in self._looks)
        return {
            name: now[name] if before.get(name) == now[name] else None
            for name in sorted(now)
            if fnmatch.fnmatchcase(name, mapping.table)
        }

    def _look(self) -> None:
        with self._patience.ask():
            files = _run(self._listed, _LOOK_S)
        now = _Look(files, time.monotonic())
        before = _Look({}, now.at)
        if self._looks is not None:
            # Two looks in a hurry show nothing about a file that is being written.
            is_apart = now.at - self._looks[1].at >= STILL_S
            before = self._looks[1] if is_apart else self._looks[0]
        self._looks = (before, now)

    def _drop(self) -> None:
        if self._copy is not None:
            self._copy[1].close()
            self._copy = None

    async def _listed(self) -> dict[str, str]:
        found: dict[str, str] = {}
        async with self._session() as sftp:
            async for entry in sftp.scandir(self._server.folder):
                if entry.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR:
                    found[str(entry.filename)] = _state(entry.attrs)
                if len(found) > MAX_FILES:
                    raise _wrong(
                        f"文件夹中的文件超过{MAX_FILES}个", f"the folder holds more than {MAX_FILES} files"
                    )
        return found

    async def _fetch(self, name: str, state: str) -> IO[bytes]:
        """Copy a file; raises SourceError where it is not, or is no more, the one that was seen."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = str(PurePosixPath(self._server.folder) / name)
        copy: IO[bytes] = os.fdopen(os.open(self._folder, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b")
        try:
            async with self._session() as sftp, sftp.open(place, "rb") as file:
                size = (await file.stat()).size or 0
                if size > MAX_FILE_BYTES:
                    raise _of_file(
                        name,
                        f"文件大于{MAX_FILE_BYTES}字节",
                        f"the file is larger than {MAX_FILE_BYTES} bytes",
                    )
                # Its rows are kept on the same disk.
                if free_bytes(self._folder) < 2 * size:
                    raise _of_file(
                        name,
                        f"本机磁盘放不下{size}字节的副本",
                        f"this machine's disk has no room for a copy of {size} bytes",
                    )
                # Whatever the server says of the size, no more than that is written.
                while copy.tell() <= size and (piece := await file.read(_PIECE_BYTES)):
                    copy.write(cast(bytes, piece))
                is_same = copy.tell() <= size and _state(await file.stat()) == state
                if not is_same or _state(await sftp.stat(place)) != state:
                    raise _of_file(
                        name,
                        "读取时文件有变化，随即重读",
                        "the file changed while it was read; it is read again",
                    )
            copy.flush()
        except BaseException:
            copy.close()
            raise
        return copy

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[asyncssh.SFTPClient]:
        server = self._server
        connecting = asyncssh.connect(
            server.host,
            server.port,
            username=server.user,
            known_hosts=str(_existing(server.known_hosts)),
            # Nothing of the account that the node runs under: no agent, no settings, no other keys.
            agent_path=None,
            config=None,
            gss_host=None,
            preferred_auth=["publickey", "password"],
            # A packed answer could be far larger than what came.
            compression_algs=["none"],
            connect_timeout=_CONNECT_S,
            login_timeout=_CONNECT_S,
            keepalive_interval=10,
            password=_secret(server.password) if server.password else None,
            client_keys=[_private_key(server.key, server.passphrase)] if server.key else None,
        )
        async with connecting as connection, connection.start_sftp_client() as sftp:
            yield sftp


def _run(work: Callable[[], Awaitable[T]], most_s: float) -> T:
    """Do the work in this thread; what goes wrong is said by its kind, without the library's own text."""

    async def bounded() -> T:
        async with asyncio.timeout(most_s):
            return await work()

    try:
        return asyncio.run(bounded())
    except (asyncssh.Error, OSError, ValueError) as error:
        found = _diagnosis(error)
        raise SourceError(Words(f"sftp：{found.zh}", f"sftp: {found.en}")) from None


def _diagnosis(error: Exception) -> Words:
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return Words(
                "服务器的密钥与known_hosts中的不同，请向其管理员核实是否更换过密钥；没有发送任何内容",
                "the server's key is not the one in known_hosts: ask its keeper whether the key was renewed;"
                " nothing was sent",
            )
        case asyncssh.PermissionDenied():
            return Words(
                "服务器不接受该用户、密钥或密码", "the server refuses the user, its key or its password"
            )
        case asyncssh.SFTPNoSuchFile() | asyncssh.SFTPNoSuchPath():
            return Words("没有这个文件夹或文件", "the folder, or the file, is not there")
        case asyncssh.SFTPPermissionDenied():
            return Words("该用户无权读取文件夹或文件", "the user may not read the folder or the file")
        case TimeoutError():
            return Words("服务器没有按时应答", "the server doesn't answer in time")
        case asyncssh.ConnectionLost():
            return Words("连接中断", "the connection was lost")
        case OSError() if is_full(error):
            return Words("本机磁盘放不下副本", "this machine's disk has no room for a copy")
        case OSError() if error.errno is not None:
            name = "name unknown" if isinstance(error, socket.gaierror) else os.strerror(error.errno)
            reason = network_reason(error) or Words("请检查地址和网络", "look at address and network")
            return Words(
                f"连不上服务器：{reason.zh}（{name}）", f"the server can't be reached ({name}): {reason.en}"
            )
    name = type(error).__name__
    return Words(f"服务器读不出来（{name}）", f"the server can't be read ({name})")


def _wrong(zh: str, en: str) -> SourceError:
    return SourceError(Words(f"sftp：{zh}", f"sftp: {en}"))


def _of_file(name: str, zh: str, en: str) -> SourceError:
    return SourceError(Words(f"{name}：{zh}", f"{name}: {en}"))


def _state(attrs: asyncssh.SFTPAttrs) -> str:
    return f"{attrs.size} {attrs.mtime} {attrs.mtime_ns or 0}"


def _existing(path: Path) -> Path:
    """Where there is no such file the library would take it as a file that names nobody."""
    if not path.is_file():
        raise _wrong("known_hosts所指的文件不存在", "the file known_hosts is not there")
    return path


def _secret(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError), path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise _wrong(f"{path.name}他人可读：请chmod 600", f"{path.name} can be read by others: chmod 600")
        return file.read(_MAX_SECRET_BYTES).decode().strip()
    raise _wrong(f"{path.name}读不到", f"{path.name} can't be read")


def _private_key(path: Path, passphrase: Path | None) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(_secret(path) + "\n", _secret(passphrase) if passphrase else None)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise _wrong(
            f"{path.name}不是私钥，或其口令不对",
            f"{path.name} is no private key, or its passphrase is another",
        ) from None
