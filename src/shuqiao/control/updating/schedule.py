"""Deliveries by cycle: what was to come and what came, period by period.

What the platform keeps is delivered by batches or files; a node that is heard and has nothing waiting is up
to date as well. Held records and proxied interfaces are answered where they lie: nothing is delivered.
Source: guangzhou-2016 art. 30(1); guangzhou-2019 art. 11(3); shenyang-2016 art. 11(3), 26;
xiamen-2015 art. 7; UPD-07.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from shuqiao.control import clock
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.labels import UPDATE_CYCLES, label
from shuqiao.control.catalogue.models import Resource, Service, ServiceKind
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.exchange.readings import NodeReading, read_nodes
from shuqiao.control.exchange.words import is_silent
from shuqiao.control.organisations.bodies import COMPETENT, bodies_with
from shuqiao.control.regulations.current import calendar
from shuqiao.control.regulations.queries import ArticleRef, article_ref
from shuqiao.control.texts import Text
from shuqiao.control.updating import ledger
from shuqiao.control.updating.duties import Duty, duties_of
from shuqiao.control.updating.hindrances import hindrance_in, hindrances_now
from shuqiao.control.updating.models import Hindrance, MissedCycle, Supply
from shuqiao.rules.regulation import SETTING, Regulation
from shuqiao.rules.updating import Period, Periods, periods

EVENT = "cycle_missed"
CYCLE_MATTER = "catalogue_entry"
"""The text has the catalogue say how often an entry is updated; its rules of updating speak of changes."""
_UP = frozenset({"up", "loading"})


@dataclass(frozen=True)
class ScheduleRow:
    """One entry's cycle and how it stands: `missed` is the newest missed period, if nothing came since.

    `article` is what the cycle rests on, `duty` the rule by which a change is brought.
    """

    resource: str
    department: str
    name: Text
    cycle: Text
    duty: Duty | None
    running: Period | None
    current_on: date | None
    missed: MissedCycle | None
    hindrance: Hindrance | None
    article: ArticleRef

    @property
    def is_late(self) -> bool:
        """The newest period that is over brought nothing, and nothing has come since."""
        return self.missed is not None


def watch_cycles(today: date | None = None) -> int:
    """Note what is up to date, and flag each period that ended without a delivery; return how many.

    A period is judged that was watched from its first day on and in which the worker ran. Days are real
    ones: `today` is a day of the database's clock. Safe late, twice, and beside another worker; an entry that
    was looked at today is looked at again when it has become up to date.
    """
    day = today or ledger.real_day()
    entries = delivered_entries()
    current = current_days(entries, day)
    known = Supply.objects.filter(watched_on__gte=day).in_bulk([one.id for one in entries])
    left = [one for one in entries if not _is_noted(known.get(one.id), current.get(one.id))]
    duties = duties_of(left, day)
    return sum(_watch(entry, duties.get(entry.id), current.get(entry.id), day) for entry in left)


def _is_noted(row: Supply | None, current: date | None) -> bool:
    """Whether an entry was judged today and nothing has come since."""
    if row is None:
        return False
    return current is None or (row.current_on is not None and row.current_on >= current)


@transaction.atomic
def _watch(entry: Resource, duty: Duty | None, current: date | None, day: date) -> bool:
    row, is_new = Supply.objects.select_for_update().get_or_create(
        resource=entry, defaults={"watched_from": day, "watched_on": day, "current_on": current}
    )
    if is_new:
        return False
    seen_on, row.watched_on = row.watched_on, max(row.watched_on, day)
    row.current_on = max(filter(None, (row.current_on, current)), default=None)
    row.save(update_fields=["watched_on", "current_on"])
    found = _periods(entry, duty, day)
    if found is None:
        return False
    over = found.ended
    was_watched = row.watched_from <= over.first and seen_on >= over.first
    if not was_watched or (row.current_on is not None and row.current_on >= over.first):
        return False
    return _flag(entry, duty, over)


def _flag(entry: Resource, duty: Duty | None, over: Period) -> bool:
    if MissedCycle.objects.filter(resource=entry, starts_on=over.first).exists():
        return False
    hindrance = hindrance_in(entry.id, over.first, over.last)
    MissedCycle.objects.create(
        resource=entry,
        department_id=entry.department_id,
        starts_on=over.first,
        due_on=over.last,
        found_at=clock.now(),
        hindrance=hindrance,
        entry_id=_entry(entry, duty, over, "cycle_missed_hindered" if hindrance else "cycle_missed"),
    )
    if hindrance is not None:
        # Everybody concerned was told when the hindrance was recorded.
        return True
    params = {
        "name_zh": entry.name_zh,
        "name_en": entry.name_en or entry.name_zh,
        "due_on": over.last.isoformat(),
    }
    told = [(entry.department_id, Capability.DATA_CLEAR), (entry.department_id, Capability.NODES_WATCH)]
    told += [(office, Capability.CATALOGUE_REVIEW) for office in bodies_with(COMPETENT)]
    for body, can in told:
        notify(body, "cycle_missed", entry.id, capability=can, occasion=params["due_on"], params=params)
    return True


def cycle_citation(entry: Resource, duty: Duty | None) -> tuple[Regulation, str]:
    """The rules and the article on which a cycle rests: the catalogue names it, an exception its window."""
    if duty is not None and duty.window is not None:
        return duty.rules, duty.window.article
    rules = rules_for(entry.department_id)
    return rules, rules.citations.get(CYCLE_MATTER, SETTING)


def cycle_article(entry: Resource, duty: Duty | None) -> ArticleRef:
    """The article of a cycle as the pages show it."""
    rules, article = cycle_citation(entry, duty)
    return article_ref(article, rules.id)


def _entry(entry: Resource, duty: Duty | None, over: Period, outcome: str) -> UUID:
    rules, article = cycle_citation(entry, duty)
    return append_entry(
        EVENT,
        actor="system:control",
        at=clock.now(),
        outcome=outcome,
        department=entry.department_id,
        provider=entry.department_id,
        resource_id=entry.id,
        facts={
            "day": over.last.isoformat(),
            "cycle": entry.update_cycle,
            "articles": [rules.cite(article)],
        },
    )


def delivered_entries(
    resources: Collection[str] | None = None, department: str | None = None
) -> list[Resource]:
    """The entries whose data are delivered to the platform: tables and files that are offered."""
    kinds = [ServiceKind.TABLE, ServiceKind.FILE]
    offered = Service.objects.filter(resource_id=OuterRef("pk"), kind__in=kinds, ended_at=None)
    found = Resource.objects.filter(Exists(offered), state="published")
    if resources is not None:
        found = found.filter(pk__in=list(resources))
    if department is not None:
        found = found.filter(department_id=department)
    return list(found.order_by("id"))


def current_days(entries: Collection[Resource], day: date) -> dict[str, date]:
    """The last day on which each entry was up to date: by its newest batch, file, or its node's word."""
    providers = {one.id: one.department_id for one in entries}
    came = {key: clock.legal_day(one.came_at) for key, one in ledger.newest(entries).items()}
    for resource, at in ledger.newest_files(providers).items():
        came[resource] = max(clock.legal_day(at), came.get(resource, date.min))
    for node in read_nodes(None):
        for resource in _up_to_date(node):
            # A node speaks of what its own department provides.
            if providers.get(resource) == node.department:
                came[resource] = max(day, came.get(resource, date.min))
    return came


