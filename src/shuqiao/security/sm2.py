"""SM2 signatures (GB/T 32918) over SM3, behind the same words as the other keys.

The curve is not one that `cryptography` knows, so the two forms a key is stored in, SubjectPublicKeyInfo and
PKCS #8, are written and read here; the arithmetic is GmSSL's. Signatures are r || s, 64 bytes, as RFC 9421
sends those of P-256. The signer's id is the standard's default.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

SIGNER_ID = b"1234567812345678"
_COORDINATE_BYTES = 32
_POINT_BYTES = 2 * _COORDINATE_BYTES
# SEQUENCE { SEQUENCE { id-ecPublicKey, sm2p256v1 }, BIT STRING (no unused bits, uncompressed point) }
_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
# SEQUENCE { 0, the same algorithm, OCTET STRING { SEQUENCE { 1, OCTET STRING d, [1] { point } } } }
_PKCS8_HEAD = bytes.fromhex("308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b0201010420")
_PKCS8_MIDDLE = bytes.fromhex("a14403420004")
_PEM = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----")


class Sm2Unusable(ValueError):
    """Bytes that are no SM2 key of the one form this project stores."""


@dataclass(frozen=True, slots=True)
class Sm2PublicKey:
    """A public key: both coordinates of its point, 64 bytes."""

    point: bytes

    def der(self) -> bytes:
        """SubjectPublicKeyInfo DER."""
        return _SPKI + self.point

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` (r || s) is this key's over `message`."""
        import gmssl_pyx

        if len(signature) != _POINT_BYTES:
            return False
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        try:
            return bool(
                gmssl_pyx.sm2_verify(self.point, message, encode_dss_signature(r, s), signer_id=SIGNER_ID)
            )
        except (gmssl_pyx.GmsslInnerError, gmssl_pyx.InvalidValueError):
            return False


@dataclass(frozen=True, slots=True, repr=False)
class Sm2PrivateKey:
    """A private key; `repr` doesn't show it."""

    scalar: bytes
    point: bytes

    def public_key(self) -> Sm2PublicKey:
        """The public half."""
        return Sm2PublicKey(self.point)

    def sign(self, message: bytes) -> bytes:
        """Sign `message`: r || s."""
        import gmssl_pyx

        r, s = decode_dss_signature(gmssl_pyx.sm2_sign(self.scalar, self.point, message, signer_id=SIGNER_ID))
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")

    def pem(self) -> bytes:
        """PKCS #8 PEM, unencrypted."""
        der = _PKCS8_HEAD + self.scalar + _PKCS8_MIDDLE + self.point
        text = base64.b64encode(der).decode("ascii")
        lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
        return f"{_PEM[0]}\n{lines}\n{_PEM[1]}\n".encode("ascii")


def generate() -> Sm2PrivateKey:
    """Make a key."""
    import gmssl_pyx

    point, scalar = gmssl_pyx.sm2_key_generate()
    return Sm2PrivateKey(scalar, point)


def is_sm2_der(der: bytes) -> bool:
    """Whether a public key says of itself that it is one of SM2."""
    return der.startswith(_SPKI) and len(der) == len(_SPKI) + _POINT_BYTES


def load_public_der(der: bytes) -> Sm2PublicKey:
    """Read SubjectPublicKeyInfo DER; a point off the curve raises `Sm2Unusable`."""
    import gmssl_pyx

    if not is_sm2_der(der):
        raise Sm2Unusable("not an SM2 public key")
    try:
        return Sm2PublicKey(gmssl_pyx.normalize_sm2_public_key(der[len(_SPKI) :]))
    except gmssl_pyx.InvalidValueError as error:
        raise Sm2Unusable("not a point of the SM2 curve") from error


def load_private_pem(pem: bytes) -> Sm2PrivateKey:
    """Read PKCS #8 PEM; raises `Sm2Unusable` for any other content."""
    text = pem.decode("ascii", "replace").strip()
    if not (text.startswith(_PEM[0]) and text.endswith(_PEM[1])):
        raise Sm2Unusable("not an SM2 private key")
    try:
        der = base64.b64decode(
            "".join(text.removeprefix(_PEM[0]).removesuffix(_PEM[1]).split()), validate=True
        )
    except ValueError as error:
        raise Sm2Unusable("not an SM2 private key") from error
    middle = len(_PKCS8_HEAD) + _COORDINATE_BYTES
    right = der.startswith(_PKCS8_HEAD) and der[middle:].startswith(_PKCS8_MIDDLE)
    if not right or len(der) != middle + len(_PKCS8_MIDDLE) + _POINT_BYTES:
        raise Sm2Unusable("not an SM2 private key")
    return Sm2PrivateKey(der[len(_PKCS8_HEAD) : middle], der[middle + len(_PKCS8_MIDDLE) :])
