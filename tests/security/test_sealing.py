"""Sealing: only the recipient, only this context, nothing altered."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from shuqiao.security.keys import key_id
from shuqiao.security.sealing import OVERHEAD_BYTES, SealRefusedError, open_sealed, seal, sealed_key_id

KEY = X25519PrivateKey.generate()


@given(st.binary(max_size=500), st.binary(max_size=50))
def test_round_trip(plaintext: bytes, context: bytes) -> None:
    message = seal(KEY.public_key(), plaintext, context)
    assert len(message) == len(plaintext) + OVERHEAD_BYTES
    assert open_sealed(KEY, message, context) == plaintext
    assert sealed_key_id(message) == key_id(KEY.public_key())


def test_two_seals_of_one_text_are_unlike() -> None:
    first, second = (seal(KEY.public_key(), b"same text", b"") for _ in range(2))
    assert first != second and b"same text" not in first


def test_another_recipient_or_context_is_refused() -> None:
    message = seal(KEY.public_key(), b"text", b"batch 1")
    with pytest.raises(SealRefusedError):
        open_sealed(X25519PrivateKey.generate(), message, b"batch 1")
    with pytest.raises(SealRefusedError):
        open_sealed(KEY, message, b"batch 2")


def test_any_altered_byte_is_refused() -> None:
    message = seal(KEY.public_key(), b"text", b"")
    for place in range(len(message)):
        altered = bytearray(message)
        altered[place] ^= 1
        with pytest.raises(SealRefusedError):
            open_sealed(KEY, bytes(altered), b"")


@pytest.mark.parametrize("message", [b"", b"\x01", bytes(OVERHEAD_BYTES), b"\x01" + bytes(OVERHEAD_BYTES)])
def test_garbage_is_refused(message: bytes) -> None:
    with pytest.raises(SealRefusedError):
        open_sealed(KEY, message, b"")
