"""What control must be told from outside: one frozen object, every fault reported together."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from shuqiao.control.smtp import Smtp, read_smtp
from shuqiao.rules.checkpoint import is_origin
from shuqiao.rules.files import MOST_VERSIONS, MOST_VERSIONS_EVER
from shuqiao.security.seal_files import SealFiles
from shuqiao.security.suites import INTERNATIONAL, Suite, read_suite
from shuqiao.security.tls import TlsFiles, TlsRefused, client_context, is_loopback, read_tls_files
from shuqiao.security.volumes import VolumeSettings, read_volume_settings

Network = IPv4Network | IPv6Network

MIN_SECRET_CHARS = 50
# The integrator signs checkpoints under this name; both processes must be told the same.
DEFAULT_LOG_ORIGIN = "shuqiao"


class ConfigError(Exception):
    """The environment does not make a usable configuration; `faults` lists every reason."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        """Keep the faults and show them all in the message."""
        self.faults = faults
        super().__init__("control cannot start:\n- " + "\n- ".join(faults))


@dataclass(frozen=True)
class Config:
    """Settings of one control process; legal numbers are never among them."""

    database: Mapping[str, str]
    secret_key: str
    allowed_hosts: tuple[str, ...]
    plane_url: str
    portal_keys: Path
    grant_key_file: Path
    regulation: str
    regulation_fallback: str | None
    # Regulations of the districts that compile by their own, by region.
    districts: Mapping[str, str]
    sample: bool
    behind_tls: bool
    trusted_proxies: tuple[Network, ...]
    # Under which address others name the entries of the catalogue; empty is the one they asked.
    public_url: str
    log_origin: str
    smtp: Smtp | None
    configured: bool
    # Where signed requests are opened for evidence; without it, files hold the proof alone.
    vault_socket: Path | None = None
    vault_key_file: Path | None = None
    # Under what the keys of registered files are wrapped; without it none can be registered.
    files_secret_file: Path | None = None
    # So many versions of one registered file are kept; a further one is refused.
    files_most_versions: int = MOST_VERSIONS
    # What certificates of interconnection are sealed with; without it none can be issued.
    seal: SealFiles | None = None
    # By which suite files are written.
    suite: Suite = INTERNATIONAL
    # Where the servers keep their data, or what is declared about those volumes.
    volumes: VolumeSettings = field(default_factory=VolumeSettings)
    # The pages' own certificate and key; behind a proxy that ends TLS there are none.
    tls: TlsFiles | None = None
    # Who vouches for the plane's certificate; without it, the machine's authorities.
    plane_ca_file: Path | None = None
    # How often what is shared is held against its source; 0 is never by itself.
    reconcile_days: int = 30

    @property
    def is_encrypted(self) -> bool:
        """Readers come over TLS, ours or a proxy's."""
        return self.tls is not None or self.behind_tls


def unconfigured() -> Config:
    """Return a configuration that only serves type checks and management help.

    Its secret is random, its database does not exist and no host is allowed; `wsgi` refuses it.
    """
    return Config(
        database={"dbname": "unconfigured", "host": "unconfigured.invalid"},
        secret_key=secrets.token_urlsafe(MIN_SECRET_CHARS),
        allowed_hosts=(),
        plane_url="http://unconfigured.invalid",
        portal_keys=Path("/nonexistent"),
        grant_key_file=Path("/nonexistent"),
        regulation="",
        regulation_fallback=None,
        districts={},
        sample=False,
        behind_tls=False,
        trusted_proxies=(),
        public_url="",
        log_origin=DEFAULT_LOG_ORIGIN,
        smtp=None,
        configured=False,
    )


