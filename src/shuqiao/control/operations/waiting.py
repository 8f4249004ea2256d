"""What waits for a viewer in cases of every kind: the steps that are theirs, and the terms that run for them.

A kind of case adds a source here; each asks a fixed number of queries, however many cases there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

from django.db.models import Model, Q, QuerySet

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.clocks.models import Clock
from shuqiao.control.clocks.queries import CaseClock, clocks_of, next_clock
from shuqiao.control.disputes.access import disputes_visible
from shuqiao.control.disputes.models import Dispute
from shuqiao.control.disputes.queries import dispute_rows, waiting_disputes
from shuqiao.control.operations.queries import Task
from shuqiao.control.organisations.queries import department_refs
from shuqiao.control.outside.models import OutsideRequest, Publication
from shuqiao.control.projects.access import projects_to_join
from shuqiao.control.recalls.pages import recalls_to_sign
from shuqiao.control.regulations.current import named
from shuqiao.control.requests.lists import request_rows, waiting_for
from shuqiao.control.requests.models import DECIDED_PHASES, OPEN_PHASES, Request
from shuqiao.control.requests.queries import RequestRow
from shuqiao.control.texts import Text
from shuqiao.control.updating.models import DataChange
from shuqiao.control.upkeep.models import Change
from shuqiao.rules.procedures import meets_term, possible_actions
from shuqiao.rules.regulation import PROVIDER, REQUESTER, Phase, Regulation

MAX_TASKS = 50
"""So many are listed, the nearest first; the lists of each kind of case hold the rest."""
NO_DUTY = frozenset({"withdraw", "save"})
"""Steps that somebody may take and nobody waits for; nor for a dispute."""

AnyCase = TypeVar("AnyCase", bound=Model)


@dataclass(frozen=True)
class Waiting:
    """A task and the legal day that orders it; None where no term runs."""

    due_on: date | None
    task: Task


def waiting_for_viewer(viewer: Viewer) -> tuple[Waiting, ...]:
    """Everything that waits for the viewer, the nearest legal day first, then what has none."""
    sources: tuple[Callable[[Viewer], list[Waiting]], ...] = (
        _requests,
        _disputes,
        _outside,
        _publications,
        _projects,
        _changes,
        _data_changes,
        _recalls,
    )
    found = [one for source in sources for one in source(viewer)]
    ordered = sorted(found, key=lambda one: (one.due_on or date.max, one.task.reference))
    return tuple(ordered[:MAX_TASKS])


def _requests(viewer: Viewer) -> list[Waiting]:
    # Decided, and the information is still to be provided.
    to_provide = Q(phase__in=DECIDED_PHASES, number__in=_held(viewer, "request"))
    wanted = waiting_for(viewer) | to_provide
    rows = request_rows(_nearest(viewer, Request.objects.filter(wanted), "request"))
    return [_request_task(viewer, row) for row in rows]


def _request_task(viewer: Viewer, row: RequestRow) -> Waiting:
    name, asked = row.resource_name, row.requester
    title = Text(
        f"{asked.short.zh}申请 {name.zh} {row.item_count} 项",
        f"{asked.name.en} asks for {row.item_count} items of {name.en}",
    )
    detail = Text(f"{row.number}　用途：{row.purpose}", f"{row.number}, purpose: {row.purpose}")
    return _waiting(
        "request", row.number, title, detail, row.state_label, row.running, _request_action(viewer, row)
    )


def _request_action(viewer: Viewer, row: RequestRow) -> Text:
    if row.provider.code != viewer.department.code:
        return Text("办理", "Deal with")
    if row.phase == Phase.GRANTED.value:
        return Text("提供", "Provide")
    disputed = row.phase == Phase.DISPUTED.value
    return Text("答复", "Answer") if disputed else Text("审核", "Review")


def _disputes(viewer: Viewer) -> list[Waiting]:
    mine = _theirs(viewer, Dispute.objects.filter(final=False), "dispute", _PARTIES)
    # Decided, and the decision is still to be carried out.
    to_execute = Q(phase=Phase.GRANTED.value, number__in=_held(viewer, "dispute"))
    wanted = Q(pk__in=waiting_disputes(viewer).values("pk")) | mine | to_execute
    found = disputes_visible(viewer).filter(wanted, final=False)
    rows = dispute_rows(_nearest(viewer, found, "dispute"))
    clocks = clocks_of("dispute", [row.number for row in rows])
    own = viewer.department.code
    return [
        _waiting(
            "dispute",
            row.number,
            Text(
                f"{row.applicant.short.zh}与{row.respondent.short.zh}：{row.kind.zh}",
                f"{row.applicant.name.en} and {row.respondent.name.en}: {row.kind.en}",
            ),
            Text(f"{row.number}　{row.subject or row.case_number}", f"{row.number} {row.case_number}"),
            row.state_label,
            next_clock(clocks.get(row.number, ())),
            Text("办理", "Deal with")
            if own in (row.applicant.code, row.respondent.code)
            else Text("处理", "Go on"),
        )
        for row in rows
    ]


def _outside(viewer: Viewer) -> list[Waiting]:
    cases = _cases(viewer, OutsideRequest.objects.all(), "outside")
    titles = [Text(f"目录外信息：{case.wanted[:60]}", f"Outside: {case.wanted[:60]}") for case in cases]
    return _case_tasks("outside", cases, titles)


def _publications(viewer: Viewer) -> list[Waiting]:
    cases = _cases(viewer, Publication.objects.all(), "publication")
    titles = [Text(f"对外提供：{case.content[:60]}", f"To publish: {case.content[:60]}") for case in cases]
    return _case_tasks("publication", cases, titles)


def _projects(viewer: Viewer) -> list[Waiting]:
    """Running projects for which the viewer's department has not made its requests yet."""
    rows = []
    for project in projects_to_join(viewer)[:MAX_TASKS]:
        state = named(project.regulation).procedure("project").state(project.state)
        stage = Text(state.zh, state.en) if state else Text(project.state, project.state)
        lead = project.lead
        title = Text(f"专项：{project.title}", f"Special project: {project.title}")
        detail = Text(
            f"{project.number}　{lead.short_zh or lead.name_zh}牵头",
            f"{project.number}, led by {lead.name_en}",
        )
        action = Text("提出申请", "Make the requests")
        rows.append(_waiting("project", project.number, title, detail, stage, None, action))
    return rows


