"""What may be done with a request or a grant: who, from which state, with what given, and what follows.

The states and steps are the regulation's; this module only reads them. Refusal is a returned value with the
article it rests on. No matching step means refuse.
Source: guangzhou-2016 art. 4, 30(1), 35.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

from shuqiao.rules.errors import BY_CODE, ShuqiaoError, rule_of
from shuqiao.rules.exchange import legal_day
from shuqiao.rules.regulation import Procedure, Regulation, Side, Transition, Words


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What is known of the case and of what is given with the action.

    `sides` are the sides of the case on which the actor's department stands, read by the caller; the system
    acts on the side SYSTEM alone. Texts are only looked at for being there.
    """

    case: str
    sides: frozenset[Side]
    items: tuple[str, ...] = ()
    duty: str = ""
    purpose: str = ""
    accepted_conditions: frozenset[str] = field(default_factory=frozenset)
    applications: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_until: date | None = None
    reason: str = ""
    reply_due_on: date | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The action may be done: the state it leads to, the terms it starts, the article."""

    to_state: str
    starts: tuple[str, ...]
    article: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The action may not be done. `field` is what is missing or wrong, where it is a field."""

    code: str
    article: str | None
    field: str = ""
    zh: tuple[tuple[str, str], ...] = ()
    en: tuple[tuple[str, str], ...] = ()

    def error(self, language: str = "zh") -> ShuqiaoError:
        """The error to raise or show; its named fields are in the language."""
        fields = dict(self.en if language.startswith("en") else self.zh)
        return BY_CODE[self.code](rule=self.article, **fields)


Decision = Accepted | Refusal

_STARTED_BY = {"submit": "submitted", "approve": "answered", "approve_part": "answered"}
"""The event that an action is, in the words in which deadlines name their start."""


def decide_request_action(
    state: str,
    action: str,
    facts: CaseFacts,
    *,
    capabilities: frozenset[str],
    regulation: Regulation,
    now: datetime,
) -> Decision:
    """Whether `action` may be done to a request in `state`. Source: guangzhou-2016 art. 35(1)."""
    return _decide(
        _Question(regulation.request, state, action, capabilities, regulation, facts, legal_day(now))
    )


def decide_grant_action(
    state: str,
    action: str,
    facts: CaseFacts,
    *,
    capabilities: frozenset[str],
    regulation: Regulation,
    now: datetime,
) -> Decision:
    """Whether `action` may be done to a grant in `state`. Source: our choice, decision "grants end early"."""
    return _decide(
        _Question(regulation.grant, state, action, capabilities, regulation, facts, legal_day(now))
    )


def possible_actions(
    procedure: Procedure, state: str, capabilities: frozenset[str], sides: frozenset[Side]
) -> tuple[Transition, ...]:
    """The steps that somebody may take from `state`, for the buttons of a page."""
    return tuple(
        step
        for step in procedure.transitions
        if state in step.from_states and _allowed(step, capabilities, sides)
    )


