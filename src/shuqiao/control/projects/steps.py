"""Taking one step of a project: facts, decision, and all that follows, in the caller's transaction."""

import uuid
from collections.abc import Mapping
from dataclasses import replace

from django.db.models import Q

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.clocks.actions import follow
from shuqiao.control.clocks.terms import CaseRef
from shuqiao.control.organisations.models import Department
from shuqiao.control.projects.access import sides_of
from shuqiao.control.projects.models import Project, ProjectEvent
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.wording import refusal_words
from shuqiao.rules.procedures import Accepted, Facts, Refusal, decide
from shuqiao.rules.regulation import SYSTEM, Phase

KIND = "project"


def decide_step(project: Project, action: str, viewer: Viewer | None) -> Accepted:
    """Let the project's regulation decide; every missing field is told at once as a fault of the form."""
    rules = named(project.regulation)
    facts = _facts(project, viewer)
    faults: list[Fault] = []
    for _ in range(20):
        decision = decide(
            rules.procedure(KIND),
            project.state,
            action,
            facts,
            capabilities=viewer.capabilities if viewer else frozenset(),
            regulation=rules,
            today=clock.today(),
        )
        if isinstance(decision, Accepted):
            break
        if not decision.field or decision.field in {fault.field for fault in faults}:
            if faults:
                break
            raise decision.error()
        faults.append(_fault_of(decision))
        facts = replace(facts, given={**facts.given, decision.field: True})
    if faults or isinstance(decision, Refusal):
        raise FormRefused(tuple(faults))
    return decision


def apply_step(
    project: Project, action: str, viewer: Viewer | None, accepted: Accepted, words: Mapping[str, object]
) -> uuid.UUID:
    """Write a decided step: state, event, clocks, audit entry and notices; return the entry's id."""
    now, before = clock.now(), project.state
    project.state, project.phase, project.changed_at = accepted.to_state, accepted.phase.value, now
    if accepted.phase == Phase.GRANTED and project.started_at is None:
        project.started_at = now
    if accepted.phase == Phase.CLOSED:
        project.ended_at = now
        project.ended_reason = str(words.get("reason", ""))[:500]
    project.save()
    entry = record(project, action, viewer, accepted.article, {"before": before, **words})
    ProjectEvent.objects.create(
        project=project,
        action=action,
        to_state=project.state,
        occurred_at=now,
        account_id=viewer.account_id if viewer else None,
        department_id=viewer.department.code if viewer else None,
        words=dict(words),
        article=accepted.article,
        entry_id=entry,
    )
    ref = CaseRef(KIND, project.number, project.lead_id)
    follow(ref, accepted, named(project.regulation), clock.legal_day(now))
    return entry


def record(
    project: Project, action: str, viewer: Viewer | None, article: str, facts: Mapping[str, object]
) -> uuid.UUID:
    """Append the audit entry of a step and return its id."""
    return append_entry(
        "project_step",
        actor=f"account:{viewer.username}" if viewer else "system:worker",
        at=clock.now(),
        outcome=project.state,
        department=viewer.department.code if viewer else project.lead_id,
        provider=project.lead_id,
        case_no=project.number,
        facts={"regulation": project.regulation, "action": action, "articles": [article], **facts},
    )


def tell_everybody(project: Project, occasion: str, but: str = "") -> None:
    """Tell lead, participants and providers, each department once."""
    codes = set(project.participants.values_list("department_id", flat=True))
    codes |= set(project.lines.values_list("user_id", flat=True))
    codes |= set(project.lines.values_list("resource__department_id", flat=True))
    codes.add(project.lead_id)
    for code in Department.objects.filter(code__in=codes).exclude(Q(code=but)).order_by("code"):
        notify(code.code, "project_moved", project.number, occasion=occasion)


def _facts(project: Project, viewer: Viewer | None) -> Facts:
    return Facts(
        case=project.number,
        sides=sides_of(viewer, project) if viewer else frozenset({SYSTEM}),
        given={
            "items": project.lines.exists(),
            "duty": project.duty_id,
            "purpose": project.purpose,
            "participants": project.participants.exists(),
        },
        valid_from=project.valid_from,
        valid_until=project.valid_until,
        actor=viewer.username if viewer else "",
    )


def _fault_of(refusal: Refusal) -> Fault:
    names = {"wanted_until": "valid_until"}
    return Fault(names.get(refusal.field, refusal.field), refusal.code, refusal_words(refusal))
