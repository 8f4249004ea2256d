"""Settings of a node, read from the environment once and checked all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shuqiao.security.suites import INTERNATIONAL, Suite, read_suite
from shuqiao.security.volumes import Volume, VolumeSettings, read_volume_settings
from shuqiao.wire.nats_client import addresses
from shuqiao.wire.subjects import check_department


class SettingsError(Exception):
    """The settings can't be used; the message lists every fault."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a node needs. `home` holds keys, spool and status; times are in seconds, sizes in bytes.

    `interface_folder` says which interfaces of the department calls are passed to; None for none. The log of
    calls on what stays here is brought to the hub every `report_s`, calls older than `report_margin_s`; the
    node's own state every `state_s`. A source that is followed by its log keeps at most `log_max_bytes` of it
    for a table that can't be read. Of each table at most `held_rows` rows are held by the rules of screening.
    Nothing is read while less than `disk_reserve_bytes` are free on the node's disk. With an empty `nats_url`
    the address in the admission counts.
    """

    home: Path
    department: str
    nats_url: str
    credentials_file: Path
    authority_file: Path
    mapping_folder: Path
    source_url: str
    poll_s: float
    overlap_s: float
    resend_s: float
    batch_rows: int
    spool_max_bytes: int
    interface_folder: Path | None = None
    report_s: float = 86_400
    report_margin_s: float = 900
    state_s: float = 10
    log_max_bytes: int = 16 * 1024**3
    held_rows: int = 10_000
    disk_reserve_bytes: int = 64 * 1024**2
    suite: Suite = INTERNATIONAL
    volumes: tuple[Volume, ...] = ()


_REQUIRED = (
    "NODE_HOME",
    "NODE_DEPARTMENT",
    "NODE_CREDS",
    "NODE_CA",
    "NODE_MAPPING",
    "NODE_SOURCE_URL",
)


def load_settings(environment: Mapping[str, str]) -> NodeSettings:
    """Read NODE_*, NATS_URL, SHUQIAO_SUITE and SHUQIAO_VOLUMES…; raise SettingsError naming all faults."""
    faults = [f"{name} is not set" for name in _REQUIRED if not environment.get(name)]
    department = environment.get("NODE_DEPARTMENT", "")
    if department:
        try:
            check_department(department)
        except ValueError:
            faults.append("NODE_DEPARTMENT is not a department code such as 440100-health")
    url = environment.get("NATS_URL", "")
    if url:
        try:
            addresses(url)
        except ValueError as error:
            faults.append(f"NATS_URL {error}")

    def number(name: str, default: float, low: float, high: float) -> float:
        return _number(environment, name, (default, low, high), faults.append)

    poll_s = number("NODE_POLL_SECONDS", 2, 0.05, 86_400)
    overlap_s = number("NODE_OVERLAP_SECONDS", 60, 1, 86_400)
    resend_s = number("NODE_RESEND_SECONDS", 30, 0.5, 3_600)
    batch_rows = number("NODE_BATCH_ROWS", 4_000, 1, 10_000)
    spool_max_bytes = number("NODE_SPOOL_BYTES", 2 * 1024**3, 1024**2, 1024**4)
    report_s = number("NODE_REPORT_SECONDS", 86_400, 0.5, 7 * 86_400)
    report_margin_s = number("NODE_REPORT_MARGIN_SECONDS", 900, 660, 86_400)
    state_s = number("NODE_STATE_SECONDS", 10, 0.1, 600)
    log_max_bytes = number("NODE_LOG_BYTES", 16 * 1024**3, 1024**2, 1024**4)
    disk_reserve_bytes = number("NODE_DISK_RESERVE_BYTES", 64 * 1024**2, 0, 1024**4)
    held_rows = number("NODE_HELD_ROWS", 10_000, 1, 1_000_000)
    suite, named = INTERNATIONAL, VolumeSettings()
    try:
        suite, named = read_suite(environment), read_volume_settings(environment)
    except ValueError as error:
        faults.append(str(error))
    if faults:
        raise SettingsError("; ".join(faults))
    return NodeSettings(
        home=Path(environment["NODE_HOME"]),
        department=department,
        nats_url=url,
        credentials_file=Path(environment["NODE_CREDS"]),
        authority_file=Path(environment["NODE_CA"]),
        mapping_folder=Path(environment["NODE_MAPPING"]),
        source_url=environment["NODE_SOURCE_URL"],
        poll_s=poll_s,
        overlap_s=overlap_s,
        resend_s=resend_s,
        batch_rows=int(batch_rows),
        spool_max_bytes=int(spool_max_bytes),
        interface_folder=Path(folder) if (folder := environment.get("NODE_INTERFACES", "")) else None,
        report_s=report_s,
        report_margin_s=report_margin_s,
        state_s=state_s,
        log_max_bytes=int(log_max_bytes),
        held_rows=int(held_rows),
        disk_reserve_bytes=int(disk_reserve_bytes),
        suite=suite,
        volumes=named.volumes({"spool": Path(environment["NODE_HOME"])}),
    )


def _number(
    environment: Mapping[str, str],
    name: str,
    default_low_high: tuple[float, float, float],
    complain: Callable[[str], None],
) -> float:
    default, low, high = default_low_high
    text = environment.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    # A comparison with NaN is false, so no number at all is refused here too.
    if not low <= value <= high:
        complain(f"{name} must be a number from {low:g} to {high:g}")
    return value
