"""When two items are the same datum, why, and what follows in each city."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shuqiao.control.catalogue.synonyms import synonym_file
from shuqiao.control.regulations import files
from shuqiao.rules.datum_names import Synonyms
from shuqiao.rules.onesource import (
    Datum,
    Outcome,
    Spread,
    Verdict,
    compare,
    consequence,
    may_collect_again,
)
from shuqiao.rules.regulation import Regulation

FILE = synonym_file()
WORDS = Synonyms.of_groups(FILE.same, FILE.endings, FILE.asked_of)
HOUSEHOLD = "10100901"
CITIES = (
    "guangzhou-2016",
    "guangzhou-2019",
    "xiamen-2015",
    "shenyang-2016",
    "guangdong-2008",
    "haizhu-draft",
)
DATA = st.builds(
    Datum,
    name=st.sampled_from(
        ["姓名", "身份证号", "公民身份号码", "登记机关(工商)", "登记机关(民政)", "性别", "户籍地派出所"]
    ),
    subject=st.sampled_from([HOUSEHOLD, "10100902", "10101201", "20200101", ""]),
    standard=st.sampled_from(["", "setting", "GB 11643", "citizen_id_number", "person_name"]),
    data_type=st.sampled_from(["", "C", "D"]),
    code_list=st.sampled_from(["", "sex"]),
    codes=st.sampled_from(
        [frozenset[str](), frozenset({"0", "1", "2"}), frozenset({"1", "2"}), frozenset({"x"})]
    ),
)


def rules(city: str) -> Regulation:
    """A city's regulation; the texts that leave much open rest on Guangzhou."""
    return files.load_regulation(city, fallback=None if city == "guangzhou-2016" else "guangzhou-2016")


def verdict(one: Datum, other: Datum, spread: Spread | None = None) -> Verdict:
    return compare(one, other, WORDS, spread).verdict


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Datum("户籍地派出所", HOUSEHOLD), Datum("户籍地 派出所", HOUSEHOLD), Verdict.SAME),
        (Datum("户籍地派出所", HOUSEHOLD), Datum("户籍地派出所", "10100902"), Verdict.SAME),
        (Datum("身份证号", HOUSEHOLD), Datum("公民身份号码", "10100902"), Verdict.LIKELY),
        (
            Datum("身份证号", HOUSEHOLD, data_type="C"),
            Datum("公民身份号码", HOUSEHOLD, data_type="C"),
            Verdict.SAME,
        ),
        (Datum("户籍地派出所", HOUSEHOLD), Datum("户籍地派出所", "10101201"), Verdict.LIKELY),
        (Datum("户籍地派出所", HOUSEHOLD), Datum("户籍地派出所", "20200101"), Verdict.APART),
        (Datum("婚姻状况", HOUSEHOLD), Datum("出生日期", HOUSEHOLD, data_type="D"), Verdict.APART),
        (
            Datum("甲", HOUSEHOLD, standard="citizen_id_number"),
            Datum("公民身份号码", HOUSEHOLD, standard="citizen_id_number"),
            Verdict.LIKELY,
        ),
        (
            Datum("公民身份号码", HOUSEHOLD, standard="citizen_id_number"),
            Datum("公民身份号码", HOUSEHOLD, standard="document_number"),
            Verdict.APART,
        ),
        (Datum("登记机关(工商)", HOUSEHOLD), Datum("登记机关(民政)", HOUSEHOLD), Verdict.LIKELY),
    ],
)
@pytest.mark.requirement("COL-01")
def test_two_items_are_the_same_datum_by_name_element_and_subject(
    one: Datum, other: Datum, expected: Verdict
) -> None:
    assert verdict(one, other) is expected


def test_values_alike_make_a_similar_name_the_same_datum() -> None:
    """The content profile: type, code list and values."""
    codes = frozenset({"10", "20", "30"})
    one = Datum("婚姻登记状态", HOUSEHOLD, data_type="C", code_list="marital_status", codes=codes)
    other = Datum("婚姻状态登记", HOUSEHOLD, data_type="C", code_list="marital_status", codes=codes)
    assert verdict(one, other) is not Verdict.APART
    unlike = Datum("婚姻状态登记", HOUSEHOLD, data_type="D", codes=frozenset({"x", "y"}))
    assert verdict(one, unlike) is Verdict.APART


