"""Who may take which step of a request in which state, for every regulation file and every role it names.

The engine reads the files; what is expected here stands in a table of its own, by what each kind of actor
is for: the requester's people ask, the provider's answer, its leader confirms, the platform alone moves a
request by itself. Nobody else may do anything, in any state, whatever the file says of the state.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pytest

from shuqiao.control.regulations import files
from shuqiao.rules.procedures import Accepted, ClockFacts, Facts, Refusal, decide
from shuqiao.rules.regulation import PROVIDER, REQUESTER, SYSTEM, Phase, Regulation

TODAY = date(2026, 11, 11)
FALLBACK = "guangzhou-2016"
EVERY = frozenset({SYSTEM})

# action: (side that takes it, phases it may be taken from, what the role must be allowed to do)
TABLE = {
    "save": (REQUESTER, {"draft"}, "request_submit"),
    "submit": (REQUESTER, {"draft"}, "request_submit"),
    "withdraw": (REQUESTER, {"draft", "waiting", "disputed"}, "request_submit"),
    "dispute": (REQUESTER, {"refused", "granted"}, "request_submit"),
    "receive_form": (PROVIDER, {"waiting"}, "request_answer"),
    "approve": (PROVIDER, {"waiting", "disputed"}, "request_answer"),
    "approve_part": (PROVIDER, {"waiting", "disputed"}, "request_answer"),
    "refuse": (PROVIDER, {"waiting"}, "request_answer"),
    "confirm": (PROVIDER, {"waiting", "disputed"}, "answer_confirm"),
    "send_back": (PROVIDER, {"waiting", "disputed"}, "answer_confirm"),
    "escalate": (SYSTEM, {"waiting"}, ""),
    "settle_no": (SYSTEM, {"disputed"}, ""),
}
# Who has both: in the provider's leader's hands lies what the file gives to leaders only.
MAY = {
    "clerk": {"request_submit"},
    "sharing_officer": {"request_submit", "request_answer"},
    "leader": {"answer_confirm"},
}


@dataclass(frozen=True)
class Case:
    """One cell: a role of one regulation on one side of a request in one state."""

    rules: Regulation
    state: str
    action: str
    role: str
    side: str

    def __str__(self) -> str:
        """Name the cell."""
        return "-".join((self.rules.id, self.state, self.action, self.role or "platform", self.side))


def regulations() -> list[Regulation]:
    """Every file that is shipped, completed as a city of Guangzhou would."""
    return [files.load_regulation(name, fallback=FALLBACK) for name in files.regulation_ids()]


def cases(rules: Regulation) -> Iterator[Case]:
    """Every cell of a regulation: each role on each side, and the platform, by state and action."""
    procedure = rules.procedure("request")
    for state in procedure.states:
        for action in sorted({step.action for step in procedure.transitions}):
            for role in rules.roles:
                for side in (REQUESTER, PROVIDER, "competent", "stranger"):
                    yield Case(rules, state.key, action, role.key, side)
            yield Case(rules, state.key, action, "", SYSTEM)


def complete_facts(side: str) -> Facts:
    """Everything a step could ask for, so that only who acts and from where is left to refuse."""
    given = dict.fromkeys(
        ("items", "duty", "purpose", "applications", "reason", "received_on", "consent", "result"), "x"
    )
    return Facts(
        "R-2026-0001",
        frozenset({side}),
        given=given,
        accepted_conditions=ALL_CONDITIONS,
        clocks={"reply": ClockFacts(date(2026, 11, 10))},
        valid_until=date(2027, 6, 1),
        proposed="approved",
        actor="gong",
        proposer="chen",
    )


ALL_CONDITIONS = frozenset({condition.key for rules in regulations() for condition in rules.conditions})


def expected(case: Case) -> bool:
    """What the table says: the side, the phase and the role's permission must all fit."""
    side, phases, capability = TABLE[case.action]
    state = case.rules.procedure("request").state(case.state)
    assert state is not None
    if case.side != side or state.phase.value not in phases:
        return False
    if case.side == SYSTEM:
        return True
    role = case.rules.role(case.role)
    return role is not None and capability in role.capabilities


@pytest.mark.parametrize("rules", regulations(), ids=lambda rules: rules.id)
def test_nobody_takes_a_step_that_is_not_theirs_from_any_state(rules):
    procedure, wrong, allowed = rules.procedure("request"), [], set()
    assert {step.action for step in procedure.transitions} <= TABLE.keys(), "a step the table does not know"
    for case in cases(rules):
        role = rules.role(case.role)
        capabilities = role.capabilities if role else frozenset()
        given = decide(
            procedure,
            case.state,
            case.action,
            complete_facts(case.side),
            capabilities=capabilities,
            regulation=rules,
            today=TODAY,
        )
        if isinstance(given, Accepted):
            allowed.add((case.action, case.state))
            if not expected(case):
                wrong.append(str(case))
        else:
            assert isinstance(given, Refusal) and given.code, case
            permission = expected_permission(case)
            if (given.code == "permission_denied") == permission:
                wrong.append(f"{case}: {given.code}")
    assert wrong == []
    # Each step of the file can be taken by somebody: the matrix does not pass by refusing all.
    assert allowed == {(step.action, state) for step in procedure.transitions for state in step.from_states}


def expected_permission(case: Case) -> bool:
    """Whether the actor may do this at all, in whatever state: then the state is what refuses."""
    side, _, capability = TABLE[case.action]
    if SYSTEM in (case.side, side):
        return case.side == side
    role = case.rules.role(case.role)
    return case.side == side and role is not None and capability in role.capabilities


@pytest.mark.parametrize("rules", regulations(), ids=lambda rules: rules.id)
def test_the_roles_of_a_file_do_what_their_people_are_for(rules):
    watched = {"request_submit", "request_answer", "answer_confirm"}
    for key, may in MAY.items():
        role = rules.role(key)
        assert role is not None and may <= role.capabilities, (rules.id, key)
    for role in rules.roles:
        if role.key not in MAY:
            assert not watched & role.capabilities, (rules.id, role.key)
    clerk = rules.role("clerk")
    assert clerk is not None and not {"request_answer", "answer_confirm"} & clerk.capabilities


@pytest.mark.parametrize("rules", regulations(), ids=lambda rules: rules.id)
def test_every_open_state_ends_somewhere_and_no_step_leaves_a_final_one(rules):
    procedure = rules.procedure("request")
    for state in procedure.states:
        leaving = [step for step in procedure.transitions if state.key in step.from_states]
        assert bool(leaving) != state.final, state.key
        if state.phase is Phase.WAITING:
            assert any(SYSTEM in step.by or PROVIDER in step.by for step in leaving), state.key
