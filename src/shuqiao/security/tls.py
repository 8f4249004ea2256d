"""TLS of our own servers and towards others: which versions, whose files, and certificates that are renewed.

Source: our choice, decision 32; guangzhou-2016 art. 38(1)
"""

from __future__ import annotations

import ipaddress
import logging
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509

from shuqiao.security import keys

MAX_CERTIFICATES_BYTES = 64 * 1024
SOON = timedelta(days=14)
_PKCS8 = b"-----BEGIN PRIVATE KEY-----"
_ENCRYPTED_MODES = ("require", "verify-ca", "verify-full")
# What TLS 1.2 may use; the suites of TLS 1.3 are all of this kind.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsRefused(ValueError):
    """Certificate and key can't be used; the message says why, and holds nothing of the key."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a server's certificate lies, with those between it and its authority, and its key."""

    certificate: Path
    key: Path

    def stamp(self) -> tuple[int, ...]:
        """Tell whether the files are still the same ones; raises OSError."""
        found = [path.stat() for path in (self.certificate, self.key)]
        return tuple(number for status in found for number in (status.st_ino, status.st_mtime_ns))


def read_tls_files(environment: Mapping[str, str], prefix: str) -> TlsFiles | None:
    """Read PREFIX_TLS_CERT_FILE and PREFIX_TLS_KEY_FILE: both or none. Raises `TlsRefused`."""
    names = (f"{prefix}_TLS_CERT_FILE", f"{prefix}_TLS_KEY_FILE")
    certificate, key = (environment.get(name, "") for name in names)
    if not certificate and not key:
        return None
    if not certificate or not key:
        raise TlsRefused(f"{names[0]} and {names[1]} must both be set, or neither")
    return TlsFiles(Path(certificate), Path(key))


def ends_at(files: TlsFiles) -> datetime:
    """Say until when the certificate holds; raises `TlsRefused` for one that can't be read or has ended."""
    try:
        with files.certificate.open("rb") as file:
            read = x509.load_pem_x509_certificates(file.read(MAX_CERTIFICATES_BYTES))
    except (OSError, ValueError) as error:
        raise TlsRefused(f"{files.certificate} is no readable PEM certificate") from error
    ends = read[0].not_valid_after_utc
    if ends <= datetime.now(UTC):
        raise TlsRefused(f"the certificate in {files.certificate} ended on {ends:%Y-%m-%d}")
    return ends


def tell_end(files: TlsFiles, log: logging.Logger) -> None:
    """Log until when the certificate holds, as a warning where that is soon."""
    ends = ends_at(files)
    level = logging.WARNING if ends - datetime.now(UTC) < SOON else logging.INFO
    log.log(level, "certificate_holds until=%s", ends.date())


def check_key_file(path: Path) -> None:
    """Refuse a key that others could read, or that isn't plain PKCS #8; raises `TlsRefused`."""
    try:
        content = keys.read_secret_file(path)
    except keys.KeyRefusedError as error:
        raise TlsRefused(str(error)) from error
    if _PKCS8 not in content:
        raise TlsRefused(f"{path} must hold an unencrypted PKCS #8 key: openssl pkcs8 -topk8 -nocrypt")


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Make the context of a server: TLS 1.3, or 1.2 with forward secrecy. Raises `TlsRefused`."""
    check_key_file(files.key)
    ends_at(files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # A peer of TLS 1.2 could otherwise ask for one costly handshake after the other on its connection.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ValueError) as error:
        raise TlsRefused(f"{files.certificate} and {files.key} don't belong together") from error
    return context


def client_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Make the context of a client: it trusts this authority alone, or without one the machine's.

    Raises `TlsRefused` where the file can't be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise TlsRefused(f"{ca_file} is no readable PEM certificate of an authority") from error


class RenewedTls:
    """A server's TLS whose files may be replaced while it runs; for one thread.

    Files that don't fit, such as a new certificate beside the old key, change nothing: the old ones go on.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Load the files; raises `TlsRefused`."""
        self.files = files
        self.context = server_context(files)
        self._stamp = files.stamp()

    def renew(self) -> bool:
        """Load files that have changed since the last look; true if they did. Raises `TlsRefused`."""
        try:
            stamp = self.files.stamp()
        except OSError as error:
            raise TlsRefused(f"{error.filename}: {error.strerror}") from error
        if stamp == self._stamp:
            return False
        # Noted before they are read: files that change meanwhile are looked at once more.
        self._stamp = stamp
        self.context = server_context(self.files)
        return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address or name."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def open_address_fault(host: str, prefix: str, declaration: str) -> str | None:
    """Say why a server without TLS may not listen on an address, unless only this machine can reach it."""
    if is_loopback(host):
        return None
    return (
        f"others would reach {host} without encryption: set {prefix}_TLS_CERT_FILE and {prefix}_TLS_KEY_FILE,"
        f" or declare with {declaration}=1 that a proxy before it ends TLS"
    )


def tell_database(url: str, log: logging.Logger) -> None:
    """Log a warning for a database on another machine that may be asked in clear; the address isn't told.

    What only may be encrypted (libpq's `prefer`) counts as clear: whoever stands between decides.
    """
    parts = urlsplit(url)
    given = parse_qs(parts.query)
    place = parts.netloc.rpartition("@")[2] or given.get("host", [""])[0]
    hosts = [re.sub(r":\d*$", "", host) for host in place.split(",")]
    far = [host for host in hosts if host and host[0] not in "/%" and not is_loopback(host)]
    if far and given.get("sslmode", [""])[-1] not in _ENCRYPTED_MODES:
        log.warning(
            "database_in_clear host=%s: add sslmode=verify-full&sslrootcert=FILE to its address", far[0]
        )
