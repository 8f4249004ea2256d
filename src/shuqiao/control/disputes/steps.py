"""The steps a regulation allows in a dispute, as the rules and the database know them."""

from shuqiao.control.disputes.models import Dispute, DisputeStep
from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import DisputeKind, Procedure, Regulation, Transition

OPEN = "open"
APPLY = "apply_ruling"
STATE = "state_position"
"""A party states its position; the dispute stays where it is. Our choice, decision "disputes"."""
JOIN = "join_ruling"
"""A party's application that still waits for the other's; the state stays."""
SCHEDULE = "schedule"
EXECUTE = "execute"
WITHDRAW = "withdraw"


def rules_of(dispute: Dispute) -> Regulation:
    """Return the regulation under which the dispute is dealt with."""
    return named(dispute.regulation)


def procedure_of(rules: Regulation) -> Procedure:
    """Return the procedure of disputes."""
    return rules.procedure("dispute")


def kind_of(dispute: Dispute) -> DisputeKind:
    """Return the dispute's kind; KeyError where the regulation does not know it."""
    return kind_named(rules_of(dispute), dispute.kind)


def kind_named(rules: Regulation, key: str) -> DisputeKind:
    """Return a kind of dispute; KeyError where the regulation does not know it."""
    for kind in rules.disputes.kinds:
        if kind.key == key:
            return kind
    raise KeyError(key)


def free_kinds(rules: Regulation) -> tuple[DisputeKind, ...]:
    """Return the kinds that are brought by themselves; those of a case come from the case."""
    return tuple(kind for kind in rules.disputes.kinds if kind.key not in rules.procedures)


def steps_from(rules: Regulation, state: str) -> tuple[Transition, ...]:
    """Return the steps that leave a state."""
    return tuple(step for step in procedure_of(rules).transitions if state in step.from_states)


def state_label(rules: Regulation, state: str) -> Text:
    """Name a state in the words of the regulation."""
    found = procedure_of(rules).state(state)
    return Text(found.zh, found.en) if found else Text(state, state)


def action_label(rules: Regulation, action: str) -> Text:
    """Name a step in the words of the regulation; what no regulation names has the platform's own words."""
    if action == OPEN:
        return Text("提出争议", "Dispute opened")
    if action == STATE:
        return Text("当事方陈述", "Statement of a party")
    if action == JOIN:
        return Text("一方书面提请裁定，待另一方", "One party applied for a ruling; awaiting the other")
    found = procedure_of(rules).action(action)
    return Text(found.zh, found.en) if found else Text(action, action)


def joined(requires: tuple[str, ...]) -> str:
    """Write the words a step requires so that the database can look for each: `,minutes,result,`."""
    return f",{','.join(requires)}," if requires else ""


def register_steps(rules: Regulation) -> None:
    """Let the database know every step that the regulation allows; one statement, safe to repeat."""
    procedure = procedure_of(rules)
    rows = [_row(rules, OPEN, "", procedure.initial.key, ())]
    rows += [
        _row(rules, STATE, state.key, state.key, ("reason",)) for state in procedure.states if not state.final
    ]
    for step in procedure.transitions:
        for state in step.from_states:
            rows.append(
                _row(rules, step.action, state, step.to_state, step.requires, publishes=step.publishes)
            )
            if step.action == APPLY and rules.disputes.ruling_applied_by == "both":
                rows.append(_row(rules, JOIN, state, state, ("reason",)))
    DisputeStep.objects.bulk_create(rows, ignore_conflicts=True)


def _row(
    rules: Regulation,
    action: str,
    from_state: str,
    to_state: str,
    requires: tuple[str, ...],
    *,
    publishes: bool = False,
) -> DisputeStep:
    state = procedure_of(rules).state(to_state)
    if state is None:
        raise KeyError(to_state)
    return DisputeStep(
        regulation=rules.id,
        action=action,
        from_state=from_state,
        to_state=to_state,
        phase=state.phase,
        final=state.final,
        requires=joined(requires),
        publishes=publishes,
    )
