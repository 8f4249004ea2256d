"""In the sample city a department's node follows a list: the grant under which it may."""

from datetime import date, datetime

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.grants.models import Grant
from shuqiao.control.operations import sample
from shuqiao.control.organisations.models import Duty
from shuqiao.control.requests.actions import submit_request
from shuqiao.control.requests.answering import answer_request
from shuqiao.control.requests.inputs import AnswerInput, RequestInput
from shuqiao.rules.ids import resource_id
from shuqiao.rules.procedures import latest_until
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.rows import Row

_MODE = "bulk"
_CHANNELS = ("interface",)
_ROWS = (Row("household_town_or_subdistrict", "in", sample.FEED_TOWNS),)


def seed_feed(regulation: Regulation, asking: Viewer, provider: Viewer, on: datetime) -> None:
    """Grant the sample system the residents of its towns; a second call changes nothing.

    Where the regulation in force doesn't offer the list in bulk, there is no grant.
    """
    entry = Resource.objects.filter(pk=resource_id(regulation.region, sample.FEED_KEY)).first()
    if entry is None or _MODE not in entry.modes:
        return
    if Grant.objects.filter(applications=sample.FEED_APPLICATION).exists():
        return
    with clock.fixed(on):
        number = submit_request(asking, _request(regulation, asking, entry))
        answer_request(
            provider,
            number,
            AnswerInput(
                decisions=dict.fromkeys(sample.FEED_ITEMS, True),
                mode=_MODE,
                valid_until=_until(regulation),
            ),
        )


def _request(regulation: Regulation, asking: Viewer, entry: Resource) -> RequestInput:
    return RequestInput(
        resource=entry.id,
        mode=_MODE,
        duty=Duty.objects.get(department_id=asking.department.code, number=1).pk,
        purpose="公租房片区户籍人口变动（示例）",
        items=sample.FEED_ITEMS,
        applications=(sample.FEED_APPLICATION,),
        accepted_conditions=tuple(condition.key for condition in regulation.conditions),
        wanted_until=_until(regulation),
        channels=_CHANNELS,
        rows=_ROWS,
    )


def _until(regulation: Regulation) -> date:
    return latest_until(clock.today(), regulation.period.maximum_months)
