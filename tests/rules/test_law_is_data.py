"""The law is data: no program names a city, or an article of its rules."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "shuqiao"
# The sample city is data that happens to be written in Python; programs write migrations and vendored files.
LEFT_OUT = ("demo", "vendor", "migrations", "__pycache__")
_NAMES = "guangzhou|xiamen|shenyang|haizhu|dongguan|guangdong|广州|厦门|沈阳|海珠|东莞|广东"
CITY = re.compile(_NAMES, re.IGNORECASE)
ARTICLE = re.compile(
    r"^[1-9][0-9]?(\([1-9][0-9]?\)|¶[1-9])$|\bart\. ?[1-9]|第[一二三四五六七八九十\d]{1,4}条"
)


def _files(ending: str) -> list[Path]:
    found = sorted(SOURCES.rglob(f"*.{ending}"))
    return [path for path in found if not set(LEFT_OUT) & set(path.relative_to(SOURCES).parts)]


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text a program uses: no docstrings, and none that stand by themselves after a name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value


@pytest.mark.requirement("ORG-11")
def test_no_program_names_a_city_or_an_article() -> None:
    faults = [
        f"{path.relative_to(SOURCES)}:{line}: {text[:60]!r}"
        for path in _files("py")
        for line, text in _texts(path)
        if CITY.search(text) or ARTICLE.search(text)
    ]
    assert faults == []


@pytest.mark.requirement("ORG-11")
def test_no_page_names_a_city_or_an_article() -> None:
    faults = [
        f"{path.relative_to(SOURCES)}:{number}"
        for path in _files("html")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if CITY.search(line) or ARTICLE.search(line)
    ]
    assert faults == []
