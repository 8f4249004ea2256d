"""The regular full maintenance of a department's catalogue: opened for each period, checked, signed.

How often is said by the regulation (`catalogue.maintenance`); where it says nothing no period is opened, and
the checks can be run all the same. Source: shenyang-2016 art. 12(4); CAT-16.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer, require
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import ToTell, notify_all
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.catalogue.entries import entry_from
from shuqiao.control.catalogue.models import Resource, Service, ServiceKind
from shuqiao.control.compiling.checking import Subject, check_all
from shuqiao.control.compiling.districts import rules_for
from shuqiao.control.compiling.fields import ITEM_FIELDS, label_of
from shuqiao.control.organisations.bodies import COMPETENT, bodies_with
from shuqiao.control.organisations.models import Department
from shuqiao.control.regulations.current import named
from shuqiao.control.standards.queries import code_lists, element_index
from shuqiao.control.texts import Text
from shuqiao.control.upkeep.checks import KINDS, Facts, Finding, findings_of, sorted_faults
from shuqiao.control.upkeep.models import MAX_TEXT_CHARS, Maintenance
from shuqiao.rules.entries import Entry
from shuqiao.rules.entry_faults import plain_fault

EVENT = "catalogue_maintained"
SIGN = Text("签署目录维护", "Sign the maintenance")
MAX_FINDINGS = 1000
WARN_DAYS = 14
"""So many days before the end of a period its open maintenance is told of. Source: our choice."""

_AT_ONCE = 200


@dataclass(frozen=True)
class Period:
    """One period of maintenance, both days included."""

    first: date
    last: date


@dataclass(frozen=True)
class EntryFinding:
    """A finding with the entry it was made in, and its place in words."""

    resource: str
    name: Text
    place: Text
    finding: Finding


@dataclass(frozen=True)
class Checked:
    """What checking a department's catalogue gave: all counted, the first `MAX_FINDINGS` listed."""

    entries: int
    counts: Mapping[str, int]
    findings: tuple[EntryFinding, ...]

    @property
    def total(self) -> int:
        """All findings."""
        return sum(self.counts.values())


def period_of(day: date, months: int) -> Period:
    """The period of so many months, counted from January, that a day lies in."""
    start = (day.month - 1) // months * months + 1
    first = date(day.year, start, 1)
    after = start + months
    following = date(day.year + (after > 12), (after - 1) % 12 + 1, 1)
    return Period(first, following - timedelta(days=1))


def check_catalogue(department: str) -> Checked:
    """Check every published entry of a department, a few at a time."""
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    listed: list[EntryFinding] = []
    entries = 0
    for resource, entry, finding in _findings(department):
        if finding is None:
            entries += 1
            continue
        counts[finding.kind] += 1
        if len(listed) < MAX_FINDINGS:
            name = resource.name
            listed.append(EntryFinding(resource.id, name, place_of(finding.path, entry), finding))
    return Checked(entries, dict(counts), tuple(listed))


_PLACE = re.compile(r"items(?:\[(\d+)\]|\.([a-z][a-z0-9_]*))(?:\.(\w+))?", re.ASCII)


def place_of(path: str, entry: Entry) -> Text:
    """Name a place of an entry: a field, an item, or a field of an item."""
    found = _PLACE.fullmatch(path)
    if found is None:
        return label_of(path)
    at, field, part = found.groups()
    item = next((one for n, one in enumerate(entry.items) if str(n) == at or one.field == field), None)
    zh, en = (item.zh, item.en or item.zh) if item else (field or at, field or at)
    if part not in ITEM_FIELDS:
        return Text(f"信息项“{zh}”", f"Item {en}")
    label = ITEM_FIELDS[part]
    return Text(f"信息项“{zh}”·{label.zh}", f"Item {en}: {label.en}")


def _findings(department: str) -> Iterator[tuple[Resource, Entry, Finding | None]]:
    """Each entry once by itself, then with each of its findings."""
    index, lists = element_index(), code_lists()
    rows = Resource.objects.filter(department_id=department, state="published").order_by("code")
    walk = rows.iterator(chunk_size=_AT_ONCE)
    while some := list(islice(walk, _AT_ONCE)):
        entries = [entry_from(resource.content) for resource in some]
        subjects = [Subject(entry, row.id) for entry, row in zip(entries, some, strict=True)]
        delivered = _deliveries([row.id for row in some])
        checked = check_all(subjects, department)
        for resource, entry, faults in zip(some, entries, checked, strict=True):
            facts = Facts(
                index.elements,
                lists,
                index.guess,
                clock.today(),
                resource.id in delivered,
                delivered.get(resource.id),
            )
            yield resource, entry, None
            for finding in (*sorted_faults(faults), *findings_of(entry, facts)):
                yield resource, entry, finding


