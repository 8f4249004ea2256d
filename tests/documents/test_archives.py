"""What an archive may hold: only its directory is read, all of it, and nothing is unpacked."""

import io
import stat
import warnings
import zipfile

import pytest

from shuqiao.control.documents.archives import names_in
from shuqiao.control.documents.content import media_type_of
from shuqiao.control.files.content import kind_of

MOST = 10_000
OFFICE = ("[Content_Types].xml", "word/document.xml")


def archive(*names: str | zipfile.ZipInfo) -> bytes:
    """An archive with parts of these names, as often as they are named."""
    held = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(held, "w") as made:
        warnings.simplefilter("ignore", UserWarning)
        for name in names:
            made.writestr(name, b"")
    return held.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    """An entry of a kind of its own."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


def test_an_archive_is_read_whole() -> None:
    folder = special("数据/", stat.S_IFDIR | 0o755)
    held = archive("OFD.xml", folder, special("数据/a..b.shp", stat.S_IFREG | 0o644), "plain")
    assert names_in(held, MOST) == {"OFD.xml", "数据/", "数据/a..b.shp", "plain"}
    assert kind_of("a.zip", held) == "application/zip" and kind_of("a.ofd", held) == "application/ofd"
    assert media_type_of("a.docx", archive(*OFFICE)) is not None


@pytest.mark.parametrize(
    "name",
    [
        "../up.txt",
        "a/../../up.txt",
        "/etc/passwd",
        "//host/share",
        "..\\up.txt",
        "a\\b.txt",
        "\\up.txt",
        "C:up.txt",
        "C:/up.txt",
        "a.txt:stream",
        "a\nb",
        special("link", stat.S_IFLNK | 0o777),
        special("pipe", stat.S_IFIFO | 0o644),
        special("disc", stat.S_IFBLK | 0o644),
        "OFD.xml",
        "ofd.XML",
        "./OFD.xml",
        "OFD.xml/",
    ],
    ids=str,
)
def test_a_part_that_leaves_its_folder_or_is_there_twice_is_refused(name: str | zipfile.ZipInfo) -> None:
    held = archive("OFD.xml", name)
    assert names_in(held, MOST) is None
    assert kind_of("a.zip", held) is None and kind_of("a.ofd", held) is None
    assert media_type_of("a.docx", archive(*OFFICE, "OFD.xml", name)) is None


def test_a_name_is_not_cut_at_a_zero() -> None:
    held = archive("OFD.xml", "ok+up.txt")
    assert names_in(held, MOST) is not None
    assert names_in(held.replace(b"ok+up.txt", b"ok\x00up.txt"), MOST) is None


def test_no_number_of_parts_hides_another() -> None:
    many = [f"{at}" for at in range(MOST)]
    assert kind_of("a.zip", archive(*many)) == "application/zip"
    assert kind_of("a.zip", archive(*many, "one")) is None
    assert kind_of("a.zip", archive(*["same"] * (MOST + 1), "../up.txt")) is None
    assert kind_of("a.zip", archive("same", "same")) is None
    for office in (archive(*OFFICE, *["x"] * 2001, "word/vbaProject.bin"), archive(*OFFICE, *many[:2000])):
        assert media_type_of("a.docx", office) is None
    assert media_type_of("a.docx", archive(*OFFICE, *many[:1900])) is not None
    assert media_type_of("a.docx", archive(*OFFICE, *many[:1900], "word/VbaProject.BIN")) is None
