"""What may be done with a case: the whole matrix of state, action, side and capability."""

import itertools
from dataclasses import replace
from datetime import date

import pytest

from shuqiao.control.regulations.files import load_regulation
from shuqiao.rules.procedures import (
    REQUIREMENTS,
    Accepted,
    ClockFacts,
    Decision,
    Facts,
    Refusal,
    decide,
    latest_until,
    possible_actions,
)
from shuqiao.rules.regulation import SYSTEM, Procedure

RULES = load_regulation("guangzhou-2016")
REQUEST = RULES.procedure("request")
GRANT = RULES.procedure("grant")
TODAY = date(2026, 11, 22)
ALL = frozenset(capability for role in RULES.roles for capability in role.capabilities)
SIDES = frozenset({"requester", "provider", *(role.key for role in RULES.body_roles)})
EVERYTHING = Facts(
    case="R-2026-0001",
    sides=SIDES,
    given={
        "items": ("mother_name",),
        "duty": "公共租赁住房保障资格审核",
        "purpose": "资格审核",
        "applications": ("app-housing-rental",),
        "reason": "理由",
    },
    accepted_conditions=frozenset(condition.key for condition in RULES.conditions),
    valid_until=date(2027, 11, 22),
    clocks={"reply": ClockFacts(date(2026, 11, 20))},
)


def without(*words: str, **instead: object) -> Facts:
    """Everything but these words of what is given, and these in their place."""
    given = {key: value for key, value in EVERYTHING.given.items() if key not in words}
    return replace(EVERYTHING, given={**given, **instead})


REQUEST_STEPS = {
    ("draft", "save"): "draft",
    ("draft", "submit"): "submitted",
    ("draft", "withdraw"): "withdrawn",
    ("submitted", "withdraw"): "withdrawn",
    ("negotiation", "withdraw"): "withdrawn",
    ("submitted", "approve"): "approved",
    ("negotiation", "approve"): "approved",
    ("submitted", "approve_part"): "partly_approved",
    ("negotiation", "approve_part"): "partly_approved",
    ("submitted", "refuse"): "refused",
    ("negotiation", "settle_no"): "settled_no",
    ("partly_approved", "dispute"): "negotiation",
    ("submitted", "escalate"): "negotiation",
    ("refused", "dispute"): "negotiation",
}
GRANT_STEPS = {
    ("active", "suspend"): "suspended",
    ("suspended", "resume"): "active",
    ("active", "revoke"): "revoked",
    ("suspended", "revoke"): "revoked",
    ("active", "expire"): "expired",
    ("suspended", "expire"): "expired",
    ("active", "renew"): "renewed",
}


def ask(
    state: str,
    action: str,
    facts: Facts = EVERYTHING,
    capabilities: frozenset[str] = ALL,
    procedure: Procedure = REQUEST,
) -> Decision:
    """Decide as the platform where only it may act, otherwise as somebody on every side."""
    step = procedure.action(action)
    if step is not None and step.by == {SYSTEM} and facts.sides == SIDES:
        facts = replace(facts, sides=frozenset({SYSTEM}))
    return decide(procedure, state, action, facts, capabilities=capabilities, regulation=RULES, today=TODAY)


def ask_grant(state: str, action: str, facts: Facts = EVERYTHING) -> Decision:
    return ask(state, action, facts, procedure=GRANT)


def places(procedure: Procedure) -> list[tuple[str, str]]:
    states = [state.key for state in procedure.states] + ["unheard_of"]
    actions = [*sorted({step.action for step in procedure.transitions}), "unheard_of"]
    return list(itertools.product(states, actions))


def refusal(decision: Decision) -> Refusal:
    assert isinstance(decision, Refusal)
    # Whatever is refused can be said in both languages, with its article.
    assert decision.error("zh").explain("zh") and decision.error("en").explain("en")
    assert decision.article or decision.code == "permission_denied"
    return decision


@pytest.mark.parametrize(("state", "action"), places(REQUEST))
def test_every_state_and_action_of_a_request(state: str, action: str) -> None:
    decision = ask(state, action)
    if (state, action) in REQUEST_STEPS:
        assert isinstance(decision, Accepted)
        assert decision.to_state == REQUEST_STEPS[state, action]
        assert decision.article.startswith("guangzhou-2016 ")
    else:
        expected = {"permission_denied", "transition_refused", "already_decided"}
        assert refusal(decision).code in expected


@pytest.mark.parametrize(("state", "action"), places(GRANT))
def test_every_state_and_action_of_a_grant(state: str, action: str) -> None:
    decision = ask_grant(state, action)
    if (state, action) in GRANT_STEPS:
        assert isinstance(decision, Accepted)
        assert decision.to_state == GRANT_STEPS[state, action]
    else:
        assert refusal(decision).code in {"permission_denied", "transition_refused"}


@pytest.mark.parametrize(("state", "action"), sorted(REQUEST_STEPS))
def test_each_step_is_open_to_its_side_and_capability_only(state: str, action: str) -> None:
    step = REQUEST.transition(action, state)
    assert step is not None
    only = replace(EVERYTHING, sides=step.by)
    assert isinstance(ask(state, action, only, frozenset({step.capability})), Accepted)
    others = replace(EVERYTHING, sides=SIDES - step.by | {"somebody_else"})
    assert refusal(ask(state, action, others)).code == "permission_denied"
    if step.by != {SYSTEM}:
        assert refusal(ask(state, action, only, ALL - {step.capability})).code == "permission_denied"
    assert step in possible_actions(REQUEST, state, ALL, step.by)
    assert step not in possible_actions(REQUEST, state, ALL, frozenset())


