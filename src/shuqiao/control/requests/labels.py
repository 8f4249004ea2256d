"""Words for the states and steps of requests, drawn from the regulation where it names them."""

from shuqiao.control.regulations.current import named
from shuqiao.control.requests.models import KIND
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Phase

OWN_STEPS = {
    "duty_confirmed": Text("职权核对相符", "Duty confirmed against the register"),
    "provided": Text("授权开通，信息已提供", "Access open, information provided"),
    "must_share": Text(
        "争议决定：应当共享，待提供方答复", "Dispute decided: to be shared, provider to answer"
    ),
}
"""Steps of our own that no regulation file names."""

PHASES = {
    Phase.DRAFT: Text("草稿", "Draft"),
    Phase.WAITING: Text("办理中", "Under way"),
    Phase.GRANTED: Text("已同意", "Granted"),
    Phase.REFUSED: Text("不予共享", "Refused"),
    Phase.DISPUTED: Text("争议中", "In dispute"),
    Phase.CLOSED: Text("已办结", "Closed"),
}


def state_label(regulation: str, state: str, kind: str = KIND) -> Text:
    """Name a state of a request (or another kind of case) in the words of its regulation."""
    found = named(regulation).procedure(kind).state(state)
    return Text(found.zh, found.en) if found else Text(state, state)


def step_label(regulation: str, code: str, from_state: str, to_state: str) -> Text:
    """Name a step of a request's history in the words of its regulation."""
    if code in OWN_STEPS:
        return OWN_STEPS[code]
    steps = [step for step in named(regulation).procedure(KIND).transitions if step.action == code]
    exact = [step for step in steps if from_state in step.from_states and step.to_state == to_state]
    chosen = next(iter(exact or steps), None)
    return Text(chosen.zh, chosen.en) if chosen else Text(code, code)
