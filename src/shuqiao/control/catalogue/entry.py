"""The page of one catalogue entry, put together in a fixed number of queries."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.catalogue import labels
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.catalogue.offering import is_by_interface
from shuqiao.control.catalogue.platforms import platform_view
from shuqiao.control.catalogue.queries import (
    EntryPage,
    ModeUse,
    TermRow,
    UserRow,
    VersionRow,
    access_resource,
    held_grants,
    item_row,
    open_requests,
)
from shuqiao.control.catalogue.sharing import (
    Current,
    current,
    free_of_charge,
    is_available,
    may_rule,
    share_mark,
    sharing_view,
)
from shuqiao.control.organisations.models import Application
from shuqiao.control.organisations.queries import (
    department_ref,
    department_refs,
    persons_in_charge,
)
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import article_ref, article_text, cited_text
from shuqiao.control.standards.queries import standard_names
from shuqiao.control.texts import Text
from shuqiao.rules.regulation import Phase, Regulation

USE_DAYS = 30
MODE_OF_EVENT = {
    "verify": "verify",
    "query": "query",
    "interface_answered": "query",
    "bulk_delivered": "bulk",
    "feed_taken": "bulk",
    "browse_viewed": "bulk",
    "file_delivered": "bulk",
}
"""The events that count as a use of an entry, and of which mode."""


@dataclass(frozen=True)
class _Holdings:
    """What ledger and log say about an entry: rows, last arrival, recent calls by department and mode."""

    records: int
    last_received_at: datetime | None
    calls: dict[tuple[str, str], int]


def entry_page(viewer: Viewer, resource_id: str) -> EntryPage:
    """Return everything the entry page shows; raises `NotFound` for what this viewer can't see.

    Its last call has a line for each field of the page.
    """
    resource = access_resource(viewer, resource_id)
    rules, at = regulation(), current([resource])[resource.id]
    own, holdings = viewer.department.code, _holdings(resource)
    modes = ["query"] if is_by_interface(resource) else list(resource.modes)
    users = _users(resource, holdings.calls)
    refusal = _request_refusal(viewer, resource, at)
    standards = standard_names([item.standard for item in resource.items.all() if item.standard])
    return EntryPage(
        id=resource.id,
        code=resource.code,
        name=resource.name,
        summary=Text(resource.summary_zh, resource.summary_en),
        version=resource.version,
        published_at=resource.published_at,
        category=Text(resource.category_zh, resource.category_en),
        article=article_text(resource.article, resource.regulation) or cited_text(resource.article),
        terms=_terms(rules),
        share_type=share_mark(at.type_of(None, rules), rules),
        sharing=sharing_view(at) if rules.share_types.types else None,
        may_classify=_may_classify(viewer, resource, rules),
        free=free_of_charge(rules),
        provider=department_ref(resource.department),
        joint_departments=tuple(department_ref(d) for d in resource.joint_departments.order_by("code")),
        persons=persons_in_charge(resource.department_id),
        library=labels.label(labels.LIBRARIES, resource.library),
        update_cycle=labels.label(labels.UPDATE_CYCLES, resource.update_cycle),
        platform=resource.platform_zh,
        at=platform_view(viewer, resource),
        scope=resource.scope_zh,
        max_period_months=rules.period.maximum_months,
        shared_until=resource.shared_until,
        may_prolong=own == resource.department_id and viewer.can(Capability.CATALOGUE_EDIT),
        conditions=tuple(Text(c.zh, c.en) for c in rules.conditions),
        record_key=resource.record_key,
        items=tuple(
            item_row(item, resource.record_key, share_mark(at.type_of(item, rules), rules), standards, modes)
            for item in resource.items.all()
        ),
        services=_services(modes, users),
        users=users,
        versions=_versions(resource),
        record_count=holdings.records,
        last_received_at=holdings.last_received_at,
        calls_30_days=sum(holdings.calls.values()),
        can_request=refusal is None,
        request_refusal=refusal,
        granted_until=held_grants(own, [resource.id]).get(resource.id),
        may_verify=resource.grants.filter(consumer_id=own, mode="verify", phase=Phase.GRANTED.value).exists(),
        open_request=open_requests(own, [resource.id]).get(resource.id),
    )


def _terms(rules: Regulation) -> tuple[TermRow, ...]:
    """List the terms that the steps of a request start, in the order of the file."""
    events = {step.event for step in rules.procedure("request").transitions if step.event}
    return tuple(
        TermRow(Text(one.zh, one.en), one.working_days, article_ref(one.article, rules.id))
        for one in rules.deadlines
        if one.starts_on in events
    )


def _may_classify(viewer: Viewer, resource: Resource, rules: Regulation) -> bool:
    """Tell whether the pages of share types are the viewer's to act on."""
    provides = resource.department_id == viewer.department.code and viewer.can(Capability.CATALOGUE_EDIT)
    return bool(rules.share_types.types) and (provides or may_rule(viewer, rules))


