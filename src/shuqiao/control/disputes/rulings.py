"""Applying for a ruling of the government in writing; the platform writes the application as a PDF.

Source: guangzhou-2016 art. 35(2).
"""

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.disputes.access import access_dispute_locked
from shuqiao.control.disputes.advance import KIND, Step, advance, decide_step, stay
from shuqiao.control.disputes.application_pdf import ApplicationText, Attached, Line, Party, write_pdf
from shuqiao.control.disputes.inputs import StepInput
from shuqiao.control.disputes.models import Dispute, DisputeEvent, RulingApplication
from shuqiao.control.disputes.steps import APPLY, JOIN, action_label, procedure_of, rules_of, steps_from
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.documents.models import Document
from shuqiao.control.organisations.queries import department_refs
from shuqiao.control.regulations.current import named
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.procedures import Accepted
from shuqiao.rules.regulation import SIDES, Regulation

PDF_NAME = "裁定申请书"


@transaction.atomic
def apply_for_ruling(viewer: Viewer, number: str, reason: str, document: FileInput | None = None) -> bool:
    """Apply for a ruling; where the regulation wants both parties, the first application waits for the other.

    Returns whether the application has gone out. Raises `FormRefused` or the refusal's error.
    """
    dispute = access_dispute_locked(viewer, number)
    step = Step(APPLY, viewer, StepInput(reason=reason.strip(), document=document))
    accepted = decide_step(dispute, step)
    _refuse_second(dispute, viewer)
    if _waits_for_other(dispute, viewer):
        _join(dispute, step, accepted)
        return False
    advance(dispute, Step(APPLY, viewer, step.given, written=_written(dispute, viewer, step.given.reason)))
    _keep(dispute, viewer, step.given.reason)
    return True


def _refuse_second(dispute: Dispute, viewer: Viewer) -> None:
    if dispute.ruling_applications.filter(department_id=viewer.department.code).exists():
        words = Text("本单位已提请裁定，待另一方提请", "Your body has applied already; the other has not yet")
        raise FormRefused((Fault("reason", "already_applied", words),))


def _waits_for_other(dispute: Dispute, viewer: Viewer) -> bool:
    if rules_of(dispute).disputes.ruling_applied_by != "both":
        return False
    applied = set(dispute.ruling_applications.values_list("department_id", flat=True))
    return not {dispute.applicant_id, dispute.respondent_id} <= applied | {viewer.department.code}


def _join(dispute: Dispute, step: Step, accepted: Accepted) -> None:
    """Record the first party's application; the state stays as it is."""
    stay(dispute, Step(JOIN, step.viewer, step.given), accepted.article)
    if step.viewer is not None:
        _keep(dispute, step.viewer, step.given.reason)


def _keep(dispute: Dispute, viewer: Viewer, reason: str) -> None:
    event = DisputeEvent.objects.get(dispute=dispute, sequence=dispute.step)
    RulingApplication.objects.create(
        dispute=dispute,
        department_id=viewer.department.code,
        account_id=viewer.account_id,
        reason=reason,
        applied_at=event.occurred_at,
        entry_id=event.entry_id,
    )


def _written(dispute: Dispute, viewer: Viewer, reason: str) -> FileInput:
    """Write the application with all that has happened and every document of the case."""
    names = {code: one.name.zh for code, one in department_refs().items()}
    earlier = dispute.ruling_applications.select_related("account").all()
    parties = [
        Party(names[one.department_id], one.account.display_name, one.applied_at, one.reason)
        for one in earlier
    ]
    parties.append(Party(viewer.department.name.zh, viewer.display_name, clock.now(), reason))
    rules = rules_of(dispute)
    article = next(step.article for step in procedure_of(rules).transitions if step.action == APPLY)
    text = ApplicationText(
        number=dispute.number,
        addressee=_addressee(dispute, rules),
        applicant=names[dispute.applicant_id],
        respondent=names[dispute.respondent_id],
        matter=dispute.subject or dispute.case_number or dispute.number,
        reason=dispute.reason,
        article=_ground(rules.cite(article)),
        parties=tuple(parties),
        history=tuple(_line(dispute, event, names) for event in dispute.events.select_related("account")),
        documents=tuple(_attached(one) for one in Document.objects.filter(kind=KIND, number=dispute.number)),
    )
    return FileInput(f"{dispute.number}-{PDF_NAME}.pdf", write_pdf(text))


def _addressee(dispute: Dispute, rules: Regulation) -> str:
    """Whoever takes the step after the application, as the regulation calls it."""
    applied = procedure_of(rules).transition(APPLY, dispute.state)
    after = steps_from(rules, applied.to_state) if applied else ()
    roles = {role for step in after for role in step.by - SIDES}
    return "、".join(role.zh for role in rules.body_roles if role.key in roles)


def _ground(citation: str) -> str:
    """An article with the full title of its regulation: 《……实施细则》第三十五条第二款."""
    ref = article_ref(citation)
    source = named(ref.regulation)
    return f"《{source.title.zh}》{ref.cite.zh.removeprefix(source.short.zh).strip()}"


def _clause(citation: str) -> str:
    """An article in the words of a document: 细则 第三十五条第二款."""
    return article_ref(citation).cite.zh


def _line(dispute: Dispute, event: DisputeEvent, names: dict[str, str]) -> Line:
    texts = (
        ("协商记录 Minutes", event.minutes),
        ("结果 Result", event.result),
        ("意见 Opinion", event.opinion),
        ("理由 Reason", event.reason),
    )
    return Line(
        at=event.occurred_at,
        label=action_label(rules_of(dispute), event.action).zh,
        by=names.get(event.department_id or "", "平台"),
        article=_clause(event.article),
        texts=tuple((heading, words) for heading, words in texts if words),
    )


def _attached(document: Document) -> Attached:
    return Attached(document.name, document.sha256, document.size_bytes, bytes(document.content))
