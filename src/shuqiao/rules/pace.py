"""How slowly an answer may be taken: a reader that lags holds what others need."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """What a reader owes whoever sends: a least rate after some patience, and an end after `most_s`.

    Only the time that was waited for the reader counts against the rate, not that of making the answer.
    Source: our choice, decision 30.
    """

    patience_s: float
    least_bytes_per_s: float
    most_s: float

    def left_s(self, sent_bytes: int, waited_s: float, lasted_s: float) -> float:
        """How long the next piece may still wait; zero or less when the answer is to be cut off.

        `sent_bytes` were taken so far, `waited_s` was waited for that, `lasted_s` is the answer's whole time.
        """
        owed_s = self.patience_s + sent_bytes / self.least_bytes_per_s - waited_s
        return min(self.patience_s, owed_s, self.most_s - lasted_s)
