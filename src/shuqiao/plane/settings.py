"""Settings of the plane, read once from the environment; all faults are reported together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shuqiao.plane.bulk.settings import BulkSettingsFaulty, Spool, read_pooler, read_spool
from shuqiao.plane.interface.settings import RelaySettings, RelaySettingsFaulty, read_relay
from shuqiao.security import keys
from shuqiao.security.pieces import StoreSecrets, link_secret, read_wrapping
from shuqiao.security.tls import RenewedTls, TlsRefused, read_tls_files

T = TypeVar("T")

MAX_BODY_BYTES = 1024 * 1024
BODY_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 5.0
MAX_BATCH = 128
MAX_LANES = 16
MAX_WAITING = 4096
MAX_WAITING_BATCHES = 32
GUESS_LIMITS = (10, 50)
NODE_TIMEOUT_S, MIN_NODE_TIMEOUT_S, MAX_NODE_TIMEOUT_S = 5.0, 0.2, 30.0
MAX_GUESSES = 1_000_000
MAX_GUESS_DELAY_S = 10.0
CALLS_PER_S = 10_000
MOST = 1_000_000


class SettingsFaulty(Exception):
    """The environment can't be used; the message names every fault."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker of the plane needs to know.

    `authorities` are the names this plane answers to: a request signed for another platform is refused.
    `lanes` is the number of statements a worker has under way at once. `guess_limits` are the claims about
    one item of one subject that may disagree in a day, from one department and from all together, before a
    case number is demanded; calls beyond are answered `guess_delay_s` later. Without a `spool` no copies are
    handed out, without a `relay` no calls are passed on to interfaces, without `files` none are given.
    `calls_per_s` is what one application may call of one worker, `max_waiting` the calls that may wait in
    one for the database; what is beyond either is turned away at once. `is_pooled` says that the database's
    address is a pooler's in transaction mode. A department's node has `node_timeout_s` to answer for data
    that stay with it. Without `tls` the plane speaks in clear, on loopback or behind a declared proxy.
    """

    database_url: str
    vault_socket: Path
    vault_key: bytes
    promise_key: Ed25519PrivateKey
    session_key: bytes
    authorities: frozenset[str]
    lanes: int = 2
    guess_limits: tuple[int, int] = GUESS_LIMITS
    guess_delay_s: float = 1.0
    spool: Spool | None = None
    calls_per_s: int = CALLS_PER_S
    max_waiting: int = MAX_WAITING
    is_pooled: bool = False
    relay: RelaySettings | None = None
    files: StoreSecrets | None = None
    node_timeout_s: float = NODE_TIMEOUT_S
    tls: RenewedTls | None = None
    is_behind_proxy: bool = False


def _promise_key(path: Path) -> Ed25519PrivateKey:
    key = keys.load_signing_key(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise keys.KeyRefusedError(f"{path} does not hold an Ed25519 key")
    return key


def _authorities(text: str) -> frozenset[str]:
    names = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError("names no host")
    return names


def _lanes(text: str) -> int:
    lanes = int(text)
    if not 1 <= lanes <= MAX_LANES:
        raise ValueError(f"must lie between 1 and {MAX_LANES}")
    return lanes


def _number(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST:
        raise ValueError(f"must lie between 1 and {MOST}")
    return number


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"


def _guess_limits(text: str) -> tuple[int, int]:
    own, everywhere = (int(part) for part in text.split(","))
    if not 1 <= own <= everywhere <= MAX_GUESSES:
        raise ValueError(f"must be two rising numbers between 1 and {MAX_GUESSES}")
    return own, everywhere


def _node_timeout_s(text: str) -> float:
    timeout_s = float(text)
    if not MIN_NODE_TIMEOUT_S <= timeout_s <= MAX_NODE_TIMEOUT_S:
        raise ValueError(f"must lie between {MIN_NODE_TIMEOUT_S} and {MAX_NODE_TIMEOUT_S}")
    return timeout_s


def _guess_delay_s(text: str) -> float:
    delay_s = float(text)
    if not 0 <= delay_s <= MAX_GUESS_DELAY_S:
        raise ValueError(f"must lie between 0 and {MAX_GUESS_DELAY_S}")
    return delay_s


class _Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.faults: list[str] = []

    def read(self, name: str, parse: Callable[[str], T], default: str | None = None) -> T | None:
        text = self.environment.get(name, default)
        if not text:
            self.faults.append(f"{name} is not set")
            return None
        try:
            return parse(text)
        except (ValueError, OSError, keys.KeyRefusedError) as error:
            self.faults.append(f"{name}: {error}")
            return None


def _there(value: T | None) -> T:
    """Give a value that was read; what wasn't is among the faults, which are told before this."""
    if value is None:
        raise SettingsFaulty("a setting was not read")
    return value


