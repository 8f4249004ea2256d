"""Where notices are mailed: the `SHUQIAO_SMTP_*` variables, or nowhere but the worker's own output."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 20
"""A server that does not answer in this time has refused."""
DEFAULT_FROM = "shuqiao@localhost"

_PORTS = {"none": 25, "starttls": 587, "tls": 465}
_ADDRESS = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,190}", re.ASCII)


@dataclass(frozen=True)
class Smtp:
    """A mail server. `tls` is starttls, tls (from the first byte) or none; without a user nobody signs in."""

    host: str
    port: int
    tls: str
    user: str
    password: str
    sender: str


def read_smtp(environ: Mapping[str, str], faults: list[str]) -> Smtp | None:
    """Read the mail server; None where no host is named. Adds every fault to `faults`."""
    host = environ.get("SHUQIAO_SMTP_HOST", "").strip()
    if not host:
        return None
    tls = environ.get("SHUQIAO_SMTP_TLS", "starttls")
    if tls not in _PORTS:
        faults.append("SHUQIAO_SMTP_TLS must be starttls, tls or none")
    port = environ.get("SHUQIAO_SMTP_PORT", str(_PORTS.get(tls, 587)))
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        faults.append("SHUQIAO_SMTP_PORT must be a port number")
        port = "0"
    sender = environ.get("SHUQIAO_SMTP_FROM", "")
    if not _ADDRESS.fullmatch(sender):
        faults.append("SHUQIAO_SMTP_FROM must be the address that notices come from")
    user = environ.get("SHUQIAO_SMTP_USER", "")
    if user and tls == "none":
        faults.append("SHUQIAO_SMTP_TLS must not be none where SHUQIAO_SMTP_USER signs in")
    return Smtp(host, int(port), tls, user, _password(environ, user, faults), sender)


def _password(environ: Mapping[str, str], user: str, faults: list[str]) -> str:
    if not user:
        return ""
    path = Path(environ.get("SHUQIAO_SMTP_PASSWORD_FILE", ""))
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        faults.append("SHUQIAO_SMTP_PASSWORD_FILE cannot be read")
        return ""
