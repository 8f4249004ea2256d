"""The picture of a reconciliation: the ranges of a table in a row, those that differ standing out, as SVG."""

from collections.abc import Iterable
from dataclasses import dataclass

from shuqiao.control.exchange.reconciliations import Range

MAX_CELLS = 128
WIDTH = 1024
_HIGH, _LOW = 36, 20
_GAP = 1.0


@dataclass(frozen=True)
class Cell:
    """Some ranges side by side; coordinates are SVG units. `kind` is `agrees`, `differs` or `open`."""

    x: float
    y: int
    width: float
    height: int
    kind: str


@dataclass(frozen=True)
class Picture:
    """The cells, and how many ranges each stands for."""

    cells: tuple[Cell, ...]
    each: int

    @property
    def view(self) -> str:
        """What the picture covers."""
        return f"0 0 {WIDTH} {_HIGH}"


def draw(ranges: int, differing: Iterable[Range]) -> Picture:
    """Draw the ranges; where there are many, a cell stands for several and shows the gravest of them."""
    each = -(-ranges // MAX_CELLS)
    cells = -(-ranges // each)
    kinds = ["agrees"] * cells
    for one in differing:
        place = min(one.number // each, cells - 1)
        if one.state == "found":
            kinds[place] = "differs"
        elif kinds[place] == "agrees":
            kinds[place] = "open"
    width = WIDTH / cells
    return Picture(tuple(_cell(place, width, kind) for place, kind in enumerate(kinds)), each)


def _cell(place: int, width: float, kind: str) -> Cell:
    # Shape before colour: what differs is higher.
    height = _LOW if kind == "agrees" else _HIGH
    return Cell(round(place * width, 2), _HIGH - height, round(max(1.0, width - _GAP), 2), height, kind)
