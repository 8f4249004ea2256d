"""Links that expire: a token that only the platform can make and read, and that shows nothing to onlookers.

AES-256-GCM checks in constant time. What a token says is bound into it; its end is checked by who opens it.
Source: our choice, decision 22.
"""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_TOKEN = 2048
_NONCE_BYTES = 12
_LABEL = b"shuqiao link 1"


def make_token(secret: bytes, content: bytes) -> str:
    """Give the token of a content, base64url without padding."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(secret).encrypt(nonce, content, _LABEL)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")


def open_token(secret: bytes, token: str) -> bytes | None:
    """Give back the content; None for what this platform didn't make."""
    if not 0 < len(token) <= MAX_TOKEN:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return AESGCM(secret).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _LABEL)
    except (binascii.Error, ValueError, InvalidTag):
        return None
