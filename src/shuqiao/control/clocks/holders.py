"""Who is told of a clock: those of the holder who can meet it; and what its term is called."""

from functools import lru_cache

from shuqiao.control.regulations.current import named
from shuqiao.rules.procedures import meets_term
from shuqiao.rules.regulation import Regulation


@lru_cache(maxsize=256)
def acting_capability(regulation_id: str, kind: str, deadline: str) -> str:
    """The one capability with which this term is met, or none where there are several or no procedure.

    Where a second person confirms an answer, whoever proposes it is meant as well.
    """
    rules = named(regulation_id)
    procedure = rules.procedures.get(kind)
    if procedure is None:
        return ""
    term = rules.deadline(deadline)
    able = {
        step.capability
        for step in procedure.transitions
        if step.capability and (step.proposes or (step.event and meets_term(term, step.event)))
    }
    return able.pop() if len(able) == 1 else ""


def deadline_words(rules: Regulation, deadline: str) -> dict[str, str]:
    """What a term is called, as parameters of a notice."""
    term = rules.deadline(deadline)
    return {"term_zh": term.zh, "term_en": term.en}
