"""Workbooks that are wrong: every fault is told at its cell with what to do, and nothing reaches a draft."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial

import pytest
from openpyxl import Workbook

from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.compiling.workbook import actions
from shuqiao.control.compiling.workbook.columns import ENTRIES
from shuqiao.control.compiling.workbook.models import CatalogueImport, ImportedEntry, ImportFault
from shuqiao.control.documents import spreadsheet
from shuqiao.control.documents.actions import FileInput
from tests.compiling.conftest import APPLIED, KEY, STATUS, entry
from tests.compiling.workbooks import at, checked, edited, exported, faults, part, with_part, workbook_of

Edit = Callable[[Workbook], object]


def _set(sheet: str, cell: str, value: object, book: Workbook) -> None:
    book[sheet][cell] = value


def entries(name: str, value: object, row: int = 2) -> Edit:
    """Write into the sheet of entries."""
    return partial(_set, "目录", at("目录", name, row), value)


def items(name: str, value: object, row: int = 2) -> Edit:
    """Write into the sheet of items."""
    return partial(_set, "信息项", at("信息项", name, row), value)


def _add_sheet(book: Workbook) -> None:
    book.create_sheet("目录 (2)")


def _rename_sheet(book: Workbook) -> None:
    book["信息项"].title = "items"


def _delete_column(book: Workbook) -> None:
    book["目录"].delete_cols(3)


def _add_column(book: Workbook) -> None:
    book["目录"].cell(1, len(ENTRIES.columns) + 1).value = "备注"


def _merge(book: Workbook) -> None:
    book["目录"].merge_cells(f"{at('目录', 'summary_zh')}:{at('目录', 'summary_zh', 3)}")


def _second_row(book: Workbook, **changed: object) -> None:
    """A second entry like the first, with a key of its own unless told otherwise."""
    rows = book["目录"]
    for one in range(1, rows.max_column + 1):
        rows.cell(3, one).value = rows.cell(2, one).value
    for name, value in ({"entry_key": "2", "name_zh": "另一条目"} | changed).items():
        rows[at("目录", name, 3)] = value
    for one in book["信息项"].iter_rows(min_row=2, max_row=4, values_only=True):
        book["信息项"].append(("2", *one[1:]))


def _no_rows(book: Workbook) -> None:
    for name in ("目录", "信息项"):
        book[name].delete_rows(2, 10)


WRONG: dict[str, tuple[Edit, str, str]] = {
    "sheet renamed": (_rename_sheet, "信息项", "sheet_missing"),
    "sheet added": (_add_sheet, "目录 (2)", "sheet_unknown"),
    "column deleted": (_delete_column, "目录", "column_missing"),
    "column added": (
        _add_column,
        f"目录!{spreadsheet.cell_name(len(ENTRIES.columns) + 1, 1)}",
        "column_unknown",
    ),
    "merged cells": (_merge, f"目录!{at('目录', 'summary_zh')}", "cells_merged"),
    "no entries": (_no_rows, "目录", "no_entries"),
    "formula": (
        entries("name_zh", '=HYPERLINK("http://127.0.0.1/")'),
        f"目录!{at('目录', 'name_zh')}",
        "cell_is_formula",
    ),
    "formula in an item": (items("zh", "=1+1"), f"信息项!{at('信息项', 'zh')}", "cell_is_formula"),
    "error value": (entries("system", "#REF!"), f"目录!{at('目录', 'system')}", "cell_is_error"),
    "markup": (
        entries("summary_zh", "摘要<script>alert(1)</script>"),
        f"目录!{at('目录', 'summary_zh')}",
        "text_not_plain",
    ),
    "markup in an item": (
        items("note", '<img src=x onerror="alert(1)">'),
        f"信息项!{at('信息项', 'note')}",
        "text_not_plain",
    ),
    "too long": (entries("name_zh", "长" * 101), f"目录!{at('目录', 'name_zh')}", "text_too_long"),
    "left empty": (entries("summary_zh", None), f"目录!{at('目录', 'summary_zh')}", "field_required"),
    "unknown department": (
        entries("department", "某某局"),
        f"目录!{at('目录', 'department')}",
        "value_unknown",
    ),
    "another department": (
        entries("department", "440100-health"),
        f"目录!{at('目录', 'department')}",
        "department_refused",
    ),
    "unknown word": (
        entries("update_cycle", "每世纪"),
        f"目录!{at('目录', 'update_cycle')}",
        "value_unknown",
    ),
    "one word twice": (entries("forms", "文字；文字"), f"目录!{at('目录', 'forms')}", "value_twice"),
    "number as text": (entries("records", "约一万"), f"目录!{at('目录', 'records')}", "number_malformed"),
    "fraction": (entries("records", 1.5), f"目录!{at('目录', 'records')}", "number_malformed"),
    "no such day": (
        entries("shared_until", "2027-02-30"),
        f"目录!{at('目录', 'shared_until')}",
        "date_malformed",
    ),
    "period over": (
        entries("shared_until", date(2020, 1, 1)),
        f"目录!{at('目录', 'shared_until')}",
        "period_past",
    ),
    "date as text": (
        entries("timeliness", date(2026, 1, 1)),
        f"目录!{at('目录', 'timeliness')}",
        "cell_is_date",
    ),
    "lost digits": (
        entries("ground", 1.2345678901234e20),
        f"目录!{at('目录', 'ground')}",
        "cell_lost_digits",
    ),
    "neither yes nor no": (
        entries("open_to_public", "也许"),
        f"目录!{at('目录', 'open_to_public')}",
        "answer_unknown",
    ),
    "not declared": (entries("not_secret", "否"), f"目录!{at('目录', 'not_secret')}", "declaration_required"),
    "no key": (entries("entry_key", None), f"目录!{at('目录', 'entry_key')}", "field_required"),
    "code of an entry that is not there": (
        entries("entry_key", "r440100aaaaaaaaaa/1"),
        f"目录!{at('目录', 'entry_key')}",
        "entry_unknown",
    ),
    "number of a case that is not there": (
        entries("entry_key", "C-2026-0999/1"),
        f"目录!{at('目录', 'entry_key')}",
        "case_unknown",
    ),
    "key twice": (
        partial(_second_row, entry_key="1"),
        f"目录!{at('目录', 'entry_key', 3)}",
        "key_twice",
    ),
    "name twice": (
        partial(_second_row, name_zh="公租房申请审核信息"),
        f"目录!{at('目录', 'name_zh', 3)}",
        "entry_name_twice",
    ),
    "related entry that is not there": (
        entries("related", "r440100aaaaaaaaaa"),
        f"目录!{at('目录', 'related')}",
        "resource_unknown",
    ),
    "item of no entry": (items("entry_key", "7", 4), f"信息项!{at('信息项', 'entry_key', 4)}", "key_unknown"),
    "field malformed": (items("field", "申请人"), f"信息项!{at('信息项', 'field')}", "field_name_malformed"),
    "field twice": (items("field", APPLIED.field, 3), f"信息项!{at('信息项', 'field', 4)}", "item_twice"),
    "no type": (items("data_type", None, 3), f"信息项!{at('信息项', 'data_type', 3)}", "field_required"),
    "no grade": (items("sensitivity", None, 3), f"信息项!{at('信息项', 'sensitivity', 3)}", "field_required"),
    "no length": (items("length", None, 3), f"信息项!{at('信息项', 'length', 3)}", "field_required"),
    "code of no item": (
        partial(_set, "代码值", "A2", "1"),
        "代码值!B2",
        "item_unknown",
    ),
}


def test_a_code_there_twice_is_told_at_the_second(guangzhou):
    hou = guangzhou.viewer("hou")
    status = replace(STATUS, codes=(("1", "通过"), ("2", "不通过"), ("3", "撤回")))
    book = workbook_of(hou, ("1", entry(items=(KEY, status))))
    found = checked(hou, edited(book, partial(_set, "代码值", "C4", "2")))
    assert faults(found) == {"代码值!C4": "codes_malformed"}


def test_an_entry_related_to_itself_is_told(guangzhou):
    hou = guangzhou.viewer("hou")
    held = guangzhou.published()
    book = edited(exported(hou), lambda book: _relate(book, held.resource))
    assert list(faults(checked(hou, book)).values()) == ["entry_circle"]


def _relate(book: Workbook, resource: str) -> None:
    rows = book["目录"]
    row = next(cell.row for cell in rows["A"] if str(cell.value).startswith(resource))
    rows[at("目录", "related", row)] = resource


@pytest.mark.requirement("CAT-18")
@pytest.mark.parametrize("wrong", WRONG)
def test_a_fault_is_told_at_its_cell_and_nothing_is_kept(guangzhou, wrong):
    hou = guangzhou.viewer("hou")
    edit, place, code = WRONG[wrong]
    sound = workbook_of(hou, ("1", entry()))
    assert faults(checked(hou, sound)) == {}, "the workbook is sound before it is spoilt"
    found = checked(hou, edited(sound, edit))
    told = faults(found)
    assert told.get(place) == code, told
    assert found.state == "checked" and found.fault_count >= 1
    assert all(one.said_zh and one.said_en for one in ImportFault.objects.all())
    assert not ImportedEntry.objects.filter(source=found).exists()
    actions.take_over(hou, found.pk)
    assert not Compilation.objects.exists()


def _refused(viewer, content: bytes) -> str:
    with pytest.raises(FormRefused) as refused:
        actions.upload(viewer, FileInput("目录.xlsx", content))
    [fault] = refused.value.faults
    assert fault.field == "workbook" and fault.message.zh and fault.message.en
    assert not CatalogueImport.objects.exists()
    return fault.code


UNWANTED = {
    "macros": ("xl/vbaProject.bin", "workbook_has_macros"),
    "old macros": ("xl/macrosheets/sheet1.xml", "workbook_has_macros"),
    "links": ("xl/externalLinks/externalLink1.xml", "workbook_has_external_links"),
    "connections": ("xl/connections.xml", "workbook_has_connections"),
    "objects": ("xl/embeddings/oleObject1.bin", "workbook_has_embedded_objects"),
}


@pytest.mark.parametrize("kind", UNWANTED)
def test_what_runs_or_reaches_outside_is_refused_at_once(guangzhou, kind):
    hou = guangzhou.viewer("hou")
    name, code = UNWANTED[kind]
    assert _refused(hou, with_part(workbook_of(hou, ("1", entry())), name, b"x" * 100)) == code


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_file_cut_off_is_refused(guangzhou, share):
    hou = guangzhou.viewer("hou")
    whole = workbook_of(hou, ("1", entry()))
    assert _refused(hou, whole[: int(len(whole) * share)]) == "workbook_cut_off"


def test_a_part_cut_off_inside_is_told_and_nothing_kept(guangzhou):
    hou = guangzhou.viewer("hou")
    whole = workbook_of(hou, ("1", entry()))
    sheet = part(whole, "xl/worksheets/sheet1.xml")
    found = checked(hou, with_part(whole, "xl/worksheets/sheet1.xml", sheet[: len(sheet) // 2]))
    assert faults(found) == {"": "workbook_malformed"}
    assert found.refused and not ImportedEntry.objects.exists()


BOMB = b"""<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is>
<t>&c;</t></is></c></row></sheetData></worksheet>"""


SHEET, STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
WIDE = b"<worksheet><sheetData><row r='1'><c r='ZZZ1'><v>1</v></c></row></sheetData></worksheet>"
# Made when they are needed: some of them are large.
BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "entities": (SHEET, lambda: BOMB, "workbook_malformed"),
    "unpacks to 300 MB": (SHEET, lambda: b"<worksheet>" + b" " * 300_000_000, "workbook_too_large"),
    "one endless tag": (SHEET, lambda: b"<worksheet a='" + b"x" * 9_000_000, "workbook_too_large"),
    "endlessly nested": (SHEET, lambda: b"<a>" * 5_000_000, "workbook_malformed"),
    "millions of texts": (STRINGS, lambda: b"<sst>" + b"<si/>" * 4_100_000, "workbook_too_large"),
    "column ZZZ": (SHEET, lambda: WIDE, "workbook_too_wide"),
    "rows out of order": (SHEET, lambda: b"<s><row r='9'/><row r='2'/></s>", "workbook_malformed"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_told_and_nothing_kept(guangzhou, kind):
    hou = guangzhou.viewer("hou")
    name, make, code = BOMBS[kind]
    found = checked(hou, with_part(workbook_of(hou, ("1", entry())), name, make()))
    assert faults(found) == {"": code}


def test_entities_in_the_list_of_sheets_are_refused(guangzhou):
    hou = guangzhou.viewer("hou")
    bomb = with_part(workbook_of(hou, ("1", entry())), "xl/workbook.xml", BOMB)
    assert _refused(hou, bomb) == "workbook_malformed"


def test_more_rows_than_allowed_are_told(guangzhou):
    hou = guangzhou.viewer("hou")
    far = edited(workbook_of(hou, ("1", entry())), entries("name_zh", "远处", ENTRIES.max_rows + 2))
    assert set(faults(checked(hou, far)).values()) == {"too_many_rows"}


def test_another_program_may_save_it_with_shared_texts_and_columns_moved(guangzhou):
    hou = guangzhou.viewer("hou")

    def move(book: Workbook) -> None:
        rows = book["信息项"]
        for one in rows.iter_rows(min_row=1, max_row=4):
            one[1].value, one[2].value = one[2].value, one[1].value

    found = checked(hou, edited(workbook_of(hou, ("1", entry())), move))
    assert faults(found) == {}
    assert ImportedEntry.objects.get().content["items"][0]["field"] == KEY.field
