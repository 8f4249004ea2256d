"""Whether a regulation applies on a day, and how soon it has to be evaluated and revised.

Source: guangzhou-2016 art. 50; xiamen-2015 art. 22; shenyang-2016 art. 30.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from shuqiao.rules.regulation import Validity


class Standing(StrEnum):
    """How a regulation stands on a day."""

    UNDATED = "undated"
    """The text at hand says nothing of when it came into force: a draft, or an excerpt."""
    NOT_YET = "not_yet"
    IN_FORCE = "in_force"
    ENDING = "ending"
    """Still in force, but within the days in which it has to be evaluated and revised."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Applied:
    """A regulation's standing on a day. `days_left` counts to its last day, and is None without one."""

    standing: Standing
    days_left: int | None = None

    @property
    def needs_revision(self) -> bool:
        """Whether the office has to evaluate and revise it now."""
        return self.standing in (Standing.ENDING, Standing.ENDED)


def standing_on(validity: Validity, today: date) -> Applied:
    """How a regulation stands today; both its first and its last day belong to it."""
    left = (validity.valid_until - today).days if validity.valid_until is not None else None
    if validity.valid_from is None:
        return Applied(Standing.UNDATED, left)
    if today < validity.valid_from:
        return Applied(Standing.NOT_YET, left)
    if left is None:
        return Applied(Standing.IN_FORCE)
    if left < 0:
        return Applied(Standing.ENDED, left)
    warned = today >= (validity.valid_until or today) - timedelta(days=validity.warn_days)
    return Applied(Standing.ENDING if warned else Standing.IN_FORCE, left)
