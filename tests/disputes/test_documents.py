"""Files of a case: what is taken in, how it is sent out, and to whom."""

import io
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from shuqiao.control.accounts.access import FormRefused
from shuqiao.control.accounts.models import Account
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.documents.access import may_read
from shuqiao.control.documents.actions import (
    MAX_FILES_PER_CASE,
    CaseKey,
    FileInput,
    check_file,
    store_document,
)
from shuqiao.control.documents.content import media_type_of, plain_name
from shuqiao.control.documents.models import MAX_BYTES, Document, MediaType
from tests.control.conftest import audit_entries
from tests.disputes.conftest import PDF

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(20)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40) + b"\xff\xd9"


def office(*parts: str) -> bytes:
    """An office file with these parts."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for part in ("[Content_Types].xml", *parts):
            archive.writestr(part, "<xml/>")
    return target.getvalue()


ACCEPTED = [
    ("裁定.pdf", PDF, MediaType.PDF),
    ("裁定.PDF", PDF, MediaType.PDF),
    ("照片.png", PNG, MediaType.PNG),
    ("照片.jpg", JPEG, MediaType.JPEG),
    ("照片.jpeg", JPEG, MediaType.JPEG),
    ("记录.txt", "协商记录\r\n第二行\t".encode(), MediaType.TEXT),
    ("记录.txt", "协商记录".encode("gb18030"), MediaType.TEXT),
    ("纪要.docx", office("word/document.xml"), MediaType.DOCX),
    ("数据.xlsx", office("xl/workbook.xml"), MediaType.XLSX),
]
REFUSED = [
    ("page.html", b"<script>alert(1)</script>"),
    ("裁定.pdf", b"<script>alert(1)</script>"),
    ("裁定.pdf", b"%PDF-1.4 cut off"),
    ("picture.svg", b"<svg/>"),
    ("照片.png", JPEG),
    ("照片.jpg", PNG),
    ("程序.exe", b"MZ" + bytes(100)),
    ("记录.txt", b"\x00binary"),
    ("记录.txt", b"\xff\xfe\x00\x81\xff"),
    ("无扩展名", PDF),
    ("纪要.docx", office("xl/workbook.xml")),
    ("数据.xlsx", office("word/document.xml")),
    ("纪要.docx", office("word/document.xml", "word/vbaProject.bin")),
    ("纪要.docx", b"PK\x03\x04 no archive"),
    ("纪要.docx", PDF),
    ("宏.docm", office("word/document.xml")),
]


@pytest.mark.parametrize(("name", "content", "kind"), ACCEPTED)
def test_files_are_known_by_their_content(name, content, kind):
    """Six kinds, and the ending must agree."""
    assert media_type_of(name, content) is kind
    assert check_file(FileInput(name, content)) is kind


@pytest.mark.parametrize(("name", "content"), REFUSED)
def test_other_files_are_refused(name, content):
    """Pages, programs, macros, and what is not what it is called."""
    assert media_type_of(name, content) is None
    with pytest.raises(FormRefused) as refused:
        check_file(FileInput(name, content), "document")
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [("document", "file_kind")]


@pytest.mark.parametrize("content", [b"", b"a" * (MAX_BYTES + 1)])
def test_files_are_bounded(content):
    """Neither empty nor larger than ten megabytes."""
    with pytest.raises(FormRefused) as refused:
        check_file(FileInput("a.txt", content))
    assert refused.value.faults[0].code == "file_size"


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\x\\裁定.pdf", "裁定.pdf"),
        ("a\x00b\r\n.txt", "ab.txt"),
        ("裁定\u202efdp.exe", "裁定fdp.exe"),
        (".txt", "txt"),
        ("长" * 300 + ".pdf", "长" * 116 + ".pdf"),
    ],
)
def test_names_carry_no_path_and_no_trick(given, plain):
    """What is shown and sent is a plain name."""
    assert plain_name(given) == plain


def test_a_case_holds_so_many_files_of_people_and_all_of_the_platform(story, monkeypatch):
    """A full case can still be ended."""
    monkeypatch.setattr("shuqiao.control.documents.actions.MAX_FILES_PER_CASE", 1)
    assert MAX_FILES_PER_CASE > 100
    number, hou = story.bring(), story.city.viewer("hou")
    case = CaseKey("dispute", number)
    store_document(case, FileInput("a.txt", b"a"), hou)
    with pytest.raises(FormRefused) as refused:
        store_document(case, FileInput("b.txt", b"b"), hou)
    assert refused.value.faults[0].code == "too_many_files"
    story.take("hou", number, "withdraw", reason="不再争议")


@pytest.fixture
def browser(city):
    """A browser in which somebody has signed in."""

    def signed_in(username: str) -> Client:
        client = Client()
        client.force_login(Account.objects.get(username=username))
        return client

    return signed_in


def test_a_document_is_sent_as_a_file_and_never_runs(story, browser):
    """As an attachment, not sniffed, without rights, not kept on the way, its name escaped; and recorded."""
    number = story.bring(document=FileInput('证据";x="1.txt', b"<script>alert(1)</script>"))
    document = Document.objects.get(number=number, account__isnull=False)
    answer = browser("hou").get(f"/documents/{document.pk}")
    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["Content-Type"] == "text/plain"
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment; ") and disposition.count('"') == 2
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cache-Control"] == "no-store"
    [entry] = audit_entries("document_downloaded")
    assert (entry[0], entry[2], entry[5]) == ("440100-housing", "account:hou", number)


READERS = {
    **dict.fromkeys(("lin", "hou", "chen", "gong", "bai", "zheng", "zhou"), 200),
    **dict.fromkeys(("tan", "wu", "zhao", "ma", "bian", "shi"), 404),
}


@pytest.mark.parametrize(("who", "status"), READERS.items())
def test_documents_are_read_by_whoever_sees_the_case(story, browser, who, status):
    """Both sides, the co-ordinator and supervision; nobody learns that there is one."""
    number = story.open()
    document = Document.objects.get(number=number)
    assert browser(who).get(f"/documents/{document.pk}").status_code == status
    assert browser(who).get(f"/disputes/{number}/").status_code == status
    assert len(audit_entries("document_downloaded")) == (1 if status == 200 else 0)


def test_a_stranger_signs_in_first_and_an_unknown_kind_is_seen_by_nobody(story, browser):
    """Closed unless an owner has said who may see its cases."""
    number = story.open()
    document = Document.objects.get(number=number)
    assert Client().get(f"/documents/{document.pk}").status_code == 302
    assert not may_read(story.city.viewer("zheng"), "unheard-of", number)
    assert browser("hou").post(f"/documents/{document.pk}").status_code == 405


def test_an_upload_is_bounded_before_it_is_kept(story, browser):
    """One file a little too large is a fault at its field; a form larger than that is not read at all."""
    number = story.bring()
    hou = browser("hou")

    def send(size: int) -> int:
        file = SimpleUploadedFile("大.txt", b"a" * size, "text/plain")
        given = {"withdraw-reason": "不再争议", "withdraw-document": file}
        return hou.post(f"/disputes/{number}/steps/withdraw", given).status_code

    assert send(MAX_BYTES + 1) == 422
    assert send(MAX_BYTES + 3 * 1024 * 1024) in (400, 413)
    assert not Dispute.objects.get(number=number).final
    assert send(1000) == 302
    assert Dispute.objects.get(number=number).final
