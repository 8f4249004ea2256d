"""Where the servers of the tests lie: their data in memory where there is room, their programs on disk.

A hub is 1,600 files and is copied for each test that commits. On a disk that cost ten times the processor's
time that it costs in memory.
"""

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from shuqiao.embedded import postgres

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
ROOM = 8 * 1024**3
"""Bytes that must be free there, for all servers of a run."""


def new_folder(prefix: str) -> Path:
    """Make a folder that a server's own account may enter; whoever asks for it removes it.

    Its path is short, as a socket's must be. What a killed run left in memory goes first.
    """
    is_roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM
    if is_roomy:
        _clear_away()
    place = tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=MEMORY if is_roomy else None)
    folder = Path(place)
    folder.chmod(0o755)
    return folder


def _clear_away() -> None:
    for old in MEMORY.glob("sq?-*-*"):
        owner = old.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(old, ignore_errors=True)


@cache
def embedded_programs() -> Path:
    """Folder of the embedded server's programs, one for all servers of this process."""
    # Nothing may be run from memory on some machines.
    folder = Path(tempfile.mkdtemp(prefix="sqr-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return postgres.runtime(folder)
