"""The fixed profile of RFC 9421: what an independent library signs we accept, what we sign it verifies, and
no change of a signed request gets through."""

import base64
import datetime as dt
import time
from dataclasses import dataclass, field

import http_message_signatures as oracle
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from shuqiao.rules.errors import CallError, RequestMalformed, SignatureMissing
from shuqiao.security import keys
from shuqiao.security.http_signatures import (
    CallContext,
    content_digest,
    decode_word,
    encode_word,
    is_digest_of,
    is_within_window,
    key_signer,
    read_signature,
    request_verifier,
    session_verifier,
    sign_request,
    single_headers,
)
from shuqiao.security.sessions import (
    LIFETIME_S,
    SessionRefused,
    SessionSealer,
    SessionSigner,
    accept_answer,
)

NOW = int(time.time()) - 30
BODY = b'{"subject":"T440100001","claims":{"mother_name":"\xe6\xb5\x8b\xe8\xaf\x95"}}'
PATH = "/v1/resources/r440100x7kq2m5dab/verify"
HOST = "127.0.0.1:8001"
COMPONENTS = (
    "@method",
    "@authority",
    "@path",
    "content-digest",
    "shuqiao-purpose",
    "shuqiao-end-user",
    "shuqiao-grant",
)
ORACLES = {
    "ed25519": oracle.algorithms.ED25519,
    "ecdsa-p256-sha256": oracle.algorithms.ECDSA_P256_SHA256,
    "hmac-sha256": oracle.algorithms.HMAC_SHA256,
}
KEYS = {name: keys.generate_signing_key(name) for name in ("ed25519", "ecdsa-p256-sha256")}
SECRET = b"s" * 32
SESSION_ID = "s." + "A" * 80


@dataclass
class Message:
    """A request as the independent library wants it."""

    headers: dict[str, str]
    method: str = "POST"
    url: str = f"http://{HOST}{PATH}"


@dataclass
class OneKey(oracle.HTTPSignatureKeyResolver):
    """Answers with the one key of the test, whatever the id."""

    key: object
    asked: list[str] = field(default_factory=list)

    def resolve_private_key(self, key_id: str):
        self.asked.append(key_id)
        return self.key

    def resolve_public_key(self, key_id: str):
        self.asked.append(key_id)
        return self.key if isinstance(self.key, bytes) else self.key.public_key()


def signer_of(algorithm: str):
    return SessionSigner(SESSION_ID, SECRET) if algorithm == "hmac-sha256" else key_signer(KEYS[algorithm])


def key_of(algorithm: str):
    return SECRET if algorithm == "hmac-sha256" else KEYS[algorithm]


def check(algorithm: str, signature) -> bool:
    """Verify as the plane does."""
    if algorithm == "hmac-sha256":
        return session_verifier(SECRET)(signature.signature, signature.base)
    der = keys.public_der(KEYS[algorithm].public_key())
    return request_verifier(algorithm, der)(signature.signature, signature.base)


def signed(algorithm: str = "ed25519", **context: str) -> dict[str, str]:
    """Headers of a request signed by our client."""
    made = sign_request(
        signer_of(algorithm), ("POST", HOST, PATH), BODY, CallContext(**context), NOW, "n" * 22
    )
    return {**made, "host": HOST}


@pytest.mark.parametrize("algorithm", ORACLES)
def test_what_we_sign_the_library_verifies(algorithm: str) -> None:
    message = Message(signed(algorithm, purpose="公租房资格审核", end_user="张三", grant="G-2026-0001"))
    verifier = oracle.HTTPMessageVerifier(
        signature_algorithm=ORACLES[algorithm], key_resolver=OneKey(key_of(algorithm))
    )
    [result] = verifier.verify(message, max_age=None, require_components=COMPONENTS, body=BODY)
    assert result.parameters["keyid"] == signer_of(algorithm).key_id
    assert result.nonce == "n" * 22


