"""The offline workbook in a real browser: exported, spoilt, told so by cell, mended and taken over."""

import io
from pathlib import Path

import openpyxl
import pytest

from tests.browser.conftest import WIDTHS, Visitor, Visits
from tests.browser.test_pages import faults
from tests.compiling.conftest import HEALTH, entry
from tests.compiling.workbooks import at

pytestmark = pytest.mark.browser
PLACE = "/compiling/workbook/"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def download(visitor: Visitor, link: str) -> openpyxl.Workbook:
    """Follow a link to a workbook and open it with another program."""
    with visitor.page.expect_download() as kept:
        visitor.page.get_by_role("link", name=link).click()
    return openpyxl.load_workbook(io.BytesIO(Path(kept.value.path()).read_bytes()))


def upload(visitor: Visitor, book: openpyxl.Workbook, name: str) -> None:
    """Choose a workbook, send it, and wait until the page shows the result by itself."""
    out = io.BytesIO()
    book.save(out)
    visitor.see(PLACE)
    visitor.page.set_input_files("#workbook", {"name": name, "mimeType": XLSX, "buffer": out.getvalue()})
    visitor.page.get_by_role("button", name="上传核对").click()
    visitor.page.wait_for_selector("#result", timeout=60_000)


def fill_in(book: openpyxl.Workbook, name: str) -> None:
    """A new entry in the next free row, as a person would write it: the words of the lists."""
    rows = book["目录"]
    free = rows.max_row + 1
    said = {
        "entry_key": "1", "name_zh": name, "summary_zh": "示例摘要", "subject": "30100801",
        "department": HEALTH, "collecting": HEALTH, "verifying": HEALTH,
        "library_kind": "业务数据库", "format": "数据库", "update_cycle": "每日", "platform": "示例平台",
        "scope": "各行政机关", "use": "示例用途", "manner": "共享平台（数据库）", "open_to_public": "否",
        "legal_ground": "《样例条例》第八条", "shared_until": entry().shared_until, "not_secret": "是",
    }  # fmt: skip
    for field, value in said.items():
        rows[at("目录", field, free)] = value
    items = book["信息项"]
    at_row = items.max_row + 1
    for field, value in {
        "entry_key": "1", "zh": "示例编号", "field": "sample_no", "data_type": "字符型", "length": 20,
        "sensitivity": "单位信息",
    }.items():  # fmt: skip
        items[at("信息项", field, at_row)] = value


@pytest.mark.requirement("CAT-18")
def test_a_workbook_from_download_to_drafts(visits: Visits) -> None:
    """The fault is at its cell on the page and in the marked workbook; mended, all of it becomes drafts."""
    chen = visits.visitor("chen")
    chen.see(PLACE)
    book = download(chen, "本部门现有条目")
    fill_in(book, "示例离线条目")
    row = book["目录"].max_row
    book["目录"][at("目录", "update_cycle", row)] = "每世纪"
    upload(chen, book, "目录一.xlsx")
    cell = at("目录", "update_cycle", row)
    assert chen.page.get_by_role("cell", name=cell, exact=True).is_visible()
    assert chen.page.get_by_role("button", name="全部纳入草稿").count() == 0
    marked = download(chen, "下载标注错误的工作簿")
    assert marked["目录"][cell].comment.text
    marked["目录"][cell].value = "每日"
    upload(chen, marked, "目录二.xlsx")
    chen.page.get_by_role("button", name="全部纳入草稿").click()
    chen.page.get_by_text("已全部纳入草稿").wait_for(timeout=60_000)
    chen.see("/compiling/?q=示例离线条目")
    assert chen.page.get_by_text("示例离线条目").count() >= 1
    assert chen.policy_faults() == [] and chen.foreign == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_are_sound(visits: Visits, width: int) -> None:
    """The way in and a result with faults: readable, in the frame, accessible."""
    chen = visits.visitor("chen", width=width)
    chen.see(PLACE)
    book = download(chen, "空白模板")
    fill_in(book, f"示例{width}")
    book["目录"][at("目录", "origin", 2)] = "别处"
    upload(chen, book, f"错误{width}.xlsx")
    assert faults(chen, PLACE) + faults(chen, chen.page.url.removeprefix(chen.url)) == []
