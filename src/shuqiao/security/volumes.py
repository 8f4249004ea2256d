"""Whether the volume under a folder is encrypted, as the kernel says or as its operator declares.

A database, a message store and a spool write into files of their own form; what they hold is encrypted by
the volume they lie on, or not. The kernel tells of dm-crypt (LUKS and its kin); of what lies below a virtual
machine's disk or in a disk itself it knows nothing, so an operator may declare it, by name and date.
Source: our choice, decision 31; guangzhou-2016 art. 38(1).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

State = Literal["encrypted", "declared", "memory", "open", "unknown"]
FOLDERS = "SHUQIAO_VOLUMES"
DECLARED = "SHUQIAO_VOLUMES_DECLARED"

_CRYPT = re.compile(r"CRYPT-(?:LUKS[12]|PLAIN|LOOPAES|TCRYPT|BITLK|FVAULT2)-")
_PLACE = re.compile(r"[a-z][a-z-]{1,39}")
_MAX_NAME_CHARS = 60
_IN_MEMORY = {"tmpfs", "ramfs"}
_ENCRYPTING = {"ecryptfs"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """Who says that a volume is encrypted, and since when."""

    by: str
    on: date


@dataclass(frozen=True, slots=True)
class Volume:
    """What is known of the volume of one place: `device` is the kernel's number of it, as `254:0`."""

    place: str
    state: State
    device: str = ""
    declared: Declaration | None = None

    @property
    def is_open(self) -> bool:
        """Nobody says that it is encrypted."""
        return self.state in ("open", "unknown")


@dataclass(frozen=True, slots=True)
class VolumeSettings:
    """Folders of places, and declarations about places."""

    folders: Mapping[str, Path] = field(default_factory=dict)
    declared: Mapping[str, Declaration] = field(default_factory=dict)

    def volumes(self, own: Mapping[str, Path], needed: Iterable[str] = ()) -> tuple[Volume, ...]:
        """State what is known of a process's own folders, of those that are named, and of `needed` places."""
        folders = {**self.folders, **own}
        places = sorted({*folders, *needed})
        return tuple(state_of(place, folders.get(place), self.declared.get(place)) for place in places)


@dataclass(frozen=True, slots=True)
class Kernel:
    """Where the kernel tells of its devices and mounts."""

    devices: Path = Path("/sys/dev/block")
    mounts: Path = Path("/proc/self/mountinfo")


def read_volume_settings(environment: Mapping[str, str]) -> VolumeSettings:
    """Read SHUQIAO_VOLUMES (`place=folder; …`) and SHUQIAO_VOLUMES_DECLARED (`place=name, 2026-11-22; …`).

    Raises ValueError that names what can't be read.
    """
    folders = {place: Path(text) for place, text in _pairs(environment, FOLDERS)}
    declared = {place: _declaration(text) for place, text in _pairs(environment, DECLARED)}
    return VolumeSettings(folders, declared)


def _pairs(environment: Mapping[str, str], name: str) -> Iterable[tuple[str, str]]:
    for part in filter(None, (part.strip() for part in environment.get(name, "").split(";"))):
        place, equals, text = (piece.strip() for piece in part.partition("="))
        if not equals or not text or _PLACE.fullmatch(place) is None:
            raise ValueError(f"{name} must be pairs place=…, separated by semicolons")
        yield place, text


def _declaration(text: str) -> Declaration:
    by, _, on = (piece.strip() for piece in text.rpartition(","))
    if not 0 < len(by) <= _MAX_NAME_CHARS or not by.isprintable():
        raise ValueError(f"{DECLARED} must say who declares it and on which day: name, 2026-11-22")
    return Declaration(by, date.fromisoformat(on))


def state_of(
    place: str, folder: Path | None, declared: Declaration | None, kernel: Kernel | None = None
) -> Volume:
    """State what is known: what the kernel sees, else what is declared, else that it lies open."""
    unseen: tuple[State, str] = ("unknown", "")
    state, device = unseen if folder is None else _seen(folder, kernel or Kernel())
    if state != "encrypted" and declared is not None:
        return Volume(place, "declared", device, declared)
    return Volume(place, state, device)


def tell(volumes: Iterable[Volume], log: logging.Logger) -> None:
    """Say it in a process's log; a volume that lies open is a warning that says what to do."""
    for volume in volumes:
        if not volume.is_open:
            by = f" by={volume.declared.by!r} on={volume.declared.on}" if volume.declared else ""
            log.info("volume_%s place=%s device=%s%s", volume.state, volume.place, volume.device or "-", by)
            continue
        log.warning(
            "volume_not_encrypted place=%s device=%s state=%s: put it on an encrypted volume (LUKS), or"
            " declare in %s who says that it is encrypted and since when",
            volume.place,
            volume.device or "-",
            volume.state,
            DECLARED,
        )


def _seen(folder: Path, kernel: Kernel) -> tuple[State, str]:
    try:
        number = folder.stat().st_dev
    except OSError:
        return "unknown", ""
    device = f"{os.major(number)}:{os.minor(number)}"
    kind, source = _mount(device, kernel)
    if kind in _IN_MEMORY:
        return "memory", device
    if kind in _ENCRYPTING:
        return "encrypted", device
    if not (kernel.devices / device).exists():
        # Some file systems, btrfs among them, have a number of their own; their mount names the device.
        device = _device_of(source)
    block = kernel.devices / device
    if not device or not block.exists():
        return "unknown", device
    return ("encrypted" if _is_encrypted(block.resolve()) else "open"), device


def _mount(device: str, kernel: Kernel) -> tuple[str, str]:
    try:
        lines = kernel.mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, told = before.split(), after.split()
        if len(fields) > 2 and fields[2] == device and len(told) > 1:
            return told[0], told[1]
    return "", ""


def _device_of(source: str) -> str:
    try:
        number = Path(source).stat().st_rdev if source.startswith("/dev/") else 0
    except OSError:
        return ""
    return f"{os.major(number)}:{os.minor(number)}" if number else ""


def _is_encrypted(block: Path) -> bool:
    """Tell whether a device is a crypt target, or everything it is made of lies on such ones."""
    try:
        if _CRYPT.match((block / "dm" / "uuid").read_text(encoding="ascii", errors="replace")):
            return True
    except OSError:
        # Not of the device mapper: a disk, a partition, an array.
        pass
    if (block / "partition").exists():
        return _is_encrypted(block.parent)
    below = [path.resolve() for path in (block / "slaves").glob("*")]
    return bool(below) and all(_is_encrypted(path) for path in below)
