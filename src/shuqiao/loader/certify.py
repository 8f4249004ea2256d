"""Certificates for keys that sign: those of applications that were admitted, and the platform's own.

`python -m shuqiao.loader.certify --secrets FOLDER` with the owner's database in CERTIFY_DATABASE_URL. The
authority's key lies in that folder and with no process that stays, so a certificate is issued by whoever
operates the platform, after two persons admitted the key. May be repeated: it certifies what has none yet.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from shuqiao.security.certificates import (
    KeyedCertificate,
    Signer,
    issue_seal_certificate,
    issue_signer_certificate,
)
from shuqiao.security.keys import load_public_der, read_secret_file, write_secret_file
from shuqiao.security.nats_secrets import load_certificates

PLATFORM = "platform"
_APPLICATIONS = (
    "SELECT id, application, department, public_key FROM exchange.application_key WHERE certificate IS NULL"
)
_PLATFORM = (
    "SELECT id, purpose, public_key FROM exchange.signing_key"
    " WHERE certificate IS NULL AND purpose <> 'vault'"
)


def certify_keys(secrets: Path, database_url: str) -> int:
    """Certify every signing key that has no certificate; return how many got one."""
    certificate = load_certificates(secrets).read_bytes()
    authority = KeyedCertificate(certificate, read_secret_file(secrets / "ca.key"))
    now, issued = datetime.now(UTC), 0
    with psycopg.connect(database_url) as connection:
        wanted = [
            ("exchange.application_key", row[0], Signer(row[1], row[2]), bytes(row[3]))
            for row in connection.execute(_APPLICATIONS)
        ]
        wanted += [
            ("exchange.signing_key", row[0], Signer(row[1], PLATFORM), bytes(row[2]))
            for row in connection.execute(_PLATFORM)
        ]
        for table, number, signer, der in wanted:
            key = load_public_der(der)
            # The library writes no certificate for an SM2 key; a city's own authority does.
            if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
                made = issue_signer_certificate(authority, signer, key, now)
                connection.execute(f"UPDATE {table} SET certificate = %s WHERE id = %s", [made, number])
                issued += 1
    return issued


def make_seal(secrets: Path, body: str = PLATFORM) -> bool:
    """Make the key and certificate of the seal on the platform's documents; False where there is one.

    Where the city has an electronic seal of its own, its files are used in the place of these.
    """
    if (secrets / "seal.key").exists():
        return False
    certificate = load_certificates(secrets).read_bytes()
    authority = KeyedCertificate(certificate, read_secret_file(secrets / "ca.key"))
    made = issue_seal_certificate(authority, body, datetime.now(UTC))
    # The certificate first: a key without one would never get any.
    (secrets / "seal.pem").write_bytes(made.certificate + certificate)
    return write_secret_file(secrets / "seal.key", made.key)


def main() -> int:
    """Certify what has no certificate yet."""
    parser = argparse.ArgumentParser(prog="shuqiao.loader.certify")
    parser.add_argument("--secrets", type=Path, required=True, help="the hub's folder of secrets")
    database_url = os.environ.get("CERTIFY_DATABASE_URL")
    if not database_url:
        print("CERTIFY_DATABASE_URL is not set", file=sys.stderr)
        return 2
    secrets = parser.parse_args().secrets
    print(f"{certify_keys(secrets, database_url)} certificates were issued.")
    if make_seal(secrets):
        print(f"{secrets / 'seal.key'} and seal.pem were made: the seal on the platform's documents.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
