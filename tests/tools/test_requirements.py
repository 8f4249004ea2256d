"""The command that says which requirements are proved, on runs of small real test files."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
MATRIX = """
| id | requirement | deadline | sources |
|---|---|---|---|
| AAA-01 | The first thing. | – | X:1 |
| AAA-02 | The second thing. | – | X:2 |
| AAA-03 | The third thing. | – | X:3 |
| AAA-04 | The fourth thing. | – | X:4 |
"""
TESTS = """
import pytest

@pytest.mark.requirement("AAA-01")
def test_passes():
    pass

@pytest.mark.requirement("AAA-02")
@pytest.mark.parametrize("good", [True, False])
def test_passes_half(good):
    assert good

@pytest.mark.requirement("AAA-03")
def test_is_skipped():
    pytest.skip("not here")

@pytest.mark.requirement("AAA-04", source="X:4")
@pytest.mark.xfail
def test_is_expected_to_fail():
    assert False

@pytest.fixture
def breaks():
    yield
    raise RuntimeError

@pytest.mark.requirement("AAA-01", source="X:1")
def test_without_mark_of_failure():
    pass
"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The command as a module; it lies outside every package."""
    spec = importlib.util.spec_from_file_location("requirements_tool", ROOT / "tools" / "requirements.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(folder: Path, tests: str) -> dict[str, list[dict[str, str]]]:
    """Run tests with the plugin in a process of its own and return what it wrote."""
    (folder / "test_sample.py").write_text(tests, encoding="utf-8")
    target = folder / "results.json"
    environment = {**os.environ, "SHUQIAO_REQUIREMENTS": str(target), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:django"]
    command += ["-p", "tests.plugins.requirements", "-c", os.devnull, "--rootdir", str(folder), str(folder)]
    command += ["-W", "ignore"]
    subprocess.run(command, env=environment, cwd=folder, capture_output=True, timeout=60, check=False)
    written: dict[str, list[dict[str, str]]] = json.loads(target.read_text(encoding="utf-8"))
    return written


def test_passing_proves_and_failing_skipping_or_expected_failing_does_not(
    tool: ModuleType, tmp_path: Path
) -> None:
    statuses = tool.judge(tool.parse_matrix(MATRIX), run(tmp_path, TESTS))
    assert {status.requirement.id: status.proved for status in statuses} == {
        "AAA-01": True,
        "AAA-02": False,
        "AAA-03": False,
        "AAA-04": False,
    }


def test_a_failure_when_clearing_up_counts(tool: ModuleType, tmp_path: Path) -> None:
    tests = TESTS.replace("def test_passes():", "def test_passes(breaks):")
    statuses = tool.judge(tool.parse_matrix(MATRIX), run(tmp_path, tests))
    assert not statuses[0].proved and statuses[0].failed


def test_an_id_that_the_matrix_lacks_is_an_error(tool: ModuleType) -> None:
    with pytest.raises(SystemExit, match="BBB-01"):
        tool.judge(tool.parse_matrix(MATRIX), {"BBB-01": []})


def test_a_matrix_without_ids_or_with_one_twice_is_an_error(tool: ModuleType) -> None:
    for text in ("", MATRIX + "| AAA-01 | Again. | – | X |\n"):
        with pytest.raises(SystemExit):
            tool.parse_matrix(text)


def test_the_projects_matrix_has_its_217_ids(tool: ModuleType) -> None:
    requirements = tool.parse_matrix(tool.MATRIX.read_text(encoding="utf-8"))
    assert len(requirements) == 217


def test_the_page_shows_every_requirement_with_its_state(tool: ModuleType) -> None:
    results = {
        "AAA-01": [{"test": "tests/a.py::test_x[1]", "outcome": "passed"}],
        "AAA-02": [{"test": "tests/a.py::test_y", "outcome": "failed"}],
    }
    page = tool.status_page(tool.judge(tool.parse_matrix(MATRIX), results))
    assert "1 of 4 proved." in page
    assert "| AAA-01 | proved | `tests/a.py::test_x` | The first thing. |" in page
    assert "| AAA-02 | failing | `tests/a.py::test_y` | The second thing. |" in page
    assert "| AAA-03 | open |  | The third thing. |" in page
