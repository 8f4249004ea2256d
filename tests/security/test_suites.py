"""Suites of algorithms, and SM2 held against the openssl command."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from shuqiao.security import keys, sm2
from shuqiao.security.suites import SUITES, CiphertextRefused, digest_by, is_digest

DISTID = "distid:1234567812345678"


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run the openssl command."""
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=30, check=False)


def raw(der_signature: bytes) -> bytes:
    """r || s of a signature in DER."""
    r, s = decode_dss_signature(der_signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.fixture(scope="session")
def message(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is signed."""
    file = tmp_path_factory.mktemp("sm2") / "message"
    file.write_bytes("样例：一次签名的调用".encode() * 9)
    return file


@pytest.mark.parametrize("round_", range(3))
def test_openssl_takes_our_sm2_signature_and_keys(message: Path, tmp_path: Path, round_: int) -> None:
    key = sm2.generate()
    signature = key.sign(message.read_bytes())
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    (tmp_path / "sig").write_bytes(encode_dss_signature(r, s))
    (tmp_path / "public.der").write_bytes(key.public_key().der())
    (tmp_path / "private.pem").write_bytes(key.pem())
    verified = openssl(
        "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", tmp_path / "public.der", "-rawin",
        "-digest", "sm3", "-in", message, "-sigfile", tmp_path / "sig", "-pkeyopt", DISTID,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr
    shown = openssl("pkey", "-in", tmp_path / "private.pem", "-pubout", "-outform", "DER")
    assert shown.stdout == key.public_key().der(), shown.stderr


def test_we_take_openssls_sm2_signature_and_keys(message: Path, tmp_path: Path) -> None:
    private = tmp_path / "private.pem"
    made = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", private)
    assert made.returncode == 0, made.stderr
    signed = openssl(
        "pkeyutl", "-sign", "-inkey", private, "-rawin", "-digest", "sm3", "-in", message, "-pkeyopt", DISTID
    )
    assert signed.returncode == 0, signed.stderr
    public = keys.load_public_der(openssl("pkey", "-in", private, "-pubout", "-outform", "DER").stdout)
    assert keys.verify("sm2-sm3", public, raw(signed.stdout), message.read_bytes())
    assert not keys.verify("sm2-sm3", public, raw(signed.stdout), message.read_bytes() + b"x")
    assert not keys.verify("ecdsa-p256-sha256", public, raw(signed.stdout), message.read_bytes())
    loaded = sm2.load_private_pem(private.read_bytes())
    assert loaded.public_key() == public


def test_an_sm2_key_file_is_one_of_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    key = keys.load_or_create_signing_key(tmp_path / "app.key", "sm2-sm3")
    again = keys.load_signing_key(tmp_path / "app.key")
    assert again == key
    assert keys.algorithm_of(key) == "sm2-sm3"
    assert "scalar" not in repr(key)


@pytest.mark.parametrize("place", [0, 10, 26, 27, 90])
def test_a_public_key_off_the_curve_or_of_another_form_is_refused(place: int) -> None:
    der = bytearray(sm2.generate().public_key().der())
    der[place] ^= 1
    with pytest.raises(keys.KeyRefusedError):
        keys.load_public_der(bytes(der))


@pytest.mark.parametrize("name", sorted(SUITES))
@pytest.mark.parametrize("size", [0, 1, 15, 16, 1000])
def test_what_a_suite_encrypts_opens_unaltered_only(name: str, size: int) -> None:
    suite = SUITES[name]
    key, nonce, plain = bytes(range(suite.key_bytes)), bytes(12), b"p" * size
    sealed = suite.encrypt(key, nonce, plain, b"context")
    assert suite.decrypt(key, nonce, sealed, b"context") == plain
    for altered, context in (
        (sealed[:-1] + bytes([sealed[-1] ^ 1]), b"context"),
        (sealed, b"other"),
        (b"", b"context"),
    ):
        with pytest.raises(CiphertextRefused):
            suite.decrypt(key, nonce, altered, context)
    with pytest.raises(ValueError, match="bytes"):
        suite.encrypt(key + b"x", nonce, plain, b"context")


@given(st.binary(max_size=300))
def test_sm3_is_openssls_and_names_tell_digests_apart(message: bytes) -> None:
    assert digest_by("sha-256", message) != digest_by("sm3", message)
    assert is_digest("sm3", digest_by("sm3", message), message)
    assert not is_digest("sha-256", digest_by("sm3", message), message)
    with pytest.raises(ValueError, match="no digest"):
        digest_by("md5", message)


def test_digest_and_cipher_of_the_standards() -> None:
    """GB/T 32905 appendix A.1 and GB/T 32907 appendix A.1 (one block, by way of counter mode in GCM)."""
    national = SUITES["national"]
    assert national.digest(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    # RFC 8998, appendix A.1: SM4-GCM.
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    nonce = bytes.fromhex("00001234567800000000abcd")
    context = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = bytes.fromhex(
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"
        "eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"
    )
    assert national.encrypt(key, nonce, plain, context).hex() == (
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
        "83de3541e4c2b58177e065a9bf7b62ec"
    )


@pytest.mark.parametrize("name", sorted(SUITES))
def test_the_key_of_a_suite_signs_by_the_name_recorded(name: str) -> None:
    suite = SUITES[name]
    key = keys.generate_signing_key(suite.signature_name)
    signature = keys.sign(suite.signature_name, key, b"message")
    public = keys.load_public_der(keys.public_der(key.public_key()))
    assert keys.verify(suite.signature_name, public, signature, b"message")
    others = {"ed25519", "ecdsa-p256-sha256", "sm2-sm3"} - {suite.signature_name}
    assert not any(keys.verify(other, public, signature, b"message") for other in others)
    assert suite.mac(b"key", b"message") != suite.mac(b"kez", b"message")
