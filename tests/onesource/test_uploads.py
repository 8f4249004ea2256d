"""Names of fields out of what a department brings: bounded, nothing run, no values of persons."""

from io import BytesIO

import pytest
import xlsxwriter

from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.onesource.uploads import MAX_BYTES, MAX_FIELDS, labels_of_file, labels_of_text


def workbook(rows: list[list[object]], macro: bytes = b"") -> bytes:
    """A workbook with these rows; texts that begin with = are formulas."""
    held = BytesIO()
    book = xlsxwriter.Workbook(held, {"in_memory": True})
    sheet = book.add_worksheet("表单")
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.write(number, column, cell)
    book.close()
    return held.getvalue()


def names(content: bytes, name: str = "表.xlsx") -> tuple[str, ...]:
    return labels_of_file(FileInput(name, content)).names


def fault(content: bytes, name: str = "表.xlsx") -> str:
    with pytest.raises(FormRefused) as refused:
        labels_of_file(FileInput(name, content))
    return refused.value.faults[0].code


@pytest.mark.parametrize(
    "text",
    ["姓名\n性别\n民族", "姓名，性别、民族", "1. 姓名：\n2、性别 *\n（3）民族", "姓名\t性别\t民族\n姓 名\n"],
)
def test_pasted_words_are_fields_each_once(text: str) -> None:
    assert labels_of_text(text).names == ("姓名", "性别", "民族")


def test_a_list_below_its_heading() -> None:
    rows = [["序号", "字段名称", "说明"], [1, "姓名", "必填"], [2, "身份证号", "18位"]]
    assert names(workbook(rows)) == ("姓名", "身份证号")
    assert names("序号,数据项,说明\r\n1,姓名,必填\r\n2,性别,\r\n".encode("gb18030"), "表.csv") == (
        "姓名",
        "性别",
    )


def test_the_heading_of_a_table_and_not_what_is_in_it() -> None:
    rows = [["姓名", "身份证号", "住址"], ["张样本", "110101199003077758", "样本路一号"]]
    assert names(workbook(rows)) == ("姓名", "身份证号", "住址")


def test_a_form_gives_its_labels_without_numbers_and_explanations() -> None:
    rows = [
        ["公租房申请表"],
        ["姓名：", None, "性别：", None],
        ["公民身份号码", "110101199003077758"],
        ["本人承诺以上所填内容真实有效，如有虚假愿意承担由此产生的一切法律责任，并同意核验。" * 2],
    ]
    assert names(workbook(rows)) == ("公租房申请表", "姓名", "性别", "公民身份号码")


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "a.csv", "file_size"),
        (b"x" * (MAX_BYTES + 1), "a.csv", "file_size"),
        ("姓名".encode(), "a.txt", "file_kind"),
        ("姓名".encode(), "a.xlsm", "file_kind"),
        (b"not a workbook", "a.xlsx", "workbook_not_xlsx"),
        (workbook([["姓名"]])[:300], "a.xlsx", "workbook_cut_off"),
        (workbook([["姓名", "=1+1"]]), "a.xlsx", "formula_refused"),
        (b"a,=cmd()\n", "a.csv", "formula_refused"),
        (b'"a', "a.csv", "csv_malformed"),
        (b"\xff\xfe\x00a", "a.csv", "csv_encoding"),
        (b"<script>alert(1)</script>", "a.csv", "text_not_plain"),
        (b"1\n2\n3\n", "a.csv", "field_required"),
        ("\n".join(f"字段{n}号项" for n in range(MAX_FIELDS + 1)).encode(), "a.csv", "too_many_fields"),
        (b"\n".join([b"1"] * 30_000), "a.csv", "too_many_rows"),
    ],
)
def test_what_is_no_form_is_refused_and_says_why(content: bytes, name: str, code: str) -> None:
    assert fault(content, name) == code


def test_too_long_a_paste_is_refused() -> None:
    for text in ("<b>姓名</b>", "\n".join(f"字段{n}号项" for n in range(MAX_FIELDS + 1)), "   "):
        with pytest.raises(FormRefused):
            labels_of_text(text)
