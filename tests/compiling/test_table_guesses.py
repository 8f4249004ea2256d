"""What a table's structure is taken to mean: names, types, keys, standards, each with what it rests on."""

import pytest

from shuqiao.control.compiling.tables.guessing import Basis, guess_entry
from shuqiao.control.standards.contents import Kind
from shuqiao.control.standards.files import shipped
from shuqiao.control.standards.queries import ElementIndex
from shuqiao.rules.entries import EntryItem
from shuqiao.wire.tables import ColumnDescription, ColumnProfile, TableDescription

HEALTH = "440100-health"


@pytest.fixture(scope="module")
def index() -> ElementIndex:
    """The city's own data elements."""
    return ElementIndex({key: content for (kind, key), content in shipped().items() if kind is Kind.ELEMENT})


def column(
    name: str, type_name: str = "character varying(50)", letter: str = "C", **more
) -> ColumnDescription:
    given = {"length": 50 if letter == "C" else None} | more
    return ColumnDescription(name=name, type=type_name, data_type=letter, **given)


def figures(pattern: str = "", longest: int = 18) -> ColumnProfile:
    return ColumnProfile(
        rows=1000, distinct=900, null_share=0.0, pattern=pattern, pattern_share=1.0, longest=longest
    )


def table(*columns: ColumnDescription, comment: str = "出生医学证明（2020 年以来）") -> TableDescription:
    return TableDescription(1, "postgresql", "yw", "t_csyxzm", comment, 1200, columns)


def one(index: ElementIndex, given: ColumnDescription) -> tuple[EntryItem, dict[str, Basis]]:
    made = guess_entry(table(given), HEALTH, index)
    return made.entry.items[0], {
        g.path.removeprefix("items[0]."): g.basis for g in made.guesses if "items" in g.path
    }


@pytest.mark.requirement("CAT-18")
@pytest.mark.parametrize(
    ("given", "zh", "standard", "basis"),
    [
        (column("f1", comment="姓名，必填"), "姓名", "person_name", Basis.COMMENT),
        (column("f1", comment="身份证号"), "身份证号", "citizen_id_number", Basis.COMMENT),
        (column("xm"), "姓名", "person_name", Basis.NAME),
        (column("CSRQ", "date", "D"), "出生日期", "birth_date", Basis.NAME),
        (column("xb", "character(1)", length=1), "性别", "sex", Basis.NAME),
        (column("xzqhdm"), None, None, Basis.NAME),
        (column("f1", profile=figures("citizen_id_18")), "公民身份号码", "citizen_id_number", Basis.CONTENT),
        (column("f1", profile=figures("credit_code_18")), "统一社会信用代码", None, Basis.CONTENT),
        (column("qwertz"), "qwertz", "", Basis.NOTHING),
    ],
)
def test_names_and_standards_come_from_comment_name_or_content(index, given, zh, standard, basis) -> None:
    item, bases = one(index, given)
    assert zh is None or item.zh == zh
    assert (item.standard != "") if standard is None else (item.standard == standard)
    assert bases["zh"] == basis


def test_what_the_database_says_is_taken_as_it_is(index) -> None:
    made = guess_entry(
        table(
            column("zsbh", "character(10)", length=10, key=True, unique=True, required=True),
            column("xm", comment="姓名"),
            column("gxsj", "timestamp with time zone", "T", required=True),
            column("je", "numeric(12,2)", "N", length=12, scale=2),
        ),
        HEALTH,
        index,
    )
    number, name, changed, amount = made.entry.items
    assert (number.field, number.data_type, number.length, number.key, number.required) == (
        "zsbh",
        "C",
        10,
        True,
        True,
    )
    assert (name.field, name.data_type, name.length, name.required) == ("xm", "C", 50, False)
    assert (changed.data_type, changed.timestamp, changed.length) == ("T", True, None)
    assert (amount.data_type, amount.length) == ("N", 12)
    assert made.entry.record_key == "zsbh" and made.entry.name_zh == "出生医学证明"
    assert (made.entry.department, made.entry.records, made.entry.format) == (HEALTH, 1200, "database")
    structure = {g.path for g in made.guesses if g.basis == Basis.STRUCTURE}
    assert {"items[0].length", "items[0].key", "items[1].data_type", "record_key", "records"} <= structure


def test_personal_data_is_taken_for_what_its_content_shows(index) -> None:
    item, bases = one(
        index, column("f1", "text", "M", comment="备用字段一", profile=figures("citizen_id_18"))
    )
    assert (item.kind, item.identity, item.data_type, item.length) == ("citizen_id", True, "C", 18)
    assert item.zh == "备用字段一" and item.sensitivity >= 1
    assert (bases["kind"], bases["data_type"], bases["length"]) == (Basis.CONTENT,) * 3
    name, bases = one(index, column("xsexm", comment="新生儿姓名"))
    assert (name.kind, name.identity, bases["kind"]) == ("name", True, Basis.STANDARD)
    assert one(index, column("f1", profile=figures("date_8", 8)))[0].data_type == "D"


def test_two_key_columns_are_no_record_key(index) -> None:
    made = guess_entry(table(column("a", key=True), column("b", key=True)), HEALTH, index)
    assert made.entry.record_key == "" and [item.key for item in made.entry.items] == [True, True]


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (
            ("姓名", "1x", "", "record_id", "A B", "a_b", "ÄÖ"),
            ("c", "c_1x", "c_2", "record_id_1", "a_b", "a_b_2", "c_3"),
        ),
        (("x" * 150, "x" * 150), ("x" * 58, "x" * 58 + "_2")),
    ],
)
def test_every_column_gets_a_field_of_its_own(index, names, fields) -> None:
    made = guess_entry(table(*(column(name) for name in names)), HEALTH, index)
    assert tuple(item.field for item in made.entry.items) == fields


def test_the_same_comment_twice_gives_two_names_and_markup_none(index) -> None:
    made = guess_entry(
        table(
            column("a", comment="联系电话"),
            column("b", comment="联系电话"),
            column("c", comment="<script>alert(1)</script>"),
            comment="<b>x</b>",
        ),
        HEALTH,
        index,
    )
    assert [item.zh for item in made.entry.items] == ["联系电话", "联系电话2", "c"]
    assert made.entry.name_zh == "t_csyxzm"
    assert made.guesses[0].basis == Basis.NOTHING


def test_every_filled_value_of_an_item_is_marked_as_a_guess(index) -> None:
    made = guess_entry(table(column("xm"), column("gxsj", "timestamp", "T")), HEALTH, index)
    marked = {g.path for g in made.guesses}
    for at, item in enumerate(made.entry.items):
        for name in ("zh", "data_type", "length", "standard", "kind", "sensitivity", "timestamp"):
            if getattr(item, name) not in ("", None, 0, False, "plain"):
                assert f"items[{at}].{name}" in marked
