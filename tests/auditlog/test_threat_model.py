"""The threat model names only tests that exist, so that a renamed test can't leave a hole unseen."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")


def test_every_named_test_exists() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    named = NAMED.findall(page)
    assert len(named) > 20
    for file, name in named:
        path = ROOT / file
        assert path.exists(), file
        assert re.search(rf"^(async )?def {name}\(", path.read_text(encoding="utf-8"), re.M), (
            f"{file}::{name}"
        )


def test_every_row_names_a_test_or_says_there_is_none() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|") and not line.startswith("|---")]
    for row in rows:
        last = row.strip("| ").rsplit("|", 1)[-1].strip()
        assert last in ("test", "no test yet") or NAMED.search(last), row
