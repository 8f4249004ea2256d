"""Runs the tests: everything on the embedded PostgreSQL, then what touches a database on Debian's as well.

`--database URL` (a superuser's) runs everything on that server instead. Other arguments go to pytest.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def pytest(arguments: list[str], **environment: str) -> int:
    """Run pytest as a process of its own and return its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], env=os.environ | environment
    ).returncode


def debian_programs() -> Path | None:
    """The newest PostgreSQL server that Debian installed here, or None."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").exists()]
    return max(found, key=lambda path: int(re.sub(r"\D.*", "", path.parent.name) or 0), default=None)


def on_debian(programs: Path) -> int:
    """Run the database tests on a server started from Debian's programs, ended afterwards."""
    from shuqiao.embedded import postgres

    folder = Path(tempfile.mkdtemp(prefix="sqd-"))
    folder.chmod(0o755)
    server = postgres.PostgresServer(
        folder / "pg" / "data", folder / "s", folder / "pg.log", secrets.token_hex(16)
    )
    process = postgres.start(server, programs=programs, durable=False)
    try:
        print(
            f"\n== the database tests once more, on PostgreSQL {programs.parent.name} of Debian", flush=True
        )
        return pytest(["-m", "database"], SHUQIAO_TEST_DATABASE=server.url(), SHUQIAO_REQUIREMENTS="")
    finally:
        postgres.stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Parse `--database URL`, run, return the first failing exit code."""
    if "--database" in arguments:
        at = arguments.index("--database")
        url = arguments[at + 1]
        return pytest(arguments[:at] + arguments[at + 2 :], SHUQIAO_TEST_DATABASE=url)
    code = pytest(arguments)
    programs = debian_programs()
    if code or arguments:
        return code
    if programs is None:
        print("Debian's PostgreSQL is not installed: sudo apt-get install postgresql, to test on it too")
        return 0
    return on_debian(programs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
