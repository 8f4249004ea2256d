"""The pages of the offline workbook: who may use them, and what they say."""

import io

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from shuqiao.control.accounts.models import Account
from shuqiao.control.compiling.models import Compilation
from shuqiao.control.compiling.workbook import jobs
from shuqiao.control.compiling.workbook.models import CatalogueImport
from tests.compiling.conftest import entry
from tests.compiling.workbooks import at, checked, workbook_of

PLACE = "/compiling/workbook/"


@pytest.fixture
def signed(guangzhou, client):
    """A browser signed in as an account of the city."""

    def sign_in(username):
        client.force_login(Account.objects.get(username=username))
        return client

    return sign_in


def _upload(client, content, name="目录.xlsx", **headers):
    return client.post(PLACE, {"workbook": SimpleUploadedFile(name, content)}, **headers)


@pytest.mark.requirement("CAT-18")
def test_upload_check_and_take_over(guangzhou, signed):
    hou = signed("hou")
    sent = _upload(hou, workbook_of(guangzhou.viewer("hou"), ("1", entry())))
    page = sent.headers["Location"]
    assert 'hx-trigger="every 1s"' in hou.get(page).content.decode()
    jobs.work_on(CatalogueImport.objects.get().pk)
    said = hou.get(page).content.decode()
    assert "全部纳入草稿" in said and "hx-trigger" not in said.split('id="workbook"')[1]
    assert hou.post(f"{page}take").status_code == 302
    jobs.work_on(CatalogueImport.objects.get().pk)
    assert "已全部纳入草稿" in hou.get(page).content.decode()
    assert Compilation.objects.get().name_zh == entry().name_zh


def test_faults_are_listed_and_marked(guangzhou, signed):
    found = checked(
        guangzhou.viewer("hou"), workbook_of(guangzhou.viewer("hou"), ("1", entry(origin="gift")))
    )
    hou = signed("hou")
    said = hou.get(f"{PLACE}{found.pk}/").content.decode()
    cell = at("目录", "origin")
    assert cell in said and "请从列表中选择" in said and "全部纳入草稿" not in said
    assert "Choose" not in said
    marked = hou.get(f"{PLACE}{found.pk}/marked.xlsx")
    book = openpyxl.load_workbook(io.BytesIO(marked.content))
    assert "请从列表中选择" in book["目录"][cell].comment.text
    assert book["目录"][cell].value == "gift"
    assert book["目录"][cell].fill.fgColor.rgb == "FFFDE7E7"
    assert [row[1].value for row in book["错误"].iter_rows(min_row=2)] == [cell]
    # Mended, it goes through.
    book["目录"][cell].value = "直接采集"
    out = io.BytesIO()
    book.save(out)
    assert checked(guangzhou.viewer("hou"), out.getvalue()).fault_count == 0


@pytest.mark.parametrize("username", ["lin", "zhou"])
def test_who_does_not_compile_sees_nothing(guangzhou, signed, username):
    assert not guangzhou.viewer(username).can("catalogue_edit")
    found = checked(guangzhou.viewer("hou"), workbook_of(guangzhou.viewer("hou"), ("1", entry())))
    client = signed(username)
    assert client.get(PLACE).status_code == 403
    assert client.get(f"{PLACE}template.xlsx").status_code == 403
    assert client.get(f"{PLACE}{found.pk}/").status_code == 404
    assert client.post(f"{PLACE}{found.pk}/take").status_code == 404
    assert client.post(f"{PLACE}{found.pk}/discard").status_code == 404
    found.refresh_from_db()
    assert found.state == "checked"


def test_another_department_sees_nothing(guangzhou, signed):
    assert guangzhou.viewer("chen").can("catalogue_edit")
    found = checked(guangzhou.viewer("hou"), workbook_of(guangzhou.viewer("hou"), ("1", entry())))
    chen = signed("chen")
    assert chen.get(PLACE).status_code == 200
    assert f"{PLACE}{found.pk}/" not in chen.get(PLACE).content.decode()
    for path in ("", "marked.xlsx"):
        assert chen.get(f"{PLACE}{found.pk}/{path}").status_code == 404
    assert chen.post(f"{PLACE}{found.pk}/take").status_code == 404


def test_what_is_no_workbook_is_refused_at_its_field(signed):
    hou = signed("hou")
    for content in (b"", b"name,code\n", b"\xd0\xcf\x11\xe0" + bytes(600)):
        refused = _upload(hou, content)
        assert refused.status_code == 422
        assert 'id="workbook-error"' in refused.content.decode()
    assert not CatalogueImport.objects.exists()


def test_a_hundred_megabytes_are_refused_before_they_are_read(signed):
    hou = signed("hou")
    refused = _upload(hou, b"PK\x03\x04" + bytes(100 * 1024 * 1024))
    assert refused.status_code == 400
    assert "过大" in refused.content.decode()
    assert _upload(hou, b"PK\x03\x04" + bytes(10 * 1024 * 1024)).status_code == 422
    assert not CatalogueImport.objects.exists()
