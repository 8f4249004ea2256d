"""What a dispute about a request outside the catalogue does to it; called in the dispute's transaction."""

from shuqiao.control.outside.models import OutsideRequest
from shuqiao.control.outside.steps import Step, add_event, apply_step, decide_step, record
from shuqiao.control.regulations.current import named
from shuqiao.rules.errors import TransitionRefused
from shuqiao.rules.regulation import SETTING, Phase

SETTLE_NO = "settle_no"
SETTLED_YES = "settled_yes"


def lock(number: str) -> None:
    """Lock a case before its dispute, as every action on it does."""
    OutsideRequest.objects.select_for_update().filter(number=number).first()


def settle(number: str, shared: bool, dispute: str) -> None:
    """Take in what a dispute has decided: not shared ends the case, shared leaves it to the holder to agree.

    A case that has gone on by itself meanwhile is left as it is. Source: guangzhou-2016 art. 36.
    """
    case = OutsideRequest.objects.select_for_update().get(number=number)
    if case.phase != Phase.DISPUTED:
        return
    if shared:
        _note_decision(case, dispute)
        return
    step = Step(SETTLE_NO, None, {"dispute": dispute})
    try:
        accepted = decide_step(case, step)
    except TransitionRefused:
        return
    apply_step(case, step, accepted)


def is_provided(number: str) -> bool:
    """Tell whether the holder has agreed to provide what was asked for."""
    return OutsideRequest.objects.filter(number=number, phase=Phase.GRANTED.value).exists()


def _note_decision(case: OutsideRequest, dispute: str) -> None:
    rules = named(case.regulation)
    agreeing = rules.procedure("outside").action("agree")
    article = rules.cite(agreeing.article if agreeing else SETTING)
    step = Step(SETTLED_YES, None, {"dispute": dispute})
    entry = record(case, step, case.state, {"articles": [article]})
    add_event(case, step, case.state, article, entry)