@pytest.mark.parametrize("algorithm", ORACLES)
def test_what_the_library_signs_we_accept(algorithm: str) -> None:
    message = Message(
        {
            "host": HOST,
            "content-digest": content_digest(BODY),
            "shuqiao-purpose": encode_word("公租房资格审核"),
            "shuqiao-end-user": "-",
            "shuqiao-grant": "auto",
        }
    )
    signer = oracle.HTTPMessageSigner(
        signature_algorithm=ORACLES[algorithm], key_resolver=OneKey(key_of(algorithm))
    )
    signer.sign(
        message,
        key_id=signer_of(algorithm).key_id,
        created=dt.datetime.fromtimestamp(NOW, dt.UTC),
        nonce="n" * 22,
        label="sq",
        include_alg=False,
        use_existing_digest=True,
        covered_component_ids=COMPONENTS,
    )
    headers = single_headers((name.lower(), value) for name, value in message.headers.items())
    signature = read_signature("POST", PATH, headers)
    assert (signature.created, signature.nonce) == (NOW, "n" * 22)
    assert check(algorithm, signature)


RFC_ED25519 = "MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="
RFC_ED25519_BASE = b"""\
"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")\
;created=1618884473;keyid="test-key-ed25519\""""
RFC_ED25519_SIGNATURE = (
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
)
RFC_SECRET = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
RFC_MAC_BASE = b"""\
"date": Tue, 20 Apr 2021 02:07:55 GMT
"@authority": example.com
"content-type": application/json
"@signature-params": ("date" "@authority" "content-type")\
;created=1618884473;keyid="test-shared-secret\""""
RFC_MAC = "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="


RFC_P256 = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lfw0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71"
    "Z50VGGdldkkDXZCnTNnoXQ=="
)
RFC_P256_BASE = b"""\
"@status": 200
"content-type": application/json
"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJ\
uahq4l5aGgfLQ==:
"content-length": 23
"@signature-params": ("@status" "content-type" "content-digest" "content-length")\
;created=1618884473;keyid="test-key-ecc-p256\""""
RFC_P256_SIGNATURE = (
    "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=="
)


def test_vectors_of_the_rfc_hold_for_the_algorithms() -> None:
    """RFC 9421 B.2.6, B.2.4 and B.2.5; their components lie outside the profile, their mathematics do not."""
    verify_p256 = request_verifier("ecdsa-p256-sha256", base64.b64decode(RFC_P256))
    assert verify_p256(base64.b64decode(RFC_P256_SIGNATURE), RFC_P256_BASE)
    assert not verify_p256(base64.b64decode(RFC_P256_SIGNATURE), RFC_P256_BASE + b" ")
    verify = request_verifier("ed25519", base64.b64decode(RFC_ED25519))
    assert verify(base64.b64decode(RFC_ED25519_SIGNATURE), RFC_ED25519_BASE)
    assert not verify(base64.b64decode(RFC_ED25519_SIGNATURE), RFC_ED25519_BASE + b" ")
    assert session_verifier(base64.b64decode(RFC_SECRET))(base64.b64decode(RFC_MAC), RFC_MAC_BASE)


RFC_ED25519_PRIVATE = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF"
RFC_P256_PRIVATE = (
    "MHcCAQEEIFKbhfNZfpDsW43+0+JjUr9K+bTeuxopu653+hBaXGA7oAoGCCqGSM49AwEHoUQDQgAEqIVYZVLCrPZHGHjP17CTW0/+"
    "D9Lfw0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ=="
)


def rfc_signer(private: str):
    return key_signer(serialization.load_der_private_key(base64.b64decode(private), None))


def test_our_signatures_with_the_keys_of_the_rfc_are_its_own() -> None:
    """RFC 9421 B.1: Ed25519 and HMAC give the bytes of B.2.6 and B.2.5; ECDSA is random, so it is checked."""
    assert rfc_signer(RFC_ED25519_PRIVATE).sign(RFC_ED25519_BASE) == base64.b64decode(RFC_ED25519_SIGNATURE)
    mac = SessionSigner(SESSION_ID, base64.b64decode(RFC_SECRET)).sign(RFC_MAC_BASE)
    assert mac == base64.b64decode(RFC_MAC)
    assert not session_verifier(base64.b64decode(RFC_SECRET))(mac, RFC_MAC_BASE + b" ")
    signature = rfc_signer(RFC_P256_PRIVATE).sign(RFC_P256_BASE)
    assert len(signature) == 64
    assert request_verifier("ecdsa-p256-sha256", base64.b64decode(RFC_P256))(signature, RFC_P256_BASE)


