"""What processes used: processor time and bytes written, by the program that began them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.place import children_s, descends, parents, seconds_of


@dataclass(frozen=True)
class Used:
    """Processor seconds, and bytes that were to reach the disk."""

    cpu_s: float = 0.0
    written: int = 0

    def __sub__(self, before: Used) -> Used:
        """What was used since."""
        return Used(self.cpu_s - before.cpu_s, self.written - before.written)

    def __add__(self, other: Used) -> Used:
        """Both together."""
        return Used(self.cpu_s + other.cpu_s, self.written + other.written)


def used(roots: Mapping[str, int], databases: Mapping[str, str]) -> dict[str, Used]:
    """What each program has used so far, with its children, also those that have ended.

    `databases` says as what the connections to a database are counted, as long as they last.
    """
    known = parents()
    found = dict.fromkeys((*roots, *databases.values()), Used())
    for pid in known:
        for name, root in roots.items():
            if descends(pid, root, known):
                found[_of_database(pid, databases) or name] += Used(seconds_of(pid), _written(pid))
    return found


def _of_database(pid: int, databases: Mapping[str, str]) -> str | None:
    with contextlib.suppress(OSError):
        title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
        if title.startswith("postgres: "):
            return next((databases[word] for word in title.split() if word in databases), None)
    return None


def processes_used() -> Used:
    """What the programs used that this process ran and that have ended."""
    return Used(children_s(), _written(os.getpid()))


def highest_mb(pid: int) -> float:
    """The most memory a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _written(pid: int) -> int:
    """Bytes of a process and of its children that have ended, as the kernel adds them up."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            if line.startswith("write_bytes"):
                return int(line.split()[1])
    return 0
