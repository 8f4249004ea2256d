"""What the wizard's forms make of what is typed and pasted: nothing lost, nothing cut off unsaid."""

from dataclasses import replace

import pytest
from django.http import QueryDict

from shuqiao.control.compiling.fields import FIELDS, GROUPS, STEPS, label_of, step_of
from shuqiao.control.compiling.forms import fill
from shuqiao.control.compiling.pasting import field_of, read_rows
from shuqiao.control.compiling.wording import pieces
from shuqiao.rules.entries import Entry, EntryItem
from shuqiao.rules.entry_faults import MAX_ITEMS

NAME = EntryItem(field="name", zh="姓名", length=50)
NUMBER = EntryItem(field="number", zh="编号", length=20, key=True, note="旧注")
KEPT = Entry(name_zh="样例", summary_zh="旧摘要", record_key="number", items=(NAME, NUMBER))


def posted(**fields: str | list[str]) -> QueryDict:
    """A form as the browser sends it; dots and brackets of names stand as given."""
    made = QueryDict(mutable=True)
    for name, value in fields.items():
        made.setlist(name, value if isinstance(value, list) else [value])
    return made


def row(at: int, item: EntryItem, **changes: str) -> dict[str, str]:
    """The fields of a row of the table of items."""
    values = {
        "zh": item.zh,
        "field": item.field,
        "data_type": item.data_type,
        "length": str(item.length or ""),
        "standard": item.standard,
        "sensitivity": str(item.sensitivity),
        "kind": item.kind,
        "note": item.note,
        "codes": "",
        **({"key": "1"} if item.key else {}),
    } | changes
    return {f"items[{at}].{name}": value for name, value in values.items()}


def rows() -> dict[str, str]:
    """Both rows of the entry as they are."""
    return row(0, NAME) | row(1, NUMBER)


@pytest.mark.requirement("CAT-25")
def test_every_field_of_an_entry_can_be_filled_in():
    shown = {field.name for group in GROUPS for field in group.fields} | {"items", "not_secret"}
    assert shown == set(Entry.__dataclass_fields__)
    assert {group.step for group in GROUPS} | {2, 5} == set(range(1, len(STEPS) + 1))
    assert all(field.label.zh and field.label.en for field in FIELDS.values())


def test_a_step_changes_its_own_fields_and_no_others():
    filled = fill(KEPT, posted(**{"name_zh": " 新名 ", "scope": "不在这一步"}), 1, "new")
    assert filled.faults == {}
    assert filled.entry == replace(KEPT, name_zh="新名")


def test_choices_are_emptied_only_where_they_stood_on_the_form():
    kept = replace(KEPT, forms=("text",), joint=("440100-health",))
    assert fill(kept, posted(name_zh="样例"), 1, "new").entry.forms == ("text",)
    emptied = fill(
        kept, posted(**{"forms.shown": "1", "joint.shown": "1", "joint": ["a", "a", "b"]}), 1, "new"
    )
    assert emptied.entry.forms == ()
    assert emptied.entry.joint == ("a", "b")


@pytest.mark.parametrize(
    ("step", "name", "given"),
    [
        (4, "records", "十二"),
        (4, "records", "9" * 16),
        (3, "shared_until", "2026-02-30"),
        (3, "shared_until", "明天"),
        (1, "name_zh", "长" * 101),
        (1, "summary_zh", "<b>粗</b>"),
        (1, "name_zh", "空\x00字"),
        (4, "related", " ".join(f"r{n}" for n in range(51))),
    ],
)
def test_what_cannot_be_read_keeps_its_value_and_says_so(step, name, given):
    filled = fill(KEPT, posted(**{name: given}), step, "new")
    assert name in filled.faults
    assert getattr(filled.entry, name) == getattr(KEPT, name)


def test_numbers_may_have_separators_and_answers_may_be_left_open():
    filled = fill(KEPT, posted(records="1,200,000", storage_gb=""), 4, "new")
    assert (filled.entry.records, filled.entry.storage_gb) == (1_200_000, None)
    assert fill(KEPT, posted(open_to_public="no"), 3, "new").entry.open_to_public is False
    assert fill(KEPT, posted(open_to_public=""), 3, "new").entry.open_to_public is None


def test_the_classification_is_put_together_from_its_parts():
    filled = fill(KEPT, posted(**{"subject.group": "202", "subject.detail": " 00101 "}), 1, "new")
    assert filled.entry.subject == "20200101"


@pytest.mark.parametrize(
    ("do", "fields"),
    [
        ("", ["name", "number"]),
        ("add", ["name", "number", ""]),
        ("remove:0", ["number"]),
        ("up:1", ["number", "name"]),
        ("down:0", ["number", "name"]),
        ("up:0", ["name", "number"]),
        ("remove:7", ["name", "number"]),
        ("remove:-1", ["name", "number"]),
        ("explode:0", ["name", "number"]),
    ],
)
def test_rows_are_added_removed_and_moved(do, fields):
    filled = fill(KEPT, posted(do=do, **rows()), 2, "new")
    assert [item.field for item in filled.entry.items] == fields


