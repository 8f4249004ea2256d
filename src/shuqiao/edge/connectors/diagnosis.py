"""Why a source can't be reached or read, and what to do: told by the driver's class, number or state alone.

The text of a driver's error is never shown: it may quote a row, a statement or a password.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

from shuqiao.edge.connectors import SourceError
from shuqiao.edge.words import Words

_NO_NAME = Words(
    "找不到主机名，请检查地址或本机的域名解析",
    "no machine has this name: look at the address, or at this machine's name service",
)
_REFUSED = Words(
    "该地址和端口没有服务，请检查主机和端口，以及对方是否在运行并接受网络连接",
    "nothing answers at this address and port: look at both, and whether the other side runs and listens",
)
_SILENT = Words(
    "没有按时应答，请检查网络和防火墙",
    "it doesn't answer in time: look at the network and its firewalls",
)
_UNREACHABLE = Words("网络不通，请检查路由和防火墙", "no way leads there: look at routes and firewalls")
_TLS = Words(
    "加密连接未建立，请检查对方证书及所信任的机构",
    "the encrypted connection fails: look at its certificate and at the authority that is trusted",
)
_PASSWORD = Words(
    "用户名或密码不被接受，请检查地址中的用户名和密码（特殊字符须转写，如@写作%40）",
    "user or password is refused: look at both in the address (special characters are written %40 and so on)",
)
_NOT_ADMITTED = Words(
    "服务器不允许此用户从本机连接，请数据库管理员放行（PostgreSQL为pg_hba.conf）",
    "the server doesn't let this user in from here: ask its administrator (PostgreSQL: pg_hba.conf)",
)
_NO_DATABASE = Words(
    "没有这个数据库，请检查地址末尾的名称", "there is no such database: look at the address's end"
)
_NO_RIGHT = Words(
    "该用户没有所需的权限，请数据库管理员授予（读取为SELECT）",
    "this user lacks the right: ask the administrator to grant it (to read, GRANT SELECT)",
)
_NO_LOG = Words(
    "该用户无权读取日志，请数据库管理员执行 GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.*"
    "（MariaDB为BINLOG MONITOR）",
    "this user may not read the log: ask the administrator to GRANT REPLICATION SLAVE, REPLICATION CLIENT ON"
    " *.* (MariaDB: BINLOG MONITOR)",
)
_TOO_MANY = Words("服务器的连接已满，稍后自动再试", "the server has no connection left; it is tried again")
_STARTING = Words("数据库正在启动或停止，稍后自动再试", "the database starts or stops; it is tried again")
_LOST = Words("连接中断，稍后自动再试", "the connection was lost; it is tried again")
_SLOW = Words(
    "语句超时，请检查键和变更时间是否有索引",
    "the statement took too long: look whether key and time of change have an index",
)
_NO_FILE = Words(
    "文件打不开，请检查路径及本用户的读取权限",
    "the file can't be opened: look at its path and whether this user may read it",
)
_NO_SQLITE = Words("这个文件不是SQLite数据库", "the file is no SQLite database")
_LOCKED = Words("文件被其他程序锁住，稍后自动再试", "another program locks the file; it is tried again")
_DAMAGED = Words("文件已损坏", "the file is damaged")

_STATES: Mapping[str, Words] = {
    "28P01": _PASSWORD,
    "28000": _NOT_ADMITTED,
    "3D000": _NO_DATABASE,
    "42501": _NO_RIGHT,
    "53300": _TOO_MANY,
    "57P01": _STARTING,
    "57P02": _STARTING,
    "57P03": _STARTING,
    "57014": _SLOW,
}
"""PostgreSQL's states. Source: its manual, appendix A."""

_NUMBERS: Mapping[int, Words] = {
    1040: _TOO_MANY,
    1044: _NO_RIGHT,
    1045: _PASSWORD,
    1049: _NO_DATABASE,
    1130: _NOT_ADMITTED,
    1142: _NO_RIGHT,
    1143: _NO_RIGHT,
    1203: _TOO_MANY,
    1227: _NO_LOG,
    1698: _PASSWORD,
    2006: _LOST,
    2013: _LOST,
}
"""Numbers of MySQL and MariaDB. Source: MariaDB's list of error codes."""

_NAMES: Mapping[str, Words] = {
    "SQLITE_CANTOPEN": _NO_FILE,
    "SQLITE_PERM": _NO_FILE,
    "SQLITE_AUTH": _NO_FILE,
    "SQLITE_NOTADB": _NO_SQLITE,
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_CORRUPT": _DAMAGED,
}


def diagnose(error: BaseException) -> SourceError:
    """Return the fault with its reason, what to do, and the driver's own short name for it at the end."""
    told = what_failed(error)
    return SourceError(Words(f"来源数据库：{told.zh}", f"the source database: {told.en}"))


def what_failed(error: BaseException) -> Words:
    """Say why a database doesn't do what is asked; the driver's name for it alone where nothing is known."""
    found, name = _reason(error), _name(error)
    return Words(name, name) if found is None else Words(f"{found.zh}（{name}）", f"{found.en} ({name})")


def network_reason(error: BaseException | None) -> Words | None:
    """Say why a connection over the network failed, None where it is not for that."""
    match error:
        case socket.gaierror():
            return _NO_NAME
        case ssl.SSLError():
            return _TLS
        case ConnectionRefusedError():
            return _REFUSED
        case ConnectionError():
            return _LOST
        case TimeoutError():
            return _SILENT
        case OSError() if error.errno in _UNREACHABLE_NUMBERS:
            return _UNREACHABLE
    return None


_UNREACHABLE_NUMBERS = (101, 113)
"""ENETUNREACH and EHOSTUNREACH."""


def _reason(error: BaseException) -> Words | None:
    # Before the state: MySQL's errors have one too, which says less.
    if (number := _number(error)) in _NUMBERS:
        return _NUMBERS[number]
    if (state := getattr(error, "sqlstate", None)) in _STATES:
        return _STATES[str(state)]
    if name := getattr(error, "sqlite_errorname", ""):
        return _NAMES.get(name)
    # PyMySQL keeps what the network said apart.
    return network_reason(getattr(error, "original_exception", None)) or network_reason(error)


def _number(error: BaseException) -> int:
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) and not isinstance(error, OSError) else 0


def _name(error: BaseException) -> str:
    known = getattr(error, "sqlite_errorname", "")
    if known:
        return str(known)
    detail = _number(error) or getattr(error, "sqlstate", None) or ""
    return f"{type(error).__name__} {detail}".rstrip()
