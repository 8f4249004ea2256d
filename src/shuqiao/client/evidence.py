"""The command `shuqiao evidence verify`: checks a file of evidence with no platform and no database.

The keys come from a file the reader got elsewhere: PEM public keys, each after a line `purpose: log`,
`promise`, `grants` or `application`, or the certificate of an authority that certified them. Exit codes: 0
everything holds; 1 it could not be checked; 2 it does not hold.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from shuqiao.security import keys
from shuqiao.security.recipients import SALT_BYTES, SALT_FILE
from shuqiao.wire.evidence import MAX_FILE_BYTES, EvidenceUnreadable, read_evidence
from shuqiao.wire.evidence_checking import Given, verify_evidence

PIECE_BYTES = 1024 * 1024
_BESIDE = ("manifest.json", "manifest.signature", SALT_FILE)
_MAX_SALT_CHARS = 2 * SALT_BYTES + 2
HOLDS, UNANSWERED, BROKEN = 0, 1, 2
PURPOSES = ("log", "promise", "grants", "application")
_MARKS = {True: "HOLDS ", False: "BROKEN", None: "NOTE  "}
_BLOCK = re.compile(
    r"purpose: *([a-z]+)\s+(?:id: *[0-9a-f]+\s+)?(-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----)"
)


_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


class KeysUnreadable(ValueError):
    """A file that names no keys with their purposes."""


def read_trusted_keys(text: str) -> dict[tuple[str, str], keys.PublicKey]:
    """Read the keys a verifier trusts, by purpose and id; raises `KeysUnreadable`."""
    found: dict[tuple[str, str], keys.PublicKey] = {}
    blocks = _BLOCK.findall(text)
    if not blocks or len(blocks) != text.count("-----BEGIN PUBLIC KEY-----"):
        raise KeysUnreadable("each PEM public key needs a line `purpose: …` before it")
    for purpose, pem in blocks:
        if purpose not in PURPOSES:
            raise KeysUnreadable(f"the purpose {purpose} is none of {', '.join(PURPOSES)}")
        try:
            loaded = serialization.load_pem_public_key(pem.encode("ascii"))
            der = loaded.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            found[purpose, keys.key_id(der)] = keys.load_public_der(der)
        except (ValueError, keys.KeyRefusedError) as error:
            raise KeysUnreadable("a public key can't be read") from error
    return found


def read_authorities(text: str) -> tuple[x509.Certificate, ...]:
    """Read the certificates of authorities that stand among the keys; raises `KeysUnreadable`."""
    try:
        return tuple(
            x509.load_pem_x509_certificate(pem.encode("ascii")) for pem in _CERTIFICATE.findall(text)
        )
    except ValueError as error:
        raise KeysUnreadable("an authority's certificate can't be read") from error


def evidence_command(arguments: argparse.Namespace) -> int:
    """Check a file and say what was found, line by line."""
    try:
        text = Path(arguments.keys).read_text(encoding="utf-8")
        authorities = read_authorities(text)
        trusted = read_trusted_keys(text) if "-----BEGIN PUBLIC KEY-----" in text or not authorities else {}
        evidence = read_evidence(_read(Path(arguments.file)))
        brought, folder = _brought(vars(arguments)), arguments.parts
        given = Given(trusted, authorities, **brought, parts=_parts_in(folder), salt=_salt_in(folder))
    except (OSError, KeysUnreadable, EvidenceUnreadable) as error:
        print(f"The evidence can't be checked: {error}", file=sys.stderr)
        return UNANSWERED
    findings = verify_evidence(evidence, given)
    for finding in findings:
        print(f"{_MARKS[finding.holds]}  {finding.words}")
    return BROKEN if any(finding.holds is False for finding in findings) else HOLDS


def _brought(arguments: Mapping[str, str | None]) -> dict[str, bytes]:
    """Read the files the reader has besides: bodies of request and answer, and the regulation."""
    return {
        name: _read(Path(path))
        for name in ("request", "answer", "regulation")
        if (path := arguments.get(name)) is not None
    }


def _parts_in(folder: str | None) -> dict[str, Callable[[], Iterable[bytes]]] | None:
    """Name the files of a folder that should be parts of a copy, without what the client puts beside them."""
    if folder is None:
        return None
    found = [file for file in Path(folder).iterdir() if file.is_file() and file.name not in _BESIDE]
    return {file.name: partial(_pieces, file) for file in found}


def _salt_in(folder: str | None) -> bytes:
    """Read what stands before the parts of a sealed copy where they are digested; empty where it isn't."""
    file = Path(folder or ".") / SALT_FILE
    if folder is None or not file.is_file():
        return b""
    with file.open("rb") as stream:
        text = stream.read(_MAX_SALT_CHARS).decode("ascii", "replace").strip()
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise EvidenceUnreadable(f"{file} is no salt") from None


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            yield piece


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise EvidenceUnreadable(f"{file} is too large")
    return content
