"""Runs the tests on two servers: the embedded PostgreSQL, and Debian's, which is some versions older.

Each test runs once, on one of them: about half of what touches a database on Debian's, since what works there
works on newer ones, the rest on the embedded one. Pages, vault, plane, loader and log are at work on both.
What is likeliest to differ runs on the other as well: rights, locks, what is staged and what is timed
(`AGAIN_ON_DEBIAN`, `AGAIN_ON_EMBEDDED`); the migrations are applied on both in any case. `--database URL` (a
superuser's) runs everything on that server instead. Other arguments go to pytest.

The tests are run in parts, several at a time, since they mostly wait for databases and processes; never two
on one server, whose logins and their passwords are the same in all its databases. What failed beside other
work is run once more by itself, and both outcomes are printed: a fault fails twice.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NO_TESTS = 5
"""What pytest returns when nothing was selected; of several parts some may be empty."""

FEW = 10
"""So many failures may be the load's; more are the change's, and running them again would tell nothing."""

LANES = 4
"""So many parts run beside each other: they wait for databases and processes more than they count."""

DEBIANS = 5
"""Servers of Debian's, one for each part that runs on one."""

PYTEST = (sys.executable, "-m", "pytest", "--durations=15", "--durations-min=2")

BROWSER = "browser"
CITY = "acceptance and not browser"
REST = "not (browser or acceptance)"


@dataclass(frozen=True)
class Part:
    """Some of the tests, by pytest's arguments, in a process of its own."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a part came to: pytest's exit code, what it printed, and the seconds it took.

    Processes that outlive whoever started them, as a city's do, are not in the processor's seconds.
    """

    code: int
    printed: str
    took_s: float
    processor_s: float


def run(part: Part, kept: Path, *more: str) -> Outcome:
    """Run one part, its cache in the folder `kept`."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*PYTEST, "-o", f"cache_dir={kept}", *part.arguments, *more],
        env=os.environ | part.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with process:
        printed = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Outcome(process.returncode, printed, time.monotonic() - began, used.ru_utime + used.ru_stime)


def run_all(parts: list[Part], lanes: int = LANES) -> int:
    """Run parts side by side, then what failed once more alone; return the first exit code that says so."""
    codes: dict[str, int] = {}
    times: list[str] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(lanes) as pool:
        kept = {part.name: Path(folder) / str(at) for at, part in enumerate(parts)}
        running = {pool.submit(run, part, kept[part.name]): part for part in parts}
        for finished in as_completed(running):
            part, done = running[finished], finished.result()
            codes[part.name] = done.code
            times.append(f"{done.took_s:6.0f} s, {done.processor_s:5.0f} s of the processor: {part.name}")
            say(f"== {part.name}", done.printed)
        say("== how long the parts took", *times)
        for part in parts:
            if codes[part.name] == 1 and 0 < failures(kept[part.name]) <= FEW:
                alone = Part(part.name, part.arguments, part.environment | {"SHUQIAO_REQUIREMENTS": ""})
                again = run(alone, kept[part.name], "--last-failed")
                codes[part.name] = again.code
                say(f"== {part.name}: what failed, once more and alone", again.printed)
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
    from tests.plugins.places import new_folder

    folder = new_folder("sqd-")
    data = folder / "pg" / "data"
    password = CLUSTERS.copy(programs, data)
    server = postgres.PostgresServer(data, folder / "s", folder / "pg.log", password)
    process = postgres.start(server, programs=programs, durable=False)
    try:
        yield server.url()
    finally:
        postgres.stop(process)
        shutil.rmtree(folder, ignore_errors=True)


PAGES = ("control",)
"""The folder of tests of the office's pages and of what stands behind them, the largest of all."""

OFFICE = (
    "compiling",
    "disputes",
    "documents",
    "exports",
    "finding",
    "onesource",
    "standards",
    "updating",
    "upkeep",
)
"""The other folders of tests of the office."""

SUPPLY = ("auditlog", "loader")
"""Folders of tests of what takes in batches, and of the log."""