def _up_to_date(node: NodeReading) -> list[str]:
    """What a node says that it follows and has sent all of, while it is heard."""
    if not node.is_active or node.state is None or node.quiet_s is None or is_silent(node):
        return []
    lines = node.state.lines
    return [one.resource for one in lines if one.state in _UP and not one.waiting_rows and not one.fault]


def _periods(entry: Resource, duty: Duty | None, day: date) -> Periods | None:
    return periods(entry.update_cycle, duty.window if duty else None, day, calendar())


def ended_periods(entry: Resource, duty: Duty | None, since: date, day: date) -> Iterator[Period]:
    """The periods of an entry's cycle that began on a day or later and are over, the newest first."""
    found = _periods(entry, duty, day)
    while found is not None and found.ended.first >= since:
        yield found.ended
        found = _periods(entry, duty, found.ended.first)


def schedule_rows(
    resources: Collection[str] | None = None, department: str | None = None
) -> list[ScheduleRow]:
    """How each entry whose data are delivered stands; a fixed number of queries. The late ones first."""
    entries = delivered_entries(resources, department)
    ids, day = [one.id for one in entries], ledger.real_day()
    duties, hindered = duties_of(entries, day), hindrances_now(ids)
    supplies = {one.resource_id: one for one in Supply.objects.filter(resource__in=ids)}
    missed: dict[str, MissedCycle] = {}
    for one in MissedCycle.objects.filter(resource__in=ids).order_by("due_on"):
        missed[one.resource_id] = one
    rows = []
    for entry in entries:
        duty, supply, last = duties.get(entry.id), supplies.get(entry.id), missed.get(entry.id)
        found = _periods(entry, duty, day)
        since = supply.current_on if supply else None
        caught_up = last is not None and since is not None and since > last.due_on
        rows.append(
            ScheduleRow(
                resource=entry.id,
                department=entry.department_id,
                name=entry.name,
                cycle=duty.words if duty and duty.window else label(UPDATE_CYCLES, entry.update_cycle),
                duty=duty,
                running=found.running if found else None,
                current_on=since,
                missed=None if caught_up else last,
                hindrance=hindered.get(entry.id),
                article=cycle_article(entry, duty),
            )
        )
    return sorted(
        rows, key=lambda row: (not row.is_late, row.hindrance is None, row.department, row.resource)
    )
