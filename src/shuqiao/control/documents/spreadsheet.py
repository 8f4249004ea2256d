"""Reading XLSX workbooks that strangers bring: streamed, bounded in every direction, nothing executed.

A workbook is a ZIP archive of XML parts. Only the parts that hold values are read, each as a stream with a
bound on what it unpacks to; the rest is never opened. Formulas, errors and merged cells are told apart from
values, which the common readers hide. Source: our choice, decision 10.
"""

import zipfile
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import IO, BinaryIO, Self
from xml.parsers import expat

from shuqiao.control.documents.spreadsheet_parts import (
    MAX_CELL_CHARS,
    BookReader,
    Cell,
    Kind,
    PartReader,
    RelationReader,
    Row,
    SheetReader,
    StringReader,
    StyleReader,
    WorkbookRefused,
    column_number,
    malformed,
    parser_of,
    too_large,
)
from shuqiao.control.texts import Text

__all__ = [
    "MAX_CELL_CHARS",
    "Cell",
    "Kind",
    "Row",
    "Spreadsheet",
    "WorkbookRefused",
    "cell_name",
    "column_letters",
    "column_number",
]

MAX_PARTS = 2000
MAX_SHEETS = 64
MAX_SHEET_BYTES = 256 * 1024 * 1024
MAX_STRINGS_BYTES = 128 * 1024 * 1024
MAX_SMALL_PART_BYTES = 8 * 1024 * 1024
_CHUNK = 64 * 1024
# A parser keeps an unfinished tag whole; one longer than this is an attack on its memory.
_MAX_PENDING = 1024 * 1024

_WORKBOOK = "xl/workbook.xml"
_RELATIONS = "xl/_rels/workbook.xml.rels"
_STYLES = "xl/styles.xml"
_STRINGS = "xl/sharedstrings.xml"
_OLE = b"\xd0\xcf\x11\xe0"
# What must not be in a workbook that is taken in, by the name of the part, and what it is called.
_UNWANTED = (
    (("vbaproject", "xl/macrosheets/", "xl/dialogsheets/"), "macros", Text("宏", "macros")),
    (("xl/externallinks/",), "external_links", Text("外部链接", "links to other workbooks")),
    (("xl/connections", "xl/querytables/"), "connections", Text("数据连接", "connections to data")),
    (("xl/embeddings/", "xl/activex/"), "embedded_objects", Text("嵌入对象或控件", "embedded objects")),
)


def column_letters(column: int) -> str:
    """The letters of a column counted from 1: A, Z, AA."""
    found = ""
    while column:
        column, rest = divmod(column - 1, 26)
        found = chr(65 + rest) + found
    return found


def cell_name(column: int, row: int) -> str:
    """How a spreadsheet names a cell: B12."""
    return f"{column_letters(column)}{row}"