def _spool(reader: _Reader) -> Spool | None:
    try:
        return read_spool(reader.environment)
    except BulkSettingsFaulty as error:
        reader.faults.append(str(error))
        return None


def _relay(reader: _Reader) -> RelaySettings | None:
    try:
        return read_relay(reader.environment)
    except (RelaySettingsFaulty, OSError) as error:
        reader.faults.append(str(error))
        return None


def _tls(reader: _Reader) -> RenewedTls | None:
    try:
        files = read_tls_files(reader.environment, "PLANE")
        return RenewedTls(files) if files is not None else None
    except TlsRefused as error:
        reader.faults.append(str(error))
        return None


def _files(reader: _Reader, session_key: bytes | None) -> StoreSecrets | None:
    """Control has the file too, so links are made with a secret of all the plane's workers and no other."""
    name = "FILES_SECRET_FILE"
    if not reader.environment.get(name):
        return None
    wrapping = reader.read(name, lambda text: read_wrapping(Path(text)))
    return StoreSecrets(wrapping, link_secret(session_key)) if wrapping and session_key else None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read and check everything; raises `SettingsFaulty` with all faults at once."""
    reader = _Reader(environment)
    database_url = reader.read("PLANE_DATABASE_URL", str)
    vault_socket = reader.read("VAULT_SOCKET", Path)
    vault_key = reader.read("VAULT_CLIENT_KEY_FILE", lambda text: keys.load_secret_file(Path(text)))
    promise_key = reader.read("PLANE_PROMISE_KEY_FILE", lambda text: _promise_key(Path(text)))
    session_key = reader.read("PLANE_SESSION_KEY_FILE", lambda text: keys.load_secret_file(Path(text)))
    authorities = reader.read("PLANE_AUTHORITIES", _authorities)
    lanes = reader.read("PLANE_LANES", _lanes, "2")
    guess_limits = reader.read("PLANE_GUESS_LIMITS", _guess_limits, ",".join(map(str, GUESS_LIMITS)))
    guess_delay_s = reader.read("PLANE_GUESS_DELAY_S", _guess_delay_s, "1.0")
    calls_per_s = reader.read("PLANE_CALLS_PER_S", _number, str(CALLS_PER_S))
    max_waiting = reader.read("PLANE_MAX_WAITING", _number, str(MAX_WAITING))
    is_pooled = reader.read("PLANE_DATABASE_POOLER", read_pooler, "none")
    node_timeout_s = reader.read("PLANE_NODE_TIMEOUT_S", _node_timeout_s, str(NODE_TIMEOUT_S))
    is_behind_proxy = reader.read("PLANE_BEHIND_PROXY", _flag, "0")
    spool, relay, files = _spool(reader), _relay(reader), _files(reader, session_key)
    tls = _tls(reader)
    if reader.faults:
        raise SettingsFaulty("; ".join(reader.faults))
    return Settings(
        _there(database_url),
        _there(vault_socket),
        _there(vault_key),
        _there(promise_key),
        _there(session_key),
        _there(authorities),
        _there(lanes),
        _there(guess_limits),
        _there(guess_delay_s),
        spool,
        _there(calls_per_s),
        _there(max_waiting),
        _there(is_pooled),
        relay,
        files,
        _there(node_timeout_s),
        tls,
        _there(is_behind_proxy),
    )
