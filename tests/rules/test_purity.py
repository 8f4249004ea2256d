"""The rules stay pure: standard library only, no clock, no chance, no outside world, no Any."""

import ast
import sys
from pathlib import Path

import pytest

import shuqiao.rules

FILES = sorted(Path(shuqiao.rules.__file__).parent.rglob("*.py"))
OUTSIDE = {
    "os",
    "io",
    "time",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "pathlib",
    "threading",
    "asyncio",
    "logging",
}
CLOCKS = {"now", "today", "utcnow", "uuid4", "getenv"}


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_module_of_rules_is_pure(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name in imported(tree):
        root = name.partition(".")[0]
        assert name.startswith("shuqiao.rules") or root in sys.stdlib_module_names, name
        assert root not in OUTSIDE, name
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            assert node.id not in {"Any", "open", "print", "eval", "exec", "input"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in CLOCKS, ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_public_name_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), path.name
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in tree.body + [inner for outer in classes for inner in outer.body]:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name}"