def _changes(viewer: Viewer) -> list[Waiting]:
    """Changes that the catalogue of the viewer's department must follow still."""
    if not viewer.can(Capability.CATALOGUE_EDIT):
        return []
    own = Change.objects.filter(department_id=viewer.department.code, done_on=None)
    changes = list(_nearest(viewer, own, "upkeep"))
    clocks = clocks_of("upkeep", [change.number for change in changes])
    rows = []
    for change in changes:
        title = Text(f"更新目录：{change.document}", f"Update the catalogue: {change.document}")
        detail = Text(f"{change.number}　{change.happened_on}", f"{change.number}, {change.happened_on}")
        running = next_clock(clocks.get(change.number, ()))
        stage, action = Text("待更新", "To be updated"), Text("更新", "Update")
        rows.append(_waiting("upkeep", change.number, title, detail, stage, running, action))
    return rows


def _data_changes(viewer: Viewer) -> list[Waiting]:
    """Changes that the data of the viewer's department must follow still, by whatever rule they are due."""
    if not viewer.can(Capability.DATA_CLEAR):
        return []
    own = DataChange.objects.filter(department_id=viewer.department.code, done_on=None)
    changes = list(_nearest(viewer, own.select_related("resource"), "data"))
    clocks = clocks_of("data", [change.number for change in changes])
    rows = []
    for change in changes:
        name = change.resource.name
        title = Text(f"更新数据：{name.zh}", f"Update the data: {name.en}")
        detail = _when_due(change)
        running = next_clock(clocks.get(change.number, ()))
        stage, action = Text("待更新", "To be updated"), Text("更新", "Update")
        waiting = _waiting("data", change.number, title, detail, stage, running, action)
        rows.append(waiting if running else replace(waiting, due_on=change.due_on))
    return rows


def _when_due(change: DataChange) -> Text:
    """The change's number, its day, and the day by which it must be brought where one is fixed."""
    zh = f"{change.number}　{change.happened_on} 变化"
    en = f"{change.number}, changed {change.happened_on}"
    if change.due_on is None:
        return Text(zh, en)
    return Text(f"{zh}，应于 {change.due_on} 前更新", f"{en}, due on {change.due_on}")


def _recalls(viewer: Viewer) -> list[Waiting]:
    """Copies that the viewer's department must delete and sign for still."""
    rows = []
    for recall in recalls_to_sign(viewer, MAX_TASKS):
        name = recall.name
        title = Text(f"删除副本：{name.zh}", f"Delete copies: {name.en}")
        day = recall.due_on.isoformat()
        detail = Text(f"{recall.number}　应于 {day} 前", f"{recall.number}, due on {day}")
        stage, action = Text("待删除", "To be deleted"), Text("删除并回执", "Delete and sign")
        waiting = _waiting("recall", recall.number, title, detail, stage, None, action)
        rows.append(replace(waiting, due_on=recall.due_on))
    return rows


def _cases(viewer: Viewer, every: QuerySet[AnyCase], kind: str) -> list[AnyCase]:
    """Open cases of a kind that a side of it must go on with."""
    opened = every.filter(phase__in=OPEN_PHASES)
    mine = _theirs(viewer, opened, kind, _SIDES)
    return list(_nearest(viewer, opened.filter(mine), kind))


