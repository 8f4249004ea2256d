"""The supervisor starts again what dies and ends everything in reverse order."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from shuqiao.embedded.supervisor import Program, Supervisor, python

WRITER = "import sys,time,os; open(sys.argv[1],'a').write('start\\n')\nwhile True: time.sleep(0.05)"

NOTES_ITS_END = """
import signal, sys, time
def end(*_):
    open(sys.argv[1], "a").write(sys.argv[2])
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(sys.argv[1] + sys.argv[2], "w").close()
while True:
    time.sleep(0.05)
"""


def _wait(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    note = tmp_path / "note"
    supervisor = Supervisor(tmp_path / "log", said.append)
    supervisor.start(Program("writer", python("-c", WRITER, str(note))))
    _wait(note.exists)
    first = supervisor.pids()["writer"]
    os.kill(first, signal.SIGKILL)

    def again() -> bool:
        supervisor.look_after()
        return note.read_text().count("start") == 2

    _wait(again)
    assert supervisor.pids()["writer"] != first
    assert said == [f"writer ended (-9); starting it again. Its log is in {tmp_path / 'log'}"]
    supervisor.stop()


def test_children_end_in_reverse_order(tmp_path: Path) -> None:
    note = tmp_path / "note"
    code = NOTES_ITS_END
    supervisor = Supervisor(tmp_path / "log", lambda _line: None)
    for name in ("a", "b", "c"):
        supervisor.start(Program(name, (sys.executable, "-c", code, str(note), name)))
        _wait(Path(str(note) + name).exists)
    supervisor.stop()
    assert note.read_text() == "cba"


def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "note"
    leaves = (
        "import subprocess, sys, time\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open(sys.argv[1], 'w').write(f'{left.pid}\\n')\n"
        "time.sleep(600)"
    )
    supervisor = Supervisor(tmp_path / "log", lambda _line: None)
    supervisor.start(Program("leaves", python("-c", leaves, str(note))))
    _wait(lambda: note.exists() and note.read_text().endswith("\n"))
    left = int(note.read_text())
    assert _runs(left)
    supervisor.stop()
    _wait(lambda: not _runs(left))


def _runs(pid: int) -> bool:
    """Whether a process is there and no mere entry for who waits for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_that_cannot_start_yet_is_tried_again(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "log", said.append)
    attempts: list[int] = []

    def begin():
        attempts.append(1)
        if len(attempts) == 2:
            raise RuntimeError("not yet")
        return subprocess.Popen(["sleep", "30"])

    def finish(process) -> None:
        process.kill()
        process.wait()

    supervisor.adopt("late", begin, finish)
    os.kill(supervisor.pids()["late"], signal.SIGKILL)

    def started_thrice() -> bool:
        supervisor.look_after()
        return len(attempts) == 3

    _wait(started_thrice)
    assert any("cannot start yet: not yet" in line for line in said)
    supervisor.stop()