def _request_refusal(viewer: Viewer, resource: Resource, at: Current) -> Text | None:
    if not viewer.can(Capability.REQUEST_SUBMIT):
        return Text("你的角色不提出申请", "Your role does not make requests")
    if resource.department_id == viewer.department.code:
        return Text("本部门就是责任部门", "Your own department is responsible for it")
    if not is_available(at, viewer.department.code):
        return Text("该条目不提供给本部门", "This entry is not shared with your department")
    return None


def _holdings(resource: Resource) -> _Holdings:
    since = clock.now() - timedelta(days=USE_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(inserted), 0), max(merged_at) FROM exchange.batch WHERE resource_id = %s",
            [resource.id],
        )
        ledger = cursor.fetchone()
        cursor.execute(
            "SELECT department, event, count(*) FROM audit.entry WHERE provider = %s AND occurred_at >= %s"
            " AND resource_id = %s AND event = ANY(%s) GROUP BY department, event",
            [resource.department_id, since, resource.id, list(MODE_OF_EVENT)],
        )
        calls: dict[tuple[str, str], int] = defaultdict(int)
        for department, event, count in cursor.fetchall():
            calls[department, MODE_OF_EVENT[event]] += count
    return _Holdings(int(ledger[0]) if ledger else 0, ledger[1] if ledger else None, calls)


def _users(resource: Resource, calls: dict[tuple[str, str], int]) -> tuple[UserRow, ...]:
    """Who holds an active grant, most calls first; the pages' own applications are not named."""
    in_use = resource.grants.filter(phase=Phase.GRANTED.value)
    rows = in_use.values_list("consumer_id", "mode", "number", "valid_until")
    grants: dict[tuple[str, str], tuple[date, list[str]]] = {}
    for consumer, mode, number, until in rows:
        last, numbers = grants.get((consumer, mode), (until, []))
        grants[consumer, mode] = (max(last, until), [*numbers, number])
    named = _applications([number for _, numbers in grants.values() for number in numbers])
    departments = department_refs()
    found = [
        UserRow(
            department=departments[consumer],
            applications=tuple(dict.fromkeys(name for number in numbers for name in named[number])),
            mode=mode,
            mode_label=labels.label(labels.MODES, mode),
            valid_until=until,
            calls_30_days=calls.get((consumer, mode), 0),
        )
        for (consumer, mode), (until, numbers) in grants.items()
    ]
    return tuple(sorted(found, key=lambda row: (-row.calls_30_days, row.department.code)))


def _applications(numbers: list[str]) -> dict[str, list[Text]]:
    named: dict[str, list[Text]] = defaultdict(list)
    rows = Application.objects.filter(grants__number__in=numbers, portal=False)
    for number, zh, en in rows.values_list("grants__number", "name_zh", "name_en"):
        named[number].append(Text(zh, en))
    return named


def _services(modes: list[str], users: tuple[UserRow, ...]) -> tuple[ModeUse, ...]:
    return tuple(
        ModeUse(mode, label, sum(1 for user in users if user.mode == mode))
        for mode, label in labels.mode_labels(modes)
    )


def _versions(resource: Resource) -> tuple[VersionRow, ...]:
    return tuple(
        VersionRow(v.version, Text(v.note_zh, v.note_en), v.published_at, v.version == resource.version)
        for v in resource.versions.order_by("-version")
    )