def test_a_body_is_digested_by_the_suite_of_the_key_and_either_digest_is_read() -> None:
    sm2_key = keys.generate_signing_key("sm2-sm3")
    made = sign_request(key_signer(sm2_key), ("POST", HOST, PATH), BODY, CallContext(), NOW)
    headers = single_headers([*made.items(), ("host", HOST)])
    signature = read_signature("POST", PATH, headers)
    assert headers["content-digest"].startswith("sm3=:")
    assert is_digest_of(signature.content_digest, BODY)
    der = keys.public_der(sm2_key.public_key())
    assert request_verifier("sm2-sm3", der)(signature.signature, signature.base)
    assert signed()["content-digest"].startswith("sha-256=:")
    # GB/T 32905, A.1: the digest of "abc".
    known = base64.b64encode(
        bytes.fromhex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")
    )
    assert content_digest(b"abc", "sm3") == f"sm3=:{known.decode()}:"
    sm3, sha = content_digest(BODY, "sm3"), content_digest(BODY)
    assert is_digest_of(sm3, BODY) and is_digest_of(sha, BODY)
    for wrong in (
        sm3.replace("sm3", "sha-256"),
        sha.replace("sha-256", "sm3"),
        f"{sm3}, {sha}",
        sm3 + " ",
        "sm3=",
        "sm4=" + sm3[4:],
        content_digest(BODY + b" ", "sm3"),
    ):
        assert not is_digest_of(wrong, BODY), wrong


def test_the_profile_refuses_what_the_rfc_allows() -> None:
    headers = signed()
    headers["signature-input"] = headers["signature-input"].replace('"@method" ', "")
    with pytest.raises(RequestMalformed):
        read_signature("POST", PATH, headers)


def test_a_missing_signature_is_told_from_a_malformed_one() -> None:
    headers = signed()
    del headers["signature"]
    with pytest.raises(SignatureMissing):
        read_signature("POST", PATH, headers)


@pytest.mark.parametrize("name", ["signature", "signature-input", "host", "content-digest", "shuqiao-grant"])
def test_a_header_that_comes_twice_is_refused(name: str) -> None:
    pairs = [*signed().items(), (name, signed()[name])]
    with pytest.raises(RequestMalformed) as caught:
        single_headers(pairs)
    assert caught.value.fields == {"part": name}


PARAMETERS = [
    ";created=1795400000",
    ';created=1795400000;nonce="nnnnnnnnnnnnnnnnnnnnnn"',
    ';nonce="nnnnnnnnnnnnnnnnnnnnnn";created=1795400000;keyid="0123456789abcdef"',
    ';created=1795400000;nonce="nnnnnnnnnnnnnnnnnnnnnn";keyid="0123456789abcdef";alg="hmac-sha256"',
    ';created=1795400000;nonce="nnnnnnnnnnnnnnnnnnnnnn";keyid="0123456789abcdef";expires=1795400001',
    ';created=01795400000;nonce="nnnnnnnnnnnnnnnnnnnnnn";keyid="0123456789abcdef"',
    ';created=-1795400000;nonce="nnnnnnnnnnnnnnnnnnnnnn";keyid="0123456789abcdef"',
    ';created=1795400000;nonce="short";keyid="0123456789abcdef"',
    ';created=1795400000;nonce="nnnnnnnnnnnnnnnnnnnn\n";keyid="0123456789abcdef"',
    ';created=1795400000;nonce="nnnnnnnnnnnnnnnnnnnnnn";keyid="0123456789ABCDEF"',
    ';created=1795400000;nonce="nnnnnnnnnnnnnnnnnnnnnn";keyid="0123456789abcdef", other=("@method")',
]


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_other_parameters_are_refused(parameters: str) -> None:
    headers = signed()
    prefix, _, _ = headers["signature-input"].partition(";")
    headers["signature-input"] = prefix + parameters
    with pytest.raises(RequestMalformed):
        read_signature("POST", PATH, headers)


