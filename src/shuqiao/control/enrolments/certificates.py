"""Reading a certificate signing request (PKCS#10): the key in it, and that its holder signed for this system.

The library reads every part of a request but keys and signatures of the SM2 curve, which it doesn't know:
those are taken out of the signed part here and checked by `security.sm2`.

Source: RFC 2986; GB/T 32918; our choice, decision 31.
`openssl req -new -key app.key -subj /CN=app-water-billing` makes one, for an SM2 key with `-sm3
-sigopt distid:1234567812345678` besides.
"""

from dataclasses import dataclass
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from shuqiao.security import keys, sm2
from shuqiao.security.sm2 import Sm2PublicKey

MAX_CHARS = 8192
SM2_WITH_SM3 = x509.ObjectIdentifier("1.2.156.10197.1.501")


@asn1.sequence
class _Information:
    """The signed part of a request (RFC 2986, 4.1), read as far as needed: its third part is the key."""

    version: int
    subject: asn1.TLV
    public_key: asn1.TLV
    attributes: Annotated[asn1.SetOf[asn1.TLV], asn1.Implicit(0)]


@dataclass(frozen=True)
class ReadRequest:
    """What a request holds: the name it was made for, and the key as SubjectPublicKeyInfo DER."""

    name: str
    algorithm: str
    public_key: bytes


class RequestUnusable(Exception):
    """The text is no request that can be used; `code` says why: malformed, key_type, unproved or no_name."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        self.code = code
        super().__init__(code)


def read_request(text: str) -> ReadRequest:
    """Read a PEM request and check that it is signed with the key it holds.

    Only Ed25519, ECDSA on P-256 and SM2 are taken: what calls are signed with. Raises `RequestUnusable`.
    """
    if len(text) > MAX_CHARS:
        raise RequestUnusable("malformed")
    try:
        request = x509.load_pem_x509_csr(text.strip().encode("ascii"))
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        is_sm2 = request.signature_algorithm_oid == SM2_WITH_SM3
    except (ValueError, x509.InvalidVersion):
        raise RequestUnusable("malformed") from None
    key = _proved_sm2_key(request) if is_sm2 else _proved_key(request)
    if len(names) != 1:
        raise RequestUnusable("no_name")
    return ReadRequest(str(names[0].value), keys.algorithm_of(key), keys.public_der(key))


def _proved_key(request: x509.CertificateSigningRequest) -> keys.VerifyingKey:
    try:
        proved = request.is_signature_valid
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise RequestUnusable("malformed") from None
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise RequestUnusable("key_type")
    if isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1):
        raise RequestUnusable("key_type")
    if not proved:
        raise RequestUnusable("unproved")
    return key


def _proved_sm2_key(request: x509.CertificateSigningRequest) -> Sm2PublicKey:
    signed = request.tbs_certrequest_bytes
    try:
        key = sm2.load_public_der(asn1.encode_der(asn1.decode_der(_Information, signed).public_key))
    except sm2.Sm2Unusable:
        raise RequestUnusable("key_type") from None
    except ValueError:
        raise RequestUnusable("malformed") from None
    try:
        r, s = decode_dss_signature(request.signature)
        proved = key.verify(r.to_bytes(32, "big") + s.to_bytes(32, "big"), signed)
    except (ValueError, OverflowError):
        proved = False
    if not proved:
        raise RequestUnusable("unproved")
    return key
