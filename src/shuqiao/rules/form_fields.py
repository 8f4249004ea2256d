"""Which source each field of a form is, when several are possible, and how sure that is.

A name such as 姓名 stands in many lists. What the rest of the form asks for tells them apart: the list that
has most of its rare fields is the likeliest for the common ones too.
Source: guangzhou-2016 art. 49; xiamen-2015 art. 14; the points are our choice, decision "the same datum".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shuqiao.rules.datum_names import How

NEAR = 4
"""Two sources so few points apart are a choice for the reader."""


class Standing(StrEnum):
    """What a department can do about a datum: have it by sharing, look at its own, or not have it at all."""

    AVAILABLE = "available"
    OWN = "own"
    CLOSED = "closed"


class FieldVerdict(StrEnum):
    """What is said of one field of a form."""

    AVAILABLE = "available"
    OWN = "own"
    CHOICE = "choice"
    CLOSED = "closed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A source that a field may be. `how` is None where the field only contains its name."""

    resource: str
    field: str
    branch: str
    how: How | None
    standing: Standing


@dataclass(frozen=True, slots=True)
class Guess:
    """A source with how sure it is, of 100."""

    candidate: Candidate
    confidence: int


@dataclass(frozen=True, slots=True)
class FieldAnswer:
    """What is said of a field, and the sources it may be, the likeliest first."""

    verdict: FieldVerdict
    guesses: tuple[Guess, ...]


_BASE: Mapping[How | None, int] = {How.SAME: 89, How.SYNONYM: 84, How.ASKED_OF: 80, None: 45}
_ORDER = {Standing.OWN: 0, Standing.AVAILABLE: 1, Standing.CLOSED: 2}


def pick(fields: Sequence[Sequence[Candidate]], branch: str = "") -> tuple[FieldAnswer, ...]:
    """Say for each field which source it is; `branch` is the 项 the form is about, empty where unsaid."""
    weight = _coverage(fields)
    most = max(weight.values(), default=0.0)
    return tuple(_answer(candidates, weight, most, branch) for candidates in fields)


def _coverage(fields: Sequence[Sequence[Candidate]]) -> dict[str, float]:
    """How much of the form each source has; what few sources have counts most."""
    found: dict[str, float] = {}
    for candidates in fields:
        having = {one.resource for one in candidates if one.how is not None}
        for resource in having:
            found[resource] = found.get(resource, 0.0) + 1 / len(having)
    return found


def _answer(
    candidates: Sequence[Candidate], weight: Mapping[str, float], most: float, branch: str
) -> FieldAnswer:
    guesses = sorted(
        (Guess(one, _confidence(one, weight, most, branch)) for one in candidates),
        key=lambda g: (-g.confidence, _ORDER[g.candidate.standing], g.candidate.resource, g.candidate.field),
    )
    # An entry stands once: by the surest of its items.
    seen: set[str] = set()
    guesses = [one for one in guesses if not _again(one.candidate.resource, seen)]
    if not guesses:
        return FieldAnswer(FieldVerdict.NONE, ())
    reachable = [one for one in guesses if one.candidate.standing is not Standing.CLOSED]
    if not reachable:
        return FieldAnswer(FieldVerdict.CLOSED, tuple(guesses))
    best = reachable[0]
    near = [one for one in reachable[1:] if best.confidence - one.confidence <= NEAR]
    others = tuple(one for one in guesses if one is not best)
    if near or best.candidate.how is None:
        return FieldAnswer(FieldVerdict.CHOICE, (best, *others))
    verdict = FieldVerdict.OWN if best.candidate.standing is Standing.OWN else FieldVerdict.AVAILABLE
    return FieldAnswer(verdict, (best, *others))


def _again(resource: str, seen: set[str]) -> bool:
    """Whether an entry was met before; it is noted as met."""
    met = resource in seen
    seen.add(resource)
    return met


def _confidence(one: Candidate, weight: Mapping[str, float], most: float, branch: str) -> int:
    share = weight.get(one.resource, 0.0) / most if most else 0.0
    elsewhere = 15 if branch and one.branch != branch else 0
    return max(1, min(99, _BASE[one.how] + round(10 * share) - elsewhere))