def test_a_row_keeps_what_its_form_does_not_show_and_a_flag_without_tick_is_off():
    kept = replace(KEPT, items=(replace(NAME, code_list="gb", required=True), NUMBER))
    entry = fill(kept, posted(**row(0, NAME, codes="1 男\n2\t女", length="60")), 2, "new").entry
    assert entry.items[0] == replace(
        NAME, code_list="gb", required=False, length=60, codes=(("1", "男"), ("2", "女"))
    )
    assert entry.items[1] == NUMBER


def test_the_record_key_follows_its_item_when_that_is_renamed():
    entry = fill(KEPT, posted(**(row(0, NAME) | row(1, NUMBER, field="case_number"))), 2, "new").entry
    assert entry.record_key == "case_number"


def test_a_length_that_is_no_number_keeps_the_rest_of_the_row():
    filled = fill(KEPT, posted(**row(0, NAME, zh="姓名（全）", length="abc")), 2, "new")
    assert list(filled.faults) == ["items[0].length"]
    assert filled.entry.items[0] == replace(NAME, zh="姓名（全）")


@pytest.mark.requirement("CAT-11")
def test_a_correction_touches_the_wording_and_nothing_else():
    form = posted(name_zh="改名", summary_zh="新摘要", unit="规划处")
    assert fill(KEPT, form, 1, "correction").entry == replace(KEPT, summary_zh="新摘要", unit="规划处")
    changed = rows() | row(1, NUMBER, note="新注", length="99", key="")
    entry = fill(KEPT, posted(do="remove:0", **changed), 2, "correction").entry
    assert entry.items == (NAME, replace(NUMBER, note="新注"))


def test_more_items_than_an_entry_may_have_are_not_added():
    full = replace(KEPT, items=tuple(replace(NAME, field=f"f{n}") for n in range(MAX_ITEMS)))
    filled = fill(full, posted(do="add"), 2, "new")
    assert "items" in filled.faults
    assert len(filled.entry.items) == MAX_ITEMS
    assert read_rows("a\tb\nc\td", full.items).faults


def test_pasted_rows_are_read_by_their_heading_or_in_the_usual_order():
    headed = read_rows("类型\t信息项名称\t主键\t敏感级\nvarchar(18)\t证照编号\t是\t个人敏感信息", ())
    [item] = headed.items
    assert (item.zh, item.data_type, item.length) == ("证照编号", "C", 18)
    assert item.key
    assert item.sensitivity == 2
    assert item.field == "zheng_zhao_bian_hao"
    [plain] = read_rows("发证日期,issued_on,日期型", ()).items
    assert (plain.zh, plain.field, plain.data_type) == ("发证日期", "issued_on", "D")


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ("姓名\tname\t玄学", "第 2 行"),
        ("姓名\tname\tC\t很长", "第 2 行"),
        ("\tname\tC", "第 2 行"),
        ("<script>\tname\tC", "第 2 行"),
        ("姓名\tname\tC\t10\t\t不详", "第 2 行"),
    ],
)
def test_a_pasted_row_at_fault_is_named_and_none_is_taken(row, line):
    read = read_rows(f"单位\tunit\tC\t20\n{row}", ())
    assert read.items == ()
    assert line in read.faults[0].zh


def test_a_field_made_from_pinyin_is_a_column_and_is_not_taken_twice():
    assert field_of("2020年GDP总量") == "f_2020_nian_gdp_zong_liang"
    assert field_of("版本Version") == "ban_ben_version"
    assert field_of("Version") == "version_"
    [first, second] = read_rows("姓名\n姓名", (replace(NAME, field="xing_ming"),)).items
    assert (first.field, second.field) == ("xing_ming_2", "xing_ming_3")


def test_differences_of_texts_are_shown_by_numbers_words_and_characters():
    before, after = pieces("长度30位，含地址", "长度40位，含住址")
    assert [piece.text for piece in before if piece.kind == "gone"] == ["30", "地"]
    assert [piece.text for piece in after if piece.kind == "come"] == ["40", "住"]
    assert "".join(piece.text for piece in after) == "长度40位，含住址"
    whole, _ = pieces("完全不同", "另起一段文字")
    assert [piece.kind for piece in whole] == ["gone"]


def test_a_path_is_named_and_found_in_its_step():
    assert str(label_of("items[2].length")) == "长度"
    assert step_of("items[2].length") == 2
    assert step_of("share_type") == 3
    assert step_of("not_secret") == 5
