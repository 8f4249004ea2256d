"""Each requirement of the dispute procedure, from its first step to its last, through the actions."""

from shuqiao.control.disputes.models import Dispute, DisputeEvent
from tests.control.conftest import NOW


def test_whole_way_to_execution(story, owner):
    """Negotiation, joint review, ruling, execution: every step in its place, each with its document."""
    number = story.open("R-2026-0001")
    story.to_ruled(number)
    owner.provided.add("R-2026-0001")
    story.take("zheng", number, "execute")
    events = list(DisputeEvent.objects.filter(dispute__number=number).select_related("record"))
    assert [event.action for event in events] == [
        *("open", "fail", "schedule", "opine", "opine", "opine"),
        *("review_open", "apply_ruling", "rule_share", "execute"),
    ]
    assert all(event.record.size_bytes > 0 and event.article and event.occurred_at == NOW for event in events)
    assert owner.told == [("R-2026-0001", True, number)]
    dispute = Dispute.objects.get(number=number)
    assert (dispute.state, dispute.final, dispute.shared) == ("executed", True, True)
