"""The XML parts of an XLSX workbook, each read with a parser of its own that keeps only what is wanted.

Source: our choice, decision 10; ECMA-376 part 1, 18.3, 18.4, 18.8.
"""

import mmap
import re
from array import array
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from tempfile import TemporaryFile
from typing import NamedTuple
from xml.parsers import expat

from shuqiao.control.texts import Text

MAX_CELL_CHARS = 32_767
MAX_COLUMNS = 200
MAX_MERGES = 1000
MAX_STRINGS = 4_000_000
MAX_DEPTH = 40
_LAST_ROW = 1_048_576
_MAX_NAMES = 2000
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_LETTERS = re.compile(r"[A-Z]{1,3}", re.ASCII)
_DIGITS = "0123456789"
_NO_DATE_MARKS = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
_DATE_MARKS = re.compile(r"[ymdhsYMDHS]")
_BUILT_IN_DATES = frozenset({*range(14, 23), *range(27, 37), 45, 46, 47, *range(50, 59)})
_LAST_DAY = 2_958_466

Attributes = dict[str, str]


class WorkbookRefused(Exception):
    """The file as a whole can't be read: a stable code, and what the person who brought it can do."""

    def __init__(self, code: str, said: Text) -> None:
        """Keep code and words."""
        self.code = code
        self.said = said
        super().__init__(code)


class Kind(StrEnum):
    """What a cell holds. A formula is told by its text, whatever value was kept with it."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    FORMULA = "formula"
    ERROR = "error"


class Cell(NamedTuple):
    """A cell that is not empty. Dates are ISO 8601, numbers plain digits, booleans "1" and "0"."""

    text: str
    kind: Kind


class Row(NamedTuple):
    """The cells of a row by their column, both counted from 1; empty cells are left out."""

    number: int
    cells: dict[int, Cell]


def column_number(letters: str) -> int:
    """The column of its letters, counted from 1."""
    found = 0
    for letter in letters:
        found = found * 26 + ord(letter) - 64
    return found


def malformed() -> WorkbookRefused:
    """The refusal of a file whose parts contradict the standard."""
    zh = "工作簿结构不正确，无法读取：请用 Excel 或 WPS 打开，另存为 .xlsx 后再上传"
    en = "The workbook is malformed: open it in a spreadsheet program, save it as .xlsx and upload it again"
    return WorkbookRefused("workbook_malformed", Text(zh, en))


def too_large() -> WorkbookRefused:
    """The refusal of a file that unpacks to more than is read."""
    zh = "工作簿解压后过大：请删除无关内容，或分成几个工作簿上传"
    en = "The workbook unpacks to more than is allowed: remove what does not belong, or upload it in parts"
    return WorkbookRefused("workbook_too_large", Text(zh, en))


class PartReader:
    """What one part is read with: what to do where an element begins and ends, by its local name."""

    def __init__(self) -> None:
        """Begin with nothing read; rows that are complete wait in `done`."""
        self.begins: dict[str, Callable[[Attributes], None]] = {}
        self.ends: dict[str, Callable[[], None]] = {}
        self.done: list[Row] = []
        self.read_bytes = 0
        self.said: list[str] = []
        self.is_open = False
        self._chars = 0

    def text(self, data: str) -> None:
        """Keep no more of a text than a cell may hold, and one character that shows it was longer."""
        if self.is_open and self._chars <= MAX_CELL_CHARS:
            self.said.append(data[: MAX_CELL_CHARS + 1 - self._chars])
            self._chars += len(data)

    def forget_text(self) -> None:
        """Begin the next text."""
        self.said.clear()
        self._chars = 0


def parser_of(reader: PartReader) -> expat.XMLParserType:
    """A parser that gives local names, whatever prefix or edition of the standard the file uses.

    Document types are refused, and with them every entity a file could define.
    """
    parser = expat.ParserCreate()
    begins: dict[str, Callable[[Attributes], None] | None] = {}
    ends: dict[str, Callable[[], None] | None] = {}

    depth = 0

    def begin(name: str, given: Attributes) -> None:
        nonlocal depth
        depth += 1
        # The parser remembers every open element: a file that opens millions attacks its memory.
        if depth > MAX_DEPTH:
            raise malformed()
        if name not in begins:
            if len(begins) >= _MAX_NAMES:
                raise malformed()
            begins[name] = reader.begins.get(name.rpartition(":")[2])
            ends[name] = reader.ends.get(name.rpartition(":")[2])
        handler = begins[name]
        if handler is not None:
            handler(given)

    def finish(name: str) -> None:
        nonlocal depth
        depth -= 1
        handler = ends[name]
        if handler is not None:
            handler()

    def refuse(*_: object) -> None:
        raise malformed()

    parser.StartElementHandler = begin
    parser.EndElementHandler = finish
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.buffer_text = True
    return parser


class BookReader(PartReader):
    """The names of the sheets with the ids of their parts, and from which year days are counted."""

    def __init__(self) -> None:
        """Begin with no sheet."""
        super().__init__()
        self.sheets: list[tuple[str, str]] = []
        self.since = datetime(1899, 12, 30)
        self.begins = {"sheet": self._sheet, "workbookPr": self._setting}

    def _sheet(self, given: Attributes) -> None:
        relation = next((value for key, value in given.items() if key.endswith(":id")), "")
        self.sheets.append((given.get("name", ""), relation))

    def _setting(self, given: Attributes) -> None:
        if given.get("date1904") in ("1", "true"):
            self.since = datetime(1904, 1, 1)


class RelationReader(PartReader):
    """Which part each id of the workbook stands for; what lies outside the file is left out."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self._targets: dict[str, str] = {}
        self.begins = {"Relationship": self._relation}

    def _relation(self, given: Attributes) -> None:
        if given.get("TargetMode") != "External":
            self._targets[given.get("Id", "")] = given.get("Target", "")

    def part(self, relation: str) -> str:
        """The name of the part, or one that is not there."""
        target = self._targets.get(relation, "")
        return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


