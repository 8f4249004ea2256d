"""One written form: the variants people type meet, different values stay apart, and it is idempotent."""

import random
from datetime import date

import pytest

from shuqiao.rules import normalise as n


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        (" 陈 晓 明 ", "陈晓明"),
        ("陈\u3000晓明", "陈晓明"),
        ("阿卜杜拉•买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉・买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉 ･ 买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉．买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉‧买买提", "阿卜杜拉·买买提"),
        ("Anna  li", "ANNA LI"),
        ("Ａｎｎａ Li", "ANNA LI"),
        ("J. Smith", "J. SMITH"),
        ("广州（样本）有限公司", "广州(样本)有限公司"),
        ("陈\u200b晓明", "陈晓明"),
    ],
)
def test_names(typed: str, form: str) -> None:
    assert n.normalise("name", typed) == form


def test_different_names_stay_different() -> None:
    assert n.normalise("name", "ANNA LI") != n.normalise("name", "ANNALI")
    assert n.normalise("name", "阿卜杜拉·买买提") != n.normalise("name", "阿卜杜拉买买提")


@pytest.mark.parametrize(
    ("kind", "typed", "form"),
    [
        ("citizen_id", " 110105 19491231 002x", "11010519491231002X"),
        ("citizen_id", "１１０１０５１９４９１２３１００２Ｘ", "11010519491231002X"),
        ("credit_code", "91350100m000100y43", "91350100M000100Y43"),
        ("document", "p440123456", "P440123456"),
        ("document", "粤—123", "粤-123"),
        ("contact", "+86 138-0000-0000", "13800000000"),
        ("contact", "(020) 8333 0000", "02083330000"),
        ("address", "广州市 越秀区 1号 2－3", "广州市越秀区1号2-3"),
        ("plain", " 健康 ", "健康"),
        ("picture", " raw ", " raw "),
    ],
)
def test_kinds(kind: str, typed: str, form: str) -> None:
    assert n.normalise(kind, typed) == form


@pytest.mark.parametrize(
    "typed",
    [
        "2016-07-01",
        "2016/7/1",
        "2016.7.1",
        "20160701",
        "2016年7月1日",
        "２０１６年０７月０１日",
        " 2016 年 7 月 1 日 ",
    ],
)
def test_every_form_of_a_day(typed: str) -> None:
    assert n.parse_date(typed) == date(2016, 7, 1)
    assert n.normalise_value("plain", "date", typed) == "2016-07-01"


@pytest.mark.parametrize(
    "typed", ["2016-02-30", "2016-13-01", "", "yesterday", "2016", "16-07-01", "2016071"]
)
def test_what_is_no_day(typed: str) -> None:
    assert n.parse_date(typed) is None
    assert n.normalise_date(typed) == typed


@pytest.mark.parametrize(
    "kind", ["name", "citizen_id", "credit_code", "document", "contact", "address", "plain"]
)
def test_normalising_twice_changes_nothing_more(kind: str) -> None:
    numbers = random.Random(11)
    alphabet = "陈晓明·•. ．aＡzß\u0301é\u3000\t－—-1２ǰΐ\u200b㎡ﬁ（)"
    for _ in range(3000):
        text = "".join(numbers.choice(alphabet) for _ in range(numbers.randint(0, 12)))
        once = n.normalise(kind, text)
        assert n.normalise(kind, once) == once


@pytest.mark.parametrize(
    ("said", "form"),
    [
        ("2016-07-01 08:30", "2016-07-01T00:30:00+00:00"),
        ("2016/07/01 08:30:00", "2016-07-01T00:30:00+00:00"),
        ("2016-07-01T00:30:00Z", "2016-07-01T00:30:00+00:00"),
        ("2016-07-01T00:30:00.500+00:00", "2016-07-01T00:30:00.5+00:00"),
        ("gestern", "gestern"),
    ],
)
def test_moments_have_one_form_in_universal_time(said: str, form: str) -> None:
    assert n.normalise_value("plain", "datetime", said) == form


def test_the_shortcut_for_common_names_agrees_with_the_long_way() -> None:
    # A blank in front keeps the long way; it is taken off again there.
    for code in range(0x4E00, 0xA000):
        assert n.normalise_name(" " + chr(code)) == chr(code) == n.normalise_name(chr(code))
