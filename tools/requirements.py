"""Which requirements passing tests prove: `./dev requirements [--json] [--results FILE]`.

The ids come from docs/requirements.md. Without --results the tests are run first. An id is proved when at
least one test marked with it passed and none marked with it failed. Rewrites docs/requirements-status.md.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MATRIX = ROOT / "docs" / "requirements.md"
STATUS_PAGE = ROOT / "docs" / "requirements-status.md"
ROW = re.compile(r"^\|\s*([A-Z]{3}-\d{2})\s*\|\s*(.+?)\s*\|", re.MULTILINE)

Results = dict[str, list[dict[str, str]]]


@dataclass(frozen=True)
class Requirement:
    """One row of the matrix."""

    id: str
    text: str


@dataclass(frozen=True)
class Status:
    """What the tests say about one requirement."""

    requirement: Requirement
    passed: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def proved(self) -> bool:
        """At least one marked test passed and none failed."""
        return bool(self.passed) and not self.failed


def parse_matrix(text: str) -> list[Requirement]:
    """The requirements in the order of the page; an id met twice is an error."""
    found = [Requirement(identity, sentence) for identity, sentence in ROW.findall(text)]
    ids = [requirement.id for requirement in found]
    if not ids or len(set(ids)) != len(ids):
        raise SystemExit("docs/requirements.md holds no ids, or one of them twice")
    return found


def judge(requirements: list[Requirement], results: Results) -> list[Status]:
    """Join the matrix with the outcomes; a marked id that the matrix lacks is an error."""
    unknown = sorted(results.keys() - {requirement.id for requirement in requirements})
    if unknown:
        raise SystemExit(f"tests are marked with ids that docs/requirements.md lacks: {', '.join(unknown)}")
    return [
        Status(
            requirement,
            tuple(row["test"] for row in results.get(requirement.id, []) if row["outcome"] == "passed"),
            tuple(row["test"] for row in results.get(requirement.id, []) if row["outcome"] == "failed"),
        )
        for requirement in requirements
    ]


def status_page(statuses: list[Status]) -> str:
    """The table as a page: id, state, tests, first words of the requirement."""
    proved = sum(status.proved for status in statuses)
    lines = [
        "# Which requirements are proved",
        "",
        "Written by `./dev requirements`; not edited by hand. A requirement counts as proved when a test",
        "that would fail without it carries its id and passes, and no test with its id fails.",
        "",
        f"{proved} of {len(statuses)} proved.",
        "",
        "| id | state | tests | requirement |",
        "|---|---|---|---|",
    ]
    for status in statuses:
        tests = "<br>".join(f"`{test}`" for test in status.failed or _modules(status.passed))
        state = "proved" if status.proved else ("failing" if status.failed else "open")
        lines.append(f"| {status.requirement.id} | {state} | {tests} | {_short(status.requirement.text)} |")
    return "\n".join(lines) + "\n"


def _modules(tests: tuple[str, ...]) -> list[str]:
    return sorted({test.split("[")[0] for test in tests})


def _short(text: str, length: int = 110) -> str:
    return text if len(text) <= length else text[: text.rfind(" ", 0, length)] + " …"


def run_tests(target: Path) -> None:
    """Run every test; failing ones are reported by their ids, so the exit code is not decisive."""
    command = [sys.executable, "-m", "tests.run", "-q"]
    environment = {**os.environ, "SHUQIAO_REQUIREMENTS": str(target)}
    code = subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False).returncode
    if code not in (0, 1) or not target.exists():
        raise SystemExit(f"the tests could not be run (pytest ended with {code})")


def load_results(results: Path | None) -> Results:
    """The outcomes of a finished run, or of a run made now."""
    if results is not None:
        loaded: Results = json.loads(results.read_text(encoding="utf-8"))
        return loaded
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "requirements.json"
        run_tests(target)
        return load_results(target)


def main() -> None:
    """Print proved and open ids and rewrite the status page."""
    parser = argparse.ArgumentParser(prog="./dev requirements", description="which requirements are proved")
    parser.add_argument("--json", action="store_true", help='print {"proved": [...], "open": [...]}')
    parser.add_argument("--results", type=Path, help="take the outcomes from this file; no test is run")
    arguments = parser.parse_args()
    statuses = judge(parse_matrix(MATRIX.read_text(encoding="utf-8")), load_results(arguments.results))
    STATUS_PAGE.write_text(status_page(statuses), encoding="utf-8")
    proved = [status.requirement.id for status in statuses if status.proved]
    still_open = [status.requirement.id for status in statuses if not status.proved]
    if arguments.json:
        print(json.dumps({"proved": proved, "open": still_open}))
        return
    print(f"proved ({len(proved)}): {' '.join(proved)}")
    print(f"open ({len(still_open)}): {' '.join(still_open)}")


if __name__ == "__main__":
    main()
