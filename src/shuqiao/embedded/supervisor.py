"""Keeps processes running on one machine: starts them in order, restarts what dies, ends them in reverse."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shuqiao.embedded.processes import end, end_left, spawn
from shuqiao.security.suites import SETTING as SUITE_SETTING
from shuqiao.security.volumes import DECLARED as VOLUMES_DECLARED

RESTART_PAUSE_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses before the first, second … restart in a row; a process that lived a minute starts the row anew."""

LIVED_S = 60.0


@dataclass(frozen=True)
class Program:
    """One process: its command, its environment besides the common one, and how it is asked to end."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM
    user: str | None = None
    cwd: Path | None = None


@dataclass
class _Child:
    name: str
    begin: Callable[[], subprocess.Popen[bytes]]
    finish: Callable[[subprocess.Popen[bytes]], None]
    process: subprocess.Popen[bytes]
    started_at: float
    restarts: int = 0
    start_again_at: float | None = None


class Supervisor:
    """Runs programs until told to stop. Does not know what they are for, nor whether they are ready."""

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        """Logs go to `logs/<name>.log`; `say` gets a line whenever a process had to be started again."""
        self._logs = logs
        self._say = say
        self._children: list[_Child] = []
        self.stopping = False

    def start(self, program: Program) -> None:
        """Start one more program; those started later are ended earlier."""

        def finish(process: subprocess.Popen[bytes]) -> None:
            def alive() -> bool:
                return process.poll() is None

            end(process.pid, alive=alive, first=program.stop_signal, then=signal.SIGKILL)
            end_left(process.pid)

        self.adopt(program.name, lambda: self._spawn(program), finish)

    def adopt(
        self,
        name: str,
        begin: Callable[[], subprocess.Popen[bytes]],
        finish: Callable[[subprocess.Popen[bytes]], None],
    ) -> None:
        """Start and watch a process that has its own way to begin and to end; `begin` may raise OSError,
        RuntimeError when it can't yet, and is then tried again."""
        self._children.append(_Child(name, begin, finish, begin(), time.monotonic()))

    def pids(self) -> dict[str, int]:
        """Process number of each program."""
        return {child.name: child.process.pid for child in self._children}

    def look_after(self) -> bool:
        """One round: start again whatever has died. Say whether a process number changed.

        Call it several times a second.
        """
        changed = False
        for child in self._children:
            changed |= self._look_after(child, time.monotonic())
        return changed

    def run(self, changed: Callable[[], None]) -> None:
        """Look after the processes until stopped; `changed` is called when one has a new process number."""
        while not self.stopping:
            if self.look_after():
                changed()
            time.sleep(0.2)

    def stop(self) -> None:
        """End every child, the last started first."""
        self.stopping = True
        for child in reversed(self._children):
            child.finish(child.process)

    def _look_after(self, child: _Child, now: float) -> bool:
        if child.start_again_at is None:
            code = child.process.poll()
            if code is not None:
                child.restarts = 0 if now - child.started_at > LIVED_S else child.restarts + 1
                child.start_again_at = (
                    now + RESTART_PAUSE_S[min(max(child.restarts - 1, 0), len(RESTART_PAUSE_S) - 1)]
                )
                self._say(f"{child.name} ended ({code}); starting it again. Its log is in {self._logs}")
            return False
        if now < child.start_again_at:
            return False
        try:
            child.process = child.begin()
        except (OSError, RuntimeError) as error:
            child.start_again_at = now + RESTART_PAUSE_S[-2]
            self._say(f"{child.name} cannot start yet: {error}")
            return False
        child.started_at, child.start_again_at = now, None
        return True

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        inherited = ("PATH", "LANG", "LC_ALL", "HOME", "SHUQIAO_HOME", SUITE_SETTING, VOLUMES_DECLARED)
        common = {name: os.environ[name] for name in inherited if name in os.environ}
        return spawn(
            program.argv,
            log=self._logs / f"{program.name}.log",
            user=program.user,
            cwd=program.cwd,
            death_signal=program.stop_signal,
            environment=common | {"PYTHONUNBUFFERED": "1"} | dict(program.environment),
        )


def python(*arguments: str) -> tuple[str, ...]:
    """The command that runs this interpreter with `arguments`."""
    return (sys.executable, *arguments)
