"""What the templates may not contain: words in one language only, styles and scripts outside files."""

import re
from pathlib import Path

import pytest

import shuqiao.control.web

TEMPLATES = sorted((Path(shuqiao.control.web.__file__).parent / "templates").rglob("*.html"))

CHINESE = re.compile(r"[一-鿿]")
# Words that stand in both languages: `{% t "zh" "en" %}`, `{% text … %}` and `"zh"|en:"en"`.
BOTH = re.compile(
    r"""\{%\s*(?:t|text)\s+(?P<a>["'])(?P<zh>.*?)(?P=a)\s+(?P<b>["'])(?P<en>.*?)(?P=b)"""
    r"""|"(?P<zh2>[^"]*)"\|en:"(?P<en2>[^"]*)\""""
)
# The words of the law and the name of its articles are shown in the language of the law.
OF_THE_LAW = re.compile(r'<(\w+)[^>]*\blang="zh-CN"[^>]*>.*?</\1>', re.DOTALL)
COMMENT = re.compile(r"\{#.*?#\}")


def one_language_only(text: str) -> list[str]:
    """Chinese words of a template that have no English beside them."""
    rest = BOTH.sub("", OF_THE_LAW.sub("", COMMENT.sub("", text)))
    return [line.strip() for line in rest.splitlines() if CHINESE.search(line)]


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_every_word_is_in_both_languages(file: Path) -> None:
    """No Chinese stands alone, no English side is empty or Chinese, and both name the same values."""
    text = file.read_text(encoding="utf-8")
    assert one_language_only(text) == []
    for found in BOTH.finditer(text):
        zh, en = found["zh"] or found["zh2"] or "", found["en"] or found["en2"] or ""
        assert en.strip() or not zh.strip(), zh
        if (zh, en) not in SWITCH:
            assert not CHINESE.search(en), en
        assert set(re.findall(r"\{\w+\}", zh)) == set(re.findall(r"\{\w+\}", en)), zh


# The language switch names the other language in that language.
SWITCH = {("EN", "中文")}


def test_the_check_finds_a_missing_translation() -> None:
    """A template with Chinese alone is caught."""
    assert one_language_only('<p>{% t "好" "good" %} 申请</p>') != []
    assert one_language_only('<p>{% t "好" "good" %}</p>') == []


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_no_inline_style_or_script(file: Path) -> None:
    """The content policy would refuse them; a template must not hold any."""
    # What stands in a tag of the template's own language never reaches a page.
    text = re.sub(r"\{%.*?%\}", "", file.read_text(encoding="utf-8"))
    assert not re.search(r"\sstyle=", text)
    assert not re.search(r"\son\w+=", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"""(?:href|src)=["']https?://""", text)
