"""Keeps processes running on one machine: starts them in order, restarts what dies, ends them in reverse."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shuqiao.embedded.processes import end, spawn

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
    program: Program
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
        self._children.append(_Child(program, self._spawn(program), time.monotonic()))

    def pids(self) -> dict[str, int]:
        """Process number of each program."""
        return {child.program.name: child.process.pid for child in self._children}

    def look_after(self) -> None:
        """One round: start again whatever has died. Call it several times a second."""
        now = time.monotonic()
        for child in self._children:
            if child.start_again_at is not None:
                if now >= child.start_again_at:
                    child.process, child.started_at, child.start_again_at = (
                        self._spawn(child.program),
                        now,
                        None,
                    )
                continue
            code = child.process.poll()
            if code is None:
                continue
            child.restarts = 0 if now - child.started_at > LIVED_S else child.restarts + 1
            pause = RESTART_PAUSE_S[min(child.restarts, len(RESTART_PAUSE_S)) - 1 if child.restarts else 0]
            child.start_again_at = now + pause
            self._say(
                f"{child.program.name} ended ({code}); starting it again. See {self._log(child.program)}"
            )

    def run(self) -> None:
        """Look after the processes until `stop` is asked for."""
        while not self.stopping:
            self.look_after()
            time.sleep(0.2)

    def stop(self) -> None:
        """End every child, the last started first."""
        self.stopping = True
        for child in reversed(self._children):
            process = child.process
            end(
                process.pid,
                alive=lambda process=process: process.poll() is None,  # type: ignore[misc]
                first=child.program.stop_signal,
                then=signal.SIGKILL,
            )

    def _log(self, program: Program) -> Path:
        return self._logs / f"{program.name}.log"

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        common = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "LC_ALL", "HOME", "SHUQIAO_HOME")
            if name in os.environ
        }
        return spawn(
            program.argv,
            log=self._log(program),
            user=program.user,
            cwd=program.cwd,
            death_signal=program.stop_signal,
            environment=common | {"PYTHONUNBUFFERED": "1"} | dict(program.environment),
        )


def python(*arguments: str) -> tuple[str, ...]:
    """The command that runs this interpreter with `arguments`."""
    return (sys.executable, *arguments)