MUTABLE = (
    "content-digest",
    "shuqiao-purpose",
    "shuqiao-end-user",
    "shuqiao-grant",
    "signature-input",
    "signature",
    "host",
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(list(ORACLES)),
    st.sampled_from(MUTABLE),
    st.integers(min_value=0, max_value=400),
    st.characters(min_codepoint=33, max_codepoint=126),
    st.sampled_from(["replace", "insert", "delete"]),
)
def test_no_mutation_of_a_signed_header_is_accepted(
    algorithm: str, name: str, place: int, character: str, how: str
) -> None:
    headers = signed(algorithm, purpose="purpose", end_user="user", grant="G-2026-0001")
    before = headers[name]
    at = place % len(before)
    middle = {"replace": character, "insert": character + before[at], "delete": ""}[how]
    headers[name] = before[:at] + middle + before[at + 1 :]
    # Names of hosts are the same in either case; everything else counts to the letter.
    if headers[name] == before or (name == "host" and headers[name].lower() == before):
        return
    try:
        signature = read_signature("POST", PATH, headers)
    except CallError:
        return
    is_accepted = check(algorithm, signature) and is_digest_of(signature.content_digest, BODY)
    assert not is_accepted or signature.key_id != signer_of(algorithm).key_id


@pytest.mark.parametrize(("method", "path"), [("PUT", PATH), ("POST", PATH.replace("verify", "query"))])
def test_another_method_or_path_breaks_the_signature(method: str, path: str) -> None:
    assert check("ed25519", read_signature("POST", PATH, signed()))
    assert not check("ed25519", read_signature(method, path, signed()))


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_the_window_is_three_hundred_seconds_each_way(seconds: int, expected: bool) -> None:
    assert is_within_window(NOW, NOW + seconds) is expected


@pytest.mark.parametrize("given_digest", ["", "sha-256=::", "sha-512=:AAAA:", content_digest(b"other")])
def test_only_the_one_digest_of_the_body_counts(given_digest: str) -> None:
    assert is_digest_of(content_digest(BODY), BODY)
    assert not is_digest_of(given_digest, BODY)
    assert not is_digest_of(content_digest(BODY) + ", " + content_digest(BODY), BODY)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20))
def test_words_survive_their_encoding(text: str) -> None:
    if text.isprintable():
        assert decode_word(encode_word(text)) == text


@pytest.mark.parametrize("word", ["%FF", "%0A", "%00", "%ED%A0%80"])
def test_words_that_are_no_printable_text_are_refused(word: str) -> None:
    with pytest.raises(RequestMalformed):
        decode_word(word)


def agreed(sealer: SessionSealer) -> tuple[str, SessionSigner]:
    """A session as both sides see it."""
    own = X25519PrivateKey.generate()
    client = own.public_key().public_bytes_raw()
    key_id, server, expires_at = sealer.agree("app-housing-rental", "0" * 16, client, NOW)
    assert expires_at == NOW + LIFETIME_S
    return key_id, accept_answer(own, server, "0" * 16, key_id)


def test_both_sides_of_a_session_hold_the_same_secret() -> None:
    key = b"k" * 32
    key_id, signer = agreed(SessionSealer(key))
    session = SessionSealer(key).open(key_id)
    assert session.verify(signer.sign(b"message"), b"message")
    assert not session.verify(signer.sign(b"message"), b"massage")
    assert (session.application, session.agreed_by) == ("app-housing-rental", "0" * 16)
    assert signer.secret not in base64.urlsafe_b64decode(key_id[2:] + "==")


def test_a_session_of_another_platform_or_a_changed_one_is_refused() -> None:
    key_id, _ = agreed(SessionSealer(b"k" * 32))
    with pytest.raises(SessionRefused):
        SessionSealer(b"j" * 32).open(key_id)
    for place in range(2, len(key_id), 7):
        changed = key_id[:place] + ("A" if key_id[place] != "A" else "B") + key_id[place + 1 :]
        with pytest.raises(SessionRefused):
            SessionSealer(b"k" * 32).open(changed)


def test_a_useless_public_key_agrees_no_session() -> None:
    with pytest.raises(SessionRefused):
        SessionSealer(b"k" * 32).agree("app-housing-rental", "0" * 16, b"\x00" * 32, NOW)
