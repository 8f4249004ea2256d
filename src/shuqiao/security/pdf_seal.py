"""Signing a PDF with the platform's seal: a PAdES baseline signature that allows no change afterwards.

Source: ETSI EN 319 142-1 (profile B-B: no clock of an authority is asked); our choice, decision 47.
"""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pyhanko.keys import load_certs_from_pemder_data, load_private_key_from_pemder_data
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from shuqiao.security.keys import KeyRefusedError, read_secret_file
from shuqiao.security.seal_files import SealFiles

FIELD = "Seal"


class SealUnusable(Exception):
    """The files of the seal can't be used; the message names the file and holds nothing of it."""


def sign_pdf(content: bytes, files: SealFiles, name: str, reason: str) -> bytes:
    """Return the PDF with the seal's signature; raises `SealUnusable`."""
    signed = BytesIO()
    signers.sign_pdf(
        IncrementalPdfFileWriter(BytesIO(content)),
        signers.PdfSignatureMetadata(
            field_name=FIELD,
            md_algorithm="sha256",
            subfilter=fields.SigSeedSubFilter.PADES,
            certify=True,
            docmdp_permissions=fields.MDPPerm.NO_CHANGES,
            name=name,
            reason=reason,
        ),
        signer=_signer(files),
        output=signed,
    )
    return signed.getvalue()


def _signer(files: SealFiles) -> signers.SimpleSigner:
    try:
        secret = read_secret_file(files.key)
        public = load_pem_private_key(secret, password=None).public_key()
        key = load_private_key_from_pemder_data(secret, passphrase=None)
    except (KeyRefusedError, ValueError, UnsupportedAlgorithm):
        raise SealUnusable(f"the seal's key {files.key} can't be used") from None
    try:
        chain = files.certificate.read_bytes()
        certificate = x509.load_pem_x509_certificate(chain)
        certified = certificate.public_key()
        first, *others = load_certs_from_pemder_data(chain)
    except (OSError, ValueError, UnsupportedAlgorithm):
        raise SealUnusable(f"the seal's certificate {files.certificate} can't be used") from None
    if certified != public:
        raise SealUnusable(f"{files.certificate} is not the certificate of {files.key}")
    if not certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc:
        raise SealUnusable(f"the seal's certificate {files.certificate} is not valid today")
    above = SimpleCertificateStore()  # type: ignore[no-untyped-call] # the library left it so
    above.register_multiple(others)
    return signers.SimpleSigner(signing_cert=first, signing_key=key, cert_registry=above)
