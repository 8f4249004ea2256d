"""Starting and ending child processes: none outlives its parent, no stranger is taken for one of ours."""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def is_root() -> bool:
    """Say whether this process runs as root."""
    return os.geteuid() == 0


def system_user(name: str) -> pwd.struct_passwd:
    """Return the system account `name`, creating it when root asks for one that isn't there yet."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        useradd = shutil.which("useradd") or "/usr/sbin/useradd"
        command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        subprocess.run([*command, "--shell", "/usr/sbin/nologin", name], check=True)
        return pwd.getpwnam(name)


def die_with_parent(signal_number: int) -> Callable[[], None]:
    """Return what a child runs before its program: ask the kernel for a signal when the parent dies."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal_number)

    return ask


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    user: str | None = None,
    cwd: Path | None = None,
    death_signal: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a child whose output goes to the end of `log`, in a session of its own, dying with its parent.

    `user` needs root. The session of its own keeps Ctrl-C at the terminal from reaching the child before the
    supervisor can end the children in order.
    """
    identity: dict[str, object] = {}
    if user is not None:
        account = system_user(user)
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=die_with_parent(death_signal),
            **identity,
        )


def runs(pid: int, *, in_folder: Path) -> bool:
    """Say whether `pid` is alive and works in `in_folder`; a number taken over by a stranger is not ours."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve() == in_folder.resolve()
    except OSError:
        return False


def end(pid: int, *, alive: Callable[[], bool], first: int, then: int, patience_s: float = 10.0) -> None:
    """Signal `pid` with `first`, wait up to `patience_s`, then with `then`; return when it is gone."""
    for number in (first, then):
        if not alive():
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience_s
        while alive() and time.monotonic() < deadline:
            time.sleep(0.05)


def end_left(pid: int) -> None:
    """Kill what the leader of a session, which is gone, has left behind in its group; often nothing."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
