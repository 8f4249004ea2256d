"""What an archive may hold: only its directory is read, all of it, and nothing is unpacked."""

import io
import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable

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
    assert names_in(held, MOST) == frozenset({"OFD.xml", "数据/", "数据/a..b.shp", "plain"})
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


def crafted(entries: int, said: int, *, large: bool = False) -> bytes:
    """An archive whose directory has that many entries and says another number."""
    entry = struct.pack("<4s24xHHH12x", b"PK\x01\x02", 1, 0, 0) + b"a"
    content = bytearray(b"PK\x03\x04" + entry * entries)
    size = len(content) - 4
    if large:
        end = len(content)
        content += struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, said, said, size, 4)
        content += struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    content += struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, said % 65536, said % 65536, size, 4, 0)
    return bytes(content)


def peak_of(call: Callable[[], object]) -> int:
    """How many bytes a call took at most beyond those there were."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("said", [1, 600_000])
def test_entries_are_counted_before_any_is_kept(said: int, large: bool) -> None:
    held = crafted(600_000, said, large=large)
    assert peak_of(lambda: names_in(held, MOST)) < 100_000
    assert names_in(held, MOST) is None


@pytest.mark.parametrize("large", [False, True])
def test_the_number_of_entries_is_what_the_archive_says(large: bool) -> None:
    assert names_in(crafted(1, 1, large=large), MOST) == frozenset({"a"})
    assert names_in(crafted(1, 2, large=large), MOST) is None
    assert names_in(crafted(0, 0, large=large), MOST) is None
    assert names_in(crafted(1, 1, large=large)[:-1], MOST) is None
    with_comment = crafted(1, 1, large=large)[:-2] + b"\x02\x00ab"
    assert names_in(with_comment, MOST) == frozenset({"a"})


@pytest.mark.parametrize("one", [b"[]", b'{"\xe5\x80\xbc":1}'], ids=["lists", "objects"])
def test_json_is_judged_without_making_a_value_of_it(one: bytes) -> None:
    content = b"\xef\xbb\xbf[" + b",".join([one] * (8 * 1024 * 1024 // (len(one) + 1))) + b"]"
    assert peak_of(lambda: kind_of("a.json", content)) < 2 * len(content)
    assert kind_of("a.json", content) == "application/json"
    assert kind_of("a.json", content[:-1]) is None


@pytest.mark.parametrize(
    "content",
    [b'"\xff"', b'"\xe5\x80', b"NaN", b"[" * 100_000, b"1 2", b"\xef\xbb\xbf", "[]".encode("utf-16")],
)
def test_what_is_no_json_is_refused(content: bytes) -> None:
    assert kind_of("a.geojson", content) is None
