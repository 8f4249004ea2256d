"""What forms and other parts give to the actions on disputes, and how much of it is taken."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import date

from shuqiao.control.accounts.access import Fault
from shuqiao.control.disputes.models import (
    MAX_MINUTES_CHARS,
    MAX_OPINION_CHARS,
    MAX_REASON_CHARS,
    MAX_RESULT_CHARS,
    MAX_SUBJECT_CHARS,
)
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.texts import Text

_LIMITS = {
    "minutes": MAX_MINUTES_CHARS,
    "result": MAX_RESULT_CHARS,
    "opinion": MAX_OPINION_CHARS,
    "reason": MAX_REASON_CHARS,
    "subject": MAX_SUBJECT_CHARS,
}


@dataclass(frozen=True)
class DisputeInput:
    """A dispute as it is brought: by the owner of a case, or by a form where it is tied to none.

    `case_number` is empty where it is tied to none; `regulation` is the case's own. `article` is the full
    citation it rests on; empty takes that of the kind.
    """

    kind: str
    case_number: str
    applicant: str
    respondent: str
    resource: str = ""
    reason: str = ""
    regulation: str = ""
    article: str = ""
    subject: str = ""
    document: FileInput | None = None


@dataclass(frozen=True)
class StepInput:
    """What a step brings, by the words of the regulation file.

    `shared` is the outcome agreed on, or the stance of an opinion; `provided` is known from the owner of the
    case and given here only for a dispute that is tied to none.
    """

    minutes: str = ""
    result: str = ""
    opinion: str = ""
    reason: str = ""
    shared: bool | None = None
    decided_on: date | None = None
    provided: bool = False
    document: FileInput | None = field(default=None, repr=False)

    def stripped(self) -> "StepInput":
        """The same without blanks around its texts."""
        changed = {f.name: getattr(self, f.name) for f in fields(self)}
        texts = {name: value.strip() for name, value in changed.items() if isinstance(value, str)}
        return StepInput(**{**changed, **texts})


def too_long(given: object, names: Iterable[str] = _LIMITS) -> list[Fault]:
    """Return a fault for each text that is longer than may be stored."""
    faults = []
    for name in names:
        limit, value = _LIMITS[name], getattr(given, name, "")
        if len(value) > limit:
            words = Text(
                f"不超过 {limit} 字，现有 {len(value)} 字", f"At most {limit} characters, not {len(value)}"
            )
            faults.append(Fault(name, "too_long", words))
    return faults
