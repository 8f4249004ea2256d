"""Documents say what is there: tests that are named exist, links lead somewhere, no address of a registry."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "regulations").glob("*.md")]
REGISTRIES = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "deb.debian" + ".org")


def _tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_every_test_the_threat_model_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "threat-model.md").read_text("utf-8"))
    assert len(named) > 20
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).exists() or f"def {name}(" not in (ROOT / path).read_text("utf-8")
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_no_file_names_a_package_registry() -> None:
    found = []
    for path in _tracked():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {host}" for host in REGISTRIES if host in text]
    assert found == []


def test_every_event_of_the_audit_log_is_documented() -> None:
    architecture = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    source = ROOT / "src" / "shuqiao"
    events = set()
    for path in [*source.rglob("*.py"), *source.rglob("*.sql")]:
        events |= set(re.findall(r"append_entry\(\s*\"([a-z_]+)\"", path.read_text("utf-8")))
        events |= set(re.findall(r"audit\.append\([^,]+,[^,]+, '([a-z_]+)'", path.read_text("utf-8")))
    assert len(events) > 5
    assert sorted(event for event in events if f"`{event}`" not in architecture) == []
