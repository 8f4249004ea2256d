"""What is wrong in a workbook, cell by cell: bounded, one fault for each cell."""

from dataclasses import dataclass

from shuqiao.control.compiling.workbook.columns import Sheet
from shuqiao.control.texts import Text

MAX_FAULTS = 2000
"""More are counted and not kept: whoever has mended these uploads the workbook again."""


@dataclass(frozen=True, slots=True)
class CellFault:
    """One fault: the cell (row 0 is the file, column 0 the row), its field, a stable code and what to do."""

    sheet: str
    row: int
    column: int
    name: str
    code: str
    said: Text
    article: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field stands in the workbook at hand, whose columns may be in another order."""

    name: str
    column: int


class FaultList:
    """Collects faults: the first for each cell counts, the plainest comes first."""

    def __init__(self) -> None:
        """Begin with none."""
        self.kept: list[CellFault] = []
        self.count = 0
        self._cells: set[tuple[str, int, int]] = set()

    def add(self, fault: CellFault) -> None:
        """Keep a fault, unless its cell has one already."""
        place = (fault.sheet, fault.row, fault.column)
        if len(self._cells) < MAX_FAULTS:
            if place in self._cells:
                return
            self._cells.add(place)
            self.kept.append(fault)
        elif place in self._cells:
            return
        self.count += 1

    def at(self, sheet: Sheet, row: int, place: Place, code: str, said: Text) -> None:
        """Keep a fault at a place of a sheet."""
        self.add(CellFault(sheet.name, row, place.column, place.name, code, said))

    def of_file(self, code: str, said: Text, sheet: str = "") -> None:
        """Keep a fault of the whole file, or of a whole sheet."""
        self.count += 1
        if len(self.kept) < MAX_FAULTS:
            self.kept.append(CellFault(sheet[:31], 0, 0, "", code, said))
