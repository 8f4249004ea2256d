"""Files at rest under either suite: what was written opens whole, and altered, cut or moved not at all."""

import hashlib
from pathlib import Path

import pytest

from shuqiao.plane.bulk.settings import open_spool
from shuqiao.plane.interface.settings import RelaySettingsFaulty, read_relay
from shuqiao.security import keys
from shuqiao.security.at_rest import (
    PIECE_BYTES,
    EncryptedFile,
    FileKey,
    FileRefused,
    encrypted_size,
    new_key,
    open_pieces,
    read_encrypted,
    read_pieces,
    unwrap_key,
    wrap_key,
)
from shuqiao.security.suites import SETTING, SUITES, read_suite, suite_of_cipher

CONTEXT = b"job/1"
SECRET = bytes(range(32))
SIZES = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES]


def written(path: Path, key: FileKey, content: bytes, digest: str = "sha-256") -> EncryptedFile:
    """A file of this content."""
    file = EncryptedFile(path, key, 7, CONTEXT, digest)
    for start in range(0, len(content), 100_001):
        file.write(content[start : start + 100_001])
    file.close()
    return file


def read(path: Path, key: FileKey, size: int, first: int = 0) -> bytes:
    return b"".join(read_pieces(path, key, 7, CONTEXT, size, first))


@pytest.mark.parametrize("suite", sorted(SUITES))
@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_read_whole_and_from_any_place(tmp_path: Path, suite: str, size: int) -> None:
    content = (b"marker " + bytes(range(256)) * (size // 256 + 1))[:size]
    key, path = new_key(SUITES[suite]), tmp_path / "part"
    file = written(path, key, content)
    assert (file.size_bytes, file.digest) == (size, hashlib.sha256(content).hexdigest())
    assert read(path, key, size) == content
    for first in {0, size // 2, max(0, size - 1)}:
        assert read(path, key, size, first) == content[first:]
    assert b"marker" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_an_altered_cut_or_moved_file_is_refused(tmp_path: Path, suite: str) -> None:
    key, path, content = new_key(SUITES[suite]), tmp_path / "part", b"x" * (2 * PIECE_BYTES)
    written(path, key, content)
    whole, piece = path.read_bytes(), PIECE_BYTES + 16
    swapped = whole[piece:] + whole[:piece]
    flipped = whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]
    for altered, size in ((flipped, len(content)), (swapped, len(content)), (whole[:piece], PIECE_BYTES)):
        path.write_bytes(altered)
        with pytest.raises(FileRefused):
            read(path, key, size)
    path.write_bytes(whole)
    for other in (new_key(SUITES[suite]), *(new_key(one) for one in SUITES.values())):
        with pytest.raises(FileRefused):
            read(path, other, len(content))
    with pytest.raises(FileRefused):
        b"".join(read_pieces(path, key, 8, CONTEXT, len(content)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [1000, PIECE_BYTES + 16, 5 * PIECE_BYTES])
def test_what_arrives_in_any_lengths_opens_as_it_comes(tmp_path: Path, size: int, step: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    key, path = new_key(), tmp_path / "part"
    written(path, key, content)
    whole = path.read_bytes()
    assert len(whole) == encrypted_size(size)
    first = len(whole) // 3
    assert b"".join(read_encrypted(path, len(whole), first)) == whole[first:]

    def opened(sealed: bytes, of: int = size) -> bytes:
        steps = (sealed[at : at + step] for at in range(0, len(sealed), step))
        return b"".join(open_pieces(steps, key, 7, CONTEXT, of))

    assert opened(whole) == content
    for altered in (whole[:-1], whole + b"x", whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        with pytest.raises(FileRefused):
            opened(altered)
    for other in (size + 1, size + PIECE_BYTES, max(0, size - 1)):
        if other != size:
            with pytest.raises(FileRefused):
                opened(whole, other)
    path.write_bytes(whole[:-1])
    with pytest.raises(FileRefused):
        list(read_encrypted(path, len(whole)))


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_a_wrapped_key_says_its_cipher_and_opens_under_its_secret_and_context_only(suite: str) -> None:
    key = new_key(SUITES[suite])
    wrapped = wrap_key(SECRET, key, CONTEXT)
    assert wrapped.startswith(SUITES[suite].cipher_name.encode() + b":")
    assert unwrap_key(SECRET, wrapped, CONTEXT) == key
    assert key.secret not in wrapped and key.secret.hex() not in repr(key)
    others = [one.cipher_name.encode() for one in SUITES.values() if one is not SUITES[suite]]
    renamed = others[0] + wrapped[wrapped.index(b":") :]
    for secret, given, context in (
        (SECRET[:-1] + b"x", wrapped, CONTEXT),
        (SECRET, wrapped, b"job/2"),
        (SECRET, renamed, CONTEXT),
        (SECRET, wrapped[:-1], CONTEXT),
        (SECRET, b"des:" + wrapped, CONTEXT),
        (SECRET, wrapped[:15], CONTEXT),
        (SECRET, b"", CONTEXT),
    ):
        with pytest.raises(FileRefused):
            unwrap_key(secret, given, context)


def test_a_part_may_be_digested_by_sm3(tmp_path: Path) -> None:
    file = written(tmp_path / "part", new_key(SUITES["national"]), b"abc", "sm3")
    assert file.digest == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


def test_the_installations_suite_is_read_and_a_wrong_one_refused(tmp_path: Path) -> None:
    assert read_suite({}).name == "international"
    assert read_suite({SETTING: "national"}).cipher_name == "sm4-gcm"
    with pytest.raises(ValueError, match="international, national"):
        read_suite({SETTING: "sm4"})
    with pytest.raises(ValueError, match="no cipher"):
        suite_of_cipher("sm2")
    secret = tmp_path / "secrets" / "bulk.key"
    keys.random_secret_file(secret)
    spool = open_spool(tmp_path / "spool", secret, SUITES["national"])
    # Written under one setting, read under the other: the wrapped key tells.
    again = open_spool(tmp_path / "spool", secret)
    key = new_key(spool.suite)
    assert key.suite.name == "national" and again.suite.name == "international"
    wrapped = wrap_key(spool.wrapping_secret, key, CONTEXT)
    written(tmp_path / "part", key, b"content")
    assert read(tmp_path / "part", unwrap_key(again.wrapping_secret, wrapped, CONTEXT), 7) == b"content"


def test_answers_on_their_way_are_encrypted_by_the_installations_suite(tmp_path: Path) -> None:
    environment = {
        "PLANE_NATS_URL": "tls://127.0.0.1:4222",
        "PLANE_NATS_CREDS": "/creds",
        "PLANE_NATS_CA": "/ca",
        "PLANE_SPOOL": str(tmp_path / "answers"),
    }
    plain, national = read_relay(environment), read_relay(environment | {SETTING: "national"})
    assert plain is not None and national is not None
    assert (plain.suite.cipher_name, national.suite.cipher_name) == ("aes-256-gcm", "sm4-gcm")
    assert [volume.place for volume in national.volumes] == ["answers"]
    for fault in ({SETTING: "sm4"}, {"SHUQIAO_VOLUMES": "answers"}):
        with pytest.raises(RelaySettingsFaulty, match="SHUQIAO_"):
            read_relay(environment | fault)
