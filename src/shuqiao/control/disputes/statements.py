"""A party states its position, with a document where it has one; only the co-ordinator keeps the minutes."""

from django.db import transaction

from shuqiao.control.accounts.access import Fault, FormRefused, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.disputes.access import access_dispute_locked
from shuqiao.control.disputes.advance import Step, stay
from shuqiao.control.disputes.inputs import StepInput, too_long
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.disputes.steps import STATE, action_label, rules_of, state_label
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.texts import Text
from shuqiao.rules.errors import PermissionDenied, TransitionRefused


def may_state(viewer: Viewer, dispute: Dispute) -> bool:
    """Tell whether the viewer may speak for a party of a dispute that is still open."""
    return _is_party(viewer, dispute) and not dispute.final


def _is_party(viewer: Viewer, dispute: Dispute) -> bool:
    own = viewer.department.code in (dispute.applicant_id, dispute.respondent_id)
    return own and viewer.can(Capability.DISPUTE_OPEN)


@transaction.atomic
def state_position(viewer: Viewer, number: str, words: str, document: FileInput | None = None) -> None:
    """Put a party's statement into the case; both sides and the co-ordinator are told.

    Raises `FormRefused` or the refusal's error, with nothing written.
    """
    dispute = access_dispute_locked(viewer, number)
    rules = rules_of(dispute)
    named = action_label(rules, STATE)
    if not _is_party(viewer, dispute):
        raise PermissionDenied(action=str(named), rule=dispute.article)
    if dispute.final:
        state = state_label(rules, dispute.state)
        raise TransitionRefused(case=number, state=str(state), action=str(named), rule=dispute.article)
    given = StepInput(reason=words, document=document).stripped()
    faults = too_long(given, ("reason",))
    if not given.reason:
        needed = Text("请写明陈述内容", "Say what your position is")
        faults.append(Fault("reason", "field_required", needed))
    if faults:
        raise FormRefused(tuple(faults))
    stay(dispute, Step(STATE, viewer, given), dispute.article)
