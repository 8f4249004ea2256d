"""A small private certificate authority and the server certificates it issues.

For one hub on its own: where the city has an authority of its own, its certificates are used instead.
Besides servers the authority certifies keys that sign: the applications' and the platform's own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
SERVER_DAYS = 825
_BACKDATE = timedelta(hours=1)
_ORGANIZATION = NameOID.ORGANIZATION_NAME
_SERVER, _PEER = [ExtendedKeyUsageOID.SERVER_AUTH], [ExtendedKeyUsageOID.CLIENT_AUTH]
CertifiedKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True)
class KeyedCertificate:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def create_authority_certificate(name: str, now: datetime) -> KeyedCertificate:
    """Create a self-signed authority that may sign server certificates and no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = (
        _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return KeyedCertificate(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def issue_server_certificate(
    authority: KeyedCertificate, hosts: Sequence[str], now: datetime, *, is_peer: bool = False
) -> KeyedCertificate:
    """Issue a certificate with a new key for a server reached under these host names and addresses.

    One that `is_peer` also shows it where it asks another server of its own kind.
    """
    signer = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic-curve key")
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(hosts[0]), issuer.subject, key.public_key(), now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_SERVER + (_PEER if is_peer else [])), critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    return KeyedCertificate(_pem(builder.sign(signer, hashes.SHA256())), _key_pem(key))


@dataclass(frozen=True)
class Signer:
    """Who a certificate says a signing key belongs to: a name, and the body or purpose it signs for."""

    name: str
    body: str


def issue_signer_certificate(
    authority: KeyedCertificate, signer: Signer, public_key: CertifiedKey, now: datetime
) -> bytes:
    """Certify that a key signs for somebody; DER. The key's holder proved possession when it was enrolled."""
    own = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(own, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic-curve key")
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, signer.body),
            x509.NameAttribute(NameOID.COMMON_NAME, signer.name),
        ]
    )
    builder = (
        _builder(name, issuer.subject, public_key, now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key()), critical=False)
    )
    return builder.sign(own, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def issue_seal_certificate(authority: KeyedCertificate, body: str, now: datetime) -> KeyedCertificate:
    """Issue a certificate with a new key that seals documents of a body, and may do nothing else."""
    own = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(own, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic-curve key")
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(body), issuer.subject, key.public_key(), now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False, commits=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key()), critical=False)
    )
    return KeyedCertificate(_pem(builder.sign(own, hashes.SHA256())), _key_pem(key))


def certified_signer(
    certificate: bytes, public_der: bytes, authorities: Sequence[x509.Certificate], at: datetime
) -> Signer | None:
    """Say whose key an authority certified, or None: another key, authority, time or kind of certificate."""
    try:
        read = x509.load_der_x509_certificate(certificate)
        own = read.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        usage = read.extensions.get_extension_for_class(x509.KeyUsage).value
        names = [read.subject.get_attributes_for_oid(oid) for oid in (_ORGANIZATION, NameOID.COMMON_NAME)]
    except (ValueError, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return None
    in_time = read.not_valid_before_utc <= at <= read.not_valid_after_utc
    if own != public_der or not in_time or not usage.digital_signature or [len(n) for n in names] != [1, 1]:
        return None
    if not any(_issued(read, authority) for authority in authorities):
        return None
    return Signer(str(names[1][0].value), str(names[0][0].value))


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return constraints.ca


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertifiedKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    start = now.astimezone(UTC) - _BACKDATE
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool, commits: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=commits,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
