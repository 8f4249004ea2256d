"""What may be done with a request or grant: the whole matrix of state, action, side and capability."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from shuqiao.control.regulations.files import load_regulation
from shuqiao.rules.regulation import Procedure, Side
from shuqiao.rules.requests import (
    REQUIREMENTS,
    Accepted,
    CaseFacts,
    Decision,
    Refusal,
    decide_grant_action,
    decide_request_action,
    latest_until,
    possible_actions,
)

RULES = load_regulation("guangzhou-2016")
NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
ALL = frozenset({"request_submit", "request_answer", "grant_revoke"})
EVERYTHING = CaseFacts(
    case="R-2026-0001",
    sides=frozenset(Side),
    items=("mother_name",),
    duty="公共租赁住房保障资格审核",
    purpose="资格审核",
    accepted_conditions=frozenset(condition.key for condition in RULES.conditions),
    applications=("app-housing-rental",),
    valid_until=date(2027, 11, 22),
    reason="理由",
    reply_due_on=date(2026, 11, 20),
)

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
    ("negotiation", "refuse"): "refused",
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
}


def ask(
    state: str,
    action: str,
    facts: CaseFacts = EVERYTHING,
    capabilities: frozenset[str] = ALL,
    now: datetime = NOW,
) -> Decision:
    return decide_request_action(state, action, facts, capabilities=capabilities, regulation=RULES, now=now)


def ask_grant(state: str, action: str, facts: CaseFacts = EVERYTHING) -> Decision:
    return decide_grant_action(state, action, facts, capabilities=ALL, regulation=RULES, now=NOW)


def places(procedure: Procedure) -> list[tuple[str, str]]:
    states = [state.key for state in procedure.states] + ["unheard_of"]
    actions = [*sorted({step.action for step in procedure.transitions}), "unheard_of"]
    return list(itertools.product(states, actions))


def refusal(decision: Decision) -> Refusal:
    assert isinstance(decision, Refusal)
    # Whatever is refused can be said in both languages, with its article.
    assert decision.error("zh").explain("zh") and decision.error("en").explain("en")
    assert decision.article
    return decision


@pytest.mark.parametrize(("state", "action"), places(RULES.request))
def test_every_state_and_action_of_a_request(state: str, action: str) -> None:
    decision = ask(state, action)
    if (state, action) in REQUEST_STEPS:
        assert isinstance(decision, Accepted)
        assert decision.to_state == REQUEST_STEPS[state, action]
        assert decision.article.startswith("guangzhou-2016 ")
    else:
        expected = {"permission_denied", "transition_refused", "already_decided"}
        assert refusal(decision).code in expected


@pytest.mark.parametrize(("state", "action"), places(RULES.grant))
def test_every_state_and_action_of_a_grant(state: str, action: str) -> None:
    decision = ask_grant(state, action)
    if (state, action) in GRANT_STEPS:
        assert isinstance(decision, Accepted)
        assert decision.to_state == GRANT_STEPS[state, action]
    else:
        assert refusal(decision).code in {"permission_denied", "transition_refused"}


@pytest.mark.parametrize(("state", "action"), sorted(REQUEST_STEPS))
def test_each_step_is_open_to_its_side_and_capability_only(state: str, action: str) -> None:
    step = RULES.request.transition(action, state)
    assert step is not None
    only = replace(EVERYTHING, sides=frozenset({step.side}))
    assert isinstance(ask(state, action, only, frozenset({step.capability})), Accepted)
    others = replace(EVERYTHING, sides=frozenset(Side) - {step.side})
    assert refusal(ask(state, action, others)).code == "permission_denied"
    if step.side is not Side.SYSTEM:
        assert refusal(ask(state, action, only, ALL - {step.capability})).code == "permission_denied"
    assert step in possible_actions(RULES.request, state, ALL, frozenset({step.side}))
    assert step not in possible_actions(RULES.request, state, ALL, frozenset())


def test_who_may_not_act_learns_nothing_of_the_state() -> None:
    stranger = replace(EVERYTHING, sides=frozenset())
    answers = {refusal(ask(state, "approve", stranger)) for state, _ in places(RULES.request)}
    assert len(answers) == 1


@pytest.mark.parametrize("state", ["approved", "partly_approved", "refused"])
@pytest.mark.parametrize("action", ["approve", "approve_part", "refuse"])
def test_a_request_is_answered_once(state: str, action: str) -> None:
    assert refusal(ask(state, action)).code == "already_decided"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": ()}, "items"),
        ({"duty": " "}, "duty"),
        ({"purpose": ""}, "purpose"),
        ({"accepted_conditions": EVERYTHING.accepted_conditions - {"no_profit"}}, "conditions"),
        ({"applications": ()}, "applications"),
        ({"valid_until": None}, "wanted_until"),
        ({"valid_until": date(2026, 11, 21)}, "wanted_until"),
    ],
)
def test_a_request_with_a_missing_part_is_not_submitted(change: dict[str, object], field: str) -> None:
    assert isinstance(ask("draft", "submit"), Accepted)
    decision = refusal(ask("draft", "submit", replace(EVERYTHING, **change)))
    assert (decision.code, decision.field) == ("field_required", field)
    words = next(one for one in RULES.request_fields if one.key == field)
    assert words.zh in decision.error("zh").explain("zh")
    assert words.en in decision.error("en").explain("en")


def test_the_period_has_a_limit_counted_from_its_first_day() -> None:
    too_long = replace(EVERYTHING, valid_until=date(2027, 11, 23))
    for state, action in [("draft", "submit"), ("submitted", "approve"), ("submitted", "approve_part")]:
        assert refusal(ask(state, action, too_long)).code == "period_too_long"
        assert isinstance(ask(state, action, replace(too_long, valid_from=date(2026, 11, 23))), Accepted)


def test_today_is_a_day_in_shanghai() -> None:
    ends_today = replace(EVERYTHING, valid_until=date(2026, 11, 22))
    assert isinstance(
        ask("draft", "submit", ends_today, now=datetime(2026, 11, 22, 15, 59, tzinfo=UTC)), Accepted
    )
    late = refusal(ask("draft", "submit", ends_today, now=datetime(2026, 11, 22, 16, 0, tzinfo=UTC)))
    assert late.field == "wanted_until"


@pytest.mark.parametrize(
    ("state", "action"),
    [("submitted", "refuse"), ("submitted", "approve_part"), ("refused", "dispute")],
)
def test_what_goes_against_somebody_needs_a_reason(state: str, action: str) -> None:
    assert refusal(ask(state, action, replace(EVERYTHING, reason="  "))).code == "reason_required"


@pytest.mark.parametrize("action", ["suspend", "revoke"])
def test_ending_a_grant_early_needs_a_reason(action: str) -> None:
    assert refusal(ask_grant("active", action, replace(EVERYTHING, reason=""))).code == "reason_required"


def test_negotiation_opens_the_day_after_the_reply_was_due_and_not_before() -> None:
    for due, opens in [(date(2026, 11, 21), True), (date(2026, 11, 22), False), (None, False)]:
        decision = ask("submitted", "escalate", replace(EVERYTHING, reply_due_on=due))
        assert isinstance(decision, Accepted) is opens


def test_submission_and_answer_start_their_terms() -> None:
    assert ask("draft", "submit") == Accepted("submitted", ("reply",), "guangzhou-2016 art. 35(1)")
    assert ask("submitted", "approve") == Accepted("approved", ("provide",), "guangzhou-2016 art. 35(1)")
    refused = ask("submitted", "refuse")
    assert isinstance(refused, Accepted) and refused.starts == ()


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
    required = {
        need for step in RULES.request.transitions + RULES.grant.transitions for need in step.requires
    }
    assert required <= REQUIREMENTS