def read_config(environ: Mapping[str, str]) -> Config:
    """Read the `SHUQIAO_*` variables; raises `ConfigError` naming every fault at once."""
    faults: list[str] = []
    config = Config(
        database=_database(environ, faults),
        secret_key=_secret(environ, faults),
        allowed_hosts=_hosts(environ, faults),
        plane_url=_plane_url(environ, faults),
        portal_keys=_path(environ, "SHUQIAO_PORTAL_KEYS", faults),
        grant_key_file=_path(environ, "SHUQIAO_GRANT_KEY_FILE", faults),
        regulation=_regulation(environ, faults),
        regulation_fallback=environ.get("SHUQIAO_REGULATION_FALLBACK") or None,
        districts=_districts(environ, faults),
        sample=_flag(environ, "SHUQIAO_SAMPLE", faults),
        behind_tls=_flag(environ, "SHUQIAO_BEHIND_TLS", faults),
        trusted_proxies=_proxies(environ, faults),
        public_url=_public_url(environ, faults),
        log_origin=_origin(environ, faults),
        smtp=read_smtp(environ, faults),
        configured=True,
        vault_socket=_optional_path(environ, "VAULT_SOCKET"),
        vault_key_file=_optional_path(environ, "VAULT_CLIENT_KEY_FILE"),
        files_secret_file=_optional_path(environ, "FILES_SECRET_FILE"),
        files_most_versions=_most_versions(environ, faults),
        seal=_seal(environ, faults),
        suite=_suite(environ, faults),
        volumes=_volumes(environ, faults),
        tls=_tls(environ, faults),
        plane_ca_file=_plane_ca_file(environ, faults),
        reconcile_days=_days(environ, "SHUQIAO_RECONCILE_DAYS", 30, faults),
    )
    if faults:
        raise ConfigError(tuple(faults))
    return config


def _database(environ: Mapping[str, str], faults: list[str]) -> Mapping[str, str]:
    url = environ.get("SHUQIAO_DATABASE_URL", "")
    if not url.startswith(("postgresql://", "postgres://")):
        faults.append("SHUQIAO_DATABASE_URL must be a postgresql:// address")
        return {}
    try:
        return {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError:
        # The driver's message would repeat the address, and with it the password.
        faults.append("SHUQIAO_DATABASE_URL cannot be parsed")
        return {}


def _tls(environ: Mapping[str, str], faults: list[str]) -> TlsFiles | None:
    try:
        return read_tls_files(environ, "SHUQIAO")
    except TlsRefused as error:
        faults.append(str(error))
        return None


def _volumes(environ: Mapping[str, str], faults: list[str]) -> VolumeSettings:
    try:
        return read_volume_settings(environ)
    except ValueError as error:
        faults.append(str(error))
        return VolumeSettings()


def _most_versions(environ: Mapping[str, str], faults: list[str]) -> int:
    text = environ.get("FILES_MOST_VERSIONS") or str(MOST_VERSIONS)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_VERSIONS_EVER):
        faults.append(f"FILES_MOST_VERSIONS must be a number from 1 to {MOST_VERSIONS_EVER}")
        return MOST_VERSIONS
    return int(text)


def _seal(environ: Mapping[str, str], faults: list[str]) -> SealFiles | None:
    key = _optional_path(environ, "SHUQIAO_SEAL_KEY_FILE")
    certificate = _optional_path(environ, "SHUQIAO_SEAL_CERTIFICATE_FILE")
    if (key is None) != (certificate is None):
        faults.append("SHUQIAO_SEAL_KEY_FILE and SHUQIAO_SEAL_CERTIFICATE_FILE are set together")
    return SealFiles(key, certificate) if key and certificate else None


def _days(environ: Mapping[str, str], name: str, default: int, faults: list[str]) -> int:
    text = environ.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,3}", text):
        faults.append(f"{name} must be a whole number of days from 0 to 999")
        return default
    return int(text)


