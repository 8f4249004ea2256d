"""Writes which requirements the run proved: one outcome per marked test and id.

Active only when SHUQIAO_REQUIREMENTS names the file to write, as tools/requirements.py does.
"""

import fcntl
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

SEVERITY = {"passed": 0, "skipped": 1, "failed": 2}
"""A test's outcome is the worst of its phases, and a failure of clearing up counts."""


class RequirementReport:
    """Collects outcomes of tests marked with `requirement` and writes them when the run ends."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.ids: dict[str, list[str]] = {}
        self.outcomes: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Remember the ids each test is marked with."""
        for item in items:
            ids = [str(identity) for mark in item.iter_markers("requirement") for identity in mark.args[:1]]
            if ids:
                self.ids[item.nodeid] = ids

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of a test's phases; an expected failure proves nothing."""
        if report.nodeid not in self.ids:
            return
        outcome = "skipped" if hasattr(report, "wasxfail") else report.outcome
        before = self.outcomes.get(report.nodeid, "passed")
        self.outcomes[report.nodeid] = max(before, outcome, key=lambda name: SEVERITY[name])

    def pytest_sessionfinish(self) -> None:
        """Write `{id: [{"test": node id, "outcome": …}]}`, whole or not at all."""
        # The tests run in more than one process, also at once; each adds what it saw.
        with self.target.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._add()

    def _add(self) -> None:
        results: dict[str, list[dict[str, Any]]] = defaultdict(list)
        if self.target.exists():
            results |= json.loads(self.target.read_text(encoding="utf-8"))
        for test, outcome in sorted(self.outcomes.items()):
            for identity in self.ids[test]:
                results[identity].append({"test": test, "outcome": outcome})
        unfinished = self.target.with_suffix(".part")
        unfinished.write_text(json.dumps(results, indent=1, sort_keys=True), encoding="utf-8")
        unfinished.replace(self.target)


def pytest_configure(config: pytest.Config) -> None:
    """Register the report when a file to write is named."""
    target = os.environ.get("SHUQIAO_REQUIREMENTS")
    if target:
        config.pluginmanager.register(RequirementReport(Path(target)), "requirement-report")
