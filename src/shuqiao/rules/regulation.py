"""A regulation as data: what a versioned file under regulations/ says, as frozen values.

Nothing here reads files; control.regulations.files parses, checks and completes them. Every value that is not
in the text of the law carries the article SETTING, so that a page can say whose choice it is. A value taken
from a fallback cites the fallback in full: `guangzhou-2016 art. 35(1)`.
Source: our choice, decision "the law is data".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from shuqiao.rules.channels import Exchange
from shuqiao.rules.platforms import Platforms
from shuqiao.rules.share_types import ShareTypes

SETTING = "setting"
"""Stands where an article would, for what the text leaves open and we had to settle."""

REQUESTER = "requester"
PROVIDER = "provider"
SYSTEM = "system"
"""The sides of a case that are no body role: who asks, who holds the information, and the platform itself."""

SIDES = frozenset({REQUESTER, PROVIDER, SYSTEM})

MATTERS = frozenset(
    {
        "audit",
        "after_delivery",
        "catalogue_change",
        "catalogue_entry",
        "complaints",
        "consistency",
        "data_quality",
        "disputes",
        "first_request",
        "force_majeure",
        "free",
        "identity_apart",
        "marked_items",
        "no_repeat",
        "obliged_information",
        "one_source",
        "other_information",
        "own_duty",
        "passing_on",
        "persons_in_charge",
        "security",
        "sharing_modes",
        "sharing_period",
        "standards",
        "state_secrets",
        "update_notice",
        "within_grant",
    }
)
"""What programs cite; each regulation says which of its articles speaks of it."""


class Phase(StrEnum):
    """What a state means to the programs, whatever a city calls it."""

    DRAFT = "draft"
    WAITING = "waiting"
    GRANTED = "granted"
    REFUSED = "refused"
    DISPUTED = "disputed"
    CLOSED = "closed"


class OpenCases(StrEnum):
    """What a case opened under one version does when another comes into force (VAL-03)."""

    KEEP = "keep"
    PASS = "pass"  # noqa: S105 - a word of the file, no secret


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages of the pages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when the regulation applies, both days included; None is not in the text at hand."""

    issued: date | None
    valid_from: date | None
    valid_until: date | None
    warn_days: int
    article: str
    note: Words


@dataclass(frozen=True, slots=True)
class Head:
    """What a regulation's own file says of itself, before anything is taken from a fallback."""

    id: str
    title: Words
    short: Words
    level: str
    region: str
    unknown: tuple[str, ...]
    fallback: str | None
    validity: Validity


@dataclass(frozen=True, slots=True)
class Role:
    """A role of an account and what it may do; what is not named is not allowed."""

    key: str
    zh: str
    en: str
    capabilities: frozenset[str]
    article: str


@dataclass(frozen=True, slots=True)
class Field:
    """Something named by the law, in both languages, with its article."""

    key: str
    zh: str
    en: str
    article: str


BodyRole = Field
"""What a body does in sharing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chain and the body role that takes it; `deadline` names its term, where it has one."""

    key: str
    zh: str
    en: str
    by: str
    article: str
    deadline: str = ""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A term in working days from one event to another. `starts_article` says where its start comes from."""

    key: str
    zh: str
    en: str
    working_days: int
    starts_on: str
    met_by: str
    article: str
    starts_article: str


@dataclass(frozen=True, slots=True)
class State:
    """A state of a case; a final one has no way out."""

    key: str
    zh: str
    en: str
    phase: Phase
    final: bool


@dataclass(frozen=True, slots=True)
class Extension:
    """By how much and how often the law lets a running term be extended."""

    clock: str
    working_days: int
    times: int


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed step of a case: who, from where, to where, what must be given and what follows.

    `when` names a condition under which alone the step applies (the first step that applies is taken).
    `proposes` names the state that a later step to PROPOSED leads to. `event` starts and meets terms; `clock`
    is the term that a check of being overdue looks at.
    """

    action: str
    zh: str
    en: str
    from_states: frozenset[str]
    to_state: str
    by: frozenset[str]
    capability: str
    requires: tuple[str, ...]
    article: str
    when: str = ""
    proposes: str = ""
    event: str = ""
    clock: str = ""
    extends: Extension | None = None
    pauses: str = ""
    resumes: str = ""
    restarts: str = ""
    opens_dispute: bool = False
    publishes: bool = False
    bars: str = ""


PROPOSED = "proposed"
"""In place of a state: the state that an earlier step proposed."""


@dataclass(frozen=True, slots=True)
class Procedure:
    """States and transitions of one kind of case; it begins in its first state."""

    key: str
    states: tuple[State, ...]
    transitions: tuple[Transition, ...]

    @property
    def initial(self) -> State:
        """The state in which a case begins."""
        return self.states[0]

    def state(self, key: str) -> State | None:
        """The state with this key, or None."""
        return next((state for state in self.states if state.key == key), None)

    def transition(
        self, action: str, state: str, conditions: frozenset[str] = frozenset()
    ) -> Transition | None:
        """What `action` does from `state` under these conditions, or None where it is not allowed."""
        found = (
            step
            for step in self.transitions
            if step.action == action
            and state in step.from_states
            and (not step.when or step.when in conditions)
        )
        return next(found, None)

    def action(self, action: str) -> Transition | None:
        """Any transition of this action, or None where the procedure does not know it."""
        return next((t for t in self.transitions if t.action == action), None)


