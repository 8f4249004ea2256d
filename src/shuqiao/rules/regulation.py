"""A regulation as data: what a versioned file under regulations/ says, as frozen values.

Nothing here reads files; control.regulations.files parses and checks them. Every value that is not in the
text of the law carries the article SETTING, so that a page can say whose choice it is.
Source: our choice, decision "the law is data".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

SETTING = "setting"
"""Stands where an article would, for what the text leaves open and we had to settle."""


class Side(StrEnum):
    """On which side of a request a body stands."""

    REQUESTER = "requester"
    PROVIDER = "provider"
    COMPETENT = "competent"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages of the pages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when the regulation applies, both days included."""

    valid_from: date
    valid_until: date
    article: str
    note: Words


@dataclass(frozen=True, slots=True)
class Role:
    """A role of an account and what it may do; what is not named is not allowed."""

    key: str
    zh: str
    en: str
    capabilities: frozenset[str]
    article: str


@dataclass(frozen=True, slots=True)
class BodyRole:
    """What a body does in sharing."""

    key: str
    zh: str
    en: str
    article: str


@dataclass(frozen=True, slots=True)
class ShareType:
    """A share type the regulation names; `openness` orders them from 0 (not shared) to 2 (to all)."""

    key: str
    zh: str
    en: str
    openness: int
    article: str


@dataclass(frozen=True, slots=True)
class Field:
    """Something that must be filled in, with the article that requires it."""

    key: str
    zh: str
    en: str
    article: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a procedure: the state it leads to and the body role that takes it."""

    key: str
    zh: str
    en: str
    by: str
    article: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """A term in working days from a start event. `starts_article` says where the start event comes from."""

    key: str
    zh: str
    en: str
    working_days: int
    starts_on: str
    article: str
    starts_article: str


@dataclass(frozen=True, slots=True)
class State:
    """A state of a request or grant; a final one has no way out."""

    key: str
    zh: str
    en: str
    final: bool


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed step of a case: who, from where, to where, and what must be given."""

    action: str
    zh: str
    en: str
    from_states: frozenset[str]
    to_state: str
    side: Side
    capability: str
    requires: tuple[str, ...]
    article: str


@dataclass(frozen=True, slots=True)
class Procedure:
    """States and transitions of one kind of case."""

    states: tuple[State, ...]
    transitions: tuple[Transition, ...]

    def state(self, key: str) -> State | None:
        """The state with this key, or None."""
        return next((state for state in self.states if state.key == key), None)

    def transition(self, action: str, state: str) -> Transition | None:
        """What `action` does from `state`, or None where it is not allowed."""
        found = (t for t in self.transitions if t.action == action and state in t.from_states)
        return next(found, None)

    def action(self, action: str) -> Transition | None:
        """Any transition of this action, or None where the procedure does not know it."""
        return next((t for t in self.transitions if t.action == action), None)


@dataclass(frozen=True, slots=True)
class Period:
    """How long a grant lasts unless less is asked for, and the longest that may be given."""

    default_months: int
    maximum_months: int
    article: str


@dataclass(frozen=True, slots=True)
class Regulation:
    """One version of one city's rules."""

    id: str
    title: Words
    level: str
    region: str
    text_file: str
    catalogue_file: str
    departments_file: str
    calendar: str
    validity: Validity
    roles: tuple[Role, ...]
    body_roles: tuple[BodyRole, ...]
    share_types: tuple[ShareType, ...]
    catalogue_fields: tuple[Field, ...]
    catalogue_chain: tuple[Step, ...]
    request_fields: tuple[Field, ...]
    deadlines: tuple[Deadline, ...]
    start_day_counts: bool
    start_day_article: str
    request: Procedure
    grant: Procedure
    dispute_steps: tuple[Step, ...]
    conditions: tuple[Field, ...]
    period: Period

    def role(self, key: str) -> Role | None:
        """The account role with this key, or None."""
        return next((role for role in self.roles if role.key == key), None)

    def deadline(self, key: str) -> Deadline:
        """The deadline with this key; KeyError where the regulation has none."""
        for deadline in self.deadlines:
            if deadline.key == key:
                return deadline
        raise KeyError(key)

    def cite(self, article: str) -> str:
        """A full citation, for messages and audit entries: `guangzhou-2016 art. 35(1)`."""
        return f"{self.id} {article}" if article == SETTING else f"{self.id} art. {article}"
