"""The clocks the worker watches. Each job may run late, twice, or beside another worker."""

from django.contrib.sessions.backends.db import SessionStore
from procrastinate import JobContext, builtin_tasks
from procrastinate.contrib.django import app

from shuqiao.control.accounts.actions import forget_old_attempts
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


@app.periodic(cron="20 3 * * *")
@app.task(name="tidy_up", queueing_lock="tidy_up", pass_context=False)
def tidy_up(timestamp: int) -> int:  # noqa: ARG001 - procrastinate passes it
    """Delete sessions that have run out and sign-in attempts that no longer count."""
    SessionStore.clear_expired()
    return forget_old_attempts()


@app.periodic(cron="40 3 * * *")
@app.task(name="remove_old_jobs", queueing_lock="remove_old_jobs", pass_context=True)
async def remove_old_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes it
    """Delete the records of jobs that ended more than three days ago."""
    await builtin_tasks.remove_old_jobs(
        context, max_hours=72, remove_failed=True, remove_cancelled=True, remove_aborted=True
    )