@dataclass(frozen=True, slots=True)
class Immediate:
    """From which openness a request is granted at once; None where never.

    Items of `sensitive_from` and above are left out, and always go through review, unless it is None.
    """

    openness: int | None
    sensitive_from: int | None
    article: str


@dataclass(frozen=True, slots=True)
class Period:
    """How long a grant lasts unless less is asked for, and the longest that may be given."""

    default_months: int
    maximum_months: int
    article: str


@dataclass(frozen=True, slots=True)
class Recall:
    """In how many working days copies are deleted and signed for once their grant has ended."""

    working_days: int
    article: str


@dataclass(frozen=True, slots=True)
class DisputeKind:
    """A kind of dispute and the body role that decides it first."""

    key: str
    zh: str
    en: str
    article: str
    decided_by: str


@dataclass(frozen=True, slots=True)
class Disputes:
    """Settings of disputes: their kinds, who may apply for a ruling (either or both), how often reviewed."""

    kinds: tuple[DisputeKind, ...]
    ruling_applied_by: str
    ruling_applied_by_article: str
    review_every_days: int
    review_every_days_article: str


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """When data must be renewed: `kind` is by_catalogue, realtime, within (working days) or window."""

    key: str
    zh: str
    en: str
    kind: str
    applies_to: str
    working_days: int | None
    article: str


@dataclass(frozen=True, slots=True)
class Report:
    """A report that falls due: on a day of the year (`until`, month-day) or in a quarter."""

    key: str
    zh: str
    en: str
    by: str
    to: str
    until: str
    article: str


@dataclass(frozen=True, slots=True)
class Sanction:
    """What follows from a breach; `years` is how many following calendar years it lasts, None unsaid."""

    key: str
    zh: str
    en: str
    years: int | None
    article: str


@dataclass(frozen=True, slots=True)
class Collection:
    """Who may collect a datum (COL-01 to COL-03).

    `again_ranks` are the ranks of a norm that lets a department collect what it could have by sharing.
    `named_by_text` tells whether the text itself names the collecting departments of base information, so
    that nobody can be agreed on in their place. `settled_with` has a say in who collects; None is nobody.
    """

    repeat_article: str
    again_ranks: tuple[str, ...]
    again_article: str
    duty_article: str
    named_by_text: bool
    source_article: str
    settled_with: Words | None
    settled_article: str


@dataclass(frozen=True, slots=True)
class Review:
    """A review that must stand before data are provided, signed for `months` at most (ING-04, COL-09)."""

    key: str
    zh: str
    en: str
    months: int
    article: str


@dataclass(frozen=True, slots=True)
class Regulation:
    """One version of one city's rules, complete: what its text leaves unknown is filled from `fallback`."""

    id: str
    title: Words
    short: Words
    level: str
    region: str
    text_file: str
    catalogue_file: str
    departments_file: str
    calendar: str
    unknown: frozenset[str]
    fallback: str | None
    validity: Validity
    open_cases: OpenCases
    open_cases_article: str
    body_months: int
    body_article: str
    roles: tuple[Role, ...]
    body_roles: tuple[BodyRole, ...]
    collection: Collection
    reviews: tuple[Review, ...]
    share_types: ShareTypes
    entry_months: int
    entry_months_article: str
    maintenance_months: int | None
    maintenance_article: str
    catalogue_fields: tuple[Field, ...]
    catalogue_chain: tuple[Step, ...]
    request_fields: tuple[Field, ...]
    start_day_counts: bool
    start_day_article: str
    deadlines: tuple[Deadline, ...]
    procedures: Mapping[str, Procedure]
    immediate: Immediate
    period: Period
    verify_only_from_sensitivity: int
    masked_from_sensitivity: int
    recall: Recall
    exchange: Exchange
    platforms: Platforms | None
    disputes: Disputes
    updates: tuple[UpdateRule, ...]
    objections: tuple[Step, ...]
    evaluation: tuple[Field, ...]
    reports: tuple[Report, ...]
    sanctions: tuple[Sanction, ...]
    citations: Mapping[str, str]
    conditions: tuple[Field, ...]

    # Deadlines and citations make the value unhashable by its fields; its id names it.
    def __hash__(self) -> int:
        """Hash by the ids of the file and of what completes it."""
        return hash((self.id, self.fallback))

    def role(self, key: str) -> Role | None:
        """The account role with this key, or None."""
        return next((role for role in self.roles if role.key == key), None)

    def procedure(self, key: str) -> Procedure:
        """The procedure of one kind of case; KeyError where the regulation has none."""
        return self.procedures[key]

    def deadline(self, key: str) -> Deadline:
        """The deadline with this key; KeyError where the regulation has none."""
        for deadline in self.deadlines:
            if deadline.key == key:
                return deadline
        raise KeyError(key)

    def cite(self, article: str) -> str:
        """A full citation, for messages and audit entries: `guangzhou-2016 art. 35(1)`."""
        if " " in article:
            return article
        return f"{self.id} {article}" if article == SETTING else f"{self.id} art. {article}"

    def cite_matter(self, matter: str) -> str:
        """The full citation of one of MATTERS."""
        return self.cite(self.citations[matter])
