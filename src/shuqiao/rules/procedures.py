"""What may be done with a case: who, from which state, with what given, and what follows.

A case is a request, a grant, a dispute or a project. The states and steps are the regulation's; this module
only reads them. Refusal is a returned value with the article it rests on. No matching step means refuse.
Source: guangzhou-2016 art. 4, 30(1), 35; xiamen-2015 art. 12; shenyang-2016 art. 20.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from shuqiao.rules.errors import BY_CODE, ShuqiaoError
from shuqiao.rules.regulation import (
    PROPOSED,
    PROVIDER,
    SYSTEM,
    Deadline,
    Extension,
    Phase,
    Procedure,
    Regulation,
    Transition,
    Words,
)


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """How one of the case's terms stands."""

    due_on: date
    is_running: bool = True
    times_extended: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the case and of what is given with the action.

    `sides` are the sides of the case and body roles on which the actor stands, read by the caller; the
    platform acts on the side SYSTEM alone. `conditions` are the `when` words that hold. `clocks` are the
    case's terms by key. `given` holds what the action brings, by the words of the file (duty, purpose, items,
    reason, minutes, result, document, session, ...): a text counts unless blank, anything else by its truth.
    `actor` and `proposer` are accounts, compared only with each other.
    """

    case: str
    sides: frozenset[str]
    given: Mapping[str, object] = field(default_factory=dict)
    conditions: frozenset[str] = frozenset()
    accepted_conditions: frozenset[str] = frozenset()
    clocks: Mapping[str, ClockFacts] = field(default_factory=dict)
    valid_from: date | None = None
    valid_until: date | None = None
    proposed: str = ""
    actor: str = ""
    proposer: str = ""
    opinions: frozenset[str] = frozenset()
    expected_opinions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Accepted:
    """The action may be done, and what follows from it.

    `starts` and `meets` are deadline keys; `proposes` is a state kept for a later step; `ends` is true where
    the new state is final, so that every term still running ends with it.
    """

    to_state: str
    phase: Phase
    article: str
    starts: tuple[str, ...] = ()
    meets: tuple[str, ...] = ()
    proposes: str = ""
    extends: Extension | None = None
    pauses: str = ""
    resumes: str = ""
    restarts: str = ""
    opens_dispute: bool = False
    publishes: bool = False
    bars: str = ""
    ends: bool = False


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


def decide(
    procedure: Procedure,
    state: str,
    action: str,
    facts: Facts,
    *,
    capabilities: frozenset[str],
    regulation: Regulation,
    today: date,
) -> Decision:
    """Whether `action` may be done to a case in `state`.

    Permission first, so that nobody learns a state from a refusal; then the state; then what is given.
    """
    asked = _Question(procedure, state, action, capabilities, regulation, facts, today)
    if not any(_allowed(step, capabilities, facts.sides) for step in _steps(procedure, action)):
        return _not_permitted(asked)
    step = procedure.transition(action, state, facts.conditions)
    if step is None:
        return _wrong_state(asked)
    if not _allowed(step, capabilities, facts.sides):
        return _not_permitted(asked)
    for requirement in step.requires:
        refusal = CHECKS.get(requirement, _filled(requirement))(step, asked)
        if refusal is not None:
            return refusal
    return _accept(step, asked)


def possible_actions(
    procedure: Procedure, state: str, capabilities: frozenset[str], sides: frozenset[str]
) -> tuple[Transition, ...]:
    """The steps that somebody may take from `state`, for the buttons of a page."""
    return tuple(
        step
        for step in procedure.transitions
        if state in step.from_states and _allowed(step, capabilities, sides)
    )


def deadlines_started_by(event: str, regulation: Regulation) -> tuple[Deadline, ...]:
    """The terms that begin with an event."""
    return tuple(one for one in regulation.deadlines if event and one.starts_on == event)


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
    facts: Facts
    today: date


def _steps(procedure: Procedure, action: str) -> list[Transition]:
    return [step for step in procedure.transitions if step.action == action]


def _allowed(step: Transition, capabilities: frozenset[str], sides: frozenset[str]) -> bool:
    if sides == {SYSTEM}:
        return SYSTEM in step.by
    return bool(step.by & (sides - {SYSTEM})) and step.capability in capabilities


def _accept(step: Transition, asked: _Question) -> Decision:
    to_state = asked.facts.proposed if step.to_state == PROPOSED else step.to_state
    state = asked.procedure.state(to_state)
    if state is None:
        return _wrong_state(asked)
    # A proposal is not yet the act: its event comes with the step that leads to what was proposed.
    event = "" if step.proposes else step.event
    if step.to_state == PROPOSED and not event:
        event = _event_of(asked.procedure, to_state)
    rules = asked.regulation
    return Accepted(
        to_state,
        state.phase,
        rules.cite(step.article),
        starts=tuple(one.key for one in deadlines_started_by(event, rules)),
        meets=tuple(one.key for one in rules.deadlines if event and meets_term(one, event)),
        proposes=step.proposes,
        extends=step.extends,
        pauses=step.pauses,
        resumes=step.resumes,
        restarts=step.restarts,
        opens_dispute=step.opens_dispute,
        publishes=step.publishes,
        bars=step.bars,
        ends=state.final,
    )


def _event_of(procedure: Procedure, proposed: str) -> str:
    return next((step.event for step in procedure.transitions if step.proposes == proposed), "")


def meets_term(deadline: Deadline, event: str) -> bool:
    """Whether an event meets a term: `answered` is met by `answered_yes` and `answered_no` too."""
    return deadline.met_by == event or event.startswith(f"{deadline.met_by}_")


def _not_permitted(asked: _Question) -> Refusal:
    known = asked.procedure.action(asked.action)
    names = Words(known.zh, known.en) if known else Words(asked.action, asked.action)
    article = asked.regulation.cite(known.article) if known else None
    return Refusal("permission_denied", article, "", (("action", names.zh),), (("action", names.en),))


def _wrong_state(asked: _Question) -> Refusal:
    known = asked.procedure.action(asked.action)
    names = Words(known.zh, known.en) if known else Words(asked.action, asked.action)
    article = asked.regulation.cite(known.article) if known else None
    case = ("case", asked.facts.case)
    named = asked.procedure.state(asked.state)
    answers = known is not None and PROVIDER in known.by
    is_decided = named is not None and named.phase in (Phase.GRANTED, Phase.REFUSED)
    if answers and is_decided and named != asked.procedure.initial:
        return Refusal("already_decided", article, "", (case,), (case,))
    state = Words(named.zh, named.en) if named else Words(asked.state, asked.state)
    zh = (case, ("state", state.zh), ("action", names.zh))
    en = (case, ("state", state.en), ("action", names.en))
    return Refusal("transition_refused", article, "", zh, en)


_Check = Callable[[Transition, _Question], Refusal | None]


def _missing(key: str, step: Transition, asked: _Question) -> Refusal:
    rules = asked.regulation
    named = next((one for one in rules.request_fields if one.key == key), None)
    words = Words(named.zh, named.en) if named else _NAMES.get(key, Words(key, key))
    article = rules.cite(named.article if named else step.article)
    return Refusal("field_required", article, key, (("field", words.zh),), (("field", words.en),))


def _is_there(value: object) -> bool:
    return bool(value.strip()) if isinstance(value, str) else bool(value)


def _filled(key: str) -> _Check:
    def check(step: Transition, asked: _Question) -> Refusal | None:
        return None if _is_there(asked.facts.given.get(key)) else _missing(key, step, asked)

    return check


def _conditions(step: Transition, asked: _Question) -> Refusal | None:
    needed = {condition.key for condition in asked.regulation.conditions}
    return None if needed <= asked.facts.accepted_conditions else _missing("conditions", step, asked)


def _wanted_until(step: Transition, asked: _Question) -> Refusal | None:
    return None if asked.facts.valid_until is not None else _missing("wanted_until", step, asked)


def _period(step: Transition, asked: _Question) -> Refusal | None:
    """The period has both ends, ends neither in the past nor before it begins, and is not too long."""
    facts, rules = asked.facts, asked.regulation
    starts_on = facts.valid_from or asked.today
    if facts.valid_until is None:
        return _missing("wanted_until", step, asked)
    article = rules.cite(rules.period.article)
    earliest = max(starts_on, asked.today)
    if facts.valid_until < earliest:
        day = (("earliest", earliest.isoformat()),)
        return Refusal("period_ends_early", article, "wanted_until", day, day)
    limit = rules.period.maximum_months
    if facts.valid_until <= latest_until(starts_on, limit):
        return None
    named = (("limit_months", str(limit)),)
    return Refusal("period_too_long", article, "wanted_until", named, named)


def _reason(step: Transition, asked: _Question) -> Refusal | None:
    if _is_there(asked.facts.given.get("reason")):
        return None
    article = asked.regulation.cite(step.article)
    return Refusal("reason_required", article, "reason", (("action", step.zh),), (("action", step.en),))


def _overdue(step: Transition, asked: _Question) -> Refusal | None:
    clock = asked.facts.clocks.get(step.clock)
    if clock is not None and clock.is_running and clock.due_on < asked.today:
        return None
    return _still(step, asked, Words("未逾期", "not overdue"))


def _extension(step: Transition, asked: _Question) -> Refusal | None:
    """The term is still running, not over, and has not been extended as often as allowed."""
    allowed = step.extends
    clock = asked.facts.clocks.get(allowed.clock) if allowed else None
    if allowed is None or clock is None or not clock.is_running or clock.due_on < asked.today:
        return _still(step, asked, Words("期限未在计算或已届满", "without a running term"))
    if clock.times_extended >= allowed.times:
        return _still(step, asked, Words("已延长至上限", "extended as often as allowed"))
    return None


def _other_person(step: Transition, asked: _Question) -> Refusal | None:
    facts = asked.facts
    if facts.proposer and facts.actor and facts.proposer != facts.actor:
        return None
    article = asked.regulation.cite(step.article)
    return Refusal("second_person_required", article, "", (("action", step.zh),), (("action", step.en),))


def _opinions(step: Transition, asked: _Question) -> Refusal | None:
    facts = asked.facts
    given = facts.expected_opinions and facts.expected_opinions <= facts.opinions
    return None if given else _missing("opinions", step, asked)


def _still(step: Transition, asked: _Question, state: Words) -> Refusal:
    article = asked.regulation.cite(step.article)
    zh = (("case", asked.facts.case), ("state", state.zh), ("action", step.zh))
    en = (("case", asked.facts.case), ("state", state.en), ("action", step.en))
    return Refusal("transition_refused", article, "", zh, en)


CHECKS: Mapping[str, _Check] = {
    "conditions": _conditions,
    "wanted_until": _wanted_until,
    "period": _period,
    "reason": _reason,
    "overdue": _overdue,
    "extension": _extension,
    "other_person": _other_person,
    "opinions": _opinions,
}

_NAMES: Mapping[str, Words] = {
    "items": Words("信息项", "Items"),
    "duty": Words("法定职权", "Statutory duty"),
    "purpose": Words("使用目的", "Purpose of use"),
    "conditions": Words("使用条件", "Conditions of use"),
    "applications": Words("使用信息的应用", "Applications"),
    "mode": Words("共享模式", "Sharing mode"),
    "wanted_until": Words("共享期限", "Sharing period"),
    "wanted": Words("所需信息", "Information wanted"),
    "participants": Words("参与部门", "Participating departments"),
    "content": Words("拟对外提供或发布的内容", "What is to be passed on or published"),
    "audience": Words("接收方或发布渠道", "To whom or where"),
    "received_on": Words("收到书面申请的日期", "Day the written application was received"),
    "minutes": Words("协商记录", "Minutes"),
    "result": Words("结果", "Result"),
    "session": Words("会审会议", "Joint-review session"),
    "opinion": Words("会审意见", "Opinion"),
    "opinions": Words("全部成员的会审意见", "The opinion of every member"),
    "document": Words("附件", "Document"),
    "decided_on": Words("决定日期", "Day of the decision"),
    "provided": Words("已提供信息", "Information provided"),
    "consent": Words("对方同意", "Consent of the other side"),
    "declaration": Words("不涉及国家秘密的声明", "Declaration that it is no state secret"),
    "marks": Words("逐项审核意见", "A mark for every item"),
}

REQUIREMENTS = frozenset(CHECKS) | frozenset(_NAMES)
"""Every word a transition of a regulation file may require."""

CONDITIONS = frozenset({"immediate", "data_dispute", "wording_only"})
"""Every word a transition may name in `when`: nothing has to be reviewed; the dispute is about a datum; an
entry of the catalogue changes in its wording alone."""
