"""In the sample city the data of one entry stay with their department, and two systems may ask its node."""

from datetime import datetime

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.offering import is_held
from shuqiao.control.catalogue.services import keep_at_node
from shuqiao.control.operations import sample
from shuqiao.control.organisations.models import Duty
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import AnswerInput, RequestInput
from shuqiao.rules.ids import resource_id
from shuqiao.rules.procedures import latest_until
from shuqiao.rules.regulation import Regulation

REASON = "核对申请家庭名下车辆"


def seed_held(regulation: Regulation, asking: Viewer, provider: Viewer, on: datetime) -> None:
    """Keep the sample entry at its department, and grant housing a verification and a query of it.

    A second call changes nothing. Where the regulation in force has not published the entry, there is none.
    """
    entry = Resource.objects.filter(
        pk=resource_id(regulation.region, sample.HELD_KEY), state="published"
    ).first()
    if entry is None or is_held(entry):
        return
    with clock.fixed(on):
        keep_at_node(provider, entry.id)
        for mode, fields in (("verify", sample.HELD_VERIFIED), ("query", sample.HELD_QUERIED)):
            _grant(regulation, entry, (asking, provider), mode, fields)


def _grant(
    regulation: Regulation, entry: Resource, sides: tuple[Viewer, Viewer], mode: str, fields: tuple[str, ...]
) -> None:
    asking, provider = sides
    until = latest_until(clock.today(), regulation.period.maximum_months)
    number = submit_request(
        asking,
        RequestInput(
            resource=entry.id,
            mode=mode,
            duty=Duty.objects.get(department_id=asking.department.code, number=1).pk,
            purpose="公租房申请家庭车辆核对（示例）",
            case_wording="办件编号",
            items=dict.fromkeys(fields, REASON),
            applications=sample.HELD_APPLICATIONS,
            accepted_conditions=tuple(condition.key for condition in regulation.conditions),
            wanted_until=until,
        ),
    )
    answer_request(
        provider,
        number,
        AnswerInput(decisions=dict.fromkeys(fields, True), mode=mode, match="each", valid_until=until),
    )
