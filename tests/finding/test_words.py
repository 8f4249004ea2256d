"""Names and queries taken apart: pieces, synonyms, pinyin; pure functions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shuqiao.control.catalogue.marking import fragments, occurs
from shuqiao.control.catalogue.words import (
    MAX_TERMS,
    pieces_of,
    pinyin_cuts,
    query_terms,
    search_text,
    syllables_of,
    synonyms,
    tsquery,
)


def test_pieces_reach_over_no_mark_and_keep_numbers_whole():
    assert pieces_of("出生，登记") == ("出", "生", "出生", "登", "记", "登记")
    assert "2019年度" in pieces_of("2019年度名单")
    assert "20" not in pieces_of("2019年度名单")


def test_a_name_is_marked_off_from_items_and_summary():
    text = search_text("出生登记", "Birth", [("母亲姓名", "Mother name")], ["签发医学证明"])
    assert {"出生登", "^出生登", "母亲姓", "签发", "~chu.sheng", "=csd", "birth", "mother"} <= set(text.terms)
    assert not {"^母亲", "^签发", "~qian"} & set(text.terms)
    assert (text.name, text.pinyin_key, text.initials) == ("出生登记", "chushengdengji", "csdj")


def test_a_query_is_cut_into_words_with_their_synonyms():
    terms = query_terms("身份证登记")
    assert [piece.text for piece in terms.pieces] == ["身份证", "登记"]
    assert "公民身份号码" in terms.pieces[0].also
    assert query_terms("身份证登记", plain=True).synonyms == ()


def test_no_synonym_is_a_mere_part_of_its_word():
    """Otherwise a search for 单位名称 would find every 名称."""
    for word, others in synonyms().items():
        assert all(other not in word and word not in other for other in others), word


@pytest.mark.parametrize(
    ("run", "cut"),
    [
        ("chusheng", ("chu", "sheng")),
        ("chush", ("chu", "sh")),
        ("xian", ("xi", "an")),
        ("xian", ("xian",)),
        ("lv", ("lv",)),
    ],
)
def test_pinyin_is_cut_into_syllables(run, cut):
    assert cut in pinyin_cuts(run)


@pytest.mark.parametrize("run", ["csdj", "birth1", "x", "a" * 41, "ng"])
def test_what_is_no_pinyin_is_not_cut(run):
    assert pinyin_cuts(run) == ()


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_makes_a_bounded_query_that_is_well_formed(text):
    terms = query_terms(text)
    assert len(terms.pieces) <= MAX_TERMS
    condition = tsquery(terms)
    assert condition.count("(") == condition.count(")")
    assert "''" not in condition.replace("'''", "")


@settings(deadline=None)
@given(st.text(alphabet="出生登记信息ab1 ，", max_size=40), st.text(alphabet="出生登记ab", max_size=6))
def test_marking_never_changes_the_text(text, query):
    assert "".join(fragment.text for fragment in fragments(text, query_terms(query))) == text


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("出生登记信息", "出生登记", ["出生登记"]),
        ("登记与出生", "出生登记", ["登记", "出生"]),
        ("公民身份号码", "身份证", ["公民身份号码"]),
        ("出生登记信息", "dengji", ["登记"]),
        ("出生登记信息", "csdj", ["出生登记"]),
        ("出生登记信息", "chush", ["出生"]),
        ("学籍信息", "csdj", []),
    ],
)
def test_what_matched_is_marked_as_synonym_and_as_pinyin_too(text, query, marked):
    assert [f.text for f in fragments(text, query_terms(query)) if f.hit] == marked
    assert occurs(text, "", query_terms(query)) is bool(marked)


def test_every_character_of_a_name_has_its_syllable():
    assert syllables_of("长春市2019年重点") == ("chang", "chun", "shi", "nian", "zhong", "dian")