class Spreadsheet:
    """A workbook open for reading; `sheets` are the names of its sheets in their order.

    Raises `WorkbookRefused` on opening for what is no workbook, is cut off, holds macros, links, embedded
    objects or more than is allowed, and while rows are read for what shows only then. For one thread.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Look at the directory of the archive, the list of sheets and the date formats."""
        self._archive = _open_archive(file)
        self._parts = _checked_parts(self._archive)
        book, relations, styles = BookReader(), RelationReader(), StyleReader()
        self._parse(_WORKBOOK, book, MAX_SMALL_PART_BYTES)
        self._parse(_RELATIONS, relations, MAX_SMALL_PART_BYTES)
        if _STYLES in self._parts:
            self._parse(_STYLES, styles, MAX_SMALL_PART_BYTES)
        self._sheets = {name: relations.part(relation) for name, relation in book.sheets}
        if len(self._sheets) != len(book.sheets) or len(book.sheets) > MAX_SHEETS:
            raise malformed()
        self._since = book.since
        self._dates = styles.date_styles()
        self._strings: StringReader | None = None
        self._merged: dict[str, tuple[str, ...]] = {}
        self._read_bytes: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Use it in a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the archive and the temporary file of texts; the given file stays open."""
        self._archive.close()
        if self._strings is not None:
            self._strings.close()

    @property
    def sheets(self) -> tuple[str, ...]:
        """The names of the sheets, hidden ones too."""
        return tuple(self._sheets)

    def rows(self, sheet: str) -> Iterator[Row]:
        """The rows of a sheet that hold anything, in their order; memory does not grow with their number.

        Raises `KeyError` for a sheet that is not there.
        """
        part = self._sheets[sheet]
        if self._strings is None and _STRINGS in self._parts:
            self._strings = StringReader()
            self._parse(_STRINGS, self._strings, MAX_STRINGS_BYTES)
        reader = SheetReader(self._text, self._dates, self._since)
        for row in self._stream(part, reader, MAX_SHEET_BYTES):
            self._read_bytes[sheet] = reader.read_bytes
            yield row
        self._merged[sheet] = tuple(reader.merges)

    def merged(self, sheet: str) -> tuple[str, ...]:
        """The merged ranges of a sheet such as B2:C4, known once its rows have been read to the end."""
        return self._merged.get(sheet, ())

    def share_read(self, sheet: str) -> float:
        """How much of a sheet has been read, from 0 to 1, as far as the archive says its size."""
        part = self._parts.get(self._sheets[sheet].lower(), "")
        size = self._archive.getinfo(part).file_size if part else 0
        return min(1.0, self._read_bytes.get(sheet, 0) / size) if size else 0.0

    def _text(self, index: int) -> str:
        if self._strings is None:
            raise malformed()
        return self._strings.get(index)

    def _parse(self, part: str, reader: PartReader, limit: int) -> None:
        for _ in self._stream(part, reader, limit):
            pass

    def _stream(self, part: str, reader: PartReader, limit: int) -> Iterator[Row]:
        name = self._parts.get(part.lower())
        if name is None:
            raise malformed()
        try:
            with self._archive.open(name) as stream:
                yield from _fed(stream, reader, limit)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise _cut_off() from error
        except (expat.ExpatError, ValueError, OverflowError) as error:
            raise malformed() from error


def _fed(stream: IO[bytes], reader: PartReader, limit: int) -> Iterator[Row]:
    parser = parser_of(reader)
    total = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        reader.read_bytes = total
        if total > limit:
            raise too_large()
        parser.Parse(chunk, False)
        if total - parser.CurrentByteIndex > _MAX_PENDING:
            raise too_large()
        if reader.done:
            yield from reader.done
            reader.done.clear()
    parser.Parse(b"", True)
    yield from reader.done


def _open_archive(file: BinaryIO) -> zipfile.ZipFile:
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    if head == _OLE:
        zh = "文件有密码或是旧版 .xls 格式：请取消密码，另存为“Excel 工作簿（.xlsx）”后再上传"
        en = "The file has a password or is an old .xls: remove the password, save it as .xlsx, upload again"
        raise WorkbookRefused("workbook_encrypted_or_old", Text(zh, en))
    if head != b"PK\x03\x04":
        zh = "不是 Excel 工作簿（.xlsx）：请下载模板，填写后上传"
        en = "It is no Excel workbook (.xlsx): download the template, fill it in and upload it"
        raise WorkbookRefused("workbook_not_xlsx", Text(zh, en))
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        raise _cut_off() from error


def _checked_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """The parts by their names in lower case, once nothing unwanted is among them."""
    entries = archive.infolist()
    if len(entries) > MAX_PARTS:
        raise too_large()
    parts = {one.filename.lower(): one.filename for one in entries}
    for marks, code, words in _UNWANTED:
        if any(mark in name for name in parts for mark in marks):
            zh = f"工作簿含有{words.zh}：请删除，另存为“Excel 工作簿（.xlsx）”后再上传"
            en = f"The workbook holds {words.en}: remove them, save it as .xlsx and upload it again"
            raise WorkbookRefused(f"workbook_has_{code}", Text(zh, en))
    if len(parts) != len(entries) or not {_WORKBOOK, "[content_types].xml"} <= parts.keys():
        raise malformed()
    if any(one.flag_bits & 1 for one in entries):
        raise malformed()
    return parts


def _cut_off() -> WorkbookRefused:
    zh = "文件不完整或已损坏：请重新保存并再次上传"
    en = "The file is cut off or damaged: save it again and upload it again"
    return WorkbookRefused("workbook_cut_off", Text(zh, en))
