"""Names of items in one written form, and the other names of a datum."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shuqiao.control.catalogue.synonyms import synonym_file
from shuqiao.rules.datum_names import MAX_VARIANTS, How, Synonyms, likeness, name_key, qualifier, variants

FILE = synonym_file()
WORDS = Synonyms.of_groups(FILE.same, FILE.endings, FILE.asked_of)
NAMES = st.text(st.sampled_from("姓名信息的号码日期户籍地(（)）【】 Ａaß１0·ﬁ\u0130-数据项"), max_size=24)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("公民身份号码", "公民身份号码"),
        (" 公民 身份 号码 ", "公民身份号码"),
        ("身份证的号码（１８位）", "身份证号码"),
        ("户籍信息状态", "户籍状态"),
        ("户籍状态【必填】*", "户籍状态"),
        ("姓名：", "姓名"),
        ("ＩＤ Number", "idnumber"),
        ("（备注）", "备注"),
        ("信息", "信息"),
        ("信信息息", "信息"),
        ("", ""),
        ("——", ""),
    ],
)
def test_a_name_has_one_written_form(written: str, key: str) -> None:
    assert name_key(written) == key


@given(NAMES | st.text(max_size=30))
def test_the_written_form_is_its_own(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


@given(NAMES)
def test_brackets_and_marks_around_a_name_change_nothing(name: str) -> None:
    if name_key(name) and not set(name) & set("()（）【】"):
        assert name_key(f" 【{name}】必 ") == name_key("必") or name_key(f"{name}（说明）*") == name_key(name)


@given(NAMES, NAMES)
def test_likeness_is_symmetric_and_bounded(one: str, other: str) -> None:
    left, right = name_key(one), name_key(other)
    assert likeness(left, right) == likeness(right, left)
    assert 0 <= likeness(left, right) <= 1
    assert likeness(left, left) == 1


def test_what_stands_in_brackets_is_kept_apart() -> None:
    assert qualifier("登记机关(工商)") == "工商"
    assert qualifier("登记机关") == ""
    assert name_key("登记机关(工商)") == name_key("登记机关(民政)")


@pytest.mark.parametrize(
    ("asked", "found", "how"),
    [
        ("身份证号", "公民身份号码", How.SYNONYM),
        ("公民身份号码", "身份证号", How.SYNONYM),
        ("配偶身份证号", "配偶公民身份号码", How.SYNONYM),
        ("居住证编号", "居住证号码", How.SYNONYM),
        ("预防接种时间", "预防接种日期", How.SYNONYM),
        ("申请人姓名", "姓名", How.ASKED_OF),
        ("申请人身份证号", "公民身份号码", How.ASKED_OF),
    ],
)
def test_a_datum_is_found_by_its_other_names(asked: str, found: str, how: How) -> None:
    assert variants(asked, WORDS, asked=True)[found] is how


def test_who_is_asked_counts_only_in_forms() -> None:
    assert "姓名" not in variants("申请人姓名", WORDS)
    assert "姓名" not in variants("法定代表人姓名", WORDS, asked=True)


@given(NAMES | st.sampled_from([word for group in FILE.same for word in group]))
def test_other_names_are_bounded_and_in_their_written_form(name: str) -> None:
    found = variants(name, WORDS, asked=True)
    assert len(found) <= MAX_VARIANTS
    assert all(name_key(key) == key for key in found)
    assert not name_key(name) or next(iter(found)) == name_key(name)


def test_no_word_stands_for_two_data() -> None:
    words = [name_key(word) for group in FILE.same for word in dict.fromkeys(map(name_key, group))]
    assert sorted({word for word in words if words.count(word) > 1}) == []
