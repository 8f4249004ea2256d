"""The worker's clocks: every job is known by its name, one at a time, and takes the time it was due."""

from procrastinate.contrib.django import app

from shuqiao.control.operations import jobs
from shuqiao.control.operations.daily import CLOCK_JOBS

OTHERS = {
    "mail_notices": "* * * * *",
    "keep_log": "10 3 * * *",
    "state_volumes": "*/5 * * * *",
    "tidy_up": "20 3 * * *",
    "remove_old_jobs": "40 3 * * *",
}


def test_every_job_of_the_calendar_has_its_clock_and_its_lock():
    known = {one.task.name: one for one in app.periodic_registry.periodic_tasks.values()}
    wanted = OTHERS | dict.fromkeys((job.name for job in CLOCK_JOBS), "*/5 * * * *")
    assert {name: known[name].cron for name in wanted} == wanted
    assert {name: known[name].task.queueing_lock for name in wanted} == {name: name for name in wanted}


def test_a_job_takes_the_time_it_was_due():
    done = []
    jobs._watch("sample_of_a_test", "0 0 1 1 *", lambda: done.append(1) or len(done))
    try:
        assert app.tasks["sample_of_a_test"](timestamp=0) == 1
    finally:
        del app.tasks["sample_of_a_test"]
        del app.periodic_registry.periodic_tasks["sample_of_a_test", ""]
