"""Articles, paragraphs and items of the shipped text, found by citation."""

import pytest

from shuqiao.control.regulations.files import article_text, clause, load_articles, load_regulation
from shuqiao.rules.articles import chinese_number, chinese_numeral, find_clause, parse_articles

RULES = load_regulation("guangzhou-2016")


def test_the_text_has_all_fifty_articles_and_no_heading_in_them() -> None:
    articles = load_articles(RULES.text_file)
    assert sorted(articles) == list(range(1, 51))
    lines = [line for article in articles.values() for line in article.lines]
    assert not [line for line in lines if line.startswith("第") and line[2:3] in "章节"]


@pytest.mark.parametrize(
    ("citation", "begins", "zh", "en"),
    [
        ("35(1)", "行政机关初次申请共享", "第三十五条第一款", "art. 35, para. 1"),
        ("35(3)", "经市政府审议决定", "第三十五条第三款", "art. 35, para. 3"),
        ("42(3)", "(三)共享信息的使用情况", "第四十二条第(三)项", "art. 42(3)"),
        ("42¶1", "市信息化主管部门应建立", "第四十二条第一款", "art. 42, para. 1"),
        ("6¶2", "区信息化主管部门", "第六条第二款", "art. 6, para. 2"),
        ("12(2)", "出生医学证号、新生儿姓名", "第十二条第二款", "art. 12, para. 2"),
        ("24(3)", "(三)社会福利机构", "第二十四条第(三)项", "art. 24(3)"),
        ("50", "本实施细则自2016年7月1日起施行", "第五十条", "art. 50"),
    ],
)
def test_citations(citation: str, begins: str, zh: str, en: str) -> None:
    found = clause(RULES, citation)
    assert found is not None
    assert (found.zh, found.en) == (zh, en)
    assert article_text(RULES, citation).startswith(begins)


@pytest.mark.parametrize(
    "citation", ["51", "35(4)", "42(5)", "0", "setting", "", "35()", "35(1", "x", "9(2)(1)"]
)
def test_what_the_text_does_not_have_is_not_found(citation: str) -> None:
    articles = load_articles(RULES.text_file)
    assert find_clause(articles, citation) is None
    with pytest.raises(KeyError):
        article_text(RULES, citation)


def test_numerals_read_back() -> None:
    assert [chinese_number(chinese_numeral(n)) for n in range(1, 100)] == list(range(1, 100))
    assert (chinese_number("一百零六"), chinese_number("十")) == (106, 10)


def test_a_text_in_other_full_width_brackets_and_without_chapters() -> None:
    articles = parse_articles("序言\n第一条　总则\n（一）甲\n（二）乙\n其他\n\n第二条 丙")
    assert articles[1].items == ("（一）甲", "（二）乙")
    assert articles[1].paragraphs == ("总则", "其他")
    assert articles[2].lines == ("丙",)
