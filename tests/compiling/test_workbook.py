"""The offline way of compiling: export, fill in, take in, and nothing is lost or doubled on the way."""

from dataclasses import replace

import pytest

from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.compiling.workbook import actions, jobs
from shuqiao.control.compiling.workbook.models import CatalogueImport, ImportedEntry
from shuqiao.rules.entries import EntryItem
from tests.compiling.conftest import entry
from tests.compiling.workbooks import at, checked, edited, exported, faults, taken, workbook_of
from tests.control.conftest import audit_entries

CODED = EntryItem(
    field="sex", zh="性别", length=1, codes=(("1", "男"), ("2", "女")), kind="plain", sensitivity=1
)


@pytest.mark.requirement("CAT-18")
def test_a_filled_in_workbook_becomes_drafts(guangzhou):
    hou = guangzhou.viewer("hou")
    one = entry(items=(*entry().items, CODED))
    two = entry(name_zh="公租房轮候信息")
    found = taken(hou, workbook_of(hou, ("1", one), ("2", two)))
    assert (found.state, found.new_entries, found.changed_entries) == ("taken", 2, 0)
    drafts = {case.name_zh: case for case in Compilation.objects.all()}
    assert entry_from(drafts[one.name_zh].content) == one
    assert entry_from(drafts[two.name_zh].content) == two
    assert {case.origin for case in drafts.values()} == {"workbook"}
    assert {case.phase for case in drafts.values()} == {"draft"}
    assert found.content is None
    assert {row[-1] for row in audit_entries("workbook_uploaded")} == {"uploaded", "taking"}


@pytest.mark.requirement("CAT-18")
def test_what_is_exported_is_taken_in_unchanged(office):
    hou = office.viewer("hou")
    office.published()
    office.draft(name_zh="公租房轮候信息")
    found = checked(hou, exported(hou))
    assert faults(found) == {}
    assert (found.new_entries, found.changed_entries) == (0, 0)
    assert found.same_entries >= 2


def test_the_lists_of_the_law_go_out_and_come_in_unchanged(guangzhou):
    chen = guangzhou.viewer("chen")
    found = checked(chen, exported(chen))
    held = Resource.objects.filter(department_id="440100-health", state="published").count()
    assert held > 1
    assert (found.same_entries, faults(found)) == (held, {})


def test_the_same_file_twice_changes_nothing(guangzhou):
    hou = guangzhou.viewer("hou")
    book = workbook_of(hou, ("1", entry()))
    first = actions.upload(hou, _file(book))
    assert actions.upload(hou, _file(book)) == first
    jobs.work_on(first)
    actions.take_over(hou, first)
    jobs.work_on(first)
    [case] = Compilation.objects.all()
    again = taken(hou, book)
    assert (again.new_entries, again.changed_entries, again.same_entries) == (0, 0, 1)
    [same] = Compilation.objects.all()
    assert (same.number, same.revision) == (case.number, case.revision)


def _file(content):
    from shuqiao.control.documents.actions import FileInput

    return FileInput("目录.xlsx", content)


def test_a_change_in_the_workbook_begins_a_change_of_the_entry(guangzhou):
    hou = guangzhou.viewer("hou")
    published = guangzhou.published()
    book = edited(exported(hou), _write("目录", "timeliness", "两日内", published.name_zh))
    found = taken(hou, book)
    assert (found.new_entries, found.changed_entries) == (0, 1)
    case = Compilation.objects.get(kind="change")
    assert case.resource == published.resource
    assert case.content["timeliness"] == "两日内"


def test_a_draft_saved_after_the_export_is_not_overwritten(guangzhou):
    hou = guangzhou.viewer("hou")
    number = guangzhou.draft()
    book = edited(exported(hou), _write("目录", "timeliness", "两日内", entry().name_zh))
    case = guangzhou.case(number)
    _rewrite(hou, case, timeliness="三日内")
    found = checked(hou, book)
    assert list(faults(found).values()) == ["draft_changed"]
    assert guangzhou.case(number).content["timeliness"] == "三日内"


def test_a_draft_saved_between_check_and_taking_over_is_checked_again(guangzhou):
    hou = guangzhou.viewer("hou")
    number = guangzhou.draft()
    found = checked(hou, edited(exported(hou), _write("目录", "timeliness", "两日内", entry().name_zh)))
    assert faults(found) == {}
    _rewrite(hou, guangzhou.case(number), timeliness="三日内")
    actions.take_over(hou, found.pk)
    jobs.work_on(found.pk)
    found.refresh_from_db()
    assert (found.state, found.checked_again) == ("checked", True)
    assert list(faults(found).values()) == ["draft_changed"]
    assert guangzhou.case(number).content["timeliness"] == "三日内"


def test_one_fault_keeps_the_whole_workbook_out(guangzhou):
    hou = guangzhou.viewer("hou")
    found = checked(
        hou, workbook_of(hou, ("1", entry()), ("2", entry(name_zh="轮候", update_cycle="hourly")))
    )
    assert faults(found) == {f"目录!{at('目录', 'update_cycle', 3)}": "value_unknown"}
    actions.take_over(hou, found.pk)
    jobs.work_on(found.pk)
    assert not Compilation.objects.exists()
    assert not ImportedEntry.objects.exists()


def test_a_workbook_thrown_away_leaves_nothing(guangzhou):
    hou = guangzhou.viewer("hou")
    found = checked(hou, workbook_of(hou, ("1", entry())))
    assert ImportedEntry.objects.count() == 1
    actions.discard(hou, found.pk)
    actions.take_over(hou, found.pk)
    jobs.work_on(found.pk)
    assert CatalogueImport.objects.get().state == "discarded"
    assert not ImportedEntry.objects.exists()
    assert not Compilation.objects.exists()


def _write(sheet, name, value, entry_name):
    """Write a value into the row of the entry of this name."""

    def edit(book):
        rows = book[sheet]
        column = at(sheet, "name_zh", 1)[:-1]
        row = next(cell.row for cell in rows[column] if cell.value == entry_name)
        rows[at(sheet, name, row)] = value

    return edit


def _rewrite(viewer, case, **changes):
    from shuqiao.control.compiling.drafts import DraftInput, save_draft

    content = replace(entry_from(case.content), **changes)
    save_draft(viewer, DraftInput(content=content, number=case.number, revision=case.revision))