def latest_until(starts_on: date, months: int) -> date:
    """The same day of the month so many months later, or that month's last day."""
    place = starts_on.year * 12 + starts_on.month - 1 + months
    year, month = place // 12, place % 12 + 1
    return date(year, month, min(starts_on.day, calendar.monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True)
class _Question:
    procedure: Procedure
    state: str
    action: str
    capabilities: frozenset[str]
    regulation: Regulation
    facts: CaseFacts
    today: date


def _decide(asked: _Question) -> Decision:
    """Permission first, so that nobody learns a state from a refusal; then the state; then what is given."""
    known = asked.procedure.action(asked.action)
    if known is None or not _allowed(known, asked.capabilities, asked.facts.sides):
        names = Words(known.zh, known.en) if known else Words(asked.action, asked.action)
        article = rule_of("permission_denied")
        return Refusal("permission_denied", article, "", (("action", names.zh),), (("action", names.en),))
    step = asked.procedure.transition(asked.action, asked.state)
    if step is None:
        return _wrong_state(asked, known)
    for requirement in step.requires:
        refusal = _CHECKS[requirement](step, asked.regulation, asked.facts, asked.today)
        if refusal is not None:
            return refusal
    event = _STARTED_BY.get(asked.action)
    starts = tuple(deadline.key for deadline in asked.regulation.deadlines if deadline.starts_on == event)
    return Accepted(step.to_state, starts, asked.regulation.cite(step.article))


def _allowed(step: Transition, capabilities: frozenset[str], sides: frozenset[Side]) -> bool:
    if step.side not in sides:
        return False
    return step.side is Side.SYSTEM or step.capability in capabilities


def _wrong_state(asked: _Question, step: Transition) -> Refusal:
    article = asked.regulation.cite(step.article)
    case = ("case", asked.facts.case)
    answers = {other.to_state for other in asked.procedure.transitions if other.side is Side.PROVIDER}
    is_request = asked.procedure is asked.regulation.request
    if is_request and step.side is Side.PROVIDER and asked.state in answers:
        return Refusal("already_decided", article, "", (case,), (case,))
    named = asked.procedure.state(asked.state)
    state = Words(named.zh, named.en) if named else Words(asked.state, asked.state)
    zh = (case, ("state", state.zh), ("action", step.zh))
    en = (case, ("state", state.en), ("action", step.en))
    return Refusal("transition_refused", article, "", zh, en)


def _missing(key: str, regulation: Regulation) -> Refusal:
    named = next((one for one in regulation.request_fields if one.key == key), None)
    words = Words(named.zh, named.en) if named else Words(key, key)
    article = regulation.cite(named.article) if named else rule_of("field_required")
    return Refusal("field_required", article, key, (("field", words.zh),), (("field", words.en),))


_Check = Callable[[Transition, Regulation, CaseFacts, date], Refusal | None]


def _filled(key: str, is_filled: Callable[[CaseFacts], bool]) -> _Check:
    def check(_step: Transition, regulation: Regulation, facts: CaseFacts, _today: date) -> Refusal | None:
        return None if is_filled(facts) else _missing(key, regulation)

    return check


def _conditions(_step: Transition, regulation: Regulation, facts: CaseFacts, _today: date) -> Refusal | None:
    needed = {condition.key for condition in regulation.conditions}
    return None if needed <= facts.accepted_conditions else _missing("conditions", regulation)


def _period(_step: Transition, regulation: Regulation, facts: CaseFacts, today: date) -> Refusal | None:
    """The period has both ends, ends neither in the past nor before it begins, and is not too long."""
    starts_on = facts.valid_from or today
    if facts.valid_until is None or facts.valid_until < max(starts_on, today):
        return _missing("wanted_until", regulation)
    limit = regulation.period.maximum_months
    if facts.valid_until <= latest_until(starts_on, limit):
        return None
    article = regulation.cite(regulation.period.article)
    named = (("limit_months", str(limit)),)
    return Refusal("period_too_long", article, "wanted_until", named, named)


def _reason(step: Transition, regulation: Regulation, facts: CaseFacts, _today: date) -> Refusal | None:
    if facts.reason.strip():
        return None
    article = regulation.cite(step.article)
    return Refusal("reason_required", article, "reason", (("action", step.zh),), (("action", step.en),))


def _overdue(step: Transition, regulation: Regulation, facts: CaseFacts, today: date) -> Refusal | None:
    if facts.reply_due_on is not None and facts.reply_due_on < today:
        return None
    article = regulation.cite(step.article)
    zh = (("case", facts.case), ("state", "未逾期"), ("action", step.zh))
    en = (("case", facts.case), ("state", "not overdue"), ("action", step.en))
    return Refusal("transition_refused", article, "", zh, en)


_CHECKS: dict[str, _Check] = {
    "items": _filled("items", lambda facts: bool(facts.items)),
    "duty": _filled("duty", lambda facts: bool(facts.duty.strip())),
    "purpose": _filled("purpose", lambda facts: bool(facts.purpose.strip())),
    "applications": _filled("applications", lambda facts: bool(facts.applications)),
    "wanted_until": _filled("wanted_until", lambda facts: facts.valid_until is not None),
    "conditions": _conditions,
    "period": _period,
    "reason": _reason,
    "overdue": _overdue,
}

REQUIREMENTS = frozenset(_CHECKS)
"""Every word a transition of a regulation file may require."""
