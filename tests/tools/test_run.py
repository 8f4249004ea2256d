"""The parts of the tests: a failure beside other work is looked at again, a fault stays one."""

from pathlib import Path

import pytest

from tests.run import OFFICE, PLANE, WITH_BROWSER, WITHOUT_BROWSER, Part, run_all, whole

FLAKY = """
from pathlib import Path

def test_second_time() -> None:
    mark = Path(__file__).with_suffix(".mark")
    seen = mark.exists()
    mark.touch()
    assert seen
"""
FAULTY = "def test_never() -> None:\n    assert False\n"


def part(folder: Path, name: str, content: str) -> Part:
    """A part that runs one test file with a configuration of its own."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    file = folder / f"test_{name}.py"
    file.write_text(content)
    switched_off = ("-p", "no:django", "-p", "no:randomly")
    return Part(name, ("-c", str(folder / "pytest.ini"), *switched_off, str(file)))


def test_what_fails_once_and_passes_alone_is_told_and_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [part(tmp_path, "flaky", FLAKY), part(tmp_path, "good", "def test_good() -> None:\n    pass\n")]
    assert run_all(parts) == 0
    printed = capsys.readouterr().out
    assert "1 failed" in printed
    assert "== flaky: what failed, once more and alone" in printed


def test_a_fault_fails_twice_and_the_run_with_it(tmp_path: Path) -> None:
    assert run_all([part(tmp_path, "faulty", FAULTY), part(tmp_path, "flaky", FLAKY)]) == 1


def test_many_failures_are_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = "".join(f"def test_{at}() -> None:\n    assert False\n\n" for at in range(6))
    assert run_all([part(tmp_path, "many", many)]) == 1
    assert "once more" not in capsys.readouterr().out


def test_a_file_that_cannot_be_read_fails(tmp_path: Path) -> None:
    assert run_all([part(tmp_path, "broken", "import nothing_of_this_name\n")]) != 0


def test_the_parts_are_all_tests_each_on_the_server_it_is_meant_for() -> None:
    tests = Path(__file__).parents[1]
    for folder in (*OFFICE, *PLANE):
        assert any((tests / folder).rglob("test_*.py"))
    debian: list[dict[str, str]] = [{"SHUQIAO_TEST_DATABASE": "first"}, {"SHUQIAO_TEST_DATABASE": "second"}]
    browser, office, plane, again, rest = whole(debian)
    mine, planes = ([f"tests/{folder}" for folder in folders] for folders in (OFFICE, PLANE))
    ignored = [f"--ignore={folder}" for folder in mine]
    assert office.arguments == ("-m", WITHOUT_BROWSER, *mine) and office.environment == debian[0]
    assert plane.arguments == ("-m", WITHOUT_BROWSER, *planes) and not plane.environment
    both = [*ignored, *(f"--ignore={folder}" for folder in planes)]
    assert rest.arguments == ("-m", WITHOUT_BROWSER, "tests", *both) and not rest.environment
    assert again.arguments == ("-m", "database", "tests", *ignored)
    assert again.environment["SHUQIAO_TEST_DATABASE"] == "second"
    assert browser.arguments == ("-m", WITH_BROWSER) and not browser.environment
    assert [one.environment for one in whole([])] == [{}, {}, {}, {}]