class StyleReader(PartReader):
    """Which styles show a number as a date."""

    def __init__(self) -> None:
        """Begin with no format."""
        super().__init__()
        self._formats: dict[str, str] = {}
        self._styles: list[str] = []
        self._inside = False
        self.begins = {"numFmt": self._format, "cellXfs": self._cells, "xf": self._style}
        self.ends = {"cellXfs": self._cells_end}

    def _format(self, given: Attributes) -> None:
        self._formats[given.get("numFmtId", "")] = given.get("formatCode", "")

    def _cells(self, given: Attributes) -> None:  # noqa: ARG002 - every element is begun so
        self._inside = True

    def _cells_end(self) -> None:
        self._inside = False

    def _style(self, given: Attributes) -> None:
        if self._inside:
            self._styles.append(given.get("numFmtId", "0"))

    def date_styles(self) -> frozenset[str]:
        """The indexes of the styles that show dates, as cells name them."""
        return frozenset(str(at) for at, one in enumerate(self._styles) if self._is_date(one))

    def _is_date(self, number_format: str) -> bool:
        code = self._formats.get(number_format)
        if code is None:
            return number_format.isdigit() and int(number_format) in _BUILT_IN_DATES
        return bool(_DATE_MARKS.search(_NO_DATE_MARKS.sub("", code.partition(";")[0])))


class StringReader(PartReader):
    """The shared texts of a workbook, kept in a temporary file: memory holds only where each begins."""

    def __init__(self) -> None:
        """Begin with no text."""
        super().__init__()
        self._file = TemporaryFile()  # noqa: SIM115 - closed with the workbook
        self._ends = array("Q", [0])
        self._kept: mmap.mmap | None = None
        self._phonetic = False
        self.begins = {"t": self._text_begins, "rPh": self._phonetic_begins}
        self.ends = {"t": self._text_ends, "rPh": self._phonetic_ends, "si": self._string_ends}

    def close(self) -> None:
        """Give the temporary file back."""
        if self._kept is not None:
            self._kept.close()
        self._file.close()

    def get(self, index: int) -> str:
        """The text of an index."""
        if not 0 <= index < len(self._ends) - 1:
            raise malformed()
        begin, end = self._ends[index], self._ends[index + 1]
        if begin == end:
            return ""
        if self._kept is None:
            self._file.flush()
            self._kept = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._kept[begin:end].decode()

    def _text_begins(self, given: Attributes) -> None:  # noqa: ARG002 - every element is begun so
        self.is_open = not self._phonetic

    def _text_ends(self) -> None:
        self.is_open = False

    def _phonetic_begins(self, given: Attributes) -> None:  # noqa: ARG002 - every element is begun so
        self._phonetic = True

    def _phonetic_ends(self) -> None:
        self._phonetic = False

    def _string_ends(self) -> None:
        if len(self._ends) > MAX_STRINGS:
            raise too_large()
        written = self._file.write(_unescaped("".join(self.said)).encode("utf-8", "replace"))
        self._ends.append(self._ends[-1] + written)
        self.forget_text()


