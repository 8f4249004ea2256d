"""The clocks the worker watches. Each job may run late, twice, or beside another worker."""

from django.contrib.sessions.backends.db import SessionStore
from procrastinate import JobContext, builtin_tasks
from procrastinate.contrib.django import app

from shuqiao.control.accounts.actions import forget_old_attempts
from shuqiao.control.compiling.interface.signed import forget_used_signatures
from shuqiao.control.operations.daily import CLOCK_JOBS, ClockJob
from shuqiao.control.operations.keeping import keep_log
from shuqiao.control.operations.mail import address_notices, send_mails
from shuqiao.control.operations.volumes import state_volumes


def _watch(job: ClockJob) -> None:
    """Let the worker run a job of the calendar every five minutes, one at a time."""

    @app.periodic(cron="*/5 * * * *")
    @app.task(name=job.name, queueing_lock=job.name, pass_context=False)
    def run(timestamp: int) -> int:  # noqa: ARG001 - procrastinate passes it
        return job.run()


for _job in CLOCK_JOBS:
    _watch(_job)


@app.periodic(cron="* * * * *")
@app.task(name="mail_notices", queueing_lock="mail_notices", pass_context=False)
def mail_notices(timestamp: int) -> int:  # noqa: ARG001 - procrastinate passes it
    """Send by mail what the pages tell; what could not be sent is tried again."""
    address_notices()
    return send_mails()


@app.periodic(cron="10 3 * * *")
@app.task(name="keep_log", queueing_lock="keep_log", pass_context=False)
def keep_audit_log(timestamp: int) -> int:  # noqa: ARG001 - procrastinate passes it
    """Make room in the audit log for the months to come; remove what its retention no longer keeps."""
    return keep_log()


@app.periodic(cron="*/5 * * * *")
@app.task(name="state_volumes", queueing_lock="state_volumes", pass_context=False)
def state_server_volumes(timestamp: int) -> int:  # noqa: ARG001 - procrastinate passes it
    """State whether the volumes under the servers are encrypted; what is stated already costs one look."""
    return state_volumes()


@app.periodic(cron="20 3 * * *")
@app.task(name="tidy_up", queueing_lock="tidy_up", pass_context=False)
def tidy_up(timestamp: int) -> int:  # noqa: ARG001 - procrastinate passes it
    """Delete sessions that have run out, sign-in attempts and used signatures that no longer count."""
    SessionStore.clear_expired()
    return forget_old_attempts() + forget_used_signatures()


@app.periodic(cron="40 3 * * *")
@app.task(name="remove_old_jobs", queueing_lock="remove_old_jobs", pass_context=True)
async def remove_old_jobs(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - procrastinate passes it
    """Delete the records of jobs that ended more than three days ago."""
    await builtin_tasks.remove_old_jobs(
        context, max_hours=72, remove_failed=True, remove_cancelled=True, remove_aborted=True
    )
