"""Power cuts: what a program had flushed is left of a folder, and by chance some of what it had not."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

_PAGE = 4096
_SOURCE = Path(__file__).with_name("power.c")
_DRAFT = ".draft"


@dataclass(frozen=True)
class Power:
    """A folder whose power can be cut, and where that which outlives a cut is kept meanwhile."""

    folder: Path
    kept: Path
    library: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a program is started with so that its flushes are noticed."""
        return {
            "LD_PRELOAD": str(self.library),
            "POWER_FROM": str(self.folder),
            "POWER_TO": str(self.kept),
        }

    def on(self) -> None:
        """Take all that is in the folder as flushed; no program may be writing."""
        shutil.rmtree(self.kept, ignore_errors=True)
        by_inode = self.kept / ".by"
        by_inode.mkdir(parents=True)
        for path in sorted(self.folder.rglob("*")):
            named = self.kept / path.relative_to(self.folder)
            if path.is_dir():
                named.mkdir(exist_ok=True)
            elif path.is_file():
                contents = by_inode / str(path.stat().st_ino)
                shutil.copyfile(path, contents)
                named.hardlink_to(contents)

    def cut(self, chance: Random) -> int:
        """Leave of the folder what a cut would; its programs were killed before.

        Of what was not flushed, each page and each name is there or not by chance. Returns how many files
        lost something.
        """
        names = {path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file()}
        outlived = {path.relative_to(self.kept) for path in self.kept.rglob("*") if path.is_file()}
        outlived = {one for one in outlived if one.parts[0] != ".by" and one.suffix != _DRAFT}
        lost = 0
        for name in sorted(names | outlived):
            written, kept = self.folder / name, self.kept / name
            now = written.read_bytes() if written.exists() else b""
            before = kept.read_bytes() if kept.exists() else b""
            if now != before and not (name in names and name in outlived) and chance.random() < 0.5:
                left = None
            else:
                left = _mixed(before, now, chance) if name in names else before
            lost += left != now
            if left is None:
                written.unlink(missing_ok=True)
            else:
                written.write_bytes(left)
        self.on()
        return lost


def _mixed(before: bytes, now: bytes, chance: Random) -> bytes:
    """Take each page of a file as it was flushed or as it was written since."""
    size = chance.choice((len(before), len(now)))
    old, new = before.ljust(size, b"\0"), now.ljust(size, b"\0")
    pages = range(0, size, _PAGE)
    return b"".join(chance.choice((old, new))[at : at + _PAGE] for at in pages)[:size]


def power_of(folder: Path, kept: Path, build: Path) -> Power:
    """Make what notices flushes, and the place for what they keep."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed: sudo apt-get install gcc")
    library = build / "power.so"
    subprocess.run(
        [
            compiler,
            "-shared",
            "-fPIC",
            "-O1",
            "-Wall",
            "-Wno-format-truncation",
            "-o",
            library,
            _SOURCE,
            "-ldl",
        ],
        check=True,
    )
    return Power(folder.resolve(), kept, library)
