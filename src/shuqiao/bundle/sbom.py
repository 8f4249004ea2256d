"""The bill of materials of a bundle, CycloneDX 1.6 as JSON: each distribution, its files, licence and needs.

Source: ECMA-424 (CycloneDX 1.6); package addresses: purl, type pypi.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from shuqiao.bundle.lock import normal, split

MAX_LICENCE_CHARS = 200


@dataclass(frozen=True)
class Wheel:
    """A wheel of the bundle and what it says of itself."""

    path: Path
    name: str
    version: str
    licence: str
    needs: tuple[str, ...]
    sha256: str


def read_wheel(path: Path) -> Wheel:
    """Read a wheel's own description."""
    with zipfile.ZipFile(path) as archive:
        [place] = [
            one for one in archive.namelist() if one.endswith(".dist-info/METADATA") and one.count("/") == 1
        ]
        told = BytesParser().parsebytes(archive.read(place), headersonly=True)
    return Wheel(
        path=path,
        name=normal(str(told["Name"])),
        version=str(told["Version"]),
        licence=_licence(told),
        needs=tuple(str(one) for one in told.get_all("Requires-Dist", [])),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def make_sbom(wheels: Sequence[Wheel], product: str, at: datetime) -> dict[str, Any]:
    """List what a bundle holds; `product` is the distribution that everything else is for."""
    grouped: dict[str, list[Wheel]] = {}
    for wheel in wheels:
        grouped.setdefault(wheel.name, []).append(wheel)
    own = grouped[product][0]
    identity = "\n".join(sorted(wheel.sha256 for wheel in wheels))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, identity)}",
        "version": 1,
        "metadata": {
            "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": _component(grouped[product], "application"),
        },
        "components": [
            _component(found, "library") for name, found in sorted(grouped.items()) if name != own.name
        ],
        "dependencies": [
            {"ref": _purl(found[0]), "dependsOn": _needed(found[0], grouped)}
            for _, found in sorted(grouped.items())
        ],
    }


def _component(found: Sequence[Wheel], kind: str) -> dict[str, Any]:
    first = found[0]
    component: dict[str, Any] = {
        "type": kind,
        "bom-ref": _purl(first),
        "name": first.name,
        "version": first.version,
        "purl": _purl(first),
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"wheels/{wheel.path.name}",
                "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
            }
            for wheel in found
        ],
    }
    if first.licence:
        component["licenses"] = [{"license": {"name": first.licence}}]
    return component


def _needed(wheel: Wheel, grouped: Mapping[str, Sequence[Wheel]]) -> list[str]:
    names = {split(one)[0] for one in wheel.needs}
    return [_purl(grouped[name][0]) for name in sorted(names & grouped.keys())]


def _purl(wheel: Wheel) -> str:
    return f"pkg:pypi/{wheel.name}@{wheel.version}"


def _licence(told: Message) -> str:
    """The licence as the distribution names it; a whole text is none that can be named."""
    for field in ("License-Expression", "License"):
        words = str(told.get(field) or "").strip()
        if words and len(words) <= MAX_LICENCE_CHARS and "\n" not in words:
            return words
    named = [one for one in told.get_all("Classifier", []) if str(one).startswith("License ::")]
    return str(named[-1]).rpartition(" :: ")[2] if named else ""
