"""Whether a volume is encrypted: as the kernel tells it, as somebody declares it, or not at all."""

import logging
import os
from datetime import date
from pathlib import Path

import pytest

from shuqiao.security.volumes import (
    Declaration,
    Kernel,
    VolumeSettings,
    read_volume_settings,
    state_of,
    tell,
)

WHO = Declaration("样例 王工", date(2026, 11, 20))


def kernel(tmp_path: Path, folder: Path, mount: str = "ext4 /dev/sda1") -> tuple[Kernel, Path]:
    """A tree as the kernel shows it, with a device under the folder's number; return both."""
    number = folder.stat().st_dev
    name = f"{os.major(number)}:{os.minor(number)}"
    devices, mounts = tmp_path / "block", tmp_path / "mountinfo"
    devices.mkdir()
    mounts.write_text(f"20 1 {name} / / rw,relatime - {mount} rw\n")
    return Kernel(devices, mounts), devices / name


def device(path: Path, *, uuid: str = "", below: tuple[Path, ...] = ()) -> Path:
    """A block device with what it is made of."""
    (path / "slaves").mkdir(parents=True)
    if uuid:
        (path / "dm").mkdir()
        (path / "dm" / "uuid").write_text(uuid + "\n")
    for one in below:
        (path / "slaves" / one.name).symlink_to(one)
    return path


LUKS = "CRYPT-LUKS2-0123456789abcdef-data"


@pytest.mark.parametrize(
    ("uuid", "state"),
    [
        (LUKS, "encrypted"),
        ("CRYPT-LUKS1-0123-data", "encrypted"),
        ("CRYPT-PLAIN-data", "encrypted"),
        # Both only check what is read; nothing of it is secret.
        ("CRYPT-VERITY-0123-data", "open"),
        ("CRYPT-INTEGRITY-0123-data", "open"),
        ("LVM-0123", "open"),
        ("", "open"),
    ],
)
def test_the_kernel_names_what_encrypts(tmp_path: Path, uuid: str, state: str) -> None:
    known, block = kernel(tmp_path, tmp_path)
    device(block, uuid=uuid)
    assert state_of("copies", tmp_path, None, known).state == state


def test_a_volume_made_of_others_is_encrypted_when_all_of_them_are(tmp_path: Path) -> None:
    one = device(tmp_path / "d" / "dm-0", uuid=LUKS)
    two = device(tmp_path / "d" / "sdb")
    known, block = kernel(tmp_path, tmp_path)
    device(block, uuid="LVM-0123", below=(one, two))
    assert state_of("copies", tmp_path, None, known).state == "open"
    (block / "slaves" / "sdb").unlink()
    assert state_of("copies", tmp_path, None, known).state == "encrypted"


def test_a_partition_is_what_its_disk_is(tmp_path: Path) -> None:
    known, block = kernel(tmp_path, tmp_path)
    disk = device(tmp_path / "d" / "md0", below=(device(tmp_path / "d" / "dm-0", uuid=LUKS),))
    part = disk / "md0p1"
    part.mkdir()
    (part / "partition").write_text("1\n")
    block.symlink_to(part)
    assert state_of("copies", tmp_path, None, known).state == "encrypted"


@pytest.mark.parametrize(
    ("mount", "state"),
    [
        ("tmpfs tmpfs", "memory"),
        ("ecryptfs /home/.data", "encrypted"),
        ("nfs4 server:/export", "unknown"),
        ("overlay overlay", "unknown"),
        ("btrfs /dev/none-such", "unknown"),
    ],
)
def test_without_a_device_of_its_own_the_mount_tells(tmp_path: Path, mount: str, state: str) -> None:
    known, _ = kernel(tmp_path, tmp_path, mount)
    assert state_of("copies", tmp_path, None, known).state == state


def test_a_declaration_counts_where_the_kernel_sees_nothing_and_only_there(tmp_path: Path) -> None:
    known, block = kernel(tmp_path, tmp_path)
    device(block)
    declared = state_of("copies", tmp_path, WHO, known)
    assert (declared.state, declared.declared, declared.is_open) == ("declared", WHO, False)
    assert state_of("messages", None, WHO, known).state == "declared"
    assert state_of("messages", None, None, known).state == "unknown"
    assert state_of("messages", tmp_path / "away", None, known).is_open
    (block / "dm").mkdir()
    (block / "dm" / "uuid").write_text(LUKS)
    seen = state_of("copies", tmp_path, WHO, known)
    assert (seen.state, seen.declared) == ("encrypted", None)


def test_the_machine_of_the_tests_can_be_asked(tmp_path: Path) -> None:
    """The real kernel: what it says depends on the machine, that it says something does not."""
    volume = state_of("copies", tmp_path, None)
    assert volume.state in ("encrypted", "open", "unknown", "memory")
    assert volume.device or volume.state == "unknown"
    assert state_of("copies", Path("/dev/shm"), None).state == "memory"  # noqa: S108 - a folder in memory


def test_settings_name_folders_and_who_declares(tmp_path: Path) -> None:
    settings = read_volume_settings(
        {
            "SHUQIAO_VOLUMES": f"hub-database={tmp_path}; messages = /srv/nats",
            "SHUQIAO_VOLUMES_DECLARED": "messages=样例 王工, 2026-11-20;",
        }
    )
    assert settings.folders == {"hub-database": tmp_path, "messages": Path("/srv/nats")}
    assert settings.declared == {"messages": WHO}
    assert read_volume_settings({}) == VolumeSettings()
    places = [volume.place for volume in settings.volumes({"copies": tmp_path}, ("vault-database",))]
    assert places == ["copies", "hub-database", "messages", "vault-database"]


@pytest.mark.parametrize(
    "environment",
    [
        {"SHUQIAO_VOLUMES": "hub-database"},
        {"SHUQIAO_VOLUMES": "Hub Database=/srv"},
        {"SHUQIAO_VOLUMES_DECLARED": "messages=2026-11-20"},
        {"SHUQIAO_VOLUMES_DECLARED": "messages=样例 王工"},
        {"SHUQIAO_VOLUMES_DECLARED": "messages=样例 王工, 20 November"},
    ],
)
def test_settings_that_say_nothing_certain_are_refused(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"SHUQIAO_VOLUMES|isoformat"):
        read_volume_settings(environment)


def test_an_open_volume_is_a_warning_that_says_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known, block = kernel(tmp_path, tmp_path)
    device(block)
    with caplog.at_level(logging.INFO):
        tell([state_of("copies", tmp_path, None, known)], logging.getLogger("test"))
        tell([state_of("messages", tmp_path, WHO, known)], logging.getLogger("test"))
    warning, told = caplog.records
    assert warning.levelname == "WARNING" and "volume_not_encrypted place=copies" in warning.getMessage()
    assert "LUKS" in warning.getMessage() and "SHUQIAO_VOLUMES_DECLARED" in warning.getMessage()
    assert told.levelname == "INFO" and "volume_declared place=messages" in told.getMessage()
