"""Key files and signatures."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from shuqiao.security.keys import (
    Algorithm,
    KeyRefusedError,
    algorithm_of,
    generate_signing_key,
    key_id,
    load_or_create_sealing_key,
    load_or_create_signing_key,
    load_private_key,
    load_public_der,
    load_sealing_key,
    load_secret_file,
    load_signing_key,
    private_pem,
    public_der,
    random_secret_file,
    sign,
    verify,
    write_secret_file,
)

ALGORITHMS: tuple[Algorithm, ...] = ("ed25519", "ecdsa-p256-sha256")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signature_is_bound_to_key_message_and_algorithm(algorithm: Algorithm) -> None:
    key, other = generate_signing_key(algorithm), generate_signing_key(algorithm)
    signature = sign(algorithm, key, b"message")
    assert len(signature) == 64
    assert verify(algorithm, key.public_key(), signature, b"message")
    assert not verify(algorithm, key.public_key(), signature, b"another")
    assert not verify(algorithm, other.public_key(), signature, b"message")
    assert not verify(algorithm, key.public_key(), signature[:-1], b"message")
    assert not verify(algorithm, key.public_key(), b"", b"message")
    wrong = next(name for name in ALGORITHMS if name != algorithm)
    assert not verify(wrong, key.public_key(), signature, b"message")
    assert not verify("none", key.public_key(), signature, b"message")
    with pytest.raises(KeyRefusedError):
        sign(wrong, key, b"message")


def test_p256_signature_is_raw_r_and_s() -> None:
    key = generate_signing_key("ecdsa-p256-sha256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = sign("ecdsa-p256-sha256", key, b"message")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key.public_key().verify(encode_dss_signature(r, s), b"message", ec.ECDSA(hashes.SHA256()))
    assert not verify("ecdsa-p256-sha256", key.public_key(), bytes(64), b"message")


def test_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "node.pem"
    key = load_or_create_signing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert key_id(load_or_create_signing_key(path).public_key()) == key_id(key.public_key())
    assert [file.name for file in path.parent.iterdir()] == ["node.pem"]
    assert not write_secret_file(path, b"another")
    assert key_id(load_signing_key(path).public_key()) == key_id(key.public_key())


def test_racing_processes_agree(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "raced"
    with ThreadPoolExecutor(8) as threads:
        made = {threads.submit(random_secret_file, path) for _ in range(16)}
        assert len({future.result() for future in made}) == 1
    assert [file.name for file in path.parent.iterdir()] == ["raced"]


@pytest.mark.parametrize("mode", [0o600, 0o440, 0o404, 0o644, 0o500])
def test_wider_file_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secrets" / "key"
    random_secret_file(path)
    path.chmod(mode)
    with pytest.raises(KeyRefusedError, match="chmod 0400"):
        load_secret_file(path)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_folder_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secrets" / "key"
    random_secret_file(path)
    path.parent.chmod(mode)
    with pytest.raises(KeyRefusedError, match="chmod 0700"):
        load_secret_file(path)
    with pytest.raises(KeyRefusedError, match="chmod 0700"):
        random_secret_file(path.with_name("new"))


def test_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "key"
    random_secret_file(path)
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(KeyRefusedError):
        load_secret_file(link)


def test_wrong_contents_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    write_secret_file(folder / "short", b"too short")
    with pytest.raises(KeyRefusedError, match="32 bytes"):
        load_secret_file(folder / "short")
    with pytest.raises(KeyRefusedError, match="PKCS #8"):
        load_private_key(folder / "short")
    load_or_create_sealing_key(folder / "sealing")
    load_or_create_signing_key(folder / "signing")
    with pytest.raises(KeyRefusedError, match="cannot sign"):
        load_signing_key(folder / "sealing")
    with pytest.raises(KeyRefusedError, match="X25519"):
        load_sealing_key(folder / "signing")
    with pytest.raises(KeyRefusedError, match="ed25519"):
        load_or_create_signing_key(folder / "signing", "ecdsa-p256-sha256")
    with pytest.raises(KeyRefusedError, match="does not exist"):
        load_signing_key(folder / "absent")
    weak = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_secret_file(folder / "rsa", weak)
    with pytest.raises(KeyRefusedError, match="neither"):
        load_private_key(folder / "rsa")


def test_other_curves_are_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    write_secret_file(tmp_path / "secrets" / "p384", private_pem(key))
    with pytest.raises(KeyRefusedError, match="neither"):
        load_private_key(tmp_path / "secrets" / "p384")
    with pytest.raises(KeyRefusedError, match="neither"):
        load_public_der(public_der(key.public_key()))
    with pytest.raises(KeyRefusedError):
        load_public_der(b"\x30\x00")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_public_form_round_trips(algorithm: Algorithm) -> None:
    public = generate_signing_key(algorithm).public_key()
    der = public_der(public)
    again = load_public_der(der)
    assert public_der(again) == der
    assert algorithm_of(public) == algorithm
    assert key_id(der) == key_id(public) and len(key_id(der)) == 16
