"""Settings of the integrator, read from the environment once and checked all together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shuqiao.rules.checkpoint import is_origin

DEFAULT_ORIGIN: Final = "shuqiao"


class SettingsError(Exception):
    """The settings can't be used; the message lists every fault."""


@dataclass(frozen=True, slots=True)
class IntegratorSettings:
    """What the integrator needs: its database, the file of its signing key, the name of its log."""

    database_url: str
    key_file: Path
    origin: str


def load_settings(environment: Mapping[str, str]) -> IntegratorSettings:
    """Read INTEGRATOR_DATABASE_URL, LOG_KEY_FILE and LOG_ORIGIN; raise SettingsError naming all faults."""
    faults = [
        f"{name} is not set"
        for name in ("INTEGRATOR_DATABASE_URL", "LOG_KEY_FILE")
        if not environment.get(name)
    ]
    origin = environment.get("LOG_ORIGIN") or DEFAULT_ORIGIN
    if not is_origin(origin):
        faults.append("LOG_ORIGIN must be 1 to 120 visible ASCII characters")
    if faults:
        raise SettingsError("; ".join(faults))
    return IntegratorSettings(
        environment["INTEGRATOR_DATABASE_URL"], Path(environment["LOG_KEY_FILE"]), origin
    )
