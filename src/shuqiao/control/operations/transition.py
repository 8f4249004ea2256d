"""Open cases when another version of the rules comes into force: they keep the old one, or pass to the new.

The new regulation's `transition` says which; the texts are silent. A case passes only where the new one knows
its state with the same meaning. A term that runs already runs out under the rules it was started by; what
begins later begins under the new ones.
Source: guangzhou-2016 art. 50; xiamen-2015 art. 22; shenyang-2016 art. 30.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction

from shuqiao.control import clock
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.disputes.steps import register_steps
from shuqiao.control.outside.models import OutsideRequest, Publication
from shuqiao.control.projects.models import Project
from shuqiao.control.regulations.current import named, regulation
from shuqiao.control.requests.models import Request
from shuqiao.rules.regulation import OpenCases, Regulation

ACTOR = "system:rules"
BATCH = 500
"""So many cases pass in one run; the rest comes with the next."""


@dataclass(frozen=True)
class _Kind:
    """A kind of case: its table, its procedure, and who acts and who holds the information."""

    model: type[models.Model]
    procedure: str
    sides: tuple[str, str | None]
    prepare: Callable[[Regulation], None] = lambda rules: None  # noqa: ARG005 - most kinds need nothing


_KINDS = (
    _Kind(Request, "request", ("requester_id", "provider_id")),
    _Kind(OutsideRequest, "outside", ("requester_id", "provider_id")),
    _Kind(Publication, "publication", ("requester_id", "provider_id")),
    # The database accepts only steps of regulations it was told of.
    _Kind(Dispute, "dispute", ("applicant_id", "respondent_id"), register_steps),
    _Kind(Project, "project", ("lead_id", None)),
)


def pass_open_cases() -> int:
    """Let open cases pass to the regulation in force, where it says so; how many did. Safe to repeat."""
    rules = regulation()
    if rules.open_cases is not OpenCases.PASS:
        return 0
    return sum(_pass_kind(kind, rules) for kind in _KINDS)


def _pass_kind(kind: _Kind, rules: Regulation) -> int:
    rows: models.Manager[Any] = kind.model._default_manager
    older = rows.exclude(regulation=rules.id).order_by().values_list("regulation", flat=True).distinct()
    passed = 0
    for old in map(named, older):
        states = _shared_states(old, rules, kind.procedure)
        # Another city's rules are no other version of these.
        if old.region != rules.region or not states:
            continue
        kind.prepare(rules)
        open_cases = rows.filter(regulation=old.id, state__in=states, number__isnull=False)
        for key in list(open_cases.order_by("pk").values_list("pk", flat=True)[:BATCH]):
            passed += _pass_one(kind, key, old, rules)
    return passed


def _shared_states(old: Regulation, new: Regulation, key: str) -> list[str]:
    """The states of the old procedure that are not final and that the new one knows in the same phase."""
    before, after = old.procedures.get(key), new.procedures.get(key)
    if before is None or after is None:
        return []
    known = {state.key: state.phase for state in after.states if not state.final}
    return [s.key for s in before.states if not s.final and known.get(s.key) is s.phase]


@transaction.atomic
def _pass_one(kind: _Kind, key: object, old: Regulation, rules: Regulation) -> int:
    rows: models.Manager[Any] = kind.model._default_manager
    case = rows.select_for_update().filter(pk=key, regulation=old.id).first()
    if case is None or case.state not in _shared_states(old, rules, kind.procedure):
        return 0
    case.regulation = rules.id
    case.save(update_fields=["regulation"])
    acting, holding = kind.sides
    append_entry(
        "case_passed",
        actor=ACTOR,
        at=clock.now(),
        outcome=rules.id,
        department=getattr(case, acting),
        provider=getattr(case, holding) if holding else None,
        case_no=case.number,
        facts={"kind": kind.procedure, "from": old.id, "to": rules.id, "articles": [_article(rules)]},
    )
    return 1


def _article(rules: Regulation) -> str:
    return rules.cite(rules.open_cases_article)
