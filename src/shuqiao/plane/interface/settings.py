"""What a worker needs to pass calls on to nodes, read from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shuqiao.security.suites import INTERNATIONAL, Suite, read_suite
from shuqiao.security.volumes import Volume, read_volume_settings
from shuqiao.wire.nats_client import addresses


class RelaySettingsFaulty(Exception):
    """The environment can't be used; the message names every fault."""


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Where NATS is, the credentials for it, the folder that holds answers on their way, the suite by which
    they are encrypted there, and what is known of its volume."""

    nats_url: str
    credentials_file: Path
    authority_file: Path
    folder: Path
    suite: Suite = INTERNATIONAL
    volumes: tuple[Volume, ...] = ()


def forget_answers(settings: RelaySettings | None) -> None:
    """Remove what a killed plane left behind; the keys of those files went with its memory."""
    if settings is not None:
        for path in settings.folder.iterdir():
            path.unlink(missing_ok=True)


def read_relay(environment: Mapping[str, str]) -> RelaySettings | None:
    """Read PLANE_NATS_URL, PLANE_NATS_CREDS, PLANE_NATS_CA, PLANE_SPOOL, SHUQIAO_SUITE, SHUQIAO_VOLUMES….

    None where none is set: this plane then passes no calls on.
    """
    names = ("PLANE_NATS_URL", "PLANE_NATS_CREDS", "PLANE_NATS_CA", "PLANE_SPOOL")
    values = [environment.get(name, "") for name in names]
    if not any(values):
        return None
    missing = [name for name, value in zip(names, values, strict=True) if not value]
    if missing:
        raise RelaySettingsFaulty("; ".join(f"{name} is not set" for name in missing))
    try:
        addresses(values[0])
    except ValueError as error:
        raise RelaySettingsFaulty(f"PLANE_NATS_URL {error}") from error
    try:
        suite, volumes = read_suite(environment), read_volume_settings(environment)
    except ValueError as error:
        raise RelaySettingsFaulty(str(error)) from error
    folder = Path(values[3])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stated = volumes.volumes({"answers": folder})
    return RelaySettings(values[0], Path(values[1]), Path(values[2]), folder, suite, stated)
