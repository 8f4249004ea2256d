"""Five indicators of the quality of a data set, each a part of a whole that can be counted.

Completeness: of the values that the records could hold, those that are there. Validity: of the rows
delivered, those without a fault of type, length, code list or form. Uniqueness: of the rows delivered, those
that double no other's key. Consistency: of the records compared with their source, those that agree.
Timeliness: of the updates that came due, those that came in time. Pure. Source: guangzhou-2016 art. 8(3),
42(2); guangzhou-2019 art. 18; xiamen-2015 art. 11; shenyang-2016 art. 14, 26. How each is counted is our
choice.
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("completeness", "validity", "uniqueness", "consistency", "timeliness")


@dataclass(frozen=True, slots=True)
class Share:
    """So much of a whole; of nothing there is no rate."""

    part: int
    whole: int

    def __post_init__(self) -> None:
        """Refuse what is no part of its whole: ValueError."""
        if not 0 <= self.part <= self.whole:
            raise ValueError("a part lies between nothing and its whole")

    @property
    def rate(self) -> float | None:
        """In percent, cut off to two places, so that only what is whole says 100; None of nothing."""
        return self.part * 10_000 // self.whole / 100 if self.whole else None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return self.part == self.whole


def share_without(faulty: int, whole: int) -> Share:
    """What is left of a whole without the faulty ones; more faults than rows leave nothing."""
    return Share(max(0, whole - faulty), whole)


def weakest(shares: dict[str, Share | None]) -> str:
    """The kind with the lowest rate, in the order of the kinds; empty where all that is known is whole."""
    known = [(one.rate, kind) for kind, one in shares.items() if one is not None and one.rate is not None]
    rate, kind = min(known, key=lambda pair: (pair[0], KINDS.index(pair[1])), default=(100.0, ""))
    return kind if rate is not None and rate < 100 else ""