def _case_tasks(
    kind: str, cases: Sequence[OutsideRequest | Publication], titles: Sequence[Text]
) -> list[Waiting]:
    if not cases:
        return []
    departments = department_refs()
    clocks = clocks_of(kind, [case.number or "" for case in cases])
    rows = []
    for case, title in zip(cases, titles, strict=True):
        number, asked = case.number or "", departments[case.requester_id]
        state = named(case.regulation).procedure(kind).state(case.state)
        detail = Text(
            f"{number}　{asked.short.zh}：{case.purpose}", f"{number}, {asked.name.en}: {case.purpose}"
        )
        stage = Text(state.zh, state.en) if state else Text(case.state, case.state)
        running = next_clock(clocks.get(number, ()))
        rows.append(_waiting(kind, number, title, detail, stage, running, Text("办理", "Deal with")))
    return rows


def _waiting(
    kind: str,
    number: str,
    title: Text,
    detail: Text,
    stage: Text,
    running: CaseClock | None,
    action: Text,
) -> Waiting:
    task = Task(
        kind=kind,
        reference=number,
        title=title,
        detail=detail,
        stage=stage,
        clock=running.shown if running else None,
        term=running.label if running else None,
        action=action,
    )
    return Waiting(running.due_on if running else None, task)


_SIDES = {"provider_id": PROVIDER, "requester_id": REQUESTER}
_PARTIES = {"respondent_id": PROVIDER, "applicant_id": REQUESTER}


def _theirs(viewer: Viewer, opened: QuerySet[AnyCase], kind: str, columns: dict[str, str]) -> Q:
    """The cases in which the viewer's department stands on a side that must go on, by their regulations."""
    found = Q(pk__in=[])
    for name in opened.order_by().values_list("regulation", flat=True).distinct():
        rules = named(name)
        for column, side in columns.items():
            mine = Q(**{column: viewer.department.code}, regulation=rules.id)
            for state, when in _duties(rules, kind, side, viewer.capabilities):
                found |= mine & Q(state=state) & _WHEN.get(when, Q())
    return found


_WHEN = {"data_dispute": Q(kind="data")}
"""What a condition of a step means for the case; the others are no conditions of cases listed here."""


def _duties(rules: Regulation, kind: str, side: str, capabilities: frozenset[str]) -> set[tuple[str, str]]:
    """The states in which a side has something to do, each with the condition under which it has."""
    procedure = rules.procedure(kind)
    return {
        (state.key, step.when)
        for state in procedure.states
        for step in possible_actions(procedure, state.key, capabilities, frozenset({side}))
        if step.action not in NO_DUTY and not step.opens_dispute and step.to_state != state.key
    }


def _held(viewer: Viewer, kind: str) -> list[str]:
    """Numbers of the cases in which a term runs that the viewer can meet and that no step of a side meets."""
    running = Clock.objects.filter(holder_id=viewer.department.code, kind=kind, ended_on=None)
    mine = Q(pk__in=[])
    for name, deadline in running.order_by().values_list("regulation", "deadline").distinct():
        rules = named(name)
        if not _met_by_step(rules, kind, deadline) and viewer.can(Capability.REQUEST_ANSWER):
            mine |= Q(regulation=name, deadline=deadline)
    return list(running.filter(mine).order_by("due_on", "pk").values_list("number", flat=True)[:MAX_TASKS])


def _met_by_step(rules: Regulation, kind: str, deadline: str) -> bool:
    term = rules.deadline(deadline)
    sides = frozenset({PROVIDER, REQUESTER})
    return any(
        step.event and step.by & sides and meets_term(term, step.event)
        for step in rules.procedure(kind).transitions
    )


def _nearest(viewer: Viewer, found: QuerySet[AnyCase], kind: str) -> QuerySet[AnyCase]:
    """Those of the cases whose terms end first, and then others until there are enough.

    Read from the terms of the department in their order: a department with ten thousand open cases sorts
    none of them.
    """
    running = Clock.objects.filter(holder_id=viewer.department.code, kind=kind, ended_on=None)
    numbers = list(running.order_by("due_on", "pk").values_list("number", flat=True)[: 3 * MAX_TASKS])
    matched = dict(found.filter(number__in=numbers).values_list("number", "pk"))
    keys = [matched[number] for number in dict.fromkeys(numbers) if number in matched][:MAX_TASKS]
    if len(keys) < MAX_TASKS:
        rest = found.exclude(number__in=numbers).order_by("pk").values_list("pk", flat=True)
        keys += rest[: MAX_TASKS - len(keys)]
    return found.filter(pk__in=keys)
