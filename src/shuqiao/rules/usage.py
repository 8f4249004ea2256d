"""What use of shared information stands out, told from counts alone: pure decisions over a day's figures.

An alarm accuses nobody: it asks the one who is responsible to look. No figure here holds a person's number.
Source: xiamen-2015 art. 17, 20(3); shenyang-2016 art. 27(4), 28; guangzhou-2016 art. 42(3); SEC-19.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median


class Kind(StrEnum):
    """What stands out."""

    VOLUME = "volume"
    PURPOSE = "purpose"
    SUBJECT = "subject"
    UNKNOWN = "unknown"
    SEQUENCE = "sequence"
    GUESSING = "guessing"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Limits:
    """From when a figure stands out. Figures of ours, not of any law.

    A day's volume stands out at `volume_times` the median of earlier days, but not below `volume_least`;
    without `volume_days` earlier days nothing is usual yet and only `volume_first` counts. Purposes that are
    not granted stand out at `purpose_calls` refused calls. A subject stands out that `subject_departments`
    departments have asked for within `subject_days`. Of at least `trial_calls` calls, a share of
    `unknown_percent` that met no record, or of `sequence_percent` whose number lies beside one asked for
    shortly before, looks like trying numbers out.
    """

    volume_times: int = 5
    volume_least: int = 200
    volume_first: int = 2_000
    volume_days: int = 5
    purpose_calls: int = 5
    subject_departments: int = 5
    subject_days: int = 7
    trial_calls: int = 50
    unknown_percent: int = 40
    sequence_percent: int = 40


@dataclass(frozen=True, slots=True)
class Day:
    """A day's calls of one application under one grant. `near` lie beside a number asked for before.

    `off_purpose` are refused calls that named a purpose which no grant of theirs has.
    `guessing` counts budgets against guessing that were used up: each of them stands out.
    """

    calls: int
    unknown: int = 0
    near: int = 0
    off_purpose: int = 0
    guessing: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure that stands out, and the limit it has passed."""

    kind: Kind
    measured: int
    limit: int


def findings(today: Day, earlier: Sequence[int], limits: Limits) -> tuple[Finding, ...]:
    """What stands out on a day; `earlier` are the calls of days before it on which there were any."""
    limit = volume_limit(earlier, limits)
    found = [Finding(Kind.VOLUME, today.calls, limit)] if today.calls > limit else []
    if today.off_purpose >= limits.purpose_calls:
        found.append(Finding(Kind.PURPOSE, today.off_purpose, limits.purpose_calls))
    if today.guessing:
        found.append(Finding(Kind.GUESSING, today.guessing, 1))
    if today.calls >= limits.trial_calls:
        for kind, count, percent in (
            (Kind.UNKNOWN, today.unknown, limits.unknown_percent),
            (Kind.SEQUENCE, today.near, limits.sequence_percent),
        ):
            if count * 100 >= today.calls * percent:
                found.append(Finding(kind, count, -(-today.calls * percent // 100)))
    return tuple(found)


def volume_limit(earlier: Sequence[int], limits: Limits) -> int:
    """How many calls of a day are still usual."""
    if len(earlier) < limits.volume_days:
        return limits.volume_first
    return max(limits.volume_least, int(median(earlier) * limits.volume_times))


def is_shared_subject(departments: int, limits: Limits) -> bool:
    """Whether so many departments asking for one subject within the days stand out."""
    return departments >= limits.subject_departments
