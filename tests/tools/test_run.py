"""The parts of the tests: a failure beside other work is looked at again, a fault stays one."""

from pathlib import Path

import pytest

from tests.run import (
    AGAIN,
    AGAIN_ON_DEBIAN,
    AGAIN_ON_EMBEDDED,
    BROWSER,
    CITIES,
    CITY,
    DEBIANS,
    FEW,
    NODES,
    ON_DEBIAN,
    PLANE,
    REST,
    Part,
    run_all,
    whole,
)

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
    assert all(f"s of the processor: {name}\n" in printed for name in ("flaky", "good"))


def test_a_fault_fails_twice_and_the_run_with_it(tmp_path: Path) -> None:
    assert run_all([part(tmp_path, "faulty", FAULTY), part(tmp_path, "flaky", FLAKY)]) == 1


def test_many_failures_are_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = "".join(f"def test_{at}() -> None:\n    assert False\n\n" for at in range(FEW + 1))
    assert run_all([part(tmp_path, "many", many)]) == 1
    assert "once more" not in capsys.readouterr().out


def test_a_file_that_cannot_be_read_fails(tmp_path: Path) -> None:
    assert run_all([part(tmp_path, "broken", "import nothing_of_this_name\n")]) != 0


def takes(part: Part, folder: str) -> bool:
    """Whether a part runs the tests of a folder."""
    named = f"tests/{folder}" in part.arguments
    return named or ("tests" in part.arguments and f"--ignore=tests/{folder}" not in part.arguments)


DEBIAN = [{"SHUQIAO_TEST_DATABASE": str(at)} for at in range(DEBIANS)]
TESTS = Path(__file__).parents[1]


def test_the_parts_are_all_tests_each_once_on_the_server_it_is_meant_for() -> None:
    folders = {file.parent.name for file in TESTS.glob("*/test_*.py")}
    assert folders >= {*ON_DEBIAN, *PLANE, *NODES, *CITIES}
    parts = whole(DEBIAN)
    for folder in folders:
        here = [part for part in parts if takes(part, folder) and part.arguments[1] == REST]
        assert len(here) == 1, folder
        assert ("SHUQIAO_TEST_DATABASE" in here[0].environment) == (folder in ON_DEBIAN), folder
    used = [part.environment.get("SHUQIAO_TEST_DATABASE") for part in parts]
    assert sorted(filter(None, used)) == [str(at) for at in range(DEBIANS)], "one part to a server"
    assert [part.arguments[1] for part in parts].count(CITY) == 1
    assert [part.arguments[1] for part in parts].count(BROWSER) == 1
    assert not any(part.environment for part in whole([]))


def test_what_runs_once_more_runs_on_the_other_server_and_proves_nothing_twice() -> None:
    assert all((TESTS / file).is_file() for file in (*AGAIN_ON_DEBIAN, *AGAIN_ON_EMBEDDED))
    assert not {file.partition("/")[0] for file in AGAIN_ON_DEBIAN} & {*ON_DEBIAN}
    assert {file.partition("/")[0] for file in AGAIN_ON_EMBEDDED} <= {*ON_DEBIAN}
    again = [part for part in whole(DEBIAN) if part.environment.items() >= AGAIN.items()]
    on_debian, on_embedded = again
    assert on_debian.arguments[2:] == tuple(f"tests/{file}" for file in AGAIN_ON_DEBIAN)
    assert on_embedded.arguments[2:] == tuple(f"tests/{file}" for file in AGAIN_ON_EMBEDDED)
    assert "SHUQIAO_TEST_DATABASE" in on_debian.environment
    assert "SHUQIAO_TEST_DATABASE" not in on_embedded.environment


def test_a_browser_and_a_whole_city_are_in_their_own_folders_alone() -> None:
    """The parts that start them look nowhere else."""
    content = {file: file.read_text(encoding="utf-8") for file in TESTS.glob("*/*.py")}
    driven = {file for file, text in content.items() if "mark.browser" in text}
    whole_cities = {file for file, text in content.items() if "mark.acceptance" in text}
    assert {file.parent.name for file in driven} <= {"browser", "tools"}
    assert {file.parent.name for file in whole_cities - driven} <= {*CITIES}
