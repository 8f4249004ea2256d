"""Words for the states and steps of requests, drawn from the regulation where it names them."""

from shuqiao.control.regulations.current import named
from shuqiao.control.texts import Text

EVENTS = {
    "submitted": Text("提交申请", "Request submitted"),
    "duty_confirmed": Text("职权核对相符", "Duty confirmed against the register"),
    "answered": Text("答复", "Answered"),
    "escalated": Text("逾期，自动转入协商", "Overdue: negotiation opened"),
    "disputed": Text("申请方提请协商", "Requester asked for negotiation"),
    "withdrawn": Text("申请方撤回", "Withdrawn by the requester"),
}


def state_label(regulation: str, state: str) -> Text:
    """Name a state of a request in the words of its regulation."""
    found = named(regulation).procedure("request").state(state)
    return Text(found.zh, found.en) if found else Text(state, state)


def event_label(code: str) -> Text:
    """Name a step of a request's history."""
    return EVENTS.get(code, Text(code, code))
