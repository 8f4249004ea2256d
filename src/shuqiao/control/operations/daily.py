"""The jobs that follow the calendar: what the worker runs every few minutes and a simulation once a day.

Each may run late, twice, or beside another worker, and returns how many cases it has moved.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shuqiao.control.alarms.comparing import watch_node_logs
from shuqiao.control.alarms.watching import watch_usage
from shuqiao.control.basedata.citations import store_citations
from shuqiao.control.catalogue.period import end_entries
from shuqiao.control.catalogue.platforms import open_district_lists
from shuqiao.control.catalogue.use import count_use
from shuqiao.control.clocks.reminders import remind
from shuqiao.control.disputes.actions import execute_provided
from shuqiao.control.disputes.sessions import collect_for_review
from shuqiao.control.exchange.clearances import store_demands, watch_clearances
from shuqiao.control.exchange.reconciling import (
    ask_scheduled,
    watch_held_removals,
    watch_reconciliations,
)
from shuqiao.control.exchange.screening import watch_screened
from shuqiao.control.exchange.structures import watch_structures
from shuqiao.control.exchange.watching import watch_silence, watch_unacknowledged
from shuqiao.control.finding.subscriptions import tell
from shuqiao.control.grants.actions import expire_grants
from shuqiao.control.grants.ending import call_back_late, end_withdrawn
from shuqiao.control.interconnection.certificates import watch_connections
from shuqiao.control.interconnection.watching import watch_rectification
from shuqiao.control.onesource.register import keep_in_step
from shuqiao.control.operations.expiry import warn_of_expiry
from shuqiao.control.operations.transition import pass_open_cases
from shuqiao.control.projects.ending import end_finished
from shuqiao.control.recalls.watching import watch_recalls
from shuqiao.control.requests.actions import escalate_overdue
from shuqiao.control.requests.granting import open_begun
from shuqiao.control.updating.schedule import watch_cycles
from shuqiao.control.updating.watching import follow_updates
from shuqiao.control.upkeep.maintenance import watch_upkeep


@dataclass(frozen=True)
class ClockJob:
    """One job: its stable name, what it does in words, and the function."""

    name: str
    words: str
    run: Callable[[], int]


CLOCK_JOBS = (
    ClockJob("end_entries", "catalogue entries whose sharing period is over", end_entries),
    ClockJob("open_district_lists", "lists opened on the platforms of districts", open_district_lists),
    ClockJob("keep_sources", "entries brought into step with the register of sources", keep_in_step),
    ClockJob("pass_open_cases", "cases passed to the regulation in force", pass_open_cases),
    ClockJob("escalate_overdue", "requests moved on because their term ran out", escalate_overdue),
    ClockJob("open_begun", "grants that came into force", open_begun),
    ClockJob("execute_provided", "disputes ended because the information was provided", execute_provided),
    ClockJob("collect_for_review", "disputes collected for the joint review", collect_for_review),
    ClockJob("end_projects", "special projects ended with all that was given in their name", end_finished),
    ClockJob("expire_grants", "grants ended", expire_grants),
    ClockJob("end_withdrawn", "grants ended as their entry was taken out", end_withdrawn),
    ClockJob("call_back_late", "recalls that name what was on its way", call_back_late),
    ClockJob("watch_recalls", "recalls of copies that are overdue", watch_recalls),
    ClockJob(
        "store_citations", "citations of the regulation in force brought to the data plane", store_citations
    ),
    ClockJob("watch_upkeep", "full maintenance of catalogues opened, ending or over", watch_upkeep),
    ClockJob("warn_of_expiry", "warnings that the regulation in force ends", warn_of_expiry),
    ClockJob("watch_usage", "alarms raised over unusual use", watch_usage),
    ClockJob(
        "watch_node_logs", "alarms raised over logs of nodes that differ or are overdue", watch_node_logs
    ),
    ClockJob("store_demands", "reviews that the regulation in force demands of data", store_demands),
    ClockJob("watch_clearances", "reviews that are missing or end soon", watch_clearances),
    ClockJob("watch_screened", "rows that nodes hold by the rules of screening", watch_screened),
    ClockJob("watch_silence", "nodes that fell silent", watch_silence),
    ClockJob("watch_unacknowledged", "tables whose batches are not acknowledged", watch_unacknowledged),
    ClockJob("watch_connections", "business systems that are connected no more", watch_connections),
    ClockJob("watch_rectification", "systems that were not put right in time", watch_rectification),
    ClockJob("ask_reconciliations", "tables to be held against their source", ask_scheduled),
    ClockJob("watch_reconciliations", "reconciliations that have ended", watch_reconciliations),
    ClockJob("watch_held_removals", "removals that nodes hold back", watch_held_removals),
    ClockJob("watch_structures", "sources whose columns changed", watch_structures),
    ClockJob("watch_cycles", "cycles of entries that ended without a delivery", watch_cycles),
    ClockJob("follow_updates", "changes of data met, overdue, told or confirmed", follow_updates),
    ClockJob("count_use", "entries whose figures of use were counted", count_use),
    ClockJob("tell_followers", "changes of the sharing catalogue told to those who follow them", tell),
    ClockJob("remind_of_terms", "reminders and notices of terms run out", lambda: remind().total),
)
"""In the order of a day: what runs out first moves its case, then what is left is told of."""


def run_clock_jobs() -> tuple[tuple[ClockJob, int], ...]:
    """Run every job once, as a day of the office does; return those that moved something, and how much."""
    done = [(job, job.run()) for job in CLOCK_JOBS]
    return tuple((job, count) for job, count in done if count)