def _deliveries(resources: list[str]) -> dict[str, date | None]:
    """The entries whose data the platform keeps, each with the day of its last batch."""
    kept = Service.objects.filter(resource_id__in=resources, kind=ServiceKind.TABLE, ended_at=None)
    found: dict[str, date | None] = dict.fromkeys(kept.values_list("resource_id", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT resource_id, max(merged_at) FROM exchange.batch WHERE resource_id = ANY(%s) GROUP BY 1",
            [list(found)],
        )
        found |= {key: clock.legal_day(at) for key, at in cursor.fetchall()}
    return found


@transaction.atomic
def open_maintenance() -> int:
    """Open the present period of every department that has entries, and tell it; return how many.

    Two workers at once open each period once.
    """
    today = clock.today()
    entries = Resource.objects.filter(department_id=OuterRef("pk"), state="published")
    holders = Department.objects.filter(Exists(entries), active=True).order_by("code")
    fresh = []
    for department in holders:
        rules = rules_for(department.code)
        if rules.maintenance_months is not None:
            period = period_of(today, rules.maintenance_months)
            row, is_new = Maintenance.objects.get_or_create(
                department=department,
                starts_on=period.first,
                defaults={"due_on": period.last, "regulation": rules.id},
            )
            fresh += [row] if is_new else []
    notify_all(_notice("maintenance_open", row) for row in fresh)
    return len(fresh)


@transaction.atomic
def tell_maintenance() -> int:
    """Tell of periods that end soon and of those that ended unsigned, each once; return how many."""
    today = clock.today()
    waiting = Maintenance.objects.filter(signed_at=None).select_related("department")
    waiting = waiting.select_for_update(of=("self",), skip_locked=True)
    horizon = today + timedelta(days=WARN_DAYS)
    soon = list(waiting.filter(due_on__gte=today, due_on__lte=horizon, told_soon=False))
    over = list(waiting.filter(due_on__lt=today, told_over=False))
    offices = bodies_with(COMPETENT) if over else []
    told = [_notice("maintenance_soon", row) for row in soon]
    for row in over:
        others = [office for office in offices if office != row.department_id]
        told.append(_notice("maintenance_over", row))
        told += [_notice("maintenance_over", row, one, Capability.CATALOGUE_REVIEW) for one in others]
    notify_all(told)
    Maintenance.objects.filter(pk__in=[row.pk for row in soon]).update(told_soon=True)
    Maintenance.objects.filter(pk__in=[row.pk for row in over]).update(told_over=True)
    return len(soon) + len(over)


def watch_upkeep() -> int:
    """Open the periods that have begun and tell of those that end; the job of a day."""
    return open_maintenance() + tell_maintenance()


def _notice(code: str, row: Maintenance, to: str = "", capability: str = Capability.CATALOGUE_EDIT) -> ToTell:
    return ToTell(
        to or row.department_id,
        code,
        f"{row.department_id}:{row.starts_on}",
        capability,
        params={
            "due_on": row.due_on.isoformat(),
            "name_zh": row.department.name_zh,
            "name_en": row.department.name_en,
        },
    )


@transaction.atomic
def sign_maintenance(viewer: Viewer, key: int, statement: str) -> None:
    """Sign a period's maintenance: the catalogue is checked anew, and what was found stays with the record.

    What remains to be put right must be said in the statement. Raises `NotFound` for another's, `FormRefused`
    for what is missing or signed already.
    """
    require(viewer, Capability.CATALOGUE_EDIT, SIGN)
    own = Maintenance.objects.select_for_update().filter(department_id=viewer.department.code)
    row = own.filter(pk=key).first()
    if row is None:
        raise NotFound
    if row.signed_at is not None:
        raise FormRefused((Fault("statement", "already_done", Text("本期已签署", "It is signed already")),))
    checked, words = check_catalogue(row.department_id), statement.strip()
    _refuse_statement(words, needed=checked.total > 0)
    row.checked_at = row.signed_at = clock.now()
    row.entries, row.counts = checked.entries, dict(checked.counts)
    row.findings = [_stored(one) for one in checked.findings]
    row.statement, row.signed_by_id = words, viewer.account_id
    rules = named(row.regulation)
    row.entry_id = append_entry(
        EVENT,
        actor=f"account:{viewer.username}",
        at=row.signed_at,
        outcome="signed",
        department=row.department_id,
        provider=row.department_id,
        facts={
            "period": f"{row.starts_on}/{row.due_on}",
            "entries": row.entries,
            "findings": row.counts,
            "reason": words,
            "regulation": rules.id,
            "articles": [rules.cite(rules.maintenance_article)],
        },
    )
    row.save()


def _refuse_statement(words: str, *, needed: bool) -> None:
    wrong = plain_fault("statement", words, MAX_TEXT_CHARS)
    if wrong:
        raise FormRefused((Fault("statement", wrong.code, Text(wrong.zh, wrong.en)),))
    if needed and not words:
        said = Text("仍有问题，请写明整改安排", "Something is left to put right: say how and when")
        raise FormRefused((Fault("statement", "field_required", said),))


def _stored(one: EntryFinding) -> dict[str, Any]:
    return {
        "resource": one.resource,
        "name_zh": one.name.zh,
        "name_en": one.name.en,
        "place_zh": one.place.zh,
        "place_en": one.place.en,
        "path": one.finding.path,
        "kind": one.finding.kind,
        "code": one.finding.code,
        "zh": one.finding.words.zh,
        "en": one.finding.words.en,
    }


def stored_finding(stored: Mapping[str, str]) -> EntryFinding:
    """Read a finding of a signed maintenance."""
    finding = Finding(stored["path"], stored["kind"], stored["code"], Text(stored["zh"], stored["en"]))
    place = Text(stored["place_zh"], stored["place_en"])
    return EntryFinding(stored["resource"], Text(stored["name_zh"], stored["name_en"]), place, finding)
