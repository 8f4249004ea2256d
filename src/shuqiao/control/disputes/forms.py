"""What a viewer may do in a dispute now: each step with its fields, or why it can't be taken yet."""

from dataclasses import dataclass, replace

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.disputes.advance import Step, facts_of, is_provided, possible_steps
from shuqiao.control.disputes.inputs import StepInput
from shuqiao.control.disputes.models import Dispute, DisputeEvent
from shuqiao.control.disputes.steps import APPLY, SCHEDULE, WITHDRAW, procedure_of, rules_of
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.regulations.wording import refusal_words
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import Accepted, Refusal, decide
from shuqiao.rules.regulation import Transition

FIELDS = ("minutes", "result", "opinion", "reason", "decided_on", "document")
"""The words of a file that a form has a field for."""


@dataclass(frozen=True)
class StepForm:
    """A step the viewer may take; `blocked` says why not yet. `fields` are those its form shows."""

    action: str
    label: Text
    article: ArticleRef
    fields: tuple[str, ...]
    required: frozenset[str]
    blocked: Text | None
    is_danger: bool


def step_forms(viewer: Viewer, dispute: Dispute) -> tuple[StepForm, ...]:
    """Return the steps open to the viewer; those with pages of their own are left to these pages."""
    steps = [step for step in possible_steps(viewer, dispute) if step.action not in (SCHEDULE, APPLY)]
    return tuple(_form(viewer, dispute, step) for step in steps if not _has_opined(viewer, dispute, step))


def may_apply(viewer: Viewer, dispute: Dispute) -> bool:
    """Tell whether the viewer's body may apply for a ruling now."""
    steps = possible_steps(viewer, dispute)
    applied = dispute.ruling_applications.filter(department_id=viewer.department.code).exists()
    return any(step.action == APPLY for step in steps) and not applied


def _has_opined(viewer: Viewer, dispute: Dispute, step: Transition) -> bool:
    if "opinion" not in step.requires:
        return False
    own = DisputeEvent.objects.filter(dispute=dispute, department_id=viewer.department.code)
    return own.exclude(opinion="").exists()


def _form(viewer: Viewer, dispute: Dispute, step: Transition) -> StepForm:
    asked = [word for word in FIELDS if word in step.requires]
    if "result" in asked or "opinion" in asked:
        # The outcome, or the stance, stands beside the words.
        asked.append("shared")
    if "provided" in step.requires and is_provided(dispute) is None:
        asked.append("provided")
    if "document" not in asked:
        asked.append("document")
    return StepForm(
        action=step.action,
        label=Text(step.zh, step.en),
        article=article_ref(step.article, dispute.regulation),
        fields=tuple(asked),
        required=frozenset(step.requires),
        blocked=_blocked(viewer, dispute, step),
        is_danger=step.action == WITHDRAW or bool(step.bars),
    )


def _blocked(viewer: Viewer, dispute: Dispute, step: Transition) -> Text | None:
    """Ask the rules as if the form were filled: what they still refuse is nothing a form can give."""
    facts = facts_of(dispute, Step(step.action, viewer, StepInput()))
    filled = {word: True for word in facts.given if word != "provided"}
    known = is_provided(dispute)
    decision: Accepted | Refusal = decide(
        procedure_of(rules_of(dispute)),
        dispute.state,
        step.action,
        replace(facts, given={**filled, "provided": True if known is None else known}),
        capabilities=viewer.capabilities,
        regulation=rules_of(dispute),
        today=clock.today(),
    )
    if isinstance(decision, Accepted):
        return None
    if decision.field == "provided":
        return Text("信息尚未提供", "The information has not been provided yet")
    if decision.field == "opinions":
        return Text("尚有会审成员未发表意见", "Some members have not given their opinion yet")
    return refusal_words(decision)
