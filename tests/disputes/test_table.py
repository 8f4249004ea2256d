"""Who may do what in which state of a dispute, under each regulation: every combination, against a table.

The tables are written from the articles, not from the regulation files: guangzhou-2016 art. 3(4), 35, 45;
xiamen-2015 art. 6, 11, 12(2), 19, 20; shenyang-2016 art. 5(1), 15(3), 20(4), 27.
"""

import itertools
from datetime import date

import pytest

from shuqiao.control.regulations.files import load_regulation
from shuqiao.rules.procedures import Accepted, ClockFacts, Facts, decide
from shuqiao.rules.regulation import SYSTEM, Regulation

# state: action by side, side -> next state
GUANGZHOU = """
negotiation: minute by competent -> negotiation
negotiation: agree by competent -> agreed
negotiation: fail by competent -> for_review
negotiation: decide_value by provider -> value_settled
negotiation: withdraw by requester -> withdrawn
for_review: schedule by competent -> in_review
for_review: withdraw by requester -> withdrawn
in_review: opine by joint_review -> in_review
in_review: review_share by competent -> review_share
in_review: review_no by competent -> review_no
in_review: review_open by competent -> review_open
in_review: withdraw by requester -> withdrawn
review_open: apply_ruling by requester, provider -> ruling_applied
review_open: withdraw by requester -> withdrawn
ruling_applied: rule_share by approving -> ruled_share
ruling_applied: rule_no by approving -> ruled_no
ruling_applied: withdraw by requester -> withdrawn
review_share: execute by competent, system -> executed
ruled_share: execute by competent, system -> executed
ruled_share: bar by competent -> not_executed
"""
XIAMEN = """
coordination: minute by competent -> coordination
coordination: agree by competent -> agreed
coordination: order_share by competent -> ordered_share
coordination: order_no by competent -> not_shared
coordination: decide_value by provider -> value_settled
coordination: withdraw by requester -> withdrawn
ordered_share: execute by competent, system -> executed
ordered_share: bar by competent -> not_executed
"""
SHENYANG = """
coordination: minute by competent -> coordination
coordination: agree by competent -> agreed
coordination: refer by competent -> before_group
coordination: decide_value by competent -> value_settled
coordination: withdraw by requester -> withdrawn
before_group: rule_share by leading_group -> ruled_share
before_group: rule_no by leading_group -> ruled_no
before_group: withdraw by requester -> withdrawn
ruled_share: execute by competent, system -> executed
ruled_share: bar by competent -> not_executed
"""
# What a text does not say is taken from Guangzhou 2016.
TABLES = {
    "guangzhou-2016": GUANGZHOU,
    "guangzhou-2019": GUANGZHOU,
    "haizhu-draft": GUANGZHOU,
    "guangdong-2008": GUANGZHOU,
    "xiamen-2015": XIAMEN,
    "shenyang-2016": SHENYANG,
}
SIDES = (
    *("requester", "provider", SYSTEM, "competent", "joint_review", "approving", "leading_group"),
    *("platform_agency", "supervision"),
)
TODAY = date(2026, 11, 22)
DATA = frozenset({"data_dispute"})
GIVEN = {
    **dict.fromkeys(("minutes", "result", "opinion", "reason"), "文字"),
    **dict.fromkeys(("session", "document", "decided_on", "provided"), True),
}


def rules_of(name: str) -> Regulation:
    """A regulation; the one of 2019 takes what it leaves unknown from that of 2016."""
    return load_regulation(name, fallback="guangzhou-2016" if name == "guangzhou-2019" else None)


def expected(table: str) -> dict[tuple[str, str, str], str]:
    """(state, action, side) -> next state."""
    found = {}
    for line in table.strip().splitlines():
        state, _, rest = line.partition(": ")
        step, _, to_state = rest.partition(" -> ")
        action, _, sides = step.partition(" by ")
        found |= {(state, action, side): to_state for side in sides.split(", ")}
    return found


