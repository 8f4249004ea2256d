"""A content key sealed to a recipient: opened by its key, in its place, and by nothing else."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shuqiao.security import keys
from shuqiao.security.at_rest import new_key
from shuqiao.security.recipients import (
    RecipientUnfit,
    open_key,
    read_recipient,
    recipient_id,
    salt_of,
    seal_key,
    write_recipient,
)
from shuqiao.security.sealing import SealRefusedError
from shuqiao.security.suites import SUITES

OWN = X25519PrivateKey.generate()


def test_a_sealed_key_opens_with_its_owners_key_for_its_copy_alone() -> None:
    key = new_key()
    sealed = seal_key(OWN.public_key(), key, b"copy")
    assert open_key(OWN, sealed, b"copy") == key
    assert key.secret not in sealed
    others = (
        (X25519PrivateKey.generate(), sealed, b"copy"),
        (OWN, sealed, b"other"),
        (OWN, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"copy"),
        (OWN, b"sm4-gcm:" + sealed.partition(b":")[2], b"copy"),
        (OWN, b"", b"copy"),
    )
    for own, given, context in others:
        with pytest.raises(SealRefusedError):
            open_key(own, given, context)
    with pytest.raises(ValueError, match="international"):
        seal_key(OWN.public_key(), new_key(SUITES["national"]), b"copy")


def test_a_salt_is_of_its_key_and_tells_nothing_of_it() -> None:
    one, other = new_key(), new_key()
    assert salt_of(one) == salt_of(one) != salt_of(other)
    assert len(salt_of(one)) == 32
    assert salt_of(one) != one.secret


def test_a_recipients_key_is_read_in_one_form_only() -> None:
    text = write_recipient(OWN.public_key())
    assert read_recipient(text).public_bytes_raw() == OWN.public_key().public_bytes_raw()
    assert recipient_id(text) == keys.key_id(OWN.public_key())
    der = base64.b64decode(text)
    wrong = (der[:-1], der + b"\0", der[:12] + bytes(32), der[:12] + b"\1" + bytes(31), b"")
    for given in (*(base64.b64encode(one).decode() for one in wrong), text + "\n", text.rstrip("="), "ü"):
        with pytest.raises(RecipientUnfit):
            read_recipient(given)