def test_what_names_the_subject_of_every_list_is_no_second_claim_elsewhere() -> None:
    """The law itself names 姓名 in a dozen lists."""
    one, other = Datum("姓名", HOUSEHOLD), Datum("姓名", "10101201")
    assert verdict(one, other, Spread(name=12)) is Verdict.APART
    assert verdict(one, Datum("姓名", "10100902"), Spread(name=12)) is Verdict.SAME


@given(DATA, DATA, st.integers(0, 20))
def test_the_order_of_the_two_does_not_matter(one: Datum, other: Datum, spread: int) -> None:
    there, back = (compare(*pair, WORDS, Spread(spread, spread)) for pair in ((one, other), (other, one)))
    assert there == back
    assert 0 <= there.score <= 100
    assert all(reason.zh and reason.en for reason in there.because)


@given(DATA)
def test_an_item_is_the_same_datum_as_itself(one: Datum) -> None:
    found = compare(one, one, WORDS).verdict
    assert found is Verdict.SAME or len(one.subject) < 6


@given(DATA, DATA, st.integers(0, 19))
def test_being_common_never_makes_two_data_more_alike(one: Datum, other: Datum, spread: int) -> None:
    rare = compare(one, other, WORDS, Spread(spread, spread)).score
    assert compare(one, other, WORDS, Spread(spread + 1, spread + 1)).score <= rare


@pytest.mark.requirement("COL-01", source="GZ16:3¶1-3")
@pytest.mark.requirement("COL-01", source="GZ165:18")
@pytest.mark.requirement("COL-01", source="XM:5(3)")
@pytest.mark.requirement("COL-01", source="SY:4(1)")
@pytest.mark.requirement("COL-01", source="SY:14¶2")
@pytest.mark.requirement("COL-01", source="GD08:8")
@pytest.mark.requirement("COL-01", source="HZ:6¶4-5")
@pytest.mark.parametrize(
    ("city", "base", "other"),
    [
        ("guangzhou-2016", "guangzhou-2016 art. 3(3)", "guangzhou-2016 art. 3(1)"),
        ("guangzhou-2019", "guangzhou-2019 art. 21", "guangzhou-2019 art. 18"),
        ("xiamen-2015", "", "xiamen-2015 art. 5(3)"),
        ("shenyang-2016", "", "shenyang-2016 art. 14(2)"),
        ("guangdong-2008", "", "guangdong-2008 art. 8"),
        ("haizhu-draft", "haizhu-draft art. 6¶5", "haizhu-draft art. 6¶2"),
    ],
)
def test_a_second_claim_is_refused_or_co_ordinated_as_the_text_says(city: str, base: str, other: str) -> None:
    """Where the text itself names the departments of base information, nothing else can be agreed on."""
    held = {"440100-police"}
    of_base = consequence("440100-health", held, rules(city), base_item=True, joint=())
    expected = (Outcome.REFUSED, base) if base else (Outcome.COORDINATION, other)
    assert (of_base.outcome, of_base.article) == expected
    any_other = consequence("440100-health", held, rules(city), base_item=False, joint=())
    assert (any_other.outcome, any_other.article) == (Outcome.COORDINATION, other)
    joint = consequence("440100-health", held, rules(city), base_item=True, joint={"440100-health"})
    assert joint.outcome is Outcome.JOINT


@pytest.mark.requirement("COL-01", source="GZ165:5¶2")
def test_only_where_the_text_says_so_somebody_has_a_say_in_the_source() -> None:
    having = {city: rules(city).collection.settled_with for city in CITIES}
    assert {city for city, words in having.items() if words} == {"guangzhou-2019"}


@pytest.mark.requirement("COL-02", source="GZ16:3¶1")
@pytest.mark.requirement("COL-02", source="SY:14¶2")
@pytest.mark.requirement("COL-02", source="HZ:6¶2-3")
@pytest.mark.requirement("COL-02", source="XM:5(3)")
@pytest.mark.requirement("COL-02", source="GD08:8")
@pytest.mark.requirement("COL-02", source="GZ165:18")
@pytest.mark.parametrize("city", CITIES)
def test_what_lets_a_department_collect_again_differs(city: str) -> None:
    """Laws and regulations everywhere; rules only where the text names them, or leaves it to the office."""
    at = rules(city)
    by_rule = {"guangzhou-2016", "guangzhou-2019", "haizhu-draft"}
    assert all(
        may_collect_again(rank, at) for rank in ("law", "administrative_regulation", "local_regulation")
    )
    assert may_collect_again("rule", at) is (city in by_rule)
    assert not any(may_collect_again(rank, at) for rank in ("policy", "other", ""))
