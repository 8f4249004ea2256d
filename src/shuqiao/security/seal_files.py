"""Where the seal on the platform's documents lies; who only reads settings needs no library that signs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SealFiles:
    """Where the seal's private key lies, and its certificate with those above it, both PEM."""

    key: Path
    certificate: Path
