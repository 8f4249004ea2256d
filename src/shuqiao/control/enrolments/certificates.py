"""Reading a certificate signing request (PKCS#10): the key in it, and that its holder signed for this system.

Source: RFC 2986; `openssl req -new -key app.key -subj /CN=app-water-billing` makes one.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID

from shuqiao.security import keys

MAX_CHARS = 8192


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

    Only Ed25519 and ECDSA on P-256 are taken: what calls are signed with. Raises `RequestUnusable`.
    """
    if len(text) > MAX_CHARS:
        raise RequestUnusable("malformed")
    try:
        request = x509.load_pem_x509_csr(text.strip().encode("ascii"))
        proved = request.is_signature_valid
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm, InvalidSignature, x509.InvalidVersion):
        raise RequestUnusable("malformed") from None
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
        raise RequestUnusable("key_type")
    if isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1):
        raise RequestUnusable("key_type")
    if not proved:
        raise RequestUnusable("unproved")
    names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        raise RequestUnusable("no_name")
    return ReadRequest(str(names[0].value), keys.algorithm_of(key), keys.public_der(key))
