"""Runs the tests: everything on the embedded PostgreSQL, beside it what touches a database on Debian's.

`--database URL` (a superuser's) runs everything on that server instead. Other arguments go to pytest.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO


def pytest(arguments: list[str], output: IO[str] | None = None, **environment: str) -> int:
    """Run pytest as a process of its own and return its exit code; what it prints may go to a file."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        env=os.environ | environment,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
    ).returncode


def debian_programs() -> Path | None:
    """The newest PostgreSQL server that Debian installed here, or None."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").exists()]
    return max(found, key=lambda path: int(re.sub(r"\D.*", "", path.parent.name) or 0), default=None)


def on_debian(programs: Path, output: IO[str]) -> int:
    """Run the database tests on a server started from Debian's programs, ended afterwards."""
    from shuqiao.embedded import postgres

    folder = Path(tempfile.mkdtemp(prefix="sqd-"))
    folder.chmod(0o755)
    server = postgres.PostgresServer(
        folder / "pg" / "data", folder / "s", folder / "pg.log", secrets.token_hex(16)
    )
    process = postgres.start(server, programs=programs, durable=False)
    try:
        environment = {"SHUQIAO_TEST_DATABASE": server.url(), "SHUQIAO_REQUIREMENTS": ""}
        return pytest(["-m", "database", "-p", "no:cacheprovider"], output, **environment)
    finally:
        postgres.stop(process)
        shutil.rmtree(folder, ignore_errors=True)


NO_TESTS = 5
"""What pytest returns when nothing was selected; of two halves one may be empty."""


def in_two_halves(arguments: list[str], **environment: str) -> int:
    """Run the tests without a browser, then those with one; return the first failing exit code.

    They need processes of their own: the driver of the browser keeps an event loop running, in which no other
    asynchronous test can start its own.
    """
    if "-m" in arguments:
        return pytest(arguments, **environment)
    with_browser = "browser or acceptance"
    halves = [
        pytest(["-m", mark, *arguments], **environment) for mark in (f"not ({with_browser})", with_browser)
    ]
    if all(code == NO_TESTS for code in halves):
        return NO_TESTS
    return next((code for code in halves if code not in (0, NO_TESTS)), 0)


def main(arguments: list[str]) -> int:
    """Parse `--database URL`, run, return the first failing exit code."""
    if "--database" in arguments:
        at = arguments.index("--database")
        url = arguments[at + 1]
        return in_two_halves(arguments[:at] + arguments[at + 2 :], SHUQIAO_TEST_DATABASE=url)
    programs = debian_programs()
    if arguments:
        return in_two_halves(arguments)
    if programs is None:
        print("Debian's PostgreSQL is not installed: sudo apt-get install postgresql, to test on it too")
        return in_two_halves(arguments)
    # Both mostly wait, for databases and processes; side by side they take little longer than one.
    with ThreadPoolExecutor(1) as beside, tempfile.TemporaryFile("w+") as output:
        second = beside.submit(on_debian, programs, output)
        first_code = in_two_halves(arguments)
        second_code = second.result()
        print(f"\n== the database tests on PostgreSQL {programs.parent.name} of Debian", flush=True)
        output.seek(0)
        print(output.read(), flush=True)
    return first_code or second_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
