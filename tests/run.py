"""Runs the tests: everything on the embedded PostgreSQL, and what touches a database on Debian's as well.

`--database URL` (a superuser's) runs everything on that server instead. Other arguments go to pytest.

The tests are run in parts, three at a time, since they mostly wait for databases and processes; never two on
one server, whose logins and their passwords are the same in all its databases. What failed beside other
work is run once more by itself, and both outcomes are printed: a fault fails twice.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NO_TESTS = 5
"""What pytest returns when nothing was selected; of several parts some may be empty."""

FEW = 5
"""So many failures may be the load's; more are the change's, and running them again would tell nothing."""

WITH_BROWSER = "browser or acceptance"


@dataclass(frozen=True)
class Part:
    """Some of the tests, by pytest's arguments, in a process of its own."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def run(part: Part, kept: Path, *more: str) -> tuple[int, str]:
    """Run one part, its cache in the folder `kept`; return pytest's exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-o", f"cache_dir={kept}", *part.arguments, *more],
        env=os.environ | part.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return done.returncode, done.stdout


def run_all(parts: list[Part], lanes: int = 3) -> int:
    """Run parts side by side, then what failed once more alone; return the first exit code that says so."""
    codes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(lanes) as pool:
        kept = {part.name: Path(folder) / str(at) for at, part in enumerate(parts)}
        running = {pool.submit(run, part, kept[part.name]): part for part in parts}
        for finished in as_completed(running):
            part = running[finished]
            codes[part.name], printed = finished.result()
            say(f"== {part.name}", printed)
        for part in parts:
            if codes[part.name] == 1 and 0 < failures(kept[part.name]) <= FEW:
                alone = Part(part.name, part.arguments, part.environment | {"SHUQIAO_REQUIREMENTS": ""})
                codes[part.name], printed = run(alone, kept[part.name], "--last-failed")
                say(f"== {part.name}: what failed, once more and alone", printed)
    if all(code == NO_TESTS for code in codes.values()):
        return NO_TESTS
    return next((code for code in codes.values() if code not in (0, NO_TESTS)), 0)


def failures(kept: Path) -> int:
    """How many tests failed, as pytest keeps it for its next run; none where it never got so far."""
    found = kept / "v" / "cache" / "lastfailed"
    return found.read_text(encoding="utf-8").count("\n") - 1 if found.exists() else 0


def say(*texts: str) -> None:
    """Print at once, so that the order stays."""
    print("", *texts, sep="\n", flush=True)


def debian_programs() -> Path | None:
    """The newest PostgreSQL server that Debian installed here, or None."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").exists()]
    return max(found, key=lambda path: int(re.sub(r"\D.*", "", path.parent.name) or 0), default=None)


@contextmanager
def debian_server(programs: Path) -> Iterator[str]:
    """A server started from Debian's programs, by its address; ended and gone afterwards."""
    from shuqiao.embedded import postgres
    from tests.plugins.hubs import CLUSTERS

    folder = Path(tempfile.mkdtemp(prefix="sqd-"))
    folder.chmod(0o755)
    data = folder / "pg" / "data"
    password = CLUSTERS.copy(programs, data)
    server = postgres.PostgresServer(data, folder / "s", folder / "pg.log", password)
    process = postgres.start(server, programs=programs, durable=False)
    try:
        yield server.url()
    finally:
        postgres.stop(process)
        shutil.rmtree(folder, ignore_errors=True)


OFFICE = ("compiling", "control", "disputes", "documents", "exports", "finding", "onesource")
"""Folders of tests of the office's pages and rules, about half of all in time."""


def halves(name: str, mark: str, environment: dict[str, str]) -> list[Part]:
    """The tests of a mark in two parts of about the same length: the office's, and all others."""
    folders = [f"tests/{folder}" for folder in OFFICE]
    others = [f"--ignore={folder}" for folder in folders]
    return [
        Part(f"{name}: the office's", ("-m", mark, *folders), dict(environment)),
        Part(f"{name}: all others", ("-m", mark, "tests", *others), dict(environment)),
    ]


def whole(arguments: list[str], **environment: str) -> list[Part]:
    """Everything; apart from the rest what needs a browser, whose driver keeps an event loop of its own."""
    if "-m" in arguments:
        return [Part("tests", tuple(arguments), environment)]
    name, apart = "tests without a browser", f"not ({WITH_BROWSER})"
    in_browser = Part("tests with a browser or a whole city", ("-m", WITH_BROWSER, *arguments), environment)
    if arguments:
        return [in_browser, Part(name, ("-m", apart, *arguments), environment)]
    return [in_browser, *halves(name, apart, environment)]


def main(arguments: list[str]) -> int:
    """Parse `--database URL`, run, return the first failing exit code."""
    if "--database" in arguments:
        at = arguments.index("--database")
        url = arguments[at + 1]
        return run_all(whole(arguments[:at] + arguments[at + 2 :], SHUQIAO_TEST_DATABASE=url), lanes=1)
    programs = debian_programs()
    if arguments or programs is None:
        if programs is None:
            print("Debian's PostgreSQL is not installed: sudo apt-get install postgresql, to test on it too")
        return run_all(whole(arguments))
    name = f"database tests on PostgreSQL {programs.parent.name} of Debian"
    parts = halves(name, "database", {"SHUQIAO_REQUIREMENTS": ""})
    with ExitStack() as servers:
        for part in parts:
            part.environment["SHUQIAO_TEST_DATABASE"] = servers.enter_context(debian_server(programs))
            part.environment["SHUQIAO_TEST_PROGRAMS"] = str(programs)
        return run_all([*whole([]), *parts])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
