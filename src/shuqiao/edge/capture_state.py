"""What reading one table knows of itself: its pace, its state, how far it must come, a row it looks for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from shuqiao.edge.guard import Held


@dataclass(frozen=True)
class Pace:
    """How a node reads: rows a page, seconds between runs, seconds of overlap, bytes the spool may hold.

    While less than `reserve_bytes` are free on its disk nothing is read.
    """

    rows: int
    poll_s: float
    overlap_s: float
    spool_max_bytes: int
    reserve_bytes: int = 0


@dataclass(frozen=True)
class Aim:
    """How far reading must come until it has met all that the source held at a moment.

    By the source's clock, by the number of a pass over ranges, or by a place in its log.
    """

    clock: str = ""
    turn: int = 0
    place: str = ""


@dataclass
class Narrowing:
    """The search for the row at fault in a refused batch: pages of `rows` rows until `left` rows have passed.

    With `empties`, the next row is the one: it is sent without its values. The rows of a batch `compared` are
    those of the ranges that it made stale; the others are sent as always meanwhile.
    """

    rows: int
    left: int
    empties: bool = False
    compared: int | None = None


@dataclass
class CaptureState:
    """What the status file says about reading one table.

    Whoever changes the position of the resource holds `exclusive`; `spooled` tells that batches are there.
    `changes` are those of the source's columns since the mapping was first used; it is `frozen` where the
    contract stops the reading for them. While it is `paused` nothing is read; what is in the spool is still
    sent. Of a table that is followed by its database's log, `log_bytes` is what the source keeps for this
    node, `log_lost` why it began anew. `screened` tells that a row stops the table until somebody decides.
    """

    fault: str | None = None
    frozen: bool = False
    changes: tuple[str, ...] = ()
    held: Held | None = None
    log_bytes: int | None = None
    log_lost: str | None = None
    paused: bool = False
    spool_full: bool = False
    disk_full: bool = False
    screened: bool = False
    spooled: asyncio.Event = field(default_factory=asyncio.Event)
    exclusive: asyncio.Lock = field(default_factory=asyncio.Lock)