def test_who_may_not_act_learns_nothing_of_the_state() -> None:
    stranger = replace(EVERYTHING, sides=frozenset())
    answers = {refusal(ask(state, "approve", stranger)) for state, _ in places(REQUEST)}
    assert len(answers) == 1


@pytest.mark.parametrize("state", ["approved", "partly_approved", "refused"])
@pytest.mark.parametrize("action", ["approve", "approve_part", "refuse"])
def test_a_request_is_answered_once(state: str, action: str) -> None:
    assert refusal(ask(state, action)).code == "already_decided"


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        (without("items"), "items"),
        (without("duty", duty=" "), "duty"),
        (without("purpose", purpose=""), "purpose"),
        (
            replace(EVERYTHING, accepted_conditions=EVERYTHING.accepted_conditions - {"no_profit"}),
            "conditions",
        ),
        (without("applications", applications=()), "applications"),
        (replace(EVERYTHING, valid_until=None), "wanted_until"),
    ],
)
def test_a_request_with_a_missing_part_is_not_submitted(facts: Facts, field: str) -> None:
    assert isinstance(ask("draft", "submit"), Accepted)
    decision = refusal(ask("draft", "submit", facts))
    assert (decision.code, decision.field) == ("field_required", field)
    words = next(one for one in RULES.request_fields if one.key == field)
    assert words.zh in decision.error("zh").explain("zh")
    assert words.en in decision.error("en").explain("en")


def test_the_period_ends_neither_in_the_past_nor_before_it_begins() -> None:
    past = replace(EVERYTHING, valid_until=date(2026, 11, 21))
    backwards = replace(EVERYTHING, valid_from=date(2027, 1, 2), valid_until=date(2027, 1, 1))
    for facts, earliest in [(past, "2026-11-22"), (backwards, "2027-01-02")]:
        decision = refusal(ask("draft", "submit", facts))
        assert (decision.code, decision.field) == ("period_ends_early", "wanted_until")
        assert earliest in decision.error("zh").explain("zh")
        assert earliest in decision.error("en").explain("en")


def test_the_period_has_a_limit_counted_from_its_first_day() -> None:
    too_long = replace(EVERYTHING, valid_until=date(2027, 11, 23))
    for state, action in [("draft", "submit"), ("submitted", "approve"), ("submitted", "approve_part")]:
        assert refusal(ask(state, action, too_long)).code == "period_too_long"
        assert isinstance(ask(state, action, replace(too_long, valid_from=date(2026, 11, 23))), Accepted)


@pytest.mark.parametrize(
    ("state", "action"),
    [("submitted", "refuse"), ("submitted", "approve_part"), ("refused", "dispute")],
)
def test_what_goes_against_somebody_needs_a_reason(state: str, action: str) -> None:
    assert refusal(ask(state, action, without("reason", reason="  "))).code == "reason_required"


@pytest.mark.parametrize("action", ["suspend", "revoke"])
def test_ending_a_grant_early_needs_a_reason(action: str) -> None:
    assert refusal(ask_grant("active", action, without("reason"))).code == "reason_required"


def test_negotiation_opens_the_day_after_the_reply_was_due_and_not_before() -> None:
    for due, opens in [(date(2026, 11, 21), True), (date(2026, 11, 22), False), (None, False)]:
        clocks = {"reply": ClockFacts(due)} if due else {}
        decision = ask("submitted", "escalate", replace(EVERYTHING, clocks=clocks))
        assert isinstance(decision, Accepted) is opens
        if isinstance(decision, Accepted):
            assert decision.opens_dispute
    stopped = {"reply": ClockFacts(date(2026, 11, 1), is_running=False)}
    assert refusal(ask("submitted", "escalate", replace(EVERYTHING, clocks=stopped)))


def test_submission_and_answer_start_and_meet_their_terms() -> None:
    submitted = ask("draft", "submit")
    assert isinstance(submitted, Accepted)
    assert (submitted.starts, submitted.meets, submitted.ends) == (("reply",), (), False)
    approved = ask("submitted", "approve")
    assert isinstance(approved, Accepted)
    assert (approved.starts, approved.meets, approved.ends) == (("provide",), ("reply",), True)
    refused = ask("submitted", "refuse")
    assert isinstance(refused, Accepted)
    assert (refused.starts, refused.meets) == ((), ("reply",))


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2026, 11, 22), 12, date(2027, 11, 22)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2027, 8, 31), 6, date(2028, 2, 29)),
        (date(2026, 12, 1), 1, date(2027, 1, 1)),
    ],
)
def test_months_later(start: date, months: int, end: date) -> None:
    assert latest_until(start, months) == end


def test_every_requirement_of_the_schema_has_its_check() -> None:
    steps = (step for procedure in RULES.procedures.values() for step in procedure.transitions)
    required = {need for step in steps for need in step.requires}
    assert required <= REQUIREMENTS
