"""The cluster that servers of the tests begin with: what it is made of, made once, cleared away when old."""

import ast
from pathlib import Path

import pytest

from shuqiao.embedded import postgres
from tests.plugins import clusters
from tests.plugins.server import SERVER

ROOT = Path(__file__).parents[2]


def test_migrations_are_made_of_what_the_key_counts() -> None:
    """They import nothing of ours, so their own text, their SQL and the models are all there is."""
    found = list(ROOT.glob("src/shuqiao/control/*/migrations/*.py"))
    assert len(found) > 10
    for file in found:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "."]
            assert not [name for name in names if name.startswith(("shuqiao", "."))], file


def test_every_source_is_there() -> None:
    assert all(any(ROOT.glob(pattern)) for pattern in clusters.SOURCES)


@pytest.mark.database
def test_a_cluster_is_made_once_and_again_when_a_source_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[postgres.PostgresServer] = []
    made = clusters.Clusters(tmp_path / "kept", filled.append)
    SERVER.folder.chmod(0o755)
    programs = SERVER.programs
    passwords = [made.copy(programs, tmp_path / name / "data") for name in ("one", "two")]
    assert (len(filled), len(set(passwords))) == (1, 1)
    assert (tmp_path / "two" / "data" / "PG_VERSION").exists()
    source = tmp_path / "new.sql"
    source.write_text("SELECT 1")
    monkeypatch.setattr(clusters, "KEPT", 2)
    monkeypatch.setattr(clusters, "ROOT", tmp_path)
    monkeypatch.setattr(clusters, "SOURCES", ("new.sql",))
    for at in range(2):
        source.write_text(f"SELECT {at}")
        made.copy(programs, tmp_path / f"more-{at}" / "data")
    assert len(filled) == 3
    assert len(list((tmp_path / "kept").glob("[!.]*"))) == 2
