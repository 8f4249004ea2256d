"""The clocks the worker watches. Each job may run late, twice, or beside another worker."""

from collections.abc import Callable

from django.contrib.sessions.backends.db import SessionStore
from procrastinate import JobContext, builtin_tasks
from procrastinate.contrib.django import app

from shuqiao.control.accounts.actions import forget_old_attempts
from shuqiao.control.compiling.interface.signed import forget_used_signatures
from shuqiao.control.operations.daily import CLOCK_JOBS
from shuqiao.control.operations.keeping import keep_log
from shuqiao.control.operations.mail import address_notices, send_mails
from shuqiao.control.operations.volumes import state_volumes


def _watch(name: str, cron: str, work: Callable[[], int]) -> None:
    """Let the worker do something at these times, one at a time."""

    @app.periodic(cron=cron)
    @app.task(name=name, queueing_lock=name, pass_context=False)
    def run(timestamp: int) -> int:
        # The worker names the time at which the job was due; what is to be done is what is due now.
        del timestamp
        return work()


def mail_notices() -> int:
    """Send by mail what the pages tell; what could not be sent is tried again."""
    address_notices()
    return send_mails()


def tidy_up() -> int:
    """Delete sessions that have run out, sign-in attempts and used signatures that no longer count."""
    SessionStore.clear_expired()
    return forget_old_attempts() + forget_used_signatures()


@app.periodic(cron="40 3 * * *")
@app.task(name="remove_old_jobs", queueing_lock="remove_old_jobs", pass_context=True)
async def remove_old_jobs(context: JobContext, timestamp: int) -> None:
    """Delete the records of jobs that ended more than three days ago."""
    del timestamp
    await builtin_tasks.remove_old_jobs(
        context, max_hours=72, remove_failed=True, remove_cancelled=True, remove_aborted=True
    )


for _job in CLOCK_JOBS:
    _watch(_job.name, "*/5 * * * *", _job.run)
_watch("mail_notices", "* * * * *", mail_notices)
_watch("keep_log", "10 3 * * *", keep_log)
_watch("state_volumes", "*/5 * * * *", state_volumes)
_watch("tidy_up", "20 3 * * *", tidy_up)
