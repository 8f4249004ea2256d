"""An authority for a test, and a server's files that it vouches for."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shuqiao.security.certificates import (
    KeyedCertificate,
    create_authority_certificate,
    issue_server_certificate,
)
from shuqiao.security.tls import TlsFiles

HOSTS = ["localhost", "127.0.0.1"]


@dataclass(frozen=True)
class Place:
    """An authority, and a server's files that it vouches for."""

    authority: KeyedCertificate
    ca_file: Path
    files: TlsFiles

    def issue(self, *names: str) -> KeyedCertificate:
        """Issue another certificate."""
        return issue_server_certificate(self.authority, names or HOSTS, datetime.now(UTC))

    def environment(self, prefix: str) -> dict[str, str]:
        """The settings by which a server uses the files."""
        return {
            f"{prefix}_TLS_CERT_FILE": str(self.files.certificate),
            f"{prefix}_TLS_KEY_FILE": str(self.files.key),
        }

    def put(self, made: KeyedCertificate) -> None:
        """Put certificate and key where the server looks, one after the other as an operator would."""
        replace(self.files.certificate, made.certificate)
        replace(self.files.key, made.key)


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.chmod(0o400)
    fresh.replace(path)


def new_place(folder: Path) -> Place:
    """Make an authority and a server's certificate."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    authority = create_authority_certificate("Sample CA", datetime.now(UTC))
    (folder / "ca.pem").write_bytes(authority.certificate)
    place = Place(authority, folder / "ca.pem", TlsFiles(folder / "server.pem", folder / "server.key"))
    place.put(place.issue())
    return place