BULK = ("bulk", "files")
"""Folders of tests of what gives out much at once."""

ON_DEBIAN = (*PAGES, *OFFICE, *SUPPLY, *BULK)

PLANE = ("held", "interfaces", "plane")
"""Folders of tests of the data plane."""

NODES = ("edge", "receive")
"""Folders of tests of nodes."""

CITIES = ("acceptance", "chaos", "demo")
"""Folders of tests that start a whole city; what is beside them there needs none."""

AGAIN_ON_DEBIAN = (
    "plane/test_alike.py",
    "plane/test_answers.py",
    "plane/test_guessing.py",
    "vault/test_assign.py",
    "vault/test_story.py",
)
AGAIN_ON_EMBEDDED = (
    "auditlog/test_writers.py",
    "bulk/test_feed_parts.py",
    "control/test_roles.py",
    "control/test_two_at_once.py",
    "loader/test_pipeline.py",
    "loader/test_staging.py",
)
AGAIN = {"SHUQIAO_REQUIREMENTS": ""}
"""What runs on a second server proves no requirement twice."""


def those_of(name: str, folders: tuple[str, ...], environment: dict[str, str], mark: str = REST) -> Part:
    """The tests of some folders that have a mark."""
    return Part(name, ("-m", mark, *(f"tests/{folder}" for folder in folders)), environment)


def all_but(name: str, folders: tuple[str, ...], environment: dict[str, str], mark: str = REST) -> Part:
    """The tests of all other folders that have a mark."""
    return Part(name, ("-m", mark, "tests", *(f"--ignore=tests/{folder}" for folder in folders)), environment)


def chosen(arguments: list[str], **environment: str) -> list[Part]:
    """What a person asks for, on one server; a browser's driver keeps an event loop of its own."""
    if "-m" in arguments:
        return [Part("tests", tuple(arguments), environment)]
    named = (("with a browser", BROWSER), ("with a whole city", CITY), ("all others", REST))
    return [Part(name, ("-m", mark, *arguments), environment) for name, mark in named]


def whole(on_debian: list[dict[str, str]]) -> list[Part]:
    """Everything, the longest first; without environments of Debian's all of it on the embedded server."""
    supply, pages, office, bulk, again = on_debian or [{}] * DEBIANS
    parts = [
        those_of("supply's", SUPPLY, supply),
        those_of("the pages'", PAGES, pages),
        those_of("the nodes'", NODES, {}),
        Part("with a browser", ("-m", BROWSER, "tests/browser")),
        those_of("the data plane's", PLANE, {}),
        those_of("with a whole city", CITIES, {}, CITY),
        all_but("all others'", (*ON_DEBIAN, *PLANE, *NODES), {}),
        those_of("the office's", OFFICE, office),
        those_of("the bulk service's", BULK, bulk),
    ]
    if on_debian:
        parts.append(those_of("once more on Debian's", AGAIN_ON_DEBIAN, again | AGAIN))
        parts.append(those_of("once more on the embedded one", AGAIN_ON_EMBEDDED, AGAIN))
    return parts


def main(arguments: list[str]) -> int:
    """Parse `--database URL`, run, return the first failing exit code."""
    if "--database" in arguments:
        at = arguments.index("--database")
        url = arguments[at + 1]
        more = arguments[:at] + arguments[at + 2 :]
        return run_all(chosen(more, SHUQIAO_TEST_DATABASE=url), lanes=1)
    if arguments:
        return run_all(chosen(arguments))
    programs = debian_programs()
    if programs is None:
        print("Debian's PostgreSQL is not installed: sudo apt-get install postgresql, to test on it too")
        return run_all(whole([]))
    with ExitStack() as servers:
        urls = [servers.enter_context(debian_server(programs)) for _ in range(DEBIANS)]
        places = [{"SHUQIAO_TEST_DATABASE": url, "SHUQIAO_TEST_PROGRAMS": str(programs)} for url in urls]
        return run_all(whole(places))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