def _optional_path(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None


def _suite(environ: Mapping[str, str], faults: list[str]) -> Suite:
    try:
        return read_suite(environ)
    except ValueError as error:
        faults.append(str(error))
        return INTERNATIONAL


def _secret(environ: Mapping[str, str], faults: list[str]) -> str:
    path = _path(environ, "SHUQIAO_SECRET_KEY_FILE", faults)
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        faults.append("SHUQIAO_SECRET_KEY_FILE cannot be read")
        return ""
    if len(secret) < MIN_SECRET_CHARS:
        faults.append(f"SHUQIAO_SECRET_KEY_FILE must hold at least {MIN_SECRET_CHARS} characters")
    return secret


def _hosts(environ: Mapping[str, str], faults: list[str]) -> tuple[str, ...]:
    hosts = tuple(
        host.strip() for host in environ.get("SHUQIAO_ALLOWED_HOSTS", "").split(",") if host.strip()
    )
    if not hosts or "*" in hosts:
        faults.append(
            "SHUQIAO_ALLOWED_HOSTS must name the hosts of the pages, separated by commas, without *"
        )
    return hosts


def _proxies(environ: Mapping[str, str], faults: list[str]) -> tuple[Network, ...]:
    given = [part.strip() for part in environ.get("SHUQIAO_TRUSTED_PROXIES", "").split(",") if part.strip()]
    try:
        return tuple(ip_network(part) for part in given)
    except ValueError:
        faults.append(
            "SHUQIAO_TRUSTED_PROXIES must hold addresses or networks such as 10.1.0.0/24, with commas"
        )
        return ()


def _plane_url(environ: Mapping[str, str], faults: list[str]) -> str:
    url = environ.get("SHUQIAO_PLANE_URL", "").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        faults.append("SHUQIAO_PLANE_URL must be an http(s) address of the plane")
    elif parts.scheme == "http" and not is_loopback(parts.hostname):
        # Pages show what they read there; it may not cross a network in clear.
        faults.append("SHUQIAO_PLANE_URL must begin with https:// unless the plane is on this machine")
    return url


def _plane_ca_file(environ: Mapping[str, str], faults: list[str]) -> Path | None:
    path = _optional_path(environ, "SHUQIAO_PLANE_CA_FILE")
    try:
        client_context(path)
    except TlsRefused as error:
        faults.append(f"SHUQIAO_PLANE_CA_FILE: {error}")
    return path


def _public_url(environ: Mapping[str, str], faults: list[str]) -> str:
    url = environ.get("SHUQIAO_PUBLIC_URL", "").rstrip("/")
    parts = urlsplit(url)
    plain = parts.scheme in ("http", "https") and parts.hostname and not (parts.path or parts.query)
    if url and not plain:
        faults.append("SHUQIAO_PUBLIC_URL must be an http(s) address without a path")
    return url


def _path(environ: Mapping[str, str], name: str, faults: list[str]) -> Path:
    value = environ.get(name, "")
    if not value:
        faults.append(f"{name} is not set")
    return Path(value)


def _origin(environ: Mapping[str, str], faults: list[str]) -> str:
    origin = environ.get("SHUQIAO_LOG_ORIGIN", DEFAULT_LOG_ORIGIN)
    if not is_origin(origin):
        faults.append("SHUQIAO_LOG_ORIGIN must be the name of the audit log in visible ASCII")
    return origin


def _regulation(environ: Mapping[str, str], faults: list[str]) -> str:
    name = environ.get("SHUQIAO_REGULATION", "")
    if not name:
        # Whose rules hold is never a guess.
        faults.append("SHUQIAO_REGULATION must name the regulation in force, a file of regulations/")
    return name


def _districts(environ: Mapping[str, str], faults: list[str]) -> Mapping[str, str]:
    given = [part.strip() for part in environ.get("SHUQIAO_DISTRICTS", "").split(",") if part.strip()]
    pairs = [part.partition("=") for part in given]
    found = {region.strip(): name.strip() for region, _, name in pairs}
    if len(found) < len(given) or not all(
        name and len(region) == 6 and region.isascii() and region.isdigit() for region, name in found.items()
    ):
        faults.append("SHUQIAO_DISTRICTS must pair regions with regulations, REGION=REGULATION, with commas")
        return {}
    return found


def _flag(environ: Mapping[str, str], name: str, faults: list[str]) -> bool:
    value = environ.get(name, "0")
    if value not in ("0", "1"):
        faults.append(f"{name} must be 0 or 1")
    return value == "1"
