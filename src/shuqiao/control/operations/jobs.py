"""The clocks the worker watches. Each job may run late, twice, or beside another worker."""

from procrastinate.contrib.django import app

from shuqiao.control.grants.actions import expire_grants
from shuqiao.control.requests.actions import escalate_overdue


@app.periodic(cron="*/5 * * * *")
@app.task(name="escalate_overdue", queueing_lock="escalate_overdue", pass_context=False)
def escalate_overdue_requests(timestamp: int) -> int:  # noqa: ARG001 - procrastinate passes it
    """Open negotiation for requests that were not answered in time."""
    return escalate_overdue()


@app.periodic(cron="*/5 * * * *")
@app.task(name="expire_grants", queueing_lock="expire_grants", pass_context=False)
def expire_ended_grants(timestamp: int) -> int:  # noqa: ARG001 - procrastinate passes it
    """End grants whose last day is over."""
    return expire_grants()
