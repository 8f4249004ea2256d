"""The wheel carries everything the processes read at run time, and nothing that only tests need."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import hatch_build
import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=170)
    [made] = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """The files in it."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_below(folder: Path) -> set[str]:
    """Files of the checkout that are no leftovers of running it."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_every_file_of_the_package_and_of_the_regulations_is_there(names: set[str]) -> None:
    vendor = hatch_build.VENDOR.relative_to("src").as_posix()
    package = {f"shuqiao/{name}" for name in files_below(ROOT / "src" / "shuqiao")}
    expected = {name for name in package if not name.startswith(f"{vendor}/")}
    expected |= {f"{vendor}/{destination}" for _, destination in hatch_build.FILES}
    expected |= {f"shuqiao/regulations/{name}" for name in files_below(ROOT / "regulations")}
    assert expected - names == set()
    kinds = {Path(name).suffix for name in expected}
    assert {".sql", ".html", ".css", ".js", ".yaml", ".txt", ".woff2"} <= kinds


def test_nothing_of_the_tests_is_there(names: set[str]) -> None:
    tests = {destination for _, destination in hatch_build.TEST_FILES}
    assert tests == {"axe-core/axe.min.js"}
    assert [name for name in names if "axe" in name or name.startswith(("tests/", "bench/"))] == []


def test_an_installed_package_finds_its_own_regulations(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = (
        "import shuqiao; from shuqiao.control.regulations.files import regulations_dir;"
        " found = regulations_dir();"
        " print(shuqiao.__file__, found, (found / 'guangzhou-2016.yaml').is_file())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    package, folder, is_there = done.stdout.split()
    assert Path(package).is_relative_to(tmp_path)
    assert Path(folder).is_relative_to(tmp_path)
    assert is_there == "True"