def facts(sides: frozenset[str], conditions: frozenset[str]) -> Facts:
    """Everything that could be given, by an actor on these sides; the term of execution has run out."""
    return Facts(
        case="D-2026-0001",
        sides=sides,
        given=GIVEN,
        conditions=conditions,
        clocks={"execute_ruling": ClockFacts(date(2026, 11, 20))},
        opinions=frozenset({"440100-staffing"}),
        expected_opinions=frozenset({"440100-staffing"}),
    )


@pytest.mark.parametrize("conditions", [frozenset(), DATA], ids=["", "data"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("guangzhou-2016", marks=pytest.mark.requirement("DIS-09", source="GZ16:35¶1-3")),
        "guangzhou-2019",
        "haizhu-draft",
        "guangdong-2008",
        "xiamen-2015",
        "shenyang-2016",
    ],
)
def test_every_state_action_and_side(name, conditions):
    """Nothing but what the table says can be done, by nobody else, from nowhere else."""
    rules = rules_of(name)
    procedure, table = rules.procedure("dispute"), expected(TABLES[name])
    every_action = {action for one in TABLES.values() for _, action, _ in expected(one)} | {"unheard_of"}
    capabilities = frozenset(word for role in rules.roles for word in role.capabilities)
    states = [state.key for state in procedure.states]
    assert {state for state, _, _ in table} | set(table.values()) == set(states)
    for state, action, side in itertools.product(states, every_action, SIDES):
        where = f"{state} {action} by {side}"
        decision = decide(
            procedure,
            state,
            action,
            facts(frozenset({side}), conditions),
            capabilities=capabilities,
            regulation=rules,
            today=TODAY,
        )
        wanted = table.get((state, action, side))
        if action == "decide_value" and not conditions:
            wanted = None
        if wanted is not None:
            assert isinstance(decision, Accepted), where
            assert decision.to_state == wanted, where
            assert decision.article.strip(), where
            continue
        assert not isinstance(decision, Accepted), where
        may_elsewhere = any(key[1:] == (action, side) for key in table)
        # Who may act in another state is told that the case has gone on; nobody else learns its state.
        past = {"transition_refused", "already_decided"}
        assert decision.code in (past if may_elsewhere else {"permission_denied"}), where


@pytest.mark.parametrize("name", TABLES)
def test_nobody_acts_without_the_capability(name):
    """A body on the right side whose account has no capability does nothing."""
    rules = rules_of(name)
    for state, action, side in expected(TABLES[name]):
        if side == SYSTEM:
            continue
        decision = decide(
            rules.procedure("dispute"),
            state,
            action,
            facts(frozenset({side}), DATA),
            capabilities=frozenset(),
            regulation=rules,
            today=TODAY,
        )
        assert not isinstance(decision, Accepted) and decision.code == "permission_denied"


@pytest.mark.parametrize("name", TABLES)
def test_final_states_have_no_way_out_and_others_have_one(name):
    """A dispute never gets stuck, and never comes back."""
    rules = rules_of(name)
    procedure = rules.procedure("dispute")
    left = {state for step in procedure.transitions for state in step.from_states}
    for state in procedure.states:
        assert (state.key in left) != state.final


def without(word: str) -> dict[str, object]:
    """Everything given but one word."""
    return {key: value for key, value in GIVEN.items() if key != word}


@pytest.mark.parametrize("name", TABLES)
def test_each_thing_a_step_requires_is_asked_for(name):
    """Minutes, results, opinions, rulings and reasons cannot be left out, nor be blank."""
    rules = rules_of(name)
    asked = 0
    for step in rules.procedure("dispute").transitions:
        for word in set(step.requires) & set(GIVEN):
            for given in (without(word), {**GIVEN, word: " \n" if GIVEN[word] == "文字" else False}):
                state = min(step.from_states)
                base = facts(frozenset(step.by - {SYSTEM}), DATA)
                decision = decide(
                    rules.procedure("dispute"),
                    state,
                    step.action,
                    Facts(**{field: getattr(base, field) for field in base.__slots__} | {"given": given}),
                    capabilities=frozenset({step.capability}),
                    regulation=rules,
                    today=TODAY,
                )
                assert not isinstance(decision, Accepted), (step.action, word)
                assert decision.field == word, (step.action, word)
                asked += 1
    assert asked > 10