class SheetReader(PartReader):
    """The rows of one sheet and its merged ranges."""

    def __init__(self, text_of: Callable[[int], str], dates: frozenset[str], since: datetime) -> None:
        """Take what is needed to read texts and dates."""
        super().__init__()
        self.merges: list[str] = []
        self._text_of = text_of
        self._dates = dates
        self._since = since
        self._row = 0
        self._row_text = "0"
        self._column = 0
        self._columns: dict[str, int] = {}
        self._cells: dict[int, Cell] = {}
        self._type = ""
        self._style = ""
        self._formula = False
        self._phonetic = False
        self.begins = {
            "c": self._cell_begins,
            "v": self._value_begins,
            "t": self._value_begins,
            "f": self._formula_begins,
            "rPh": self._phonetic_begins,
            "row": self._row_begins,
            "mergeCell": self._merged,
        }
        self.ends = {
            "c": self._cell_ends,
            "v": self._value_ends,
            "t": self._value_ends,
            "rPh": self._phonetic_ends,
            "row": self._row_ends,
        }

    def _row_begins(self, given: Attributes) -> None:
        at = int(given["r"]) if "r" in given else self._row + 1
        if not self._row < at <= _LAST_ROW:
            raise malformed()
        self._row, self._row_text, self._column, self._cells = at, str(at), 0, {}

    def _row_ends(self) -> None:
        if self._cells:
            self.done.append(Row(self._row, self._cells))

    def _merged(self, given: Attributes) -> None:
        if len(self.merges) < MAX_MERGES:
            self.merges.append(given.get("ref", "")[:30])

    def _cell_begins(self, given: Attributes) -> None:
        named = given.get("r")
        if named is None:
            self._column += 1
        else:
            letters = named.rstrip(_DIGITS)
            column = self._columns.get(letters) or self._new_column(letters)
            if named[len(letters) :] != self._row_text or column <= self._column:
                raise malformed()
            self._column = column
        self._type, self._style = given.get("t", "n"), given.get("s", "")
        self._formula = False
        if self.said:
            self.forget_text()

    def _new_column(self, letters: str) -> int:
        """Work a column's number out once; there are no more than 18,278 of them."""
        if not _LETTERS.fullmatch(letters):
            raise malformed()
        self._columns[letters] = found = column_number(letters)
        return found

    def _value_begins(self, given: Attributes) -> None:  # noqa: ARG002 - every element is begun so
        self.is_open = not self._phonetic

    def _value_ends(self) -> None:
        self.is_open = False

    def _formula_begins(self, given: Attributes) -> None:  # noqa: ARG002 - every element is begun so
        self._formula = True

    def _phonetic_begins(self, given: Attributes) -> None:  # noqa: ARG002 - every element is begun so
        self._phonetic = True

    def _phonetic_ends(self) -> None:
        self._phonetic = False

    def _cell_ends(self) -> None:
        said = "".join(self.said)
        if not said and not self._formula:
            return
        cell = Cell(said, Kind.FORMULA) if self._formula else self._value(said)
        if cell.text or self._formula:
            if self._column > MAX_COLUMNS:
                raise _too_wide(self._row)
            self._cells[self._column] = cell

    def _value(self, said: str) -> Cell:
        if self._type == "s":
            return Cell(self._text_of(int(said)), Kind.TEXT)
        match self._type:
            case "inlineStr" | "str":
                return Cell(_unescaped(said), Kind.TEXT)
            case "b":
                return Cell("1" if said.strip() in ("1", "true") else "0", Kind.BOOLEAN)
            case "e":
                return Cell(said, Kind.ERROR)
            case "d":
                return Cell(said.strip(), Kind.DATE)
            case _:
                return self._number(said)

    def _number(self, said: str) -> Cell:
        number = float(said)
        if self._style in self._dates and 0 < number < _LAST_DAY:
            # To the second: days are kept as floating-point numbers.
            at = self._since + timedelta(seconds=round(number * 86_400))
            return Cell(at.date().isoformat() if number.is_integer() else at.isoformat(), Kind.DATE)
        plain = str(int(number)) if number.is_integer() and abs(number) < 1e15 else said.strip()
        return Cell(plain, Kind.NUMBER)


def _too_wide(row: int) -> WorkbookRefused:
    zh = f"第 {row} 行在第 {MAX_COLUMNS} 列之后还有内容：请删除模板之外的列"
    en = f"Row {row} holds something beyond column {MAX_COLUMNS}: delete the columns outside the template"
    return WorkbookRefused("workbook_too_wide", Text(zh, en))


def _unescaped(text: str) -> str:
    """Characters that XML can't hold are written _xHHHH_."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text
